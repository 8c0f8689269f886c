#include "unit.h"

/* A VM that counts how often each of a transaction's two keys of one byte was named. A transaction is its keys, and which of them it
 * asks for first: that may be another order than the one it hints them in. */
enum { LEN = 3, KEYS = 6, TXS = 40 };

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm, (void)ctx, (void)outcome;
    CHECK(len == LEN);
    for (uint32_t i = 0; i < 2; i++) {
        ioi_key key;
        const uint8_t *value;
        size_t value_len;
        if (state->key(state, tx + (i ^ tx[2]), 1, &key)) return IOI_STOP;
        int r = state->get(state, key, &value, &value_len);
        if (r == IOI_STOP) return r;
        uint8_t count = (uint8_t)(r == IOI_OK ? *value + 1 : 1);
        CHECK(state->put(state, key, &count, 1) == IOI_OK);
    }
    return IOI_OK;
}

static void keys(const ioi_vm *vm, const uint8_t *tx, size_t len, void (*emit)(void *, const uint8_t *, size_t), void *context) {
    (void)vm, (void)len;
    emit(context, tx, 1);
    emit(context, tx + 1, 1);
}

typedef struct counted {
    const ioi_arena *arena;
    uint8_t counts[KEYS];
} counted;

static void count(void *context, const ioi_entry *e, uint64_t word) {
    counted *c = context;
    CHECK(e->key_len == 1 && !c->counts[e->key[0]]); /* each key once */
    c->counts[e->key[0]] = *ioi_word_record(c->arena, word)->bytes;
}

/* Block after block in one arena by one worker: what was hinted in one is nothing to the next. */
static void decided(void) {
    const uint8_t packed[] = {0, 0, 0, 1, 0, 0, 0, 1,                 /* a vote, a misbehaviour */
                              2, 3, 0, 0, 0, 0, 0, 0, 1, 0, 'a', 'b', /* 256 for nil */
                              1, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0,   0,   0, 0, 0, 0, 0,  5,
                              0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0,   0,   0, 0, 0, 7, 'c'};
    ioi_decided d;
    CHECK(ioi_decided_read(&d, packed, sizeof packed) && d.votes_count == 1 && d.misbehaviour_count == 1);
    CHECK(d.votes[0].flag == IOI_VOTE_NIL && d.votes[0].power == 256 && d.votes[0].validator_len == 2 &&
          d.votes[0].validator[1] == 'b');
    const ioi_misbehaviour *m = &d.misbehaviour[0];
    CHECK(m->kind == IOI_LIGHT_CLIENT_ATTACK && m->power == 4 && m->height == 5 && m->time_ns == 6 && m->total_power == 7);
    CHECK(m->validator_len == 1 && m->validator[0] == 'c');
    ioi_decided_free(&d);
    CHECK(ioi_decided_read(&d, NULL, 0) && d.votes_count == 0 && d.misbehaviour_count == 0);
    for (size_t len = 1; len < sizeof packed; len++) { /* in memory of its own: what reads beyond it is noticed */
        uint8_t *cut = malloc(len);
        memcpy(cut, packed, len);
        CHECK(!ioi_decided_read(&d, cut, len) && !d.votes && !d.misbehaviour);
        free(cut);
    }
}

void test_native(void) {
    decided();
    uint64_t state = unit_seed, *rng = &state;
    fixture f;
    fixture_arena(&f, 4 << 20);
    ioi_worker w;
    ioi_worker_init(&w, &f.arena, 0);
    ioi_view *view = ioi_view_new(&w);
    view->limits = (ioi_limits){16, 64, 8, 200, 3, 1 << 20, {0}};
    ioi_vm vm = {.abi = IOI_VM_ABI, .version = 1, .name = "counts", .execute = execute, .keys = keys};
    ioi_native native;
    ioi_native_init(&native, &w, view, &vm);
    for (uint32_t block = 0; block < 300; block++) {
        uint32_t n = 1 + rng_below(rng, block % 2 ? TXS : 3);
        ioi_block_input input = {.n = n, .workers = 1, .tx_bytes = (uint64_t)n * LEN, .keys = KEYS};
        uint64_t *ends;
        uint8_t *bytes, expected[KEYS] = {0};
        CHECK(ioi_block_begin(&f.arena, &input, &ends, &bytes));
        for (uint32_t t = 0; t < n; t++) {
            for (uint32_t i = 0; i < 2; i++) expected[bytes[t * LEN + i] = (uint8_t)rng_below(rng, KEYS)]++;
            bytes[t * LEN + 2] = (uint8_t)rng_below(rng, 2);
            ends[t] = (uint64_t)(t + 1) * LEN;
        }
        ioi_block_start(&f.arena);
        ioi_worker_enter(&w);
        ioi_native_enter(&native);
        while (ioi_native_run(&native))
            for (uint32_t i = 0; i < native.missing_count; i++) CHECK(ioi_mv_set_base(&w.alloc, native.missing[i], NULL, 0));
        ioi_worker_leave(&w);
        ioi_block_depart(&f.arena);
        CHECK(a32_load(&f.arena.shared->sched.state) == IOI_BLOCK_DONE);
        counted found = {.arena = &f.arena};
        ioi_mv_seal(&f.arena, 1, count, &found);
        CHECK(memcmp(found.counts, expected, sizeof expected) == 0);
    }
    ioi_native_free(&native);
    ioi_view_free(view);
    ioi_worker_free(&w);
    fixture_free(&f);
}
