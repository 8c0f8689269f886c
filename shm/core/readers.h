/* Roughly which keys an incarnation read or wrote, in 63 bits: two sets without a bit in common share no key. So whoever changes
 * something finds those that may have read it by looking through a word for each transaction (ioi_block.readers).
 */
#ifndef IOI_READERS_H
#define IOI_READERS_H

#include "mvmemory.h"

enum { IOI_KEY_BITS = 63 };
#define IOI_SUSPECT (UINT64_C(1) << IOI_KEY_BITS) /* beside a set: it has read what changed, and was not validated since */

/* A scanned range may hold any key: then all bits are set. */
uint64_t ioi_keys_read(const ioi_arena *arena, const ioi_incarnation *inc);
uint64_t ioi_keys_written(const ioi_incarnation *inc);

#endif
