#include "gas.h"
#include "unit.h"

/* A state that lets everything happen and counts it. */
typedef struct counting {
    ioi_state state; /* first */
    uint32_t calls;
} counting;

static int called(ioi_state *s) {
    ((counting *)s)->calls++;
    return IOI_OK;
}

static int key(ioi_state *s, const uint8_t *bytes, size_t len, ioi_key *k) {
    (void)bytes;
    *k = len;
    return called(s);
}
static int get(ioi_state *s, ioi_key k, const uint8_t **value, size_t *len) {
    (void)k;
    *value = (const uint8_t *)"four";
    *len = 4;
    return called(s);
}
static int exists(ioi_state *s, ioi_key k) { return (void)k, called(s); }
static int put(ioi_state *s, ioi_key k, const uint8_t *value, size_t len) { return (void)k, (void)value, (void)len, called(s); }
static int mark_state(ioi_state *s, uint64_t *mark) { return *mark = 0, called(s); }
static int close_mark(ioi_state *s, uint64_t mark, int undo) { return (void)mark, (void)undo, called(s); }
static int scan(ioi_state *s, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, int reverse,
                ioi_scan **made) {
    (void)low, (void)low_len, (void)high, (void)high_len, (void)reverse, (void)made;
    return called(s);
}
static int next(ioi_state *s, ioi_scan *of, const uint8_t **k, size_t *k_len, const uint8_t **value, size_t *len) {
    (void)of;
    *k_len = 2;
    return get(s, 0, value, len) | ((*k = *value) == NULL);
}
static void end(ioi_state *s, ioi_scan *of) { (void)s, (void)of; }
static int add(ioi_state *s, ioi_key k, const ioi_addition *a, size_t *found) { return (void)k, (void)a, (void)found, called(s); }
static int emit(ioi_state *s, const char *name, const ioi_attribute *a, size_t count) {
    return (void)name, (void)a, (void)count, called(s);
}
static size_t key_len(const ioi_state *s, ioi_key k) { return (void)s, k; }

/* The operations, by number: 0 until there is none. */
enum { OPERATIONS = 12 };
static int operate(ioi_state *s, int which) {
    const uint8_t *bytes;
    size_t len, k_len, found;
    uint64_t mark;
    ioi_key k;
    ioi_scan *made = NULL;
    ioi_addition by = {.field = {0, 1, 1}};
    switch (which) {
    case 0: return s->key(s, (const uint8_t *)"k", 1, &k);
    case 1: return s->get(s, 1, &bytes, &len);
    case 2: return s->exists(s, 1);
    case 3: return s->put(s, 1, (const uint8_t *)"v", 1);
    case 4: return s->remove(s, 1);
    case 5: return s->mark(s, &mark);
    case 6: return s->close(s, 0, 1);
    case 7: return s->scan(s, NULL, 0, NULL, 0, 0, &made);
    case 8: return s->next(s, made, &bytes, &k_len, &bytes, &len);
    case 9: return s->add(s, 1, &by, &found);
    case 10: return s->emit(s, "e", NULL, 0);
    default: return s->charge(s, 0);
    }
}

/* Running out is for good, also of what costs nothing; and each operation costs what it says, as often as it is asked for. */
void test_gas(void) {
    static const ioi_gas free_of_cost = {.on = true, .most = 10};
    static const ioi_gas dear = {.on = true,
                                 .flat = 1,
                                 .get = 10,
                                 .put = 100,
                                 .remove = 1000,
                                 .scan = 10000,
                                 .read_byte = 100000,
                                 .written_byte = 1000000,
                                 .emit = 10000000,
                                 .most = UINT64_C(1) << 40};
    static const uint64_t costs[OPERATIONS] = {0, 400010, 10, 2000100, 1001000, 0, 0, 0, 610000, 2100110, 17000000, 0};
    counting inner = {
        {key, get, exists, put, exists, mark_state, close_mark, scan, next, end, ioi_no_charge, ioi_no_gas_left, add, emit}, 0};
    ioi_metered m;
    for (int which = 0; which < OPERATIONS; which++) {
        ioi_metered_begin(&m, &inner.state, key_len, &dear);
        CHECK(operate(&m.state, which) == IOI_OK && m.meter.used == 1 + costs[which]);
        CHECK(m.state.gas_left(&m.state) == dear.most - m.meter.used);
        uint64_t most = costs[which]; /* one less than it needs */
        ioi_outcome outcome = {.code = 0};
        if (most) {
            ioi_gas short_of = dear;
            short_of.most = most;
            ioi_metered_begin(&m, &inner.state, key_len, &short_of);
            CHECK(operate(&m.state, which) == IOI_STOP && ioi_metered_end(&m, &outcome));
            CHECK(outcome.code == IOI_CODE_OUT_OF_GAS && outcome.gas_used == most && outcome.gas_wanted == most);
        }
        ioi_metered_begin(&m, &inner.state, key_len, &free_of_cost);
        CHECK(operate(&m.state, which) == IOI_OK && m.state.charge(&m.state, 11) == IOI_STOP);
        inner.calls = 0;
        CHECK(operate(&m.state, which) == IOI_STOP && inner.calls == 0 && m.state.gas_left(&m.state) == 0);
        CHECK(ioi_metered_end(&m, &outcome) && outcome.gas_used == 10);
    }
}
