/* Plays a block on the simulated machine: with the engine's core as it is, or with another scheduler. */
#ifndef IOI_SIMULATION_PLAY_H
#define IOI_SIMULATION_PLAY_H

#include "arena.h"
#include "costs.h"
#include "sim_block.h"

typedef struct sim_plan {
    uint32_t workers, spins;
    ioi_policy policy;
    uint64_t spin_ns; /* a worker looks out for the next block so long before it sleeps */
    uint64_t seed;
    sim_costs costs;
} sim_plan;

/* Nanoseconds of virtual time, of all workers together but for `elapsed`; counts of all of them. */
typedef struct sim_result {
    uint64_t elapsed;  /* from calling the workers to the last one's end */
    uint64_t useful;   /* the last execution of every transaction */
    uint64_t executed; /* all executions, cut short or not */
    uint64_t waiting;  /* idle, suspended, or not there yet */
    uint64_t moving;   /* how long the scheduler's lines were on their way */
    uint64_t executions, validations, aborts, suspensions, solo;
} sim_result;

/* NULL, or what went wrong: then the core, or the scheduler, or the simulation has a fault. */
const char *sim_play_core(const sim_block *block, const sim_plan *plan, sim_result *result);
const char *sim_play_own(const sim_block *block, const ioi_scheduler *scheduler, const sim_plan *plan, sim_result *result);

/* Baselines (baselines.c): one after another, and one that knows all dependencies beforehand. */
extern const ioi_scheduler sim_sequential, sim_oracle;

/* One after another without any engine: the reference that speed-ups are over; and the longest chain of transactions
 * that read from each other. */
uint64_t sim_sequential_ns(const sim_block *block, const sim_costs *costs);
uint64_t sim_critical_path_ns(const sim_block *block, const sim_costs *costs);

/* Real nanoseconds a transaction, of a block whose programs cost nothing: what the core takes with one worker, and the
 * sequential reference. */
uint64_t sim_measure_core(const sim_block *block);
uint64_t sim_measure_sequential(const sim_block *block);

#endif
