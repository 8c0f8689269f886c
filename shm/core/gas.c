#include "gas.h"

#include "events.h"

#define INNER(s) ((ioi_metered *)(s))->inner

static int take(ioi_state *s, uint64_t amount) { return ioi_meter_take(&((ioi_metered *)s)->meter, amount) ? IOI_OK : IOI_STOP; }
static bool out(const ioi_state *s) { return ((const ioi_metered *)s)->meter.out; }
static const ioi_gas *gas_of(const ioi_state *s) { return ((const ioi_metered *)s)->meter.gas; }

static int op_key(ioi_state *s, const uint8_t *bytes, size_t len, ioi_key *key) {
    return out(s) ? IOI_STOP : INNER(s)->key(INNER(s), bytes, len, key);
}

static int op_get(ioi_state *s, ioi_key key, const uint8_t **value, size_t *len) {
    if (take(s, gas_of(s)->get)) return IOI_STOP;
    int r = INNER(s)->get(INNER(s), key, value, len);
    return r == IOI_OK && take(s, ioi_gas_bytes(gas_of(s)->read_byte, *len, 0)) ? IOI_STOP : r;
}

static int op_exists(ioi_state *s, ioi_key key) { return take(s, gas_of(s)->get) ? IOI_STOP : INNER(s)->exists(INNER(s), key); }

static uint64_t key_len(const ioi_state *s, ioi_key key) {
    const ioi_metered *m = (const ioi_metered *)s;
    return m->key_len(m->inner, key);
}

static int op_put(ioi_state *s, ioi_key key, const uint8_t *value, size_t len) {
    return take(s, ioi_gas_write(gas_of(s), true, key_len(s, key), len)) ? IOI_STOP : INNER(s)->put(INNER(s), key, value, len);
}

static int op_remove(ioi_state *s, ioi_key key) {
    return take(s, ioi_gas_write(gas_of(s), false, key_len(s, key), 0)) ? IOI_STOP : INNER(s)->remove(INNER(s), key);
}

static int op_add(ioi_state *s, ioi_key key, const ioi_addition *a, size_t *found) {
    if (take(s, ioi_gas_add(gas_of(s), key_len(s, key), a->field.size))) return IOI_STOP;
    return INNER(s)->add(INNER(s), key, a, found);
}

static int op_mark(ioi_state *s, uint64_t *mark) { return out(s) ? IOI_STOP : INNER(s)->mark(INNER(s), mark); }

static int op_close(ioi_state *s, uint64_t mark, int undo) { return out(s) ? IOI_STOP : INNER(s)->close(INNER(s), mark, undo); }

static int op_scan(ioi_state *s, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, int reverse,
                   ioi_scan **scan) {
    return out(s) ? IOI_STOP : INNER(s)->scan(INNER(s), low, low_len, high, high_len, reverse, scan);
}

static int op_next(ioi_state *s, ioi_scan *scan, const uint8_t **key, size_t *key_size, const uint8_t **value, size_t *len) {
    if (take(s, gas_of(s)->scan)) return IOI_STOP;
    int r = INNER(s)->next(INNER(s), scan, key, key_size, value, len);
    return r == IOI_OK && take(s, ioi_gas_bytes(gas_of(s)->read_byte, *key_size, *len)) ? IOI_STOP : r;
}

static void op_end(ioi_state *s, ioi_scan *scan) { INNER(s)->end(INNER(s), scan); }

static int op_emit(ioi_state *s, const char *name, const ioi_attribute *attributes, size_t count) {
    if (out(s)) return IOI_STOP;
    size_t size = ioi_event_size(name, attributes, count);
    if (!size) return IOI_LIMIT;
    return take(s, ioi_gas_event(gas_of(s), size)) ? IOI_STOP : INNER(s)->emit(INNER(s), name, attributes, count);
}

static int op_charge(ioi_state *s, uint64_t amount) { return take(s, amount); }

static uint64_t op_gas_left(const ioi_state *s) {
    const ioi_meter *m = &((const ioi_metered *)s)->meter;
    return m->limit - m->used;
}

int ioi_no_charge(ioi_state *state, uint64_t amount) {
    (void)state, (void)amount;
    return IOI_OK;
}

uint64_t ioi_no_gas_left(const ioi_state *state) {
    (void)state;
    return UINT64_MAX;
}

void ioi_metered_begin(ioi_metered *m, ioi_state *inner, size_t (*key_len)(const ioi_state *, ioi_key), const ioi_gas *gas) {
    m->state = (ioi_state){op_key,  op_get,  op_exists, op_put,    op_remove,   op_mark, op_close,
                           op_scan, op_next, op_end,    op_charge, op_gas_left, op_add,  op_emit};
    m->inner = inner;
    m->key_len = key_len;
    ioi_meter_begin(&m->meter, gas);
}

bool ioi_metered_end(const ioi_metered *m, ioi_outcome *outcome) {
    static const char error[] = "out of gas";
    if (m->meter.out) *outcome = (ioi_outcome){.code = IOI_CODE_OUT_OF_GAS, .error = error, .error_len = sizeof error - 1};
    outcome->gas_wanted = m->meter.limit;
    outcome->gas_used = m->meter.used;
    return m->meter.out;
}
