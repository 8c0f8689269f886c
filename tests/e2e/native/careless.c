/* A native VM that does what it must not. "fork" comes back in a forked child first; any other transaction is a key, whose
 * value is the output, or "none" where there is none and also where the engine wanted it to stop. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioi_vm.h"

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm;
    (void)ctx;
    const uint8_t *value = (const uint8_t *)"none";
    size_t size = 4;
    ioi_key key;
    if (len == 4 && memcmp(tx, "fork", 4) == 0) {
        pid_t child = fork();
        if (child > 0) waitpid(child, NULL, 0);
        value = (const uint8_t *)(child ? "parent" : "child");
        size = strlen((const char *)value);
    } else if (state->key(state, tx, len, &key) != IOI_OK || state->get(state, key, &value, &size) != IOI_OK) {
        value = (const uint8_t *)"none";
        size = 4;
    }
    outcome->output = value;
    outcome->output_len = size;
    return IOI_OK;
}

__attribute__((visibility("default")))
const ioi_vm ioi_vm_careless = {.abi = IOI_VM_ABI, .version = 1, .name = "careless", .execute = execute};
