/* A native VM for the tests, built as a user would: a transaction is a key; its value counts how often it was seen.
 * "!" fails after writing, "?" checks that an undone checkpoint leaves nothing. end_block writes how many succeeded. */
#include <string.h>

#include "ioi_vm.h"

static int count(ioi_state *state, const uint8_t *tx, size_t len, uint8_t *now) {
    ioi_key key;
    const uint8_t *value;
    size_t value_len;
    if (state->key(state, tx, len, &key) == IOI_STOP) return IOI_STOP;
    int r = state->get(state, key, &value, &value_len);
    if (r == IOI_STOP) return IOI_STOP;
    *now = (uint8_t)(r == IOI_OK ? value[0] + 1 : 1);
    return state->put(state, key, now, 1);
}

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    static _Thread_local uint8_t now;
    (void)vm;
    (void)ctx;
    uint64_t mark = 0;
    if (tx[0] == '?' && state->mark(state, &mark)) return IOI_STOP;
    int r = count(state, tx, len, &now);
    if (r == IOI_STOP) return r;
    if (tx[0] == '?') state->close(state, mark, 1);
    if (r == IOI_LIMIT || tx[0] == '!') {
        outcome->code = 7;
        outcome->error = r == IOI_LIMIT ? "limit" : "refused";
        outcome->error_len = strlen(outcome->error);
        return IOI_OK;
    }
    outcome->output = &now;
    outcome->output_len = 1;
    outcome->gas_used = len;
    return IOI_OK;
}

static int end_block(const ioi_vm *vm, ioi_state *state, const ioi_ctx *ctx, const ioi_results *results, ioi_outcome *outcome) {
    (void)vm;
    (void)ctx;
    (void)outcome;
    uint8_t good = 0;
    for (uint64_t i = 0; i < results->n; i++) good = (uint8_t)(good + (results->code(results, i) == 0));
    ioi_key key;
    if (state->key(state, (const uint8_t *)"good", 4, &key) == IOI_STOP) return IOI_STOP;
    return state->put(state, key, &good, 1);
}

__attribute__((visibility("default")))
const ioi_vm ioi_vm_counter = {.abi = IOI_VM_ABI, .version = 3, .name = "counter", .execute = execute, .end_block = end_block};
