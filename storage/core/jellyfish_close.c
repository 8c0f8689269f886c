/* The way up: which nodes remain and what their rows hold, then their hashes. */
#include <assert.h>
#include <string.h>

#include "stage.h"

static bool new_row(struct jf_stage *stage, struct work *work) {
    work->ref = pool_take(&stage->pool, NODE_INNER);
    if (work->ref == NULL) return false;
    slot_set_version(work->ref, stage->version);
    node_set_ref(&work->parent->node, work->nibble, work->ref); /* the hash follows */
    return true;
}

static bool fit(struct jf_stage *stage, struct work *work);

/* Gives the leaves of child n a row of their own. */
static bool move_out(struct jf_stage *stage, struct work *parent, unsigned n) {
    const uint8_t *leaves = parent->node.slot[n];
    size_t count = parent->node.count[n];
    struct work *work = stage_work(stage, parent, n, slot_key_hash(leaves));
    if (work == NULL) return false;
    for (size_t begin = 0, end; begin < count; begin = end) {
        unsigned next = node_nibble(slot_key_hash(leaves + begin * NODE_LEAF), work->depth);
        for (end = begin + 1; end < count; end++) {
            if (node_nibble(slot_key_hash(leaves + end * NODE_LEAF), work->depth) != next) break;
        }
        node_set_leaves(&work->node, next, leaves + begin * NODE_LEAF, end - begin);
    }
    work->dirty = 0xffff;
    return fit(stage, work) && new_row(stage, work);
}

/* A node holds its leaves flat if it has room for all of them: half a row of leaves in every node on the way up would
 * cost more to rewrite than the rows below it that it saves. */
static bool fit(struct jf_stage *stage, struct work *work) {
    struct node *node = &work->node;
    if (node->refs == 0 && node_size(node) <= node_room(work->depth)) return true;
    while (node->groups != 0) {
        if (!move_out(stage, work, (unsigned)__builtin_ctz(node->groups))) return false;
    }
    return true;
}

/* What becomes of a node that changed. Once it covers fewer than two keys it has no row: what is left moves up. */
static bool shape(struct jf_stage *stage, struct work *work) {
    struct node *node = &work->node;
    work->parent->dirty |= (uint16_t)(1u << work->nibble);
    if (node->refs == 0 && node->groups == 0 && (node->singles & (node->singles - 1)) == 0) {
        const uint8_t *leaf = node->singles != 0 ? node->slot[__builtin_ctz(node->singles)] : NULL;
        node_set_leaves(&work->parent->node, work->nibble, leaf, leaf != NULL);
    } else if (!fit(stage, work) || !new_row(stage, work)) {
        return false;
    }
    return work->old_version == NO_ROW || stage_stale(stage, JF_STALE_NODE, work->old_version, work->key_hash, work->depth);
}

/* The row of a node, when its hashes are there: in the crown, else in the stage's own memory. */
static bool write_row(struct jf_stage *stage, struct work *work) {
    struct crown_row *kept = work->kept;
    size_t size = kept != NULL ? node_rewrite(&work->node, work->dirty, kept->row) : 0;
    if (size == 0) {
        size = node_size(&work->node);
        kept = stage->crown != NULL ? crown_make(stage->crown, work->depth, work->key_hash, size) : NULL;
        uint8_t *row = kept != NULL ? kept->row : pool_take(&stage->pool, size);
        if (row == NULL) return false;
        node_write(&work->node, row);
        if (kept != NULL) memcpy(kept->ranges, work->ranges, sizeof kept->ranges);
        work->row = row;
    } else {
        work->row = kept->row;
    }
    if (kept != NULL) kept->version = stage->version;
    work->row_size = (uint16_t)size;
    return true;
}

/* Nodes of one depth do not depend on each other. */
static bool hash_level(struct jf_stage *stage, const struct list *level) {
    for (size_t i = 0; i < level->count;) {
        struct work *together[TOGETHER];
        struct digest digests[TOGETHER];
        size_t count = 0;
        for (; i < level->count && count < TOGETHER; i++) {
            struct work *work = level->at[i];
            if (work->ref == NULL) continue;
            bool anew = work->ranges == NULL;
            if (anew && (work->ranges = pool_take(&stage->pool, sizeof(node_ranges))) == NULL) return false;
            if (work->kept != NULL) work->kept->version = CROWN_UNFINISHED; /* its ranges change where they stand */
            together[count] = work;
            digests[count++] = node_hash_ranges(&stage->rounds, &work->node, work->depth, work->dirty, anew, work->ranges, NULL);
        }
        if (!rounds_run(&stage->rounds)) return false;
        for (size_t j = 0; j < count; j++) {
            struct work *work = together[j];
            assert(digests[j].at == work->ranges[1]);
            memcpy(work->ref + 8, digests[j].at, SHA256_SIZE);
            if (!write_row(stage, work)) return false;
        }
    }
    return true;
}

/* Parent before children, children by nibble: ascending by path. */
static bool collect(struct jf_stage *stage, struct work *work) {
    if (work->ref != NULL && !list_add(&stage->rows, work)) return false;
    for (unsigned left = work->children; left != 0; left &= left - 1) {
        if (!collect(stage, work->child[__builtin_ctz(left)])) return false;
    }
    return true;
}

enum jf_result jf_close(struct jf_stage *stage) {
    assert(stage->wanted.count == 0 && stage->rows.count == 0);
    struct work *top = &stage->top;
    for (unsigned depth = NODE_DEPTHS; depth > top->depth; depth--) {
        const struct list *level = &stage->levels[depth];
        for (size_t i = 0; i < level->count; i++) { /* what is moved out goes to deeper levels, and is finished there */
            struct work *work = level->at[i];
            if (work->dirty != 0 && !shape(stage, work)) return JF_MEMORY;
        }
    }
    if (top->node.groups != 0 && !move_out(stage, top, (unsigned)__builtin_ctz(top->node.groups))) return JF_MEMORY;
    for (unsigned depth = NODE_DEPTHS; depth > top->depth; depth--) {
        if (!hash_level(stage, &stage->levels[depth])) return JF_MEMORY;
    }
    return collect(stage, top) ? JF_OK : JF_MEMORY;
}
