/* The way down: which rows a batch touches, as far as the tree is known. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "iavl_stage.h"

/* The node will be read. False: no memory. */
static bool want(struct iavl_stage *stage, struct iavl_node *node, size_t begin, size_t end) {
    assert(!iavl_is_read(node));
    struct wanted *wanted = pool_take(&stage->pool, sizeof *wanted);
    if (wanted == NULL) return false;
    *wanted = (struct wanted){.node = node, .begin = begin, .end = end};
    return list_add(&stage->wanted, wanted);
}

/* The first of writes[begin, end) that does not go left of the node. */
static size_t first_right(const struct iavl_stage *stage, const struct iavl_node *node, size_t begin, size_t end) {
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (stage_compare(&stage->writes[middle], node) < 0) begin = middle + 1;
        else end = middle;
    }
    return begin;
}

static bool has_removal(const struct iavl_stage *stage, size_t begin, size_t end) {
    while (begin < end && stage->writes[begin].value_hash != NULL) begin++;
    return begin < end;
}

/* A half that no write goes to, beside one that a removal may make lower: it may have to be rotated. */
static bool want_beside(struct iavl_stage *stage, struct iavl_node *half, const struct iavl_node *other) {
    return iavl_is_read(half) || half->height <= other->height || want(stage, half, 0, 0);
}

bool stage_spread(struct iavl_stage *stage, struct iavl_node *node, size_t begin, size_t end) {
    if (begin == end) return true;
    if (!iavl_is_read(node)) return want(stage, node, begin, end);
    if (iavl_is_leaf(node)) return true;
    size_t right = first_right(stage, node, begin, end);
    if (right == begin && has_removal(stage, begin, end) && !want_beside(stage, node->left, node->right)) return false;
    if (right == end && has_removal(stage, begin, end) && !want_beside(stage, node->right, node->left)) return false;
    return stage_spread(stage, node->left, begin, right) && stage_spread(stage, node->right, right, end);
}

/* A removal that makes `path` lower by one tips the node over to its other half, which then must be known, and so must what
 * stands towards `path` in it if that is the higher part. */
static struct iavl_node *needed_to_balance(const struct iavl_node *node, const struct iavl_node *path) {
    bool left = path == node->left;
    struct iavl_node *other = left ? node->right : node->left;
    if (other->height <= path->height) return NULL;
    if (!iavl_is_read(other)) return other;
    struct iavl_node *near = left ? other->left : other->right, *far = left ? other->right : other->left;
    return near->height > far->height && !iavl_is_read(near) ? near : NULL;
}

bool stage_prepare(struct iavl_stage *stage, const struct iavl_write *write) {
    for (struct iavl_node *node = stage->root; node != NULL;) {
        if (!iavl_is_read(node)) return want(stage, node, 0, 0);
        if (iavl_is_leaf(node)) return true;
        struct iavl_node *path = stage_compare(write, node) < 0 ? node->left : node->right;
        struct iavl_node *needed = write->value_hash == NULL ? needed_to_balance(node, path) : NULL;
        if (needed != NULL && !want(stage, needed, 0, 0)) return false;
        node = path;
    }
    return true;
}

static int by_row_key(const void *a, const void *b) {
    const struct wanted *x = *(struct wanted *const *)a, *y = *(struct wanted *const *)b;
    return memcmp(x->node->row->key, y->node->row->key, IAVL_ROW_KEY);
}

void stage_sort_wanted(struct iavl_stage *stage) {
    if (stage->wanted.count > 1) qsort(stage->wanted.at, stage->wanted.count, sizeof(void *), by_row_key);
}
