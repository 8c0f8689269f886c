/* The ordered index: the block's written keys in byte order, for scans. A skip list that only grows: linking is a
 * compare-and-swap per level, bottom level first, so a node is in the list the moment its bottom link stands and the
 * upper levels are only shortcuts. Nothing is removed: a key whose writes were all withdrawn simply has no live version.
 *
 * Most blocks never scan, so nobody pays until the first scan of a block switches the index on. Whoever writes a key
 * links its version node (seq_cst), then looks at `ordered_on`; the scanner raises `ordered_on`
 * (seq_cst), then walks the key index and links every written entry. So either the writer sees the flag or the walk
 * sees the writer's version. Every writer of a key does so, before its value shows: the first one may be slow.
 */
#ifndef IOI_ORDERED_H
#define IOI_ORDERED_H

#include "index.h"

/* Lay out an empty list; returns its offset, 0 when the arena is full. */
uint64_t ioi_ordered_create(ioi_alloc *alloc);

/* A key gets a version: put it into the index if the index is on and it is not there yet. False when the arena is full. */
bool ioi_ordered_written(ioi_alloc *alloc, ioi_entry *entry);

/* Switch the index on (idempotent): when this returns true, every key written before the call is in it. */
bool ioi_ordered_switch_on(ioi_alloc *alloc);

/* Forward: the first key >= `key` (or > it with `after`); key NULL = the very first.
 * Backward: the last key < `key`; key NULL = the very last. NULL when there is none. */
ioi_entry *ioi_ordered_forward(const ioi_arena *arena, const uint8_t *key, uint32_t len, bool after);
ioi_entry *ioi_ordered_backward(const ioi_arena *arena, const uint8_t *key, uint32_t len);

/* The key right after an entry that is in the index, or NULL. */
ioi_entry *ioi_ordered_next(const ioi_arena *arena, const ioi_entry *entry);

/* Byte order of two keys: negative, 0 or positive. A prefix comes first. */
int ioi_key_compare(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len);

/* The same of two ioi_entry *, for qsort. */
int ioi_entry_compare(const void *a, const void *b);

#endif
