/* Stacks to switch between on one thread: what coroutines are made of. */
#ifndef IOI_SIMULATION_STACK_H
#define IOI_SIMULATION_STACK_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
typedef void *sim_context; /* the stack pointer; what the ABI preserves lies on the stack */
#else
#include <ucontext.h>
typedef ucontext_t sim_context;
#endif

/* A context that begins with `entry`, which must not return, on these bytes. */
void sim_context_make(sim_context *context, uint8_t *stack, size_t bytes, void (*entry)(void));

/* Leave `from`, kept there, and go on with `to`. */
void sim_context_switch(sim_context *from, sim_context *to);

#endif
