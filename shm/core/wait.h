/* Waiting: spin a little, then sleep on a futex that lives in the arena.
 *
 * A waiter's predicate is authoritative and a wake-up only a hint: every caller re-reads its word in a loop.
 * Waking costs a system call even when nobody sleeps (0.4 us), so whoever may sleep first raises a count or a
 * bit beside the word (seq_cst), then looks at the word once more; whoever changes the word (seq_cst) then looks
 * at the count. One of the two sees the other, so no wake-up is lost.
 *
 * Spinning is for workers that own a core. Where workers outnumber cores the caller passes spins = 0.
 */
#ifndef IOI_WAIT_H
#define IOI_WAIT_H

#include "atomics.h"

/* Sleep while *word == expected, at most `timeout_ns` (0 = no limit). Returns false on timeout only; may return
 * early, so callers loop. */
bool ioi_futex_wait(a32 *word, uint32_t expected, uint64_t timeout_ns);

/* Wake up to `count` sleepers of `word`. */
void ioi_futex_wake(a32 *word, uint32_t count);

/* One polite turn of a spin loop. */
void ioi_pause(void);

/* Monotonic nanoseconds, the same clock in every process. */
uint64_t ioi_now_ns(void);

#endif
