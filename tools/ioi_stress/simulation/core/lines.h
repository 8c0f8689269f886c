/* Where cache lines are: a directory as of a coherent machine, each line with an exclusive owner, or sharers.
 *
 * A line that another core owns takes a transfer to come, and while it is on its way nobody else gets it: that is
 * what queues at a contended word. Sharers of a line that nobody changes take theirs at once, without queueing.
 */
#ifndef IOI_SIMULATION_LINES_H
#define IOI_SIMULATION_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "costs.h"

enum { SIM_CORES_MAX = 192 };

/* The directory of `bytes` from `base` on, all lines in nobody's cache. [hot, hot_end): words that many fight over and
 * wait for one by one; loads of all other lines overlap. */
void sim_lines_reset(const void *base, uint64_t bytes, const void *hot, const void *hot_end);

/* When `core` may touch the line: `now`, or when it has come to rest elsewhere. */
uint64_t sim_line_free(const void *at, uint32_t core, uint64_t now, bool exclusively);

/* Touch it at `now`, when it is free. Returns how long until it is there. */
uint64_t sim_line_load(const void *at, uint32_t core, uint64_t now, const sim_costs *costs);
uint64_t sim_line_own(const void *at, uint32_t core, uint64_t now, const sim_costs *costs);

/* How long hot lines were on their way, since the reset: their sum. */
uint64_t sim_lines_moving(void);

#endif
