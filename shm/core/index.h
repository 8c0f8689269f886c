/* The key index: key bytes -> entry, for the length of one block.
 *
 * A hash trie that only grows. The root table's slot is chosen by the low bits of the hash; a slot holds nothing,
 * the ioi_ref of an entry, or (low bit set) that of a node of 8 slots chosen by the next three bits. Inserting is one compare-and-swap
 * of a slot from nothing to the entry, or from the entry that stands there to a new node that already holds it;
 * nothing is ever unlinked, so readers need no protection. Growing by nodes means no resizing, and depth stays
 * logarithmic whatever the block does. Equal 64-bit hashes (not to be had on purpose: the seed is random per
 * process) form a chain at the entry.
 *
 * An entry lives as long as the block, so its offset is the key's identity everywhere else in the core.
 */
#ifndef IOI_INDEX_H
#define IOI_INDEX_H

#include "arena.h"

typedef struct ioi_entry {
    uint64_t hash;
    a64 base; /* the committed value: 0 = not read yet, else a cell word (mvmemory.h) */
    uint32_t key_len;
    a32 head;         /* version list, newest position first; never 0 again once there is a version */
    a32 deep;         /* what few keys have (versions.h); 0 = nothing of it yet */
    a32 next_same;    /* another entry with the same 64-bit hash */
    a32 ordered;      /* its node in the ordered index, 0 = not there (yet) */
    a32 next_written; /* link of the first writer's list (ioi_slot.written) */
    uint8_t key[];
} ioi_entry;

/* Entries and nodes lie at multiples of 16, so that an ioi_ref of one has its lowest bit free. */
enum { IOI_ENTRY_ALIGN = 2 * IOI_UNIT };
static_assert(sizeof(ioi_entry) == 40, "a key of 37 bytes, and of an entry's header, are 80 bytes together");

/* Keyed hash of a key: multiply-and-fold with secret constants, 8 bytes a step. */
uint64_t ioi_hash(const uint64_t seed[4], const uint8_t *key, uint32_t len);

/* Root table size for a block of n transactions and about `keys` keys: log2 of slots. */
uint32_t ioi_index_bits(uint64_t keys);

/* Ask for the memory that a key of this hash will need: its root slot, or, when that is there, what stands in it. */
void ioi_index_prefetch(const ioi_arena *arena, uint64_t hash, bool entry);

/* The entry of a key, made if missing. NULL when the arena is full. */
ioi_entry *ioi_index_intern(ioi_alloc *alloc, uint64_t hash, const uint8_t *key, uint32_t len);

/* The entry of a key, or NULL. */
ioi_entry *ioi_index_find(const ioi_arena *arena, uint64_t hash, const uint8_t *key, uint32_t len);

/* Call `visit` on every entry linked before the call began; stop and return false when it returns false. */
bool ioi_index_each(const ioi_arena *arena, bool (*visit)(void *, ioi_entry *), void *context);

#endif
