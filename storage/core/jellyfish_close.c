/* The way up: which nodes remain, their hashes, and the rows to write. */
#include <assert.h>
#include <string.h>

#include "stage.h"

/* A changed node that covers fewer than two keys has no row: what is left of it moves into its parent. */
static bool collapses(const struct work *work) {
    const struct node *node = &work->node;
    return node->children == 0 || (node->children == node->leaves && (node->children & (node->children - 1)) == 0);
}

static bool hand_up(struct jf_stage *stage, struct work *work) {
    const uint8_t *slot = NULL;
    bool leaf = false;
    if (work->keep) {
        uint8_t *inner = pool_take(&stage->pool, NODE_INNER);
        if (inner == NULL) return false;
        slot_set_version(inner, stage->version);
        memcpy(inner + 8, work->hashes[1], SHA256_SIZE);
        slot = inner;
    } else if (work->node.children != 0) {
        slot = work->node.slot[__builtin_ctz(work->node.children)];
        leaf = true;
    }
    node_set(&work->parent->node, work->nibble, slot, leaf);
    work->parent->dirty |= (uint16_t)(1u << work->nibble);
    return work->old_version == NO_ROW ||
           stage_stale(stage, JF_STALE_NODE, work->old_version, work->key_hash, work->depth);
}

/* Parent before children, children by nibble: ascending by path. */
static bool collect(struct jf_stage *stage, struct work *work) {
    if (work->keep && !list_add(&stage->rows, work)) return false;
    for (unsigned n = 0; n < 16; n++) {
        if (work->child[n] != NULL && !collect(stage, work->child[n])) return false;
    }
    return true;
}

enum jf_result jf_close(struct jf_stage *stage) {
    assert(stage->wanted.count == 0 && stage->rows.count == 0);
    for (unsigned depth = NODE_DEPTHS; depth > stage->top.depth; depth--) {
        const struct list *level = &stage->levels[depth];
        for (size_t i = 0; i < level->count; i++) {
            struct work *work = level->at[i];
            work->keep = work->dirty != 0 && !collapses(work);
        }
        stage_hash(level, false);
        for (size_t i = 0; i < level->count; i++) {
            struct work *work = level->at[i];
            if (work->dirty != 0 && !hand_up(stage, work)) return JF_MEMORY;
        }
    }
    return collect(stage, &stage->top) ? JF_OK : JF_MEMORY;
}
