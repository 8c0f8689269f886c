/* Internal to iavl_*.c: a tree of which what a batch touches is in memory, while it is worked on.
 *
 * Nodes are changed in place: the tree as it was is needed by nobody, its rows are. A node that is changed leaves its row
 * (`touch`), and the row is stale with that. So all of a row that is not stale is as it was, and whoever comes to it from a
 * node outside comes to its first node.
 */
#ifndef IOI_IAVL_STAGE_H
#define IOI_IAVL_STAGE_H

#include "iavl.h"

struct wanted {
    struct iavl_node *node;
    size_t begin, end; /* the writes that go there */
    const uint8_t *data;
    size_t size;
    uint8_t expected[SHA256_SIZE];
};

struct old_value {
    const uint8_t *key_hash;
    uint64_t version; /* of its row */
};

struct iavl_stage {
    struct pool pool;
    struct iavl_hashing hashing;
    struct iavl_write *writes;
    size_t count;
    size_t applied; /* writes that are done */
    uint64_t version;
    struct iavl_node *root; /* NULL: an empty tree */
    struct list wanted;     /* of struct wanted */
    struct list read;       /* of struct iavl_row: all that were read */
    struct list new_rows;   /* of struct iavl_node: the first of each */
    struct list old_rows;   /* of struct iavl_row, stale */
    struct list old_values; /* of struct old_value */
};

/* Where the write goes from the node: left if below 0. */
static inline int stage_compare(const struct iavl_write *write, const struct iavl_node *node) {
    return iavl_compare(write->key, write->key_size, node->key, node->key_size);
}

/* For iavl_stage.c, which calls the two files below; neither calls it, or the other. */

/* ---- iavl_want.c: what must be read ---- */

/* Wants the rows that writes[begin, end), which belong below the node, lead to. False: no memory. */
bool stage_spread(struct iavl_stage *stage, struct iavl_node *node, size_t begin, size_t end);

/* Wants what must be read for `write` to be done, given what is; false: no memory. Nothing wanted: it can be done. */
bool stage_prepare(struct iavl_stage *stage, const struct iavl_write *write);

/* Puts what is wanted in the order of its row keys. */
void stage_sort_wanted(struct iavl_stage *stage);

/* ---- iavl_change.c: the tree changed ---- */

/* Does one write, for which all is read. False: no memory. */
bool stage_apply(struct iavl_stage *stage, struct iavl_write *write);

#endif
