/* The versions of one key, by position. A position is TxIndex + 1; position 0 lies under the block (an overlay the
 * coordinator puts there), n + 1 is end_block.
 *
 * Two structures, both insert-only. A list, newest position first: nearly every key has one or two versions, and where there
 * are many, whoever works in block order finds its place near the head. When somebody had to walk further than WALK_MAX
 * nodes, the key gets a trie beside the list: 64-ary bitmaps over the position, so that the highest version below a
 * position costs a few words however many there are (100,000 transactions on one account are a normal block). Counting
 * steps rather than versions keeps the trie, which takes a quarter of a kilobyte where versions lie thin, to the keys that need it.
 *
 * Promotion is one way and needs no lock. The promoter publishes the empty trie (seq_cst), then links every list node
 * into it, then raises `migrated`. An inserter that saw no trie puts its node into the list (seq_cst) and looks again:
 * if there is a trie now, it links the node there too. So a node is in the trie because its inserter saw the trie
 * or because the promoter saw the node. Until `migrated` readers ask both and take the higher.
 *
 * A version node belongs to one transaction and stays for the block. Its cell (mvmemory.h) says what it holds now; a
 * cell of 0 is a withdrawn write. In the trie a withdrawn node's leaf bit is cleared again by its owner, so that
 * many withdrawn writes do not make reading slow; inner bits stay set, so readers may step over an empty leaf.
 */
#ifndef IOI_VERSIONS_H
#define IOI_VERSIONS_H

#include "index.h"

enum { WALK_MAX = 32 };

typedef struct ioi_version {
    a64 cell; /* its position's owner alone writes it */
    a32 next; /* older, in the list */
    uint32_t position;
} ioi_version;

/* What few keys have, made when the first of it is needed. */
typedef struct ioi_deep {
    a64 field; /* where the key's counter is, once somebody adds to it, and the value as far as it is final: mvmemory.h */
    a32 known;
    a32 trie; /* version trie, once the list grew long */
} ioi_deep;

static inline ioi_deep *ioi_deep_of(const ioi_arena *arena, const ioi_entry *entry) {
    ioi_ref at = a32_load_sc(&entry->deep);
    return at ? ioi_deref(arena, at) : NULL;
}

/* The same, made if missing. NULL when the arena is full. */
ioi_deep *ioi_deep_make(ioi_alloc *alloc, ioi_entry *entry);

/* How ioi_versions_node came by a node. */
typedef enum ioi_made {
    IOI_MADE_BEFORE, /* it was there */
    IOI_MADE_NOW,
    IOI_MADE_FIRST /* and it is the first that the entry ever had */
} ioi_made;

/* The node of (entry, position), made if missing, with cell 0 and `room` uninitialised bytes behind it. NULL when the arena is
 * full. Only the position's owner calls it. */
ioi_version *ioi_versions_node(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t room, ioi_made *made);

/* Exchange a cell word: nonzero is live, 0 withdraws. Only the position's owner calls it. */
void ioi_versions_set(const ioi_arena *arena, ioi_entry *entry, ioi_version *node, uint64_t cell);

/* The live version with the highest position below `position`, its cell in *cell; NULL if there is none. May promote. */
ioi_version *ioi_versions_below(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t *cell);

/* The one after `version`, which was found by either of the two. */
ioi_version *ioi_versions_older(ioi_alloc *alloc, ioi_entry *entry, const ioi_version *version, uint64_t *cell);

/* Give a key its trie, if it has none. Whether all that is linked is in it: not while somebody else is at it, or the arena is full. */
bool ioi_versions_all_in_trie(ioi_alloc *alloc, ioi_entry *entry);

/* Has the key a trie? seq_cst: a look after an exchange. */
static inline bool ioi_versions_have_trie(const ioi_arena *arena, const ioi_entry *entry) {
    const ioi_deep *deep = ioi_deep_of(arena, entry);
    return deep && a32_load_sc(&deep->trie);
}

/* Where the sums hang (sums.h) of a key that has one. */
a32 *ioi_versions_sums(const ioi_arena *arena, const ioi_entry *entry);

/* Call `visit` on every node from position `from` on that the trie holds, but those withdrawn; false as soon as it says so. None that
 * was linked before the caller's last exchange is missing. */
bool ioi_versions_each(const ioi_arena *arena, const ioi_entry *entry, uint32_t from, bool (*visit)(void *, const ioi_version *),
                       void *context);

#endif
