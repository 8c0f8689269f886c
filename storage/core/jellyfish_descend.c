/* The way down: which rows a batch touches, and where its entries end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

static struct work *add_work(struct jf_stage *stage, struct work *parent, unsigned nibble, const uint8_t *key_hash) {
    struct work *work = pool_take(&stage->pool, sizeof *work);
    if (work == NULL) return NULL;
    memset(work, 0, offsetof(struct work, hashes));
    work->parent = parent;
    work->key_hash = key_hash;
    work->old_version = NO_ROW;
    work->depth = (uint8_t)(parent->depth + 1);
    work->nibble = (uint8_t)nibble;
    assert(work->depth < NODE_DEPTHS);
    parent->child[nibble] = work;
    return list_add(&stage->levels[work->depth], work) ? work : NULL;
}

static void change(struct work *work, unsigned nibble, const uint8_t *slot, bool leaf) {
    node_set(&work->node, nibble, slot, leaf);
    work->dirty |= (uint16_t)(1u << nibble);
}

/* Makes child `nibble` of `parent` cover exactly `leaves` (slots, ascending by key hash). */
static bool grow(struct jf_stage *stage, struct work *parent, unsigned nibble, const uint8_t **leaves, size_t count) {
    if (count < 2) {
        change(parent, nibble, count == 1 ? leaves[0] : NULL, true);
        return true;
    }
    struct work *work = add_work(stage, parent, nibble, slot_key_hash(leaves[0]));
    if (work == NULL) return false;
    for (size_t begin = 0, end; begin < count; begin = end) {
        unsigned next = node_nibble(slot_key_hash(leaves[begin]), work->depth);
        for (end = begin + 1; end < count; end++) {
            if (node_nibble(slot_key_hash(leaves[end]), work->depth) != next) break;
        }
        if (!grow(stage, work, next, leaves + begin, end - begin)) return false;
    }
    return true;
}

static const uint8_t *new_leaf(struct jf_stage *stage, const struct jf_entry *entry) {
    uint8_t *slot = pool_take(&stage->pool, NODE_LEAF);
    if (slot == NULL) return NULL;
    slot_set_version(slot, stage->version);
    memcpy(slot + 8, entry->key_hash, 2 * SHA256_SIZE);
    return slot;
}

/* The leaf that entry `i` leaves behind: `old` (its key's leaf so far, or NULL), a new one, or NULL. */
static bool apply(struct jf_stage *stage, size_t i, const uint8_t *old, const uint8_t **leaf) {
    const struct jf_entry *entry = &stage->entries[i];
    *leaf = old;
    if (entry->is_put ? old != NULL && memcmp(entry->value_hash, slot_value_hash(old), SHA256_SIZE) == 0 : old == NULL)
        return true;
    stage->effects[i] = !entry->is_put ? JF_DELETED : old != NULL ? JF_UPDATED : JF_INSERTED;
    if (old != NULL && !stage_stale(stage, JF_STALE_VALUE, slot_version(old), slot_key_hash(old), SHA256_SIZE))
        return false;
    *leaf = entry->is_put ? new_leaf(stage, entry) : NULL;
    return *leaf != NULL || !entry->is_put;
}

/* Entries [begin, end) meet a place without a row: nothing, or the one leaf `old`. */
static bool settle(struct jf_stage *stage, struct work *work, unsigned nibble, const uint8_t *old, size_t begin,
                   size_t end) {
    const uint8_t **leaves = malloc((end - begin + 1) * sizeof *leaves);
    if (leaves == NULL) return false;
    size_t count = 0;
    bool changed = false, ok = true;
    const uint8_t *rest = old; /* until its place among the entries is found */
    for (size_t i = begin; ok && i < end; i++) {
        int order = rest != NULL ? memcmp(slot_key_hash(rest), stage->entries[i].key_hash, SHA256_SIZE) : 1;
        if (order < 0) leaves[count++] = rest;
        const uint8_t *leaf;
        ok = apply(stage, i, order == 0 ? rest : NULL, &leaf);
        if (order <= 0) rest = NULL;
        if (ok && leaf != NULL) leaves[count++] = leaf;
        changed |= stage->effects[i] != JF_NOTHING;
    }
    if (rest != NULL) leaves[count++] = rest;
    if (ok && changed) ok = grow(stage, work, nibble, leaves, count);
    free(leaves);
    return ok;
}

/* Sends the entries of `work` on to its children. */
static bool route(struct jf_stage *stage, struct work *work) {
    for (size_t begin = work->begin, end; begin < work->end; begin = end) {
        unsigned nibble = node_nibble(stage->entries[begin].key_hash, work->depth);
        for (end = begin + 1; end < work->end; end++) {
            if (node_nibble(stage->entries[end].key_hash, work->depth) != nibble) break;
        }
        const uint8_t *slot = work->node.slot[nibble];
        if (slot == NULL || node_is_leaf(&work->node, nibble)) {
            if (!settle(stage, work, nibble, slot, begin, end)) return false;
            continue;
        }
        struct work *child = add_work(stage, work, nibble, stage->entries[begin].key_hash);
        if (child == NULL || !list_add(&stage->wanted, child)) return false;
        child->old_version = slot_version(slot);
        child->expected = slot_inner_hash(slot);
        child->begin = (uint32_t)begin;
        child->end = (uint32_t)end;
    }
    return true;
}

/* Rows of one version lie together: this order is the one that LMDB reads fastest. */
static int by_version_then_path(const void *a, const void *b) {
    const struct work *x = *(struct work *const *)a, *y = *(struct work *const *)b;
    if (x->old_version != y->old_version) return x->old_version < y->old_version ? -1 : 1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static void sort_wanted(struct jf_stage *stage) {
    if (stage->wanted.count > 1) qsort(stage->wanted.at, stage->wanted.count, sizeof(void *), by_version_then_path);
}

static bool good_batch(unsigned depth, const struct jf_entry *entries, size_t count) {
    if (depth < 1 || depth >= NODE_DEPTHS || count < 1 || count >= UINT32_MAX) return false;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && memcmp(entries[i - 1].key_hash, entries[i].key_hash, SHA256_SIZE) >= 0) return false;
        for (unsigned d = 0; d < depth; d++) {
            if (node_nibble(entries[i].key_hash, d) != node_nibble(entries[0].key_hash, d)) return false;
        }
    }
    return true;
}

enum jf_result jf_open(struct jf_stage **out, unsigned depth, const uint8_t *slot, bool leaf,
                       const struct jf_entry *entries, size_t count, uint64_t version) {
    *out = NULL;
    if (!good_batch(depth, entries, count)) return JF_BAD_BATCH;
    struct jf_stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL) return JF_MEMORY;
    size_t slot_size = leaf ? NODE_LEAF : NODE_INNER;
    struct jf_entry *own = pool_take(&stage->pool, count * sizeof *own);
    uint8_t *own_slot = pool_take(&stage->pool, NODE_LEAF);
    stage->effects = pool_take(&stage->pool, count);
    if (own == NULL || own_slot == NULL || stage->effects == NULL) {
        jf_free(stage);
        return JF_MEMORY;
    }
    stage->entries = memcpy(own, entries, count * sizeof *own);
    memset(stage->effects, JF_NOTHING, count);
    stage->count = count;
    stage->version = version;
    struct work *top = &stage->top;
    top->depth = (uint8_t)(depth - 1);
    top->key_hash = own[0].key_hash;
    top->end = (uint32_t)count;
    if (slot != NULL) node_set(&top->node, node_nibble(own[0].key_hash, depth - 1), memcpy(own_slot, slot, slot_size), leaf);
    if (!route(stage, top)) {
        jf_free(stage);
        return JF_MEMORY;
    }
    *out = stage;
    return JF_OK;
}

enum jf_result jf_feed(struct jf_stage *stage, size_t i, const uint8_t *row, size_t size) {
    assert(i < stage->wanted.count);
    struct work *work = stage->wanted.at[i];
    uint8_t *own = size <= NODE_MAX ? pool_take(&stage->pool, size + 1) : NULL;
    if (own == NULL) return size <= NODE_MAX ? JF_MEMORY : JF_BAD_ROW;
    memcpy(own, row, size);
    return node_parse(&work->node, own, size) ? JF_OK : JF_BAD_ROW;
}

enum jf_result jf_descend(struct jf_stage *stage, size_t *bad) {
    struct list level = stage->wanted;
    enum jf_result result = JF_OK;
    stage_hash(&level, true);
    for (size_t i = 0; i < level.count && result == JF_OK; i++) {
        const struct work *work = level.at[i];
        *bad = i;
        if (memcmp(work->hashes[1], work->expected, SHA256_SIZE) != 0) result = JF_BAD_HASH;
    }
    if (result != JF_OK) return result;
    stage->wanted = (struct list){0};
    for (size_t i = 0; i < level.count && result == JF_OK; i++) {
        if (!route(stage, level.at[i])) result = JF_MEMORY;
    }
    free(level.at);
    sort_wanted(stage);
    return result;
}
