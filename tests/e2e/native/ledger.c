/* A native VM of ABI 2 for the tests, built as a user would: marks are kept under "m" and the payer's byte and a number.
 *
 *     "+pn"  put the mark n of payer p, whose value is n            "-p"   remove all marks of p
 *     "=p"   output: the marks of p, in order, and the header's proposer's byte (or 0)
 *     "~p"   the same from the far end; at most two of them
 *     "rp"   the marks of p; mark 255 is put while the scan goes on, which does not see it
 *     "$pn"  put mark 200 and use 10 n of gas; goes on as if nothing were when there is no more; asks for 900 gas
 *
 * end_block writes the outputs, one after another, under "out". Marks are counted in the worker's memory, which decides nothing. */
#include <stdlib.h>
#include <string.h>

#include "ioi_vm.h"

typedef struct memory {
    uint64_t calls;
    uint8_t buffer[4096];
} memory;

static void *memory_new(const ioi_vm *vm) {
    (void)vm;
    return calloc(1, sizeof(memory));
}

static void memory_free(const ioi_vm *vm, void *kept) {
    (void)vm;
    free(kept);
}

static int put(ioi_state *state, const uint8_t *key, size_t len, const uint8_t *value, size_t size) {
    ioi_key handle;
    return state->key(state, key, len, &handle) == IOI_STOP ? IOI_STOP : state->put(state, handle, value, size);
}

/* The values of a payer's marks. */
static int marks(ioi_state *state, uint8_t payer, int reverse, size_t most, int grow, uint8_t *out, size_t *count) {
    uint8_t low[] = {'m', payer}, high[] = {'m', (uint8_t)(payer + 1)};
    const uint8_t *key, *value;
    size_t key_len, len;
    ioi_scan *scan;
    int r = state->scan(state, low, 2, high, 2, reverse, &scan);
    *count = 0;
    while (r == IOI_OK && *count < most && (r = state->next(state, scan, &key, &key_len, &value, &len)) == IOI_OK) {
        out[(*count)++] = value[0];
        uint8_t late[] = {'m', payer, 255};
        if (grow && (r = put(state, late, 3, late + 2, 1)) != IOI_OK) return r;
    }
    if (r == IOI_STOP) return r;
    state->end(state, scan);
    return IOI_OK;
}

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm;
    memory *own = ctx->memory;
    size_t count = 0;
    int r = IOI_OK;
    own->calls++;
    if (len == 3 && tx[0] == '+') {
        uint8_t key[] = {'m', tx[1], tx[2]};
        r = put(state, key, 3, tx + 2, 1);
    } else if (len == 2 && tx[0] == '-') {
        r = marks(state, tx[1], 0, sizeof own->buffer, 0, own->buffer, &count);
        for (size_t i = 0; r == IOI_OK && i < count; i++) {
            uint8_t key[] = {'m', tx[1], own->buffer[i]};
            ioi_key handle;
            r = state->key(state, key, 3, &handle) == IOI_STOP ? IOI_STOP : state->remove(state, handle);
        }
        count = 0;
    } else if (len == 3 && tx[0] == '$') {
        uint8_t key[] = {'m', tx[1], 200}, value = 200;
        r = put(state, key, 3, &value, 1);
        if (r == IOI_OK && state->charge(state, 10 * (uint64_t)tx[2]) == IOI_STOP)
            r = put(state, key, 3, &value, 1) == IOI_STOP ? IOI_OK : 7;
        own->buffer[count++] = state->gas_left(state) == UINT64_MAX;
    } else if (len == 2) {
        int reverse = tx[0] == '~', grow = tx[0] == 'r';
        r = marks(state, tx[1], reverse, reverse ? 2 : sizeof own->buffer - 1, grow, own->buffer, &count);
        own->buffer[count++] = ctx->proposer_len ? ctx->proposer[0] : 0;
    }
    outcome->code = r == IOI_LIMIT;
    outcome->output = own->buffer;
    outcome->output_len = count;
    return r == IOI_STOP ? r : IOI_OK;
}

static uint64_t gas_limit(const ioi_vm *vm, const uint8_t *tx, size_t len) {
    (void)vm;
    return len && tx[0] == '$' ? 900 : UINT64_MAX;
}

static void hints(const ioi_vm *vm, const uint8_t *tx, size_t len, const ioi_ctx *ctx,
                  void (*emit)(void *, const uint8_t *key, size_t key_len), void *context) {
    (void)vm;
    uint8_t key[] = {'m', 0, 0};
    if (len < 2) return;
    key[1] = tx[1];
    key[2] = ctx->proposer_len ? ctx->proposer[0] : 0;
    emit(context, key, 3);
}

static int end_block(const ioi_vm *vm, ioi_state *state, const ioi_ctx *ctx, const ioi_results *results, ioi_outcome *outcome) {
    (void)vm;
    (void)outcome;
    memory *own = ctx->memory;
    size_t at = 0;
    for (uint64_t tx = 0; tx < results->n; tx++) {
        size_t len;
        const uint8_t *output = results->output(results, tx, &len);
        if (at + len > sizeof own->buffer) break;
        if (len) memcpy(own->buffer + at, output, len);
        at += len;
    }
    return put(state, (const uint8_t *)"out", 3, own->buffer, at) == IOI_STOP ? IOI_STOP : IOI_OK;
}

__attribute__((visibility("default"))) const ioi_vm ioi_vm_ledger = {.abi = IOI_VM_ABI,
                                                                     .version = 1,
                                                                     .name = "ledger",
                                                                     .execute = execute,
                                                                     .hints = hints,
                                                                     .end_block = end_block,
                                                                     .memory_new = memory_new,
                                                                     .memory_free = memory_free,
                                                                     .gas_limit = gas_limit};
