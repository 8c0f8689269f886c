/* Applying a batch to one subtree of the Jellyfish tree: rows in, rows out, no I/O.
 *
 * Use, in this order:
 *   jf_open                          the subtree's slot as it is, and the batch entries that belong into it
 *   while jf_wanted(s) > 0:          one level at a time, so that the caller reads all rows of a level at once
 *     jf_wanted_key, jf_feed         for each i < jf_wanted(s)
 *     jf_descend                     checks every row against the hash its parent recorded, then sorts the batch further
 *   jf_close                         hashes what changed, bottom up
 *   jf_slot, jf_row, jf_stale, jf_effects, ...
 *
 * Hashes are a function of the key set alone, rows are not: a node whose row has room for all leaves below it holds them
 * flat; in any other, a child that covers two keys or more has a row of its own, and keeps it until it covers fewer. The
 * subtree itself has a row if it covers two.
 */
#ifndef IOI_JELLYFISH_H
#define IOI_JELLYFISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crown.h"
#include "node.h"

/* One write of the batch, as it travels between processes of one machine (native byte order). */
struct jf_entry {
    uint8_t key_hash[SHA256_SIZE];
    uint8_t value_hash[SHA256_SIZE]; /* zero for a delete */
    uint32_t index;                  /* the caller's own */
    uint32_t is_put;                 /* 0: delete */
};

/* What an entry did. An equal value, or a delete of an absent key, does nothing. */
enum jf_effect { JF_NOTHING, JF_INSERTED, JF_UPDATED, JF_DELETED };

enum jf_result { JF_OK, JF_MEMORY, JF_BAD_BATCH, JF_BAD_ROW, JF_BAD_HASH };

enum { JF_KEY_MAX = 8 + NODE_DEPTHS };

struct jf_stage;

/* The subtree at `depth` >= 1 nibbles whose slot is `slot` (NULL: empty; `leaf`: its kind); its rows will belong to
 * `version`. Entries must be ascending by key hash, unique, and share their first `depth` nibbles (at least one entry), which a
 * leaf has too; JF_BAD_BATCH otherwise. Copies what it is given. `crown` (NULL: none) belongs to this state, and is
 * not used if another stage has taken it; jf_free releases it. *stage is NULL unless JF_OK. */
enum jf_result jf_open(struct jf_stage **stage, unsigned depth, const uint8_t *slot, bool leaf, const struct jf_entry *entries,
                       size_t count, uint64_t version, struct crown *crown);
void jf_free(struct jf_stage *stage);

/* How many rows the next jf_descend needs. */
size_t jf_wanted(const struct jf_stage *stage);
/* Key of wanted row i, ascending in i: version u64 BE | path, one byte a nibble. Returns its size. */
size_t jf_wanted_key(const struct jf_stage *stage, size_t i, uint8_t key[JF_KEY_MAX]);
/* Hands in wanted row i, which stays where it is until jf_free. JF_BAD_ROW if it cannot be a row. */
enum jf_result jf_feed(struct jf_stage *stage, size_t i, const uint8_t *row, size_t size);
/* JF_BAD_HASH: row *bad is not the one its parent knows. After an error nothing can follow but jf_free. */
enum jf_result jf_descend(struct jf_stage *stage, size_t *bad);

/* Once jf_wanted is 0. After it, the results below. */
enum jf_result jf_close(struct jf_stage *stage);

/* The subtree's new slot (NULL: empty) and its kind. */
const uint8_t *jf_slot(const struct jf_stage *stage, bool *leaf);

/* New rows, ascending by path. */
size_t jf_rows(const struct jf_stage *stage);
size_t jf_row_key(const struct jf_stage *stage, size_t i, uint8_t key[JF_KEY_MAX]);
size_t jf_row_size(const struct jf_stage *stage, size_t i);
size_t jf_row(const struct jf_stage *stage, size_t i, uint8_t *row);

/* Rows no longer part of the tree. Record: kind u8 (0 node, 1 value) | version u64 BE | size u8 | path or key hash. */
enum { JF_STALE_NODE = 0, JF_STALE_VALUE = 1, JF_STALE_MAX = 10 + NODE_DEPTHS };
size_t jf_stales(const struct jf_stage *stage);
size_t jf_stale(const struct jf_stage *stage, size_t i, uint8_t record[JF_STALE_MAX]);

/* One jf_effect per entry, in the order of the entries. */
const uint8_t *jf_effects(const struct jf_stage *stage);
size_t jf_count(const struct jf_stage *stage);

#endif
