/* A machine of many cores in virtual time: a coroutine for each, with a clock of its own.
 *
 * Before any operation on shared memory the core with the earliest clock goes on, so that everything happens in the
 * order of virtual time. The operations take what the directory of cache lines (lines.h) and the costs say; futexes
 * are simulated; ioi_now_ns is the running core's clock. The engine's core, compiled with IOI_SIM, runs on it as it is.
 * One machine a process, and no threads.
 */
#ifndef IOI_SIMULATION_MACHINE_H
#define IOI_SIMULATION_MACHINE_H

#include "lines.h"

typedef struct sim_machine_options {
    const sim_costs *costs;
    uint64_t seed;    /* of what differs from run to run: durations, latencies */
    const void *base; /* shared memory */
    uint64_t bytes;
    const void *hot, *hot_end; /* lines.h */
} sim_machine_options;

void sim_machine_reset(const sim_machine_options *options);

/* Another core, which begins at time 0. Returns its number, from 0. */
uint32_t sim_machine_add(void (*run)(void *), void *context);

/* Until all are done. False: they all sleep, and nobody will wake them. */
bool sim_machine_run(void);

/* The core that runs now. */
uint32_t sim_machine_core(void);
uint64_t sim_machine_now(void);

/* The running core computes, or sleeps, so long. */
void sim_machine_spend(uint64_t ns);

/* The same, give or take the jitter. Returns how long it took. */
uint64_t sim_machine_work(uint64_t ns);

/* While it is free, operations take no time and nobody else goes on: the coordinator prepares. All lines are in
 * nobody's cache afterwards. */
void sim_machine_free(bool free);

/* The loads of `bytes`, or of a store of them. */
void sim_machine_touch(const void *bytes, uint64_t len, bool store);

#endif
