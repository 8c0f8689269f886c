/* Random programs as a VM in C; either_vm.py is the same in Python.
 *
 * A transaction: how many instructions `ante` has, its gas limit in tens (255: none), and the instructions, of three bytes each: what to do, a
 * and b. One that is shorter has no instructions. What a run has seen so far decides what it does next. */
#include <stdio.h>
#include <string.h>

#include "ioi_vm.h"

enum { KEYS = 5, STEP = 3, HEAD = 2, VALUE = 4, BEGINS = 6, FAILED = 5, EXCEPTION = 2, REFUSED = 3 };

typedef struct run {
    ioi_state *state;
    const ioi_ctx *ctx;
    const uint8_t *at;
    uint32_t seen;
    uint32_t code; /* not 0: the program fails */
    int depth;     /* of checkpoints that will be closed */
    bool held;     /* it is what follows an ante */
    const char *error;
} run;

static void observe(run *r, const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) r->seen = r->seen * 31 + at[i];
    r->seen = r->seen * 31 + 1;
}

static int key_of(run *r, uint8_t a, ioi_key *key) {
    uint8_t bytes[] = {'k', (uint8_t)('0' + a % KEYS)};
    return r->state->key(r->state, bytes, sizeof bytes, key);
}

static void fails(run *r, uint32_t code, const char *error) {
    r->code = code;
    r->error = error;
}

/* What an operation said, where it may be a limit. */
static int limited(run *r, int result) {
    if (result == IOI_LIMIT) fails(r, EXCEPTION, "LimitExceeded");
    return result == IOI_STOP ? IOI_STOP : IOI_OK;
}

static int steps(run *r, const uint8_t *end);

static int do_get(run *r, uint8_t a) {
    ioi_key key;
    const uint8_t *value;
    size_t len;
    if (key_of(r, a, &key)) return IOI_STOP;
    int result = r->state->get(r->state, key, &value, &len);
    if (result == IOI_STOP) return result;
    if (result == IOI_OK) observe(r, value, len);
    else observe(r, "none", 4);
    return IOI_OK;
}

static int do_put(run *r, uint8_t a, uint8_t b) {
    ioi_key key;
    uint8_t value[3 * VALUE];
    for (int i = 0; i < 3 * VALUE; i++) value[i] = (uint8_t)(r->seen >> 8 * (i % VALUE));
    if (key_of(r, a, &key)) return IOI_STOP;
    return limited(r, r->state->put(r->state, key, value, b % 4 * VALUE));
}

static int do_scan(run *r, uint8_t a, uint8_t b) {
    uint8_t low[] = {'k', (uint8_t)('0' + a % KEYS)}, high[] = {'k', (uint8_t)('0' + b % (KEYS + 2))};
    const uint8_t *key, *value;
    size_t key_len, len;
    ioi_scan *scan;
    if (!(a & 64) && memcmp(low, high, 2) >= 0)
        return IOI_OK; /* to ask it for a pair would cost a step, which Python leaves out */
    int result = r->state->scan(r->state, low, 2, a & 64 ? NULL : high, 2, a >> 7, &scan);
    for (int i = 0; result == IOI_OK && i < (b & 128 ? 2 : KEYS + 3); i++) {
        result = r->state->next(r->state, scan, &key, &key_len, &value, &len);
        if (result != IOI_OK) break;
        observe(r, key, key_len);
        observe(r, value, len);
    }
    if (result == IOI_STOP) return result;
    r->state->end(r->state, scan);
    return IOI_OK;
}

static int do_add(run *r, uint8_t a, uint8_t b) {
    ioi_key key;
    size_t found;
    ioi_addition by = {
        .field = {1, 2, 4}, .negative = a >> 7, .delta = r->seen % 7, .minimum = b % 5, .maximum = b % 3 ? 65535 : 9};
    if (key_of(r, a, &key)) return IOI_STOP;
    int result = r->state->add(r->state, key, &by, &found);
    if (result == IOI_LENGTH) fails(r, EXCEPTION, "ValueError");
    else if (result != IOI_LIMIT) observe(r, result == IOI_OK ? "added" : "refused", result == IOI_OK ? 5 : 7);
    return limited(r, result);
}

static int do_emit(run *r, uint8_t a, uint8_t b) {
    static const char *const texts[] = {"", "text", "\xc3\xa9", "\xff", "\xed\xa0\x80", "\xf0\x90\x80\x80"};
    uint8_t big[34] = {0};
    char name[] = {'e', (char)('0' + r->seen % 3), 0};
    const char *text = texts[b % 6];
    size_t digits = a % 35;
    for (size_t i = 0; i < sizeof big; i++) big[i] = i < digits / 2 ? 0 : (uint8_t)(r->seen >> i % 24);
    ioi_attribute attributes[] = {{"saw", IOI_INTEGER, big, digits, a >> 7},
                                  {"bytes", IOI_BYTES, big, b % 9, 0},
                                  {b == 255 ? "" : "t\xc3\xa9xt", IOI_TEXT, text, strlen(text), 0}};
    return limited(r, r->state->emit(r->state, name, attributes, b % 4));
}

static int do_context(run *r, uint8_t a) {
    const ioi_ctx *c = r->ctx;
    uint8_t label[] = {a}, seed[32];
    char text[64];
    int len = snprintf(text, sizeof text, "%llu %llu", (unsigned long long)c->height, (unsigned long long)c->time_ns);
    observe(r, text, (size_t)len);
    observe(r, c->proposer, c->proposer_len);
    observe(r, c->extra, c->extra_len);
    observe(r, c->parent_root, c->parent_root_len);
    observe(r, c->chain_id, c->chain_id_len);
    for (size_t i = 0; i < c->votes_count; i++) {
        const ioi_vote *v = &c->votes[i];
        len = snprintf(text, sizeof text, "%llu %d", (unsigned long long)v->power, v->flag);
        observe(r, text, (size_t)len);
        observe(r, v->validator, v->validator_len);
    }
    for (size_t i = 0; i < c->misbehaviour_count; i++) {
        const ioi_misbehaviour *m = &c->misbehaviour[i];
        const uint64_t told[] = {m->power, m->height, m->time_ns, m->total_power, (uint64_t)m->kind};
        for (int n = 0; n < 5; n++) {
            len = snprintf(text, sizeof text, "%llu", (unsigned long long)told[n]);
            observe(r, text, (size_t)len);
        }
        observe(r, m->validator, m->validator_len);
    }
    c->random(c, label, a % 2, seed);
    observe(r, seed, sizeof seed);
    return IOI_OK;
}

static int do_left(run *r) {
    uint64_t left = r->state->gas_left(r->state);
    char text[32];
    int len = snprintf(text, sizeof text, "%llu", left == UINT64_MAX ? 0 : (unsigned long long)left);
    observe(r, text, (size_t)len);
    return IOI_OK;
}

static const uint8_t *body(const run *r, const uint8_t *end, uint8_t a) {
    size_t most = (size_t)(end - r->at), len = STEP * (1 + a % 4u);
    return r->at + (len < most ? len : most);
}

static int do_checkpoint(run *r, const uint8_t *end, uint8_t a, uint8_t b) {
    uint64_t mark;
    const uint8_t *to = body(r, end, a);
    int result = r->state->mark(r->state, &mark);
    if (result != IOI_OK) return limited(r, result);
    r->depth++;
    if (steps(r, to) == IOI_STOP) return IOI_STOP;
    r->depth--;
    int undo = r->code || (r->seen ^ b) % 2;
    return r->state->close(r->state, mark, undo) == IOI_STOP ? IOI_STOP : IOI_OK;
}

/* What must not be: it goes on where it was to stop. */
static int do_swallow(run *r, const uint8_t *end, uint8_t a) {
    const uint8_t *to = body(r, end, a);
    steps(r, to);
    r->code = 0;
    r->at = to;
    observe(r, "swallowed", 9);
    return IOI_OK;
}

static int step(run *r, const uint8_t *end) {
    uint8_t what = r->at[0], a = r->at[1], b = r->at[2];
    ioi_key key;
    uint64_t mark;
    int result;
    r->at += STEP;
    switch (what % 15) {
    case 0: return do_get(r, a);
    case 1:
        if (key_of(r, a, &key) || (result = r->state->exists(r->state, key)) == IOI_STOP) return IOI_STOP;
        observe(r, result == IOI_OK ? "yes" : "no", result == IOI_OK ? 3 : 2);
        return IOI_OK;
    case 2: return do_put(r, a, b);
    case 3: return key_of(r, a, &key) ? IOI_STOP : limited(r, r->state->remove(r->state, key));
    case 4: return do_scan(r, a, b);
    case 5: return do_emit(r, a, b);
    case 6: return r->state->charge(r->state, (uint64_t)a % 40 * (r->seen % 3));
    case 7: return do_left(r);
    case 8: return do_checkpoint(r, end, a, b);
    case 9:
        if (r->seen % 4 == b % 4u) fails(r, FAILED, "failed");
        return IOI_OK;
    case 10: return do_context(r, a);
    case 11: return do_swallow(r, end, a);
    case 12: return do_add(r, a, b);
    case 13: return r->held ? r->state->close(r->state, 0, 1) : IOI_OK; /* what its ante may have opened: that is over */
    default: return !r->depth && b % 2 ? limited(r, r->state->mark(r->state, &mark)) : IOI_OK; /* and never closed */
    }
}

static int steps(run *r, const uint8_t *end) {
    while (r->at < end && !r->code)
        if (step(r, end) == IOI_STOP) return IOI_STOP;
    return IOI_OK;
}

static const uint8_t *begin_of_execute(const uint8_t *tx, size_t len) {
    size_t at = HEAD + (size_t)STEP * tx[0];
    return tx + (at < len ? at : len);
}

static int play(const uint8_t *from, const uint8_t *to, ioi_state *state, const ioi_ctx *ctx, uint32_t exception,
                ioi_outcome *outcome, run *r, bool held) {
    to -= (to - from) % STEP;
    *r = (run){.state = state, .ctx = ctx, .at = from, .seen = 7, .held = held};
    int result = steps(r, to);
    outcome->code = r->code == EXCEPTION ? exception : r->code;
    outcome->error = r->code ? r->error : NULL;
    outcome->error_len = r->code ? strlen(r->error) : 0;
    return result;
}

static int ante(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm;
    run r;
    return len < HEAD ? IOI_OK : play(tx + HEAD, begin_of_execute(tx, len), state, ctx, REFUSED, outcome, &r, false);
}

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    static __thread char output[64];
    run r;
    if (len < HEAD) return IOI_OK;
    int result = play(begin_of_execute(tx, len), tx + len, state, ctx, EXCEPTION, outcome, &r, vm->ante != NULL);
    if (r.seen % 5 == 0) return result;
    outcome->output = (uint8_t *)output;
    outcome->output_len = (size_t)snprintf(output, sizeof output, "%x@%llu", r.seen, (unsigned long long)ctx->tx_index);
    return result;
}

static uint64_t gas_limit(const ioi_vm *vm, const uint8_t *tx, size_t len) {
    (void)vm;
    return len < HEAD || tx[1] == 255 ? UINT64_MAX : 10 * (uint64_t)tx[1];
}

static void hints(const ioi_vm *vm, const uint8_t *tx, size_t len, const ioi_ctx *ctx,
                  void (*emit)(void *, const uint8_t *key, size_t key_len), void *context) {
    (void)vm, (void)ctx;
    for (size_t at = HEAD; at + STEP <= len; at += 2 * STEP) {
        uint8_t key[] = {'k', (uint8_t)('0' + tx[at + 1] % KEYS)};
        emit(context, key, sizeof key);
    }
}

static int end_block(const ioi_vm *vm, ioi_state *state, const ioi_ctx *ctx, const ioi_results *results, ioi_outcome *outcome) {
    (void)vm, (void)outcome;
    run r = {.state = state, .ctx = ctx, .seen = 7};
    for (uint64_t tx = 0; tx < results->n; tx++) {
        size_t len;
        const uint8_t *output = results->output(results, tx, &len);
        observe(&r, output, len);
        r.seen += results->code(results, tx) + (uint32_t)results->gas_used(results, tx);
    }
    do_context(&r, 1);
    if (do_get(&r, 1) || do_put(&r, 0, 1)) return IOI_STOP;
    return do_emit(&r, 3, 2) == IOI_STOP ? IOI_STOP : IOI_OK;
}

/* A program of its height; what fails is no matter. */
static int begin_block(const ioi_vm *vm, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm, (void)outcome;
    static const uint8_t whats[] = {0, 2, 5, 4, 8, 12, 2, 3, 10, 5, 14};
    uint8_t program[BEGINS * STEP];
    for (size_t i = 0; i < sizeof program; i++) program[i] = (uint8_t)(ctx->height * 31 + i * 17);
    for (size_t i = 0; i < BEGINS; i++) program[i * STEP] = whats[program[i * STEP] % sizeof whats];
    run r = {.state = state, .ctx = ctx, .at = program, .seen = 7};
    return steps(&r, program + sizeof program);
}

/* As ante, but that it says what it has seen. */
static int check(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    static __thread char output[64];
    (void)vm;
    run r = {.seen = 0};
    int result = len < HEAD ? IOI_OK : play(tx + HEAD, begin_of_execute(tx, len), state, ctx, EXCEPTION, outcome, &r, false);
    outcome->output = (uint8_t *)output;
    outcome->output_len = (size_t)snprintf(output, sizeof output, "%x@%llu", r.seen, (unsigned long long)ctx->tx_index);
    return result;
}

/* The data is a program; the path begins what is seen. */
static int query(const ioi_vm *vm, const char *path, size_t path_len, const uint8_t *data, size_t len, ioi_state *state,
                 const ioi_ctx *ctx, ioi_outcome *outcome) {
    static __thread char output[64];
    (void)vm;
    run r = {.state = state, .ctx = ctx, .at = data, .seen = 7};
    observe(&r, path, path_len);
    int result = steps(&r, data + len - len % STEP);
    outcome->code = r.code;
    outcome->error = r.code ? r.error : NULL;
    outcome->error_len = r.code ? strlen(r.error) : 0;
    if (r.seen % 5 == 0) return result;
    outcome->output = (uint8_t *)output;
    outcome->output_len = (size_t)snprintf(output, sizeof output, "%x", r.seen);
    return result;
}

#define VM(...)                                                                                                                  \
    {.abi = IOI_VM_ABI,                                                                                                          \
     .version = 1,                                                                                                               \
     .name = "either",                                                                                                           \
     .execute = execute,                                                                                                         \
     .gas_limit = gas_limit,                                                                                                     \
     .end_block = end_block,                                                                                                     \
     .query = query,                                                                                                             \
     __VA_ARGS__}
__attribute__((visibility("default"))) const ioi_vm ioi_vm_either = VM(.ante = ante, .begin_block = begin_block);
__attribute__((visibility("default"))) const ioi_vm ioi_vm_hinted = VM(.hints = hints, .check = check);
