#include "asking.h"

static const ioi_asking *asking_of(const ioi_vm *vm) { return (const ioi_asking *)(const void *)vm; }

static int check(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *given, ioi_outcome *outcome) {
    const ioi_vm *asked = asking_of(vm)->asked;
    ioi_ctx ctx = *given;
    ctx.tx_index = asking_of(vm)->index;
    bool own = ioi_vm_fourth(asked) && asked->check;
    return (own ? asked->check : asked->ante)(asked, tx, len, state, &ctx, outcome);
}

static int query(const ioi_vm *vm, const uint8_t *data, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    const ioi_asking *a = asking_of(vm);
    return a->asked->query(a->asked, a->path, a->path_len, data, len, state, ctx, outcome);
}

static void *memory_new(const ioi_vm *vm) { return ioi_vm_memory_new(asking_of(vm)->asked); }

static void memory_free(const ioi_vm *vm, void *memory) { ioi_vm_memory_free(asking_of(vm)->asked, memory); }

bool ioi_asking_init(ioi_asking *a, const ioi_vm *asked, ioi_question question) {
    a->vm = (ioi_vm){.abi = IOI_VM_ABI,
                     .version = asked->version,
                     .name = asked->name,
                     .execute = question == IOI_ASK_CHECK ? check : query,
                     .memory_new = memory_new,
                     .memory_free = memory_free};
    a->asked = asked;
    return question == IOI_ASK_CHECK ? ioi_vm_has_check(asked) : question == IOI_ASK_QUERY && ioi_vm_has_query(asked);
}
