/* Sums of what transactions added to a counter (mvmemory.h), by position: for keys to which many add at once.
 *
 * A tree. A leaf says of each of its positions what its version's cell says, in 32 bits. A node above says of each child what all adds
 * under it come to, modulo 2^128, how many positions there end a sum (a value was put or deleted), and how many adds were aborted. So a
 * sum from one position to another takes a few children on either side at each level, however many adds lie between: O(log n). It is
 * laid out as positions are told: 6 bytes for each where all add, at most a leaf and a path of nodes for an add by itself.
 *
 * Whoever changes a cell tells the sums, in program order, and only then is its transaction finished. So a sum of final positions is
 * exact. Any other is as of no moment in particular, as a walk over the versions is too: it mixes earlier and later cells, and may be
 * torn between its two halves. What was learned of it is validated, at the watermark by an exact one.
 *
 * They are made when somebody had to walk far, and then for good, without a lock. The maker publishes them empty (seq_cst), then tells
 * what stands in every version that is linked, unless its owner has, then raises `whole`: before that nobody asks them. Owners look for
 * sums after an exchange: that which linked a fresh node, before its first value is stored, and later the one of the cell. So who sees
 * none is told by the maker, who sees the node with that first value or with none yet: LOOK, "as the cell says", until its owner tells.
 */
#ifndef IOI_SUMS_H
#define IOI_SUMS_H

#include <string.h>

#include "mvmemory.h"

/* What stands below a position: `added` on top of `word`, of `position`. */
typedef struct ioi_sum {
    uint64_t word; /* 0: all there is are adds */
    ioi_u128 added;
    uint32_t position;
    uint32_t aborted; /* position of the highest add that was aborted, and its word; 0: none */
    uint64_t aborted_word;
    uint32_t steps; /* what it took */
} ioi_sum;

/* What the add of an ADDED word is. */
static inline ioi_u128 ioi_added_by(const ioi_arena *arena, uint64_t word) {
    ioi_u128 n;
    memcpy(&n, ioi_word_record(arena, word)->bytes, sizeof n);
    return n;
}

typedef struct ioi_sums ioi_sums;

/* The sums of a key, to be told of changes; NULL: there are none. */
static inline ioi_sums *ioi_sums_of(const ioi_arena *arena, const ioi_entry *entry) {
    if (!ioi_versions_have_trie(arena, entry)) return NULL; /* most keys */
    ioi_ref sums = a32_load_sc(ioi_versions_sums(arena, entry));
    return sums ? ioi_deref(arena, sums) : NULL;
}

/* Can they be asked about positions from `from` on? */
bool ioi_sums_whole(const ioi_sums *sums, uint32_t from);

/* Give a key sums, of positions from `from` on, below which all is final and known. In vain where somebody does, or the arena is full. */
void ioi_sums_make(ioi_alloc *alloc, ioi_entry *entry, uint32_t from);

/* The cell of a position says this now. Only the position's owner calls it. False when the arena is full. */
bool ioi_sums_set(ioi_alloc *alloc, ioi_sums *sums, uint32_t position, uint64_t word);

/* Go on summing up: positions below `to`, down to `from` or to the first that is no add: true, and *sum says which. */
bool ioi_sums_up(ioi_alloc *alloc, ioi_entry *entry, const ioi_sums *sums, uint32_t from, uint32_t to, ioi_sum *sum);

#endif
