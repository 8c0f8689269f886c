/* Single parts of the core under simulated schedules: smaller than blocks, so that more of their schedules are met. */
#ifndef TEST_PARTS_H
#define TEST_PARTS_H

#include "sim.h"

/* Some workers write and withdraw versions of one key, some read; promotion may come at any step. */
void parts_versions(uint8_t *base, uint64_t size, sim_options options, uint64_t *rng);

/* Some workers write keys for the first time, or all the same ones; some switch the ordered index on and walk it. */
void parts_ordered(uint8_t *base, uint64_t size, sim_options options, uint64_t *rng);

/* Some workers add to one counter, put and delete it, abort and withdraw; one raises a watermark behind them, and below that all who ask
 * are told the sum. Sums may be made at any step. */
void parts_sums(uint8_t *base, uint64_t size, sim_options options, uint64_t *rng);

/* Ends the program with a message and the seed: simulate.c. */
void complain(const char *message) __attribute__((noreturn));

#endif
