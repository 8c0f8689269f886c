/* Running a native VM in a worker: task after task without the interpreter, until base values are missing. */
#ifndef IOI_NATIVE_H
#define IOI_NATIVE_H

#include "decided.h"
#include "view.h"

typedef struct ioi_hints ioi_hints;

typedef struct ioi_native {
    ioi_worker *worker;
    ioi_view *view;
    const ioi_vm *vm;
    void *memory; /* the VM's, of this worker */
    /* Of the context (ioi_vm.h); for whoever makes this to set. */
    const uint8_t *chain_id;
    size_t chain_id_len;
    void (*random)(const ioi_ctx *, const uint8_t *label, size_t len, uint8_t seed[32]);
    ioi_decided decided; /* of the block, once it was asked for */
    bool decided_read;
    ioi_entry **missing; /* distinct, in key order, when ioi_native_run returned true */
    uint32_t missing_count, missing_capacity;
    uint32_t hinted_from, hinted_to; /* transactions whose keys were already looked up */
    ioi_hints *hints;                /* and those keys: native.c */
    /* Optional: look at a transaction before it is executed, and so before it reads anything. True: it is good; that is noted in the
     * arena, and none of its incarnations is looked at again, whoever executes it. False: it ends with *outcome, or stops the block
     * if that `is_fault`. Depends on the transaction alone. */
    bool (*check)(struct ioi_native *, const uint8_t *tx, size_t len, ioi_outcome *outcome);
    void *checking; /* for `check` */
    bool is_fault;
    uint64_t left_ns; /* when the worker left to fetch bases */
    bool pending;     /* a task is in hand: go on with it */
    ioi_task task;
    uint32_t tx;
} ioi_native;

void ioi_native_init(ioi_native *native, ioi_worker *worker, ioi_view *view, const ioi_vm *vm);
void ioi_native_free(ioi_native *native);

/* Before the first ioi_native_run of a block. */
void ioi_native_enter(ioi_native *native);

/* Work on the block. False: it is over. True: bring the base of every missing entry (ioi_mv_set_base), call again; without any, a scan
 * found that the committed state cannot be read. */
bool ioi_native_run(ioi_native *native);

/* The context of a transaction, pointing into the arena. */
ioi_ctx ioi_block_ctx(const ioi_arena *arena, uint32_t tx);

/* The bytes of a transaction in the arena. */
const uint8_t *ioi_block_tx(const ioi_arena *arena, uint32_t tx, size_t *len);

#endif
