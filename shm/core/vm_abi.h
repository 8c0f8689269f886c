/* The optional parts of a native VM of any ABI that this build knows. */
#ifndef IOI_VM_ABI_H
#define IOI_VM_ABI_H

#include <stdbool.h>

#include "../ioi_shm/include/ioi_vm.h"
#include "arena.h"

#define IOI_VM_ABI_OLDEST 1u

static inline bool ioi_vm_known(const ioi_vm *vm) { return vm->abi >= IOI_VM_ABI_OLDEST && vm->abi <= IOI_VM_ABI; }

/* A VM of ABI 1 ends before `hints`, one of ABI 2 before `ante`, one of ABI 3 before `check`. */
static inline bool ioi_vm_second(const ioi_vm *vm) { return vm->abi >= 2; }
static inline bool ioi_vm_third(const ioi_vm *vm) { return vm->abi >= 3; }
static inline bool ioi_vm_fourth(const ioi_vm *vm) { return vm->abi >= 4; }

static inline bool ioi_vm_hints_any(const ioi_vm *vm) { return vm->keys || (ioi_vm_second(vm) && vm->hints); }

static inline void ioi_vm_hint(const ioi_vm *vm, const uint8_t *tx, size_t len, const ioi_ctx *ctx,
                               void (*emit)(void *, const uint8_t *, size_t), void *context) {
    if (ioi_vm_second(vm) && vm->hints) vm->hints(vm, tx, len, ctx, emit, context);
    else if (vm->keys) vm->keys(vm, tx, len, emit, context);
}

/* The limit that a transaction asks for; UINT64_MAX: none. */
static inline uint64_t ioi_vm_gas_limit(const ioi_vm *vm, const uint8_t *tx, size_t len) {
    return ioi_vm_second(vm) && vm->gas_limit ? vm->gas_limit(vm, tx, len) : UINT64_MAX;
}

static inline bool ioi_vm_has_ante(const ioi_vm *vm) { return ioi_vm_third(vm) && vm->ante; }
static inline bool ioi_vm_has_begin_block(const ioi_vm *vm) { return ioi_vm_third(vm) && vm->begin_block; }
static inline bool ioi_vm_has_check(const ioi_vm *vm) { return (ioi_vm_fourth(vm) && vm->check) || ioi_vm_has_ante(vm); }
static inline bool ioi_vm_has_query(const ioi_vm *vm) { return ioi_vm_fourth(vm) && vm->query; }

/* What tx_index of a hook's context is. Those of hooks before the transactions are none that a transaction could have. */
static inline uint64_t ioi_vm_hook_index(ioi_hook hook, uint64_t transactions) {
    return hook == IOI_END_BLOCK ? transactions : UINT64_MAX - (uint64_t)hook + 1;
}

static inline int ioi_vm_hook(const ioi_vm *vm, ioi_hook hook, ioi_state *state, const ioi_ctx *ctx, const ioi_results *results,
                              ioi_outcome *outcome) {
    assert(hook == IOI_END_BLOCK || hook == IOI_BEGIN_BLOCK);
    return hook == IOI_END_BLOCK ? vm->end_block(vm, state, ctx, results, outcome) : vm->begin_block(vm, state, ctx, outcome);
}

static inline void *ioi_vm_memory_new(const ioi_vm *vm) {
    return ioi_vm_second(vm) && vm->memory_new ? vm->memory_new(vm) : NULL;
}

static inline void ioi_vm_memory_free(const ioi_vm *vm, void *memory) {
    if (ioi_vm_second(vm) && vm->memory_free) vm->memory_free(vm, memory);
}

#endif
