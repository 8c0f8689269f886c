/* The crown of one of a tree's 16 subtrees: rows of its first levels, kept in memory with the hashes that were checked.
 *
 * Every batch reads and writes these rows: those that are here come neither from the disk nor are they checked again. A
 * row is found by path, version and hash, so that a row of a batch that was never committed is not taken for another.
 * What a version means must not change: after a rollback, and for another state, clear it.
 *
 * A row stands here as it stands on the disk, checksum included, and a batch changes it where it stands if its children
 * keep their room: what it writes to the disk is a copy.
 *
 * At most `limit` bytes of rows, in a quarter more memory: rows of different sizes leave gaps, and what a batch replaces
 * stays until it is released. The levels down to depth 3 stay (273 rows, up to 0.7 MB), rows of depth 4 (4,096) leave when
 * there is no room and they were not used for long (second chance).
 */
#ifndef IOI_CROWN_H
#define IOI_CROWN_H

#include <stdatomic.h>

#include "cells.h"
#include "node.h"

enum {
    CROWN_DEPTHS = 5, /* rows of nodes at depth 1..4; the root is the caller's */
    CROWN_FIXED = 1 + 16 + 256,
    CROWN_ROWS = CROWN_FIXED + 4096,
};

#define CROWN_UNFINISHED UINT64_MAX /* version of a row that is being made or changed: nobody finds it */

struct crown_row {
    uint64_t version;
    struct crown_row *next; /* of those dropped */
    uint64_t user;          /* the last one */
    uint32_t size;          /* bytes of all of it */
    bool used;              /* since the hand was here */
    node_ranges ranges;     /* checked, as is the row */
    uint8_t row[];
};

struct crown { /* all zero but the limit = empty */
    size_t limit, bytes;
    size_t hand; /* where the search for a row to drop goes on */
    atomic_bool taken;
    uint64_t user; /* number of whoever has it, or had it last */
    struct cells cells;
    struct crown_row *dropped; /* no longer part of it, but in use */
    struct crown_row **rows;   /* CROWN_ROWS of them, or NULL */
};

/* A crown serves one user at a time: false if it is taken. Its rows are valid until it is released. */
bool crown_take(struct crown *crown);
void crown_release(struct crown *crown);

/* The row of the node at `depth` on the way to `key_hash`, NULL if it is not there. Whoever changes it sets its version to
 * CROWN_UNFINISHED before and to the new one afterwards. */
struct crown_row *crown_find(struct crown *crown, unsigned depth, const uint8_t *key_hash, uint64_t version,
                             const uint8_t *expected);

/* Says that a node will be asked for soon, so that its row is fetched into the caches; and before that, where it is. */
void crown_expect_place(const struct crown *crown, unsigned depth, const uint8_t *key_hash);
void crown_expect(const struct crown *crown, unsigned depth, const uint8_t *key_hash);

/* Memory for the row of a node, of so many bytes, in place of the one that is there; unfinished. NULL if it is too deep or
 * there is no room. */
struct crown_row *crown_make(struct crown *crown, unsigned depth, const uint8_t *key_hash, size_t size);

/* Forgets all; it must not be taken. */
void crown_clear(struct crown *crown);

#endif
