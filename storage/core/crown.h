/* The crown of one of a tree's 16 subtrees: rows of its first levels, kept in memory with the hashes that were checked.
 *
 * Every batch reads and writes these rows: those that are here come neither from the disk nor are they checked again. A
 * row is found by path, version and hash, so that a row of a batch that was never committed is not taken for another.
 * What a version means must not change: after a rollback, and for another state, clear it.
 *
 * At most `limit` bytes, which is exact up to malloc's own, and the rows that the last batch replaced: the next one takes
 * their memory, for threads that each have a crown would wait for each other in malloc. The levels down to depth 3 stay (273 rows, up to 0.7 MB), rows
 * of depth 4 (4,096) leave when there is no room and they were not used for long (second chance).
 */
#ifndef IOI_CROWN_H
#define IOI_CROWN_H

#include <stdatomic.h>

#include "node.h"

enum {
    CROWN_DEPTHS = 5, /* rows of nodes at depth 1..4; the root is the caller's */
    CROWN_FIXED = 1 + 16 + 256,
    CROWN_ROWS = CROWN_FIXED + 4096,
    CROWN_STEP = 64, /* bytes: sizes of rows are multiples */
    CROWN_SIZES = (NODE_MAX + 17 * SHA256_SIZE) / CROWN_STEP + 2,
};

struct crown_row;

struct crown { /* all zero but the limit = empty */
    size_t limit, bytes;
    size_t hand; /* where the search for a row to drop goes on */
    atomic_bool taken;
    struct crown_row *dropped; /* no longer part of it, but maybe still in use */
    struct crown_row *spare[CROWN_SIZES]; /* memory for rows to come, by size */
    struct crown_row **rows;              /* CROWN_ROWS of them, or NULL */
};

/* A crown serves one user at a time: false if it is taken. What crown_get gave is valid until it is released. */
bool crown_take(struct crown *crown);
void crown_release(struct crown *crown);

/* The node at `depth` on the way to `key_hash`, if it is there; hashes[1..15] of it. */
bool crown_get(struct crown *crown, unsigned depth, const uint8_t *key_hash, uint64_t version, const uint8_t *expected,
               struct node *node, node_hashes hashes);

/* Says that a node will be asked for soon: it lies in memory that is in no cache. */
void crown_expect(const struct crown *crown, unsigned depth, const uint8_t *key_hash);

/* Keeps a node, if it is high enough and there is room. */
void crown_put(struct crown *crown, unsigned depth, const uint8_t *key_hash, uint64_t version, const struct node *node,
               node_hashes hashes);

/* Forgets all; it must not be taken. */
void crown_clear(struct crown *crown);

#endif
