/* One execution of a transaction by a native VM: `ante`, if it has one, and `execute`, metered where there is a schedule of gas. The
 * same in workers and one by one, so that it ends in the same receipt. */
#ifndef IOI_TRANSACTION_H
#define IOI_TRANSACTION_H

#include "vm_abi.h"
#include "write_limits.h"

/* What it executes on. */
typedef struct ioi_below {
    ioi_state *state;
    const ioi_gas *gas;
    size_t (*key_len)(const ioi_state *, ioi_key);
    void (*hold)(ioi_state *); /* what is written and emitted so far stays though the rest fails; undoing that is the caller's */
} ioi_below;

/* good: it may be executed; else *outcome says why not. IOI_OK, or IOI_STOP as an operation of the state said; then *outcome means nothing.
 * *refused: the VM has an ante, and it was not let in. */
int ioi_transaction(const ioi_vm *vm, const uint8_t *tx, size_t len, const ioi_ctx *ctx, const ioi_below *below, bool good,
                    ioi_outcome *outcome, bool *refused);

#endif
