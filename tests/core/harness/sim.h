/* A simulated schedule: coroutines on one thread, switched before any atomic operation of the core (compiled with
 * IOI_SIM), by a scheduler that a seed decides for. The same seed gives the same run.
 *
 * Strategies: uniformly random switches at a chosen rate, and PCT (Burckhardt et al., ASPLOS 2010): random priorities and
 * d - 1 random points where the running one drops to the lowest, which finds any bug of depth d with known probability.
 *
 * Time: a step is one atomic operation. The clock only moves with steps. Futex waits have no time limit, so a lost
 * wake-up ends with everybody asleep, which is reported; going round for ever passes the step bound, which is reported.
 *
 * Memory: plain stores wait in a store buffer per coroutine, in order, as on x86: they become visible later, at a step
 * the scheduler chooses, or when their coroutine exchanges, sleeps or ends. That shows a store that should have been an
 * exchange. Reorderings that only weaker machines do are not simulated.
 */
#ifndef TEST_SIM_H
#define TEST_SIM_H

#include <stdbool.h>
#include <stdint.h>

enum { SIM_COROUTINES_MAX = 10 };

typedef struct sim_options {
    uint64_t seed;
    uint32_t pct_depth; /* 0: random switches */
    uint32_t switch_percent;
    bool at_exchanges;      /* switch and change priorities at exchanges alone: most races are between two of them */
    uint32_t drain_percent; /* per step, for the running coroutine's oldest buffered store; 100: no buffering */
    uint32_t clock_step;    /* nanoseconds a step takes */
    uint64_t steps_guess;   /* PCT: where its change points may lie, in steps or exchanges */
    uint64_t step_bound;
    uint32_t victim; /* killed, that is never run again, at step kill_at; kill_at 0: nobody */
    uint64_t kill_at;
} sim_options;

typedef enum sim_end { SIM_ALL_DONE, SIM_ALL_ASLEEP, SIM_TOO_MANY_STEPS } sim_end;

void sim_reset(const sim_options *options);

/* Add a coroutine; returns its number, from 0. */
uint32_t sim_spawn(void (*run)(void *), void *context);

/* Run until all that live are done, or cannot go on. Coroutines may be added and it may be called again. */
sim_end sim_run(void);

uint64_t sim_steps(void);
uint64_t sim_exchanges(void);
bool sim_killed(void); /* the victim was stopped before its end */

/* Kill one now, unless it is done. Not the one that runs. */
void sim_kill(uint32_t victim);

/* One step of time, as before every atomic operation. */
void sim_step(void);

/* Whoever runs gives way: for loops of the tests that wait for something. */
void sim_yield(void);

/* The last switches of this run, newest last: who from which step on. */
void sim_print_schedule(void);

#endif
