/* Life and results of a stage. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

struct work *stage_work(struct jf_stage *stage, struct work *parent, unsigned nibble, const uint8_t *key_hash) {
    struct work *work = pool_take(&stage->pool, sizeof *work);
    if (work == NULL) return NULL;
    memset(work, 0, offsetof(struct work, child));
    memset(&work->node, 0, sizeof work->node);
    work->parent = parent;
    work->key_hash = key_hash;
    work->old_version = NO_ROW;
    work->depth = (uint8_t)(parent->depth + 1);
    work->nibble = (uint8_t)nibble;
    assert(work->depth < NODE_DEPTHS);
    parent->child[nibble] = work;
    parent->children |= (uint16_t)(1u << nibble);
    return list_add(&stage->levels[work->depth], work) ? work : NULL;
}

bool stage_stale(struct jf_stage *stage, uint8_t kind, uint64_t version, const uint8_t *key_hash, unsigned size) {
    struct stale *stale = pool_take(&stage->pool, sizeof *stale);
    if (stale == NULL) return false;
    *stale = (struct stale){key_hash, version, kind, (uint8_t)size};
    return list_add(&stage->stales, stale);
}

size_t stage_run(const struct jf_stage *stage, size_t begin, size_t end, unsigned depth) {
    unsigned nibble = node_nibble(stage->entries[begin].key_hash, depth);
    size_t at = begin + 1;
    while (at < end && node_nibble(stage->entries[at].key_hash, depth) == nibble) at++;
    return at;
}

void jf_free(struct jf_stage *stage) {
    if (stage == NULL) return;
    for (unsigned d = 0; d <= NODE_DEPTHS; d++) free(stage->levels[d].at);
    free(stage->wanted.at);
    free(stage->rows.at);
    free(stage->stales.at);
    if (stage->crown != NULL) crown_release(stage->crown);
    rounds_free(&stage->rounds);
    pool_free(&stage->pool);
    free(stage);
}

static size_t write_path(const uint8_t *key_hash, unsigned depth, uint8_t *path) {
    for (unsigned d = 0; d < depth; d++) path[d] = (uint8_t)node_nibble(key_hash, d);
    return depth;
}

static size_t row_key(const struct work *work, uint64_t version, uint8_t key[JF_KEY_MAX]) {
    slot_set_version(key, version);
    return 8 + write_path(work->key_hash, work->depth, key + 8);
}

size_t jf_wanted(const struct jf_stage *stage) { return stage->wanted.count; }

size_t jf_wanted_key(const struct jf_stage *stage, size_t i, uint8_t key[JF_KEY_MAX]) {
    assert(i < stage->wanted.count);
    const struct work *work = stage->wanted.at[i];
    return row_key(work, work->old_version, key);
}

const uint8_t *jf_slot(const struct jf_stage *stage, bool *leaf) {
    const struct node *node = &stage->top.node;
    assert(node->groups == 0);
    *leaf = node->singles != 0;
    return node->slot[node_nibble(stage->entries[0].key_hash, stage->top.depth)];
}

size_t jf_rows(const struct jf_stage *stage) { return stage->rows.count; }

size_t jf_row_key(const struct jf_stage *stage, size_t i, uint8_t key[JF_KEY_MAX]) {
    assert(i < stage->rows.count);
    return row_key(stage->rows.at[i], stage->version, key);
}

size_t jf_row_size(const struct jf_stage *stage, size_t i) {
    assert(i < stage->rows.count);
    return ((const struct work *)stage->rows.at[i])->row_size;
}

size_t jf_row(const struct jf_stage *stage, size_t i, uint8_t *row) {
    assert(i < stage->rows.count);
    const struct work *work = stage->rows.at[i];
    memcpy(row, work->row, work->row_size);
    return work->row_size;
}

size_t jf_stales(const struct jf_stage *stage) { return stage->stales.count; }

size_t jf_stale(const struct jf_stage *stage, size_t i, uint8_t record[JF_STALE_MAX]) {
    assert(i < stage->stales.count);
    const struct stale *stale = stage->stales.at[i];
    record[0] = stale->kind;
    slot_set_version(record + 1, stale->version);
    record[9] = stale->size;
    if (stale->kind == JF_STALE_NODE) write_path(stale->key_hash, stale->size, record + 10);
    else memcpy(record + 10, stale->key_hash, stale->size);
    return 10u + stale->size;
}

const uint8_t *jf_effects(const struct jf_stage *stage) { return stage->effects; }

size_t jf_count(const struct jf_stage *stage) { return stage->count; }
