/* The same random blocks through shm/core/sequential.c, which the engine's speed and results are compared with elsewhere. */
#include <string.h>

#include "engine.h"
#include "sequential.h"

typedef struct reference {
    test_vm vm; /* first */
    engine *engine;
    const block_case *c;
    state_world x;
    const ioi_results *results;
} reference;

static uint32_t oracle_code(const ioi_results *results, uint64_t tx) {
    (void)results;
    (void)tx;
    return 0; /* not asked: the salt is made from the case */
}

static uint32_t expected_code(void *context, uint32_t tx) { return ((const block_case *)context)->outcomes[tx].code; }

static int run(reference *r, const uint8_t *tx, size_t len, uint64_t index, ioi_state *state, bool pays, ioi_outcome *outcome) {
    size_t from, to;
    state_world_init(&r->x, NULL, r->c, state, NULL, false);
    uint64_t salt = block_case_salt(r->c, (uint32_t)index, expected_code, (void *)r->c);
    program_ante(tx, len, &from, &to);
    int status = pays ? program_run(tx + from, to - from, ~salt, r->c->keys, &r->x.world, &r->x.outcome)
                      : program_run(tx + to, len - to, salt, r->c->keys, &r->x.world, &r->x.outcome);
    const program_outcome *out = &r->x.outcome;
    *outcome = (ioi_outcome){out->code, out->gas_wanted, out->gas_used, out->output, out->error, out->output_len, out->error_len};
    return status;
}

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *out) {
    return run((reference *)vm, tx, len, ctx->tx_index, state, false, out);
}

static int ante(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *out) {
    return run((reference *)vm, tx, len, ctx->tx_index, state, true, out);
}

static uint64_t gas_limit(const ioi_vm *vm, const uint8_t *tx, size_t len) {
    (void)vm;
    return program_gas_limit(tx, len);
}

static int end_block(const ioi_vm *vm, ioi_state *state, const ioi_ctx *ctx, const ioi_results *results, ioi_outcome *out) {
    (void)results;
    reference *r = (reference *)vm;
    size_t len;
    const uint8_t *tx = block_case_tx(r->c, r->c->n, &len);
    return run(r, tx, len, ctx->tx_index, state, false, out);
}

static void bring(const reference *r, ioi_seq *seq) {
    ioi_seq_sort_missing(seq);
    const uint8_t *key;
    size_t len;
    for (size_t i = 0; ioi_seq_missing(seq, i, &key, &len); i++) {
        uint32_t k = block_case_rank(r->c, key, (uint32_t)len);
        const case_value *v = r->c->has_overlay[k] ? &r->c->overlay[k] : &r->c->base[k];
        ioi_seq_set_base(seq, key, len, v->bytes, v->len);
    }
}

bool reference_check(engine *e, const block_case *c) {
    if (c->faults || c->faulted) return false;
    reference r = {.vm = {{.abi = IOI_VM_ABI,
                           .version = 1,
                           .name = "programs",
                           .execute = execute,
                           .end_block = end_block,
                           .gas_limit = gas_limit,
                           .ante = c->ante ? ante : NULL},
                          NULL},
                   .engine = e,
                   .c = c};
    const ioi_limits *l = &c->limits;
    ioi_ctx ctx = {.height = c->seed};
    ioi_seq *seq = ioi_seq_new(&r.vm.vm, l, &ctx);
    case_walks walks;
    case_walks_init(&walks, c, true);
    ioi_seq_walk_with(seq, &walks.ranges);
    for (uint32_t tx = 0; tx < c->n + c->end_block; tx++) {
        size_t len;
        const uint8_t *bytes = block_case_tx(c, tx, &len);
        ioi_results results = {.n = c->n, .code = oracle_code};
        ioi_outcome out;
        while (!(tx < c->n ? ioi_seq_execute(seq, bytes, len, &out) : ioi_seq_hook(seq, IOI_END_BLOCK, &results, &out)))
            bring(&r, seq);
        const program_outcome *x = &c->outcomes[tx];
        size_t tail_len;
        const uint8_t *tail = ioi_seq_tail(seq, &tail_len);
        if (!case_tail_is(c, tx, tail, tail_len))
            engine_fail(e, "sequential.c: receipt %u: other events, or another refusal", tx);
        if (out.code != x->code || out.output_len != x->output_len || (tx < c->n && out.gas_used != x->gas_used) ||
            (x->output_len && memcmp(out.output, x->output, x->output_len) != 0))
            engine_fail(e, "sequential.c: receipt %u: code %u, expected %u", tx, out.code, x->code);
    }
    ioi_seq_sort_writes(seq);
    uint32_t last = 0, count = 0;
    const uint8_t *key, *value;
    size_t key_len, len;
    for (size_t i = 0; ioi_seq_write(seq, i, &key, &key_len, &value, &len); i++, count++) {
        uint32_t k = block_case_rank(c, key, (uint32_t)key_len);
        if (i && k <= last) engine_fail(e, "sequential.c: writes out of order");
        last = k;
        const case_value *v = &c->final[k];
        if (!c->written[k] || v->present != (value != NULL) || (value && (len != v->len || memcmp(value, v->bytes, len) != 0)))
            engine_fail(e, "sequential.c: another final value of key %u", k);
    }
    for (uint32_t k = 0; k < c->keys; k++) count -= c->written[k];
    if (count) engine_fail(e, "sequential.c: writes are missing");
    ioi_seq_free(seq);
    return true;
}
