#include "sequential_inside.h"
#include "unit.h"

/* The reference for VMs in C: which bases it asks for. A transaction is one letter: what it does with the key of that letter. */
static const uint8_t key_bytes[] = "k";

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm, (void)ctx, (void)len;
    ioi_key key;
    const uint8_t *value;
    size_t size;
    uint64_t mark;
    CHECK(state->key(state, key_bytes, 1, &key) == IOI_OK);
    if (*tx == 'u') CHECK(state->mark(state, &mark) == IOI_OK);
    if (*tx == 'w' || *tx == 'f' || *tx == 'u') CHECK(state->put(state, key, (const uint8_t *)"new", 3) == IOI_OK);
    if (*tx == 'u') CHECK(state->close(state, mark, 1) == IOI_OK);
    outcome->code = *tx == 'f';
    if (*tx != 'r' && *tx != 'u' && *tx != 's') return IOI_OK;
    int r = state->get(state, key, &value, &size);
    if (r == IOI_STOP) return *tx == 's' ? IOI_OK : IOI_STOP;
    CHECK(r == IOI_OK);
    outcome->gas_used = value[0];
    return IOI_OK;
}

typedef struct bases {
    ioi_seq *seq;
    uint32_t asked;
} bases;

static bool bring(void *context, const uint8_t *key, size_t len) {
    bases *b = context;
    b->asked++;
    ioi_seq_set_base(b->seq, key, len, (const uint8_t *)"base", 4);
    return true;
}

static void runs(const char *txs, const char *seen, uint32_t asked, const char *written) {
    ioi_vm vm = {.abi = IOI_VM_ABI, .execute = execute};
    ioi_limits limits = {8, 8, 8, 100, 8, 8, {0}};
    ioi_ctx ctx = {0};
    bases b = {ioi_seq_new(&vm, &limits, &ctx), 0};
    ioi_seq_bring_with(b.seq, bring, &b);
    for (size_t i = 0; txs[i]; i++) {
        ioi_outcome outcome;
        CHECK(ioi_seq_execute(b.seq, (const uint8_t *)&txs[i], 1, &outcome));
        CHECK(seen[i] == ' ' || outcome.gas_used == (uint64_t)seen[i]);
    }
    CHECK(b.asked == asked);
    ioi_seq_sort_writes(b.seq);
    const uint8_t *key, *value;
    size_t key_len, len;
    bool there = ioi_seq_write(b.seq, 0, &key, &key_len, &value, &len);
    CHECK(written ? there && len == strlen(written) && memcmp(value, written, len) == 0 : !there);
    ioi_seq_free(b.seq);
}

/* A VM that goes on where it was to stop has no result; with the base there is one. */
static void swallows(void) {
    ioi_vm vm = {.abi = IOI_VM_ABI, .execute = execute};
    ioi_limits limits = {8, 8, 8, 100, 8, 8, {0}};
    ioi_ctx ctx = {0};
    bases b = {ioi_seq_new(&vm, &limits, &ctx), 0};
    ioi_outcome outcome;
    CHECK(!ioi_seq_execute(b.seq, (const uint8_t *)"s", 1, &outcome));
    bring(&b, key_bytes, 1);
    CHECK(ioi_seq_execute(b.seq, (const uint8_t *)"s", 1, &outcome) && outcome.gas_used == 'b');
    ioi_seq_free(b.seq);
}

static int count_up(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm, (void)ctx, (void)outcome;
    ioi_key key;
    const uint8_t *value;
    size_t size;
    CHECK(state->key(state, tx, len, &key) == IOI_OK);
    uint8_t next = state->get(state, key, &value, &size) == IOI_OK ? (uint8_t)(value[0] + 1) : 1;
    CHECK(state->put(state, key, &next, 1) == IOI_OK);
    return IOI_OK;
}

static bool bring_absent(void *context, const uint8_t *key, size_t len) {
    ioi_seq_set_base(context, key, len, NULL, 0);
    return true;
}

/* So many keys that some share their 32 bits of a hash, each of them twice; they come out in order, each once, with its own value. */
static void many_keys(void) {
    enum { KEYS = 200000 };
    ioi_vm vm = {.abi = IOI_VM_ABI, .execute = count_up};
    ioi_limits limits = {8, 8, 8, 100, 8, 8, {0}};
    ioi_ctx ctx = {0};
    ioi_seq *seq = ioi_seq_new(&vm, &limits, &ctx);
    ioi_seq_bring_with(seq, bring_absent, seq);
    for (uint32_t i = 0; i < 2 * KEYS; i++) {
        uint8_t tx[4] = {(uint8_t)(i % KEYS), (uint8_t)(i % KEYS >> 8), (uint8_t)(i % KEYS >> 16), 7};
        ioi_outcome outcome;
        CHECK(ioi_seq_execute(seq, tx, sizeof tx, &outcome));
    }
    CHECK(ioi_seq_sort_writes(seq));
    const uint8_t *key, *value, *before = NULL;
    size_t key_len, len, count = 0;
    for (; ioi_seq_write(seq, count, &key, &key_len, &value, &len); count++, before = key) {
        CHECK(key_len == 4 && len == 1 && value[0] == 2);
        CHECK(!before || memcmp(before, key, 4) < 0);
    }
    CHECK(count == KEYS);
    ioi_seq_free(seq);
}

/* Write and write again, inside checkpoints too, that end in either way. */
static int rewrite(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm, (void)ctx, (void)outcome;
    ioi_attribute none;
    ioi_key key;
    uint64_t outer, inner;
    CHECK(state->key(state, tx, len, &key) == IOI_OK);
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t value[60] = {(uint8_t)i};
        if (i % 5 == 0) CHECK(state->mark(state, &outer) == IOI_OK);
        if (i % 3 == 0) CHECK(state->mark(state, &inner) == IOI_OK);
        CHECK(state->put(state, key, value, 1 + i % 60) == IOI_OK && (i > 1000 || state->emit(state, "e", &none, 0) == IOI_OK));
        if (i % 3 == 0) CHECK(state->close(state, inner, i % 2) == IOI_OK);
        if (i % 5 == 4) CHECK(state->close(state, outer, i % 4 == 0) == IOI_OK);
        CHECK(((ioi_seq *)state)->changes_count <= 6);
    }
    for (uint32_t i = 0; i < 1000; i++) CHECK(state->put(state, key, key_bytes, 1) == IOI_OK);
    CHECK(((ioi_seq *)state)->changes_count <= 6);
    return IOI_OK;
}

static void what_is_replaced_is_bounded(void) {
    ioi_vm vm = {.abi = IOI_VM_ABI, .execute = rewrite};
    ioi_limits limits = {8, 80, 8, 100, 8, 8, {0}};
    ioi_ctx ctx = {0};
    ioi_seq *seq = ioi_seq_new(&vm, &limits, &ctx);
    ioi_outcome outcome;
    CHECK(ioi_seq_execute(seq, (const uint8_t *)"k", 1, &outcome));
    ioi_seq_free(seq);
}

void test_sequential(void) {
    what_is_replaced_is_bounded();
    swallows();
    many_keys();
    runs("w", " ", 0, "new");   /* a key that is only written */
    runs("wr", " n", 0, "new"); /* and then read */
    runs("r", "b", 1, NULL);    /* fetched as it is read, and not again */
    runs("rr", "bb", 1, NULL);
    runs("f", " ", 0, NULL);   /* what a failed transaction wrote is unknown again, */
    runs("fr", " b", 1, NULL); /* and so is what was undone */
    runs("u", "b", 1, NULL);
    runs("wfr", "  n", 0, "new");
}
