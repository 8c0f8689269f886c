/* Applying a batch to an IAVL tree: rows in, rows out, no I/O (cosmos/iavl v1, mutable_tree.go).
 *
 * Use, in this order:
 *   iavl_open                        the tree's root as it is, and the batch
 *   while iavl_wanted(s) > 0:        first one level of the tree at a time, so that the caller reads all rows of a level at
 *     iavl_wanted_key, iavl_feed     once; then, seldom, a few that a removal turns out to need
 *     iavl_go_on                     checks every row against the hash its parent recorded, goes on until rows are wanted
 *   iavl_close                       hashes what changed, bottom up, and lays out its rows
 *   iavl_root, iavl_row, iavl_stale, iavl_effects, ...
 *
 * The shape of the tree depends on the order of writes: theirs is ascending by key, each put or removed in turn. Every node
 * on the way to a put gets the batch's version, also where the value stays the same; a removal of an absent key does
 * nothing.
 */
#ifndef IOI_IAVL_H
#define IOI_IAVL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iavl_node.h"

/* One write of the batch. */
struct iavl_write {
    const uint8_t *key;        /* stays where it is until iavl_free */
    const uint8_t *value_hash; /* likewise; NULL: remove */
    const uint8_t *key_hash;   /* likewise */
    uint32_t key_size;
    uint8_t effect; /* enum iavl_effect, once closed */
};

enum iavl_effect { IAVL_NOTHING, IAVL_INSERTED, IAVL_UPDATED, IAVL_DELETED };

enum iavl_result { IAVL_OK, IAVL_MEMORY, IAVL_BAD_BATCH, IAVL_BAD_ROW, IAVL_BAD_HASH };

struct iavl_stage;

/* The tree whose root has this hash and stands at the beginning of row `row_key` (both NULL: no tree). Writes ascend by key
 * and are unique, else IAVL_BAD_BATCH; they stay where they are until iavl_free. `version` is the one of new nodes (below
 * 2^63); the rows are of version - 1, the store's. *stage is NULL unless IAVL_OK. */
enum iavl_result iavl_open(struct iavl_stage **stage, const uint8_t *root, const uint8_t *row_key, struct iavl_write *writes,
                           size_t count, uint64_t version);
void iavl_free(struct iavl_stage *stage);

size_t iavl_wanted(const struct iavl_stage *stage);
/* Keys ascend with i. */
const uint8_t *iavl_wanted_key(const struct iavl_stage *stage, size_t i);
/* Hands in wanted row i, which stays where it is until iavl_free. */
void iavl_feed(struct iavl_stage *stage, size_t i, const uint8_t *row, size_t size);
/* Once all are handed in. IAVL_BAD_ROW: row *bad is no row; IAVL_BAD_HASH: it is not the one its parent knows. After an error nothing can follow but iavl_free. */
enum iavl_result iavl_go_on(struct iavl_stage *stage, size_t *bad);

/* Once iavl_wanted is 0. After it, the results below. */
enum iavl_result iavl_close(struct iavl_stage *stage);

/* The hash of the root and the key of its row; false, and the hash of nothing, of an empty tree. */
bool iavl_root(const struct iavl_stage *stage, uint8_t root[SHA256_SIZE], const uint8_t **row_key);

/* New rows, ascending by key. */
size_t iavl_rows(const struct iavl_stage *stage);
const uint8_t *iavl_row_key(const struct iavl_stage *stage, size_t i);
size_t iavl_new_row_size(const struct iavl_stage *stage, size_t i);
/* False: no memory. */
bool iavl_new_row(const struct iavl_stage *stage, size_t i, uint8_t *row, size_t size);

/* Rows no longer part of the tree. Record: kind u8 (0 node, 1 value) | version u64 BE | size u8 | rest of the row's key. */
enum { IAVL_STALE_MAX = 10 + SHA256_SIZE };
size_t iavl_stales(const struct iavl_stage *stage);
size_t iavl_stale(const struct iavl_stage *stage, size_t i, uint8_t record[IAVL_STALE_MAX]);

#endif
