#include "stack.h"

#include <string.h>

#if defined(__x86_64__)

__asm__(".text\n.globl sim_context_switch\n.hidden sim_context_switch\n.type sim_context_switch, @function\n"
        "sim_context_switch:\n"
        "  push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "  mov %rsp, (%rdi)\n"
        "  mov (%rsi), %rsp\n"
        "  pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
        "  ret\n"
        ".size sim_context_switch, . - sim_context_switch\n");

void sim_context_make(sim_context *context, uint8_t *stack, size_t bytes, void (*entry)(void)) {
    void **top = (void **)(stack + bytes) - 1;
    *top = NULL; /* the entry's return address: never used; leaves the stack as after a call */
    *--top = (void *)entry;
    *context = top - 6;
    memset(*context, 0, 6 * sizeof *top);
}

#else

void sim_context_make(sim_context *context, uint8_t *stack, size_t bytes, void (*entry)(void)) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
}

void sim_context_switch(sim_context *from, sim_context *to) { swapcontext(from, to); }

#endif
