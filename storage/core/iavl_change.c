/* Put and remove, as cosmos/iavl does them: recursiveSet, recursiveRemove and balance of mutable_tree.go. */
#include <assert.h>

#include "iavl_stage.h"

/* Before a node is changed. */
static void touch(struct iavl_stage *stage, struct iavl_node *node) {
    assert(iavl_is_read(node));
    if (node->row != NULL) node->row->stale = true;
    node->row = NULL;
    node->version = stage->version;
}

/* The node is no longer part of the tree. */
static void drop(struct iavl_node *node) {
    if (node->row != NULL) node->row->stale = true;
}

static void measure(struct iavl_node *node) {
    unsigned left = node->left->height, right = node->right->height;
    node->height = (uint8_t)(1 + (left > right ? left : right));
    node->size = node->left->size + node->right->size;
    assert(node->height < IAVL_HEIGHTS);
}

static int lean(const struct iavl_node *node) { return (int)node->left->height - (int)node->right->height; }

/*       node           left
 *      /    \         /    \
 *    left    c  ->   a     node
 *   /   \                 /    \
 *  a     b               b      c      */
static struct iavl_node *rotate_right(struct iavl_stage *stage, struct iavl_node *node) {
    struct iavl_node *left = node->left;
    touch(stage, left);
    node->left = left->right;
    left->right = node;
    measure(node);
    measure(left);
    return left;
}

static struct iavl_node *rotate_left(struct iavl_stage *stage, struct iavl_node *node) {
    struct iavl_node *right = node->right;
    touch(stage, right);
    node->right = right->left;
    right->left = node;
    measure(node);
    measure(right);
    return right;
}

/* The node was touched, and one of its halves may be higher than the other by two. */
static struct iavl_node *balance(struct iavl_stage *stage, struct iavl_node *node) {
    if (lean(node) > 1) {
        assert(iavl_is_read(node->left));
        if (lean(node->left) < 0) {
            touch(stage, node->left);
            node->left = rotate_left(stage, node->left);
        }
        return rotate_right(stage, node);
    }
    if (lean(node) < -1) {
        assert(iavl_is_read(node->right));
        if (lean(node->right) > 0) {
            touch(stage, node->right);
            node->right = rotate_right(stage, node->right);
        }
        return rotate_left(stage, node);
    }
    return node;
}

static bool note_old_value(struct iavl_stage *stage, const struct iavl_node *leaf, const uint8_t *key_hash) {
    struct old_value *old = pool_take(&stage->pool, sizeof *old);
    if (old == NULL) return false;
    *old = (struct old_value){key_hash, leaf->version - 1};
    return list_add(&stage->old_values, old);
}

static struct iavl_node *new_node(struct iavl_stage *stage) {
    struct iavl_node *node = pool_take(&stage->pool, sizeof *node);
    if (node != NULL) *node = (struct iavl_node){.version = stage->version, .size = 1};
    return node;
}

static struct iavl_node *new_leaf(struct iavl_stage *stage, struct iavl_write *write) {
    struct iavl_node *leaf = new_node(stage);
    if (leaf == NULL) return NULL;
    leaf->key = write->key;
    leaf->key_size = write->key_size;
    leaf->value_hash = write->value_hash;
    write->effect = IAVL_INSERTED;
    return leaf;
}

static struct iavl_node *put_at_leaf(struct iavl_stage *stage, struct iavl_node *leaf, struct iavl_write *write) {
    int order = stage_compare(write, leaf);
    if (order == 0) {
        if (!note_old_value(stage, leaf, write->key_hash)) return NULL;
        touch(stage, leaf);
        leaf->value_hash = write->value_hash;
        write->effect = IAVL_UPDATED;
        return leaf;
    }
    struct iavl_node *inner = new_node(stage), *other = inner != NULL ? new_leaf(stage, write) : NULL;
    if (other == NULL) return NULL;
    inner->left = order < 0 ? other : leaf;
    inner->right = order < 0 ? leaf : other;
    inner->key = inner->right->key;
    inner->key_size = inner->right->key_size;
    measure(inner);
    return inner;
}

/* What stands in the node's place after the put; NULL: no memory. */
static struct iavl_node *put(struct iavl_stage *stage, struct iavl_node *node, struct iavl_write *write) {
    assert(iavl_is_read(node));
    if (iavl_is_leaf(node)) return put_at_leaf(stage, node, write);
    touch(stage, node);
    struct iavl_node **half = stage_compare(write, node) < 0 ? &node->left : &node->right;
    struct iavl_node *changed = put(stage, *half, write);
    if (changed == NULL) return NULL;
    *half = changed;
    if (write->effect != IAVL_INSERTED) return node;
    measure(node);
    return balance(stage, node);
}

/* What stands in the node's place once the key, which is there, is removed; NULL: nothing. *smallest: the node whose key
 * is the smallest below now, if the removed one was that before. */
static struct iavl_node *cut(struct iavl_stage *stage, struct iavl_node *node, const struct iavl_write *write,
                             const struct iavl_node **smallest) {
    if (iavl_is_leaf(node)) {
        assert(stage_compare(write, node) == 0);
        drop(node);
        return NULL;
    }
    bool goes_left = stage_compare(write, node) < 0;
    struct iavl_node *changed = cut(stage, goes_left ? node->left : node->right, write, smallest);
    if (changed == NULL) {
        if (goes_left) *smallest = node; /* whose key is the smallest of its right half */
        drop(node);
        return goes_left ? node->right : node->left;
    }
    touch(stage, node);
    if (goes_left) {
        node->left = changed;
    } else {
        node->right = changed;
        if (*smallest != NULL) node->key = (*smallest)->key, node->key_size = (*smallest)->key_size;
        *smallest = NULL;
    }
    measure(node);
    return balance(stage, node);
}

static const struct iavl_node *leaf_of(const struct iavl_stage *stage, const struct iavl_write *write) {
    const struct iavl_node *node = stage->root;
    while (node != NULL && !iavl_is_leaf(node)) node = stage_compare(write, node) < 0 ? node->left : node->right;
    return node != NULL && stage_compare(write, node) == 0 ? node : NULL;
}

bool stage_apply(struct iavl_stage *stage, struct iavl_write *write) {
    if (write->value_hash != NULL) {
        struct iavl_node *root = stage->root != NULL ? put(stage, stage->root, write) : new_leaf(stage, write);
        if (root != NULL) stage->root = root;
        return root != NULL;
    }
    const struct iavl_node *leaf = leaf_of(stage, write), *smallest = NULL;
    if (leaf == NULL) return true;
    if (!note_old_value(stage, leaf, write->key_hash)) return false;
    stage->root = cut(stage, stage->root, write, &smallest);
    write->effect = IAVL_DELETED;
    return true;
}
