/* The way down: which rows a batch touches, and where its entries end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

static uint8_t *add_leaves(uint8_t *to, const uint8_t *leaves, size_t count) {
    memcpy(to, leaves, count * NODE_LEAF);
    return to + count * NODE_LEAF;
}

/* The leaf that entry `i` leaves behind is added at *to: `old` (its key's leaf so far, or NULL), a new one, or none. */
static bool apply(struct jf_stage *stage, size_t i, const uint8_t *old, uint8_t **to) {
    const struct jf_entry *entry = &stage->entries[i];
    if (entry->is_put ? old != NULL && memcmp(entry->value_hash, slot_value_hash(old), SHA256_SIZE) == 0 : old == NULL) {
        if (old != NULL) *to = add_leaves(*to, old, 1);
        return true;
    }
    stage->effects[i] = !entry->is_put ? JF_DELETED : old != NULL ? JF_UPDATED : JF_INSERTED;
    if (old != NULL && !stage_stale(stage, JF_STALE_VALUE, slot_version(old), entry->key_hash, SHA256_SIZE)) return false;
    if (entry->is_put) {
        slot_set_version(*to, stage->version);
        memcpy(*to + 8, entry->key_hash, 2 * SHA256_SIZE);
        *to += NODE_LEAF;
    }
    return true;
}

enum { EXPECTED_AHEAD = 5 }; /* entries: rows arrive in time, and stay till then */

/* The crown lies in no cache: whenever an entry has reached its leaf, later ones ask for what they will look at. */
static void expect(const struct jf_stage *stage, size_t done) {
    size_t row = done + EXPECTED_AHEAD, above = row + EXPECTED_AHEAD, place = above + EXPECTED_AHEAD;
    if (stage->crown == NULL) return;
    if (place < stage->count) crown_expect_place(stage->crown, CROWN_DEPTHS - 1, stage->entries[place].key_hash);
    if (above < stage->count) crown_expect(stage->crown, CROWN_DEPTHS - 2, stage->entries[above].key_hash);
    if (row < stage->count) crown_expect(stage->crown, CROWN_DEPTHS - 1, stage->entries[row].key_hash);
}

/* Entries [begin, end) meet a child without a row: its leaves and theirs are merged. */
static bool settle(struct jf_stage *stage, struct work *work, unsigned nibble, size_t begin, size_t end) {
    const uint8_t *old = work->node.slot[nibble];
    size_t rest = work->node.count[nibble];
    uint8_t *leaves = pool_take(&stage->pool, (rest + end - begin) * NODE_LEAF), *to = leaves;
    if (leaves == NULL) return false;
    bool changed = false;
    for (size_t i = begin; i < end; i++) {
        expect(stage, i);
        int order = 1;
        for (; rest > 0; rest--, old += NODE_LEAF) {
            order = memcmp(slot_key_hash(old), stage->entries[i].key_hash, SHA256_SIZE);
            if (order >= 0) break;
            to = add_leaves(to, old, 1);
        }
        bool same = rest > 0 && order == 0;
        if (!apply(stage, i, same ? old : NULL, &to)) return false;
        if (same) rest--, old += NODE_LEAF;
        changed |= stage->effects[i] != JF_NOTHING;
    }
    if (!changed) return true;
    if (rest > 0) to = add_leaves(to, old, rest);
    node_set_leaves(&work->node, nibble, leaves, (size_t)(to - leaves) / NODE_LEAF);
    work->dirty |= (uint16_t)(1u << nibble);
    return true;
}

/* Whether a leaf is below child n of this node. */
static bool is_below(const struct work *work, unsigned n, const uint8_t *leaf) {
    const uint8_t *key_hash = slot_key_hash(leaf);
    unsigned depth = work->depth;
    bool on_path = memcmp(key_hash, work->key_hash, depth / 2) == 0;
    if (depth % 2 == 1) on_path = on_path && key_hash[depth / 2] >> 4 == work->key_hash[depth / 2] >> 4;
    return on_path && node_nibble(key_hash, depth) == n;
}

/* Whether the leaves of a row, which ascend in each group, are where their keys belong, no row lies deeper than keys go, and no
 * group beside one: entries are merged with leaves, and leaves are hashed bit by bit, on the strength of it. */
static bool in_place(const struct work *work) {
    const struct node *node = &work->node;
    if (node->refs != 0 && (node->groups != 0 || work->depth + 1 == NODE_DEPTHS)) return false;
    for (unsigned n = 0; n < 16; n++) {
        const uint8_t *leaves = node->slot[n];
        if (node->count[n] == 0) continue;
        if (!is_below(work, n, leaves) || !is_below(work, n, leaves + (node->count[n] - 1) * NODE_LEAF)) return false;
    }
    return true;
}

/* Sends the entries of `work` on to its children. */
static bool route(struct jf_stage *stage, struct work *work) {
    for (size_t begin = work->begin, end; begin < work->end; begin = end) {
        unsigned nibble = node_nibble(stage->entries[begin].key_hash, work->depth);
        end = stage_run(stage, begin, work->end, work->depth);
        if (!(work->node.refs >> nibble & 1)) {
            if (!settle(stage, work, nibble, begin, end)) return false;
            continue;
        }
        struct work *child = stage_work(stage, work, nibble, stage->entries[begin].key_hash);
        if (child == NULL) return false;
        child->old_version = slot_version(work->node.slot[nibble]);
        child->expected = work->node.hash[nibble];
        child->begin = (uint32_t)begin;
        child->end = (uint32_t)end;
        if (stage->crown != NULL)
            child->kept = crown_find(stage->crown, child->depth, child->key_hash, child->old_version, child->expected);
        if (child->kept != NULL) {
            child->ranges = child->kept->ranges;
            node_point(&child->node, child->kept->row);
        }
        if (child->kept != NULL ? !route(stage, child) : !list_add(&stage->wanted, child)) return false;
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

enum jf_result jf_open(struct jf_stage **out, unsigned depth, const uint8_t *slot, bool leaf, const struct jf_entry *entries,
                       size_t count, uint64_t version, struct crown *crown) {
    *out = NULL;
    if (!good_batch(depth, entries, count)) return JF_BAD_BATCH;
    struct jf_stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL) return JF_MEMORY;
    rounds_open(&stage->rounds);
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
    stage->crown = crown != NULL && crown_take(crown) ? crown : NULL;
    struct work *top = &stage->top;
    top->depth = (uint8_t)(depth - 1);
    top->key_hash = own[0].key_hash;
    top->end = (uint32_t)count;
    unsigned nibble = node_nibble(own[0].key_hash, depth - 1);
    if (slot != NULL && leaf && !is_below(top, nibble, slot)) {
        jf_free(stage);
        return JF_BAD_BATCH;
    }
    if (slot != NULL && leaf) node_set_leaves(&top->node, nibble, memcpy(own_slot, slot, NODE_LEAF), 1);
    if (slot != NULL && !leaf) node_set_ref(&top->node, nibble, memcpy(own_slot, slot, NODE_INNER));
    for (size_t i = 0; stage->crown != NULL && i < EXPECTED_AHEAD && i < count; i++)
        crown_expect(stage->crown, CROWN_DEPTHS - 1, own[i].key_hash);
    if (!route(stage, top)) {
        jf_free(stage);
        return JF_MEMORY;
    }
    sort_wanted(stage);
    *out = stage;
    return JF_OK;
}

enum jf_result jf_feed(struct jf_stage *stage, size_t i, const uint8_t *row, size_t size) {
    assert(i < stage->wanted.count);
    struct work *work = stage->wanted.at[i];
    return node_parse(&work->node, row, size) && in_place(work) ? JF_OK : JF_BAD_ROW;
}

/* A hash that must come out as it is recorded, of row `row`. */
struct check {
    struct digest digest;
    const uint8_t *expected;
    size_t row;
};

/* Whether leaves that no entry goes to are used, too: they get rows of their own, or stay in the crown, where nothing is
 * checked again. */
static bool takes_all_leaves(const struct jf_stage *stage, const struct work *work) {
    const struct node *node = &work->node;
    size_t most = node_size(node) + (work->end - work->begin) * (NODE_LEAF + SHA256_SIZE);
    return node->refs != 0 || most > node_room(work->depth) || (stage->crown != NULL && work->depth < CROWN_DEPTHS);
}

/* The groups of a row whose leaves are used: its hash covers only what it says theirs are. */
static uint16_t used_groups(const struct jf_stage *stage, const struct work *work) {
    if (takes_all_leaves(stage, work)) return work->node.groups;
    uint16_t met = 0;
    for (size_t at = work->begin; at < work->end; at = stage_run(stage, at, work->end, work->depth))
        met |= (uint16_t)(1u << node_nibble(stage->entries[at].key_hash, work->depth));
    return met & work->node.groups;
}

/* Checks rows [first, end): their own hashes, and those of the groups that are used. */
static enum jf_result check_rows(struct jf_stage *stage, const struct list *level, size_t first, size_t end, size_t *bad) {
    struct check checks[TOGETHER * 17];
    size_t count = 0;
    for (size_t i = first; i < end; i++) {
        struct work *work = level->at[i];
        work->ranges = pool_take(&stage->pool, sizeof(node_ranges));
        if (work->ranges == NULL) return JF_MEMORY;
        struct digest own = node_hash_ranges(&stage->rounds, &work->node, work->depth, 0, true, work->ranges, NULL);
        checks[count++] = (struct check){own, work->expected, i};
        for (unsigned groups = used_groups(stage, work); groups != 0; groups &= groups - 1) {
            unsigned n = (unsigned)__builtin_ctz(groups);
            struct digest group = node_hash_leaves(&stage->rounds, work->node.slot[n], work->node.count[n],
                                                   4u * (work->depth + 1u), NULL);
            checks[count++] = (struct check){group, work->node.hash[n], i};
        }
    }
    if (!rounds_run(&stage->rounds)) return JF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        *bad = checks[i].row;
        if (memcmp(checks[i].digest.at, checks[i].expected, SHA256_SIZE) != 0) return JF_BAD_HASH;
    }
    return JF_OK;
}

enum jf_result jf_descend(struct jf_stage *stage, size_t *bad) {
    struct list level = stage->wanted;
    enum jf_result result = JF_OK;
    stage->wanted = (struct list){0};
    for (size_t first = 0; first < level.count && result == JF_OK; first += TOGETHER) {
        size_t end = level.count - first < TOGETHER ? level.count : first + TOGETHER;
        result = check_rows(stage, &level, first, end, bad);
        for (size_t i = first; i < end && result == JF_OK; i++) {
            if (!route(stage, level.at[i])) result = JF_MEMORY;
        }
    }
    free(level.at);
    sort_wanted(stage);
    return result;
}
