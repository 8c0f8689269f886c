/* Roughly which keys an incarnation read, in 63 bits of which each key sets three. So whoever changes something finds those that may
 * have read it by looking through a word for each transaction (ioi_block.readers), and meets few that have not.
 *
 * Noted before it is read where that pays (ioi_will_read), and else when the execution ends.
 */
#ifndef IOI_READERS_H
#define IOI_READERS_H

#include "mvmemory.h"

enum { IOI_KEY_BITS = 63 };
#define IOI_SUSPECT (UINT64_C(1) << IOI_KEY_BITS) /* beside a set: it has read what changed, and was not validated since */
#define IOI_ANY_KEY (IOI_SUSPECT - 1)             /* of who scanned a range, which may hold any */

/* The bits of a key. */
static inline uint64_t ioi_key_bits(ioi_ref entry) {
    uint64_t hash = entry * UINT64_C(0x9e3779b97f4a7c15), bits = 0;
    for (int i = 0; i < 3; i++, hash <<= 16) bits |= UINT64_C(1) << ((hash >> 48) * IOI_KEY_BITS >> 16);
    return bits;
}

uint64_t ioi_keys_read(const ioi_arena *arena, const ioi_incarnation *inc);

/* The keys an incarnation wrote, each by itself if they are few. */
enum { IOI_KEYS_FEW = 8 };
typedef struct ioi_keys {
    uint64_t all;
    uint32_t count;
    uint64_t each[IOI_KEYS_FEW];
} ioi_keys;
ioi_keys ioi_keys_written(const ioi_incarnation *inc);

/* Whether who noted `read` may have read one of them. */
static inline bool ioi_keys_meet(const ioi_keys *written, uint64_t read) {
    if (!(read & written->all)) return false;
    if (written->count > IOI_KEYS_FEW) return true;
    for (uint32_t i = 0; i < written->count; i++)
        if ((read & written->each[i]) == written->each[i]) return true;
    return false;
}

#endif
