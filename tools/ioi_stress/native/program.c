#include "program.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "parse.h"
#include "sha256.h"

enum { MALFORMED = 1, LIMIT_EXCEEDED = 2, NO_SCAN = 3, ANOTHER_LENGTH = 4 };
enum { TAG_ABSENT, TAG_VALUE, TAG_NOT_THERE, TAG_THERE, TAG_REFUSED = 6, TAG_ADDED };
enum { ON_STACK = 1024 };

/* IOI_OK, IOI_LIMIT, IOI_LENGTH and IOI_STOP are those of ioi_vm.h. */
enum { REVERTED = 100 };

typedef struct run {
    ioi_state *state;
    uint8_t digest[SHA256_SIZE];
    uint32_t code; /* of a REVERT */
} run;

/* Room for `len` bytes: on the stack if they are few. */
static uint8_t *room(uint8_t small[ON_STACK], size_t len) {
    if (len <= ON_STACK) return small;
    uint8_t *large = malloc(len);
    assert(large);
    return large;
}

static void leave_room(uint8_t small[ON_STACK], uint8_t *bytes) {
    if (bytes != small) free(bytes);
}

static void observe(run *run, uint8_t tag, const uint8_t *value, size_t len) {
    uint8_t small[ON_STACK], *bytes = room(small, SHA256_SIZE + 1 + len);
    memcpy(bytes, run->digest, SHA256_SIZE);
    bytes[SHA256_SIZE] = tag;
    if (len) memcpy(bytes + SHA256_SIZE + 1, value, len);
    sha256(bytes, SHA256_SIZE + 1 + len, run->digest);
    leave_room(small, bytes);
}

static int open_key(const run *run, const program_key *key, ioi_key *handle) {
    uint8_t bytes[PROGRAM_KEY_MAX];
    size_t len = key->length;
    if (key->numbers == 0) return run->state->key(run->state, key->name, len, handle);
    uint64_t drawn = 0;
    for (int i = 0; i < 8; i++) drawn = drawn << 8 | run->digest[i];
    drawn %= key->numbers;
    if (len) memcpy(bytes, key->name, len);
    for (int i = 7; i >= 0; i--, drawn /= 10) bytes[len + (size_t)i] = (uint8_t)('0' + drawn % 10);
    return run->state->key(run->state, bytes, len + 8, handle);
}

static int read_key(run *run, ioi_key key) {
    const uint8_t *value;
    size_t len;
    int r = run->state->get(run->state, key, &value, &len);
    if (r == IOI_OK) observe(run, TAG_VALUE, value, len);
    if (r == IOI_ABSENT) observe(run, TAG_ABSENT, NULL, 0);
    return r == IOI_ABSENT ? IOI_OK : r;
}

static int look_for_key(run *run, ioi_key key) {
    int r = run->state->exists(run->state, key);
    if (r == IOI_OK || r == IOI_ABSENT) observe(run, r == IOI_OK ? TAG_THERE : TAG_NOT_THERE, NULL, 0);
    return r == IOI_ABSENT ? IOI_OK : r;
}

static int write_key(run *run, ioi_key key, size_t size) {
    uint8_t small[ON_STACK], *value = room(small, size);
    for (size_t at = 0; at < size; at += SHA256_SIZE)
        memcpy(value + at, run->digest, size - at < SHA256_SIZE ? size - at : SHA256_SIZE);
    int r = run->state->put(run->state, key, value, size);
    leave_room(small, value);
    return r;
}

static int add_to(run *run, ioi_key key, uint64_t size, int64_t delta) {
    uint32_t width = size < 16 ? (uint32_t)size : 16;
    ioi_addition a = {.field = {0, width, (uint32_t)size}, .negative = delta < 0, .maximum = ~(ioi_u128)0 >> (8 * (16 - width))};
    a.delta = (ioi_u128)(delta < 0 ? -delta : delta);
    size_t found;
    int r = run->state->add(run->state, key, &a, &found);
    if (r == IOI_OK || r == IOI_REFUSED) observe(run, r == IOI_OK ? TAG_ADDED : TAG_REFUSED, NULL, 0);
    return r == IOI_REFUSED ? IOI_OK : r;
}

static bool holds(const run *run, const program_op *op) { return (run->digest[SHA256_SIZE - 1] & op->mask) == op->bits; }

static int execute_all(run *run, program_bytes rest);

static int undo(run *run, const program_op *op) {
    uint64_t mark;
    int r = run->state->mark(run->state, &mark);
    if (r == IOI_OK) r = execute_all(run, op->body);
    if (r == IOI_OK) r = run->state->close(run->state, mark, holds(run, op));
    return r; /* whatever else it is undoes all of the transaction's writes */
}

static int execute_one(run *run, const program_op *op) {
    ioi_key key = 0;
    int r;
    switch (op->code) {
    case PROGRAM_READ:
    case PROGRAM_EXISTS:
    case PROGRAM_WRITE:
    case PROGRAM_DELETE:
    case PROGRAM_ADD:
        if ((r = open_key(run, &op->key, &key)) != IOI_OK) return r;
        if (op->code == PROGRAM_READ) return read_key(run, key);
        if (op->code == PROGRAM_EXISTS) return look_for_key(run, key);
        if (op->code == PROGRAM_WRITE) return write_key(run, key, (size_t)op->number);
        if (op->code == PROGRAM_ADD) return add_to(run, key, op->number, op->delta);
        return run->state->remove(run->state, key);
    case PROGRAM_WHEN: return holds(run, op) ? execute_all(run, op->body) : IOI_OK;
    case PROGRAM_UNDO: return undo(run, op);
    case PROGRAM_REVERT: run->code = (uint32_t)op->number; return holds(run, op) ? REVERTED : IOI_OK;
    case PROGRAM_BURN: program_burn(op->number); return IOI_OK;
    case PROGRAM_SLEEP: program_sleep(op->number); return IOI_OK;
    case PROGRAM_SCAN: break;
    }
    assert(!"a program that was checked has an operation that is none");
    return IOI_OK;
}

static int execute_all(run *run, program_bytes rest) {
    int r = IOI_OK;
    while (r == IOI_OK && rest.at < rest.end) {
        program_op op;
        bool more = program_next(&rest, &op);
        assert(more);
        r = execute_one(run, &op);
    }
    return r;
}

static int fail(ioi_outcome *outcome, uint32_t code, const char *why) {
    outcome->code = code;
    outcome->error = why;
    outcome->error_len = strlen(why);
    return IOI_OK;
}

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    static _Thread_local uint8_t output[SHA256_SIZE];
    (void)vm;
    (void)ctx;
    program_bytes body;
    switch (program_check(tx, len, &body)) {
    case PROGRAM_MALFORMED: return fail(outcome, MALFORMED, "malformed");
    case PROGRAM_SCANS: return fail(outcome, NO_SCAN, "a scan: only the Python VM has them");
    case PROGRAM_PLAIN: break;
    }
    run run = {.state = state};
    sha256(tx, len, run.digest);
    switch (execute_all(&run, body)) {
    case IOI_OK:
        memcpy(output, run.digest, sizeof output);
        outcome->output = output;
        outcome->output_len = sizeof output;
        return IOI_OK;
    case IOI_LIMIT: return fail(outcome, LIMIT_EXCEEDED, "LimitExceeded");
    case IOI_LENGTH: return fail(outcome, ANOTHER_LENGTH, "another length");
    case REVERTED: return fail(outcome, run.code, "reverted");
    default: return IOI_STOP;
    }
}

/* Written keys as well: the sequential reference wants to know what a write replaces, or has to begin the transaction anew. */
static void name_keys(program_bytes rest, void (*emit)(void *, const uint8_t *, size_t), void *context) {
    program_op op;
    while (rest.at < rest.end && program_next(&rest, &op)) {
        bool touches = (op.code >= PROGRAM_READ && op.code <= PROGRAM_DELETE) || op.code == PROGRAM_ADD;
        if (touches && op.key.numbers == 0) emit(context, op.key.name, op.key.length);
        if (op.code == PROGRAM_WHEN || op.code == PROGRAM_UNDO) name_keys(op.body, emit, context);
    }
}

static void keys(const ioi_vm *vm, const uint8_t *tx, size_t len, void (*emit)(void *, const uint8_t *, size_t), void *context) {
    (void)vm;
    program_bytes body;
    if (program_check(tx, len, &body) == PROGRAM_PLAIN) name_keys(body, emit, context);
}

const ioi_vm ioi_program = {
    .abi = IOI_VM_ABI,
    .version = 1,
    .name = "program",
    .execute = execute,
    .keys = keys,
};
