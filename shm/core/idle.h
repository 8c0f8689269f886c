/* Workers without work: they sleep until there is some, or park, where there are more than conflicts leave work for.
 *
 * Sleepers wait for work: whoever makes some looks at `sleepers` after that, and who sleeps counts himself there before the last look
 * (ioi_next). The parked wait to be called back: any of them does, for none counts more than another. A worker parks with nothing
 * in hand; what it would have found next is for those that stay, so it wakes one that sleeps to look for it.
 */
#ifndef IOI_IDLE_H
#define IOI_IDLE_H

#include "arena.h"

/* There is work: wake so many of those that sleep, if any do. */
void ioi_notify(ioi_sched *sched, uint32_t sleepers);

/* How many of the block's workers may be at it; those parked that are too few now are called. The holder of the token alone. */
void ioi_set_active(ioi_sched *sched, uint32_t workers, uint32_t active);

/* The block has stopped: nobody parks any more. */
void ioi_unpark(ioi_sched *sched);

/* Whether more are at the block than may be. */
static inline bool ioi_too_many(const ioi_sched *sched, uint32_t workers) {
    return workers - a32_load_relaxed(&sched->parked) > a32_load_relaxed(&sched->active);
}

/* Park, if that is so still, until it is not. */
void ioi_park(ioi_sched *sched, uint32_t workers);

#endif
