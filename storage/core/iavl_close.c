/* The way up: what changed is hashed and laid out in rows. Then, the results. */
#include <assert.h>
#include <string.h>

#include "iavl_stage.h"

static void store_be(uint8_t *at, uint64_t value, unsigned size) {
    for (; size > 0; value >>= 8) at[--size] = (uint8_t)value;
}

/* What was changed is in no row, and so is all above it. */
static bool add_changed(struct iavl_stage *stage, struct iavl_node *node) {
    if (node->row != NULL) return true;
    if (!iavl_hash_add(&stage->hashing, node)) return false;
    return iavl_is_leaf(node) || (add_changed(stage, node->left) && add_changed(stage, node->right));
}

enum { INSIDE, OWN_ROW }; /* `number` of a node */

static bool stands_in(const struct iavl_node *child, const struct iavl_node *parent) {
    (void)parent;
    return child->number == INSIDE;
}

/* Whether the node can be referred to where it is. A leaf that is a row of its own goes into its parent's: it was the
 * whole tree before. */
static bool is_intact(const struct iavl_node *node, const struct iavl_node *parent) {
    if (node->row == NULL || node->row->stale) return false;
    if (parent == NULL || !iavl_is_leaf(node)) return true;
    node->row->stale = true;
    return false;
}

static bool begin_row(struct iavl_stage *stage, struct iavl_node *node) {
    struct iavl_row *row = pool_take(&stage->pool, sizeof *row);
    if (row == NULL || !list_add(&stage->new_rows, node)) return false;
    *row = (struct iavl_row){.stale = false};
    store_be(row->key, stage->version - 1, 8);
    store_be(row->key + 8, stage->new_rows.count, 4);
    node->row = row;
    node->number = OWN_ROW;
    return true;
}

/* Gives a row to all that needs one, children before their parent, which refers to theirs. */
static bool lay_out(struct iavl_stage *stage, struct iavl_node *node, const struct iavl_node *parent) {
    if (is_intact(node, parent)) {
        node->number = OWN_ROW;
        return true;
    }
    assert(iavl_is_read(node));
    if (!iavl_is_leaf(node) && !(lay_out(stage, node->left, node) && lay_out(stage, node->right, node))) return false;
    if (parent == NULL || node->height / IAVL_BAND != parent->height / IAVL_BAND) return begin_row(stage, node);
    node->number = INSIDE;
    return true;
}

enum iavl_result iavl_close(struct iavl_stage *stage) {
    assert(stage->wanted.count == 0 && stage->applied == stage->count && stage->new_rows.count == 0);
    if (stage->root != NULL) {
        if (!add_changed(stage, stage->root) || !iavl_hash_run(&stage->hashing)) return IAVL_MEMORY;
        if (!lay_out(stage, stage->root, NULL)) return IAVL_MEMORY;
    }
    for (size_t i = 0; i < stage->read.count; i++) {
        struct iavl_row *row = stage->read.at[i];
        if (row->stale && !list_add(&stage->old_rows, row)) return IAVL_MEMORY;
    }
    return IAVL_OK;
}

bool iavl_root(const struct iavl_stage *stage, uint8_t root[SHA256_SIZE], const uint8_t **row_key) {
    *row_key = NULL;
    if (stage->root == NULL) {
        sha256(NULL, 0, root);
        return false;
    }
    memcpy(root, stage->root->hash, SHA256_SIZE);
    *row_key = stage->root->row->key;
    return true;
}

size_t iavl_rows(const struct iavl_stage *stage) { return stage->new_rows.count; }

static const struct iavl_node *new_row(const struct iavl_stage *stage, size_t i) {
    assert(i < stage->new_rows.count);
    return stage->new_rows.at[i];
}

const uint8_t *iavl_row_key(const struct iavl_stage *stage, size_t i) { return new_row(stage, i)->row->key; }

size_t iavl_new_row_size(const struct iavl_stage *stage, size_t i) { return iavl_row_size(new_row(stage, i), stands_in); }

bool iavl_new_row(const struct iavl_stage *stage, size_t i, uint8_t *row, size_t size) {
    return iavl_row_write(new_row(stage, i), stands_in, row, size);
}

size_t iavl_stales(const struct iavl_stage *stage) { return stage->old_rows.count + stage->old_values.count; }

size_t iavl_stale(const struct iavl_stage *stage, size_t i, uint8_t record[IAVL_STALE_MAX]) {
    assert(i < iavl_stales(stage));
    if (i < stage->old_rows.count) {
        const struct iavl_row *row = stage->old_rows.at[i];
        record[0] = 0;
        memcpy(record + 1, row->key, 8);
        record[9] = IAVL_ROW_KEY - 8;
        memcpy(record + 10, row->key + 8, IAVL_ROW_KEY - 8);
        return 10 + IAVL_ROW_KEY - 8;
    }
    const struct old_value *old = stage->old_values.at[i - stage->old_rows.count];
    record[0] = 1;
    store_be(record + 1, old->version, 8);
    record[9] = SHA256_SIZE;
    memcpy(record + 10, old->key_hash, SHA256_SIZE);
    return 10 + SHA256_SIZE;
}
