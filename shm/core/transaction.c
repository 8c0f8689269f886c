#include "transaction.h"

/* metered: NULL where nothing is. */
static int steps(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, const ioi_below *below,
                 const ioi_metered *metered, ioi_outcome *outcome, bool *refused) {
    if (ioi_vm_has_ante(vm)) {
        int result = vm->ante(vm, tx, len, state, ctx, outcome);
        if (result == IOI_STOP || outcome->code || (metered && metered->meter.out)) return result;
        *outcome = (ioi_outcome){0};
        below->hold(below->state);
        *refused = false;
    }
    return vm->execute(vm, tx, len, state, ctx, outcome);
}

int ioi_transaction(const ioi_vm *vm, const uint8_t *tx, size_t len, const ioi_ctx *ctx, const ioi_below *below, bool good,
                    ioi_outcome *outcome, bool *refused) {
    int result = IOI_OK;
    *refused = ioi_vm_has_ante(vm);
    if (!below->gas->on) return good ? steps(vm, tx, len, below->state, ctx, below, NULL, outcome, refused) : result;
    ioi_metered m;
    ioi_metered_begin(&m, below->state, below->key_len, below->gas);
    if (good && ioi_meter_limit(&m.meter, ioi_vm_gas_limit(vm, tx, len)))
        result = steps(vm, tx, len, &m.state, ctx, below, &m, outcome, refused);
    return ioi_metered_end(&m, outcome) ? IOI_OK : result;
}
