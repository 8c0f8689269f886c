/* Life of a stage: rows are wanted (iavl_want.c), read and checked, and writes done (iavl_change.c), in turns. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "iavl_stage.h"

enum { TOGETHER = 16 }; /* rows whose nodes are hashed together: enough to interleave, few enough for the first caches */

void iavl_free(struct iavl_stage *stage) {
    if (stage == NULL) return;
    struct list *lists[] = {&stage->wanted, &stage->read, &stage->new_rows, &stage->old_rows, &stage->old_values};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]->at);
    iavl_hash_free(&stage->hashing);
    pool_free(&stage->pool);
    free(stage);
}

/* Does as many writes as can be done with what is read. */
static bool apply(struct iavl_stage *stage) {
    for (; stage->wanted.count == 0 && stage->applied < stage->count; stage->applied++) {
        struct iavl_write *write = &stage->writes[stage->applied];
        if (!stage_prepare(stage, write)) return false;
        if (stage->wanted.count > 0) break;
        if (!stage_apply(stage, write)) return false;
    }
    stage_sort_wanted(stage);
    return true;
}

static bool good_batch(const struct iavl_write *writes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (writes[i].key_size < 1 || writes[i].key_size > IAVL_KEY_MAX) return false;
        if (i > 0 && iavl_compare(writes[i - 1].key, writes[i - 1].key_size, writes[i].key, writes[i].key_size) >= 0)
            return false;
    }
    return true;
}

/* The root as it is known from outside. */
static bool know_root(struct iavl_stage *stage, const uint8_t *root, const uint8_t *row_key) {
    struct iavl_node *node = pool_take(&stage->pool, sizeof *node);
    struct iavl_row *row = pool_take(&stage->pool, sizeof *row);
    if (node == NULL || row == NULL) return false;
    *row = (struct iavl_row){.stale = false};
    memcpy(row->key, row_key, IAVL_ROW_KEY);
    *node = (struct iavl_node){.row = row};
    memcpy(node->hash, root, SHA256_SIZE);
    stage->root = node;
    return true;
}

enum iavl_result iavl_open(struct iavl_stage **out, const uint8_t *root, const uint8_t *row_key, struct iavl_write *writes,
                           size_t count, uint64_t version) {
    *out = NULL;
    if (version < 1 || version >> 63 != 0 || !good_batch(writes, count)) return IAVL_BAD_BATCH;
    struct iavl_stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL) return IAVL_MEMORY;
    stage->writes = writes;
    stage->count = count;
    stage->version = version;
    for (size_t i = 0; i < count; i++) writes[i].effect = IAVL_NOTHING;
    bool ok = row_key == NULL || (know_root(stage, root, row_key) && stage_spread(stage, stage->root, 0, count));
    if (!ok || !apply(stage)) {
        iavl_free(stage);
        return IAVL_MEMORY;
    }
    *out = stage;
    return IAVL_OK;
}

size_t iavl_wanted(const struct iavl_stage *stage) { return stage->wanted.count; }

const uint8_t *iavl_wanted_key(const struct iavl_stage *stage, size_t i) {
    assert(i < stage->wanted.count);
    return ((const struct wanted *)stage->wanted.at[i])->node->row->key;
}

void iavl_feed(struct iavl_stage *stage, size_t i, const uint8_t *row, size_t size) {
    assert(i < stage->wanted.count);
    struct wanted *wanted = stage->wanted.at[i];
    wanted->data = row;
    wanted->size = size;
}

static enum iavl_result read_row(struct iavl_stage *stage, struct wanted *wanted) {
    struct iavl_node *node = wanted->node, known = *node;
    assert(wanted->data != NULL);
    memcpy(wanted->expected, node->hash, SHA256_SIZE);
    enum iavl_parsed parsed = iavl_parse(node, wanted->data, wanted->size, &stage->pool, &stage->hashing);
    if (parsed == IAVL_NO_MEMORY) return IAVL_MEMORY;
    bool is_known = known.size > 0; /* of the root nothing is */
    if (parsed != IAVL_PARSED || (is_known && (node->height != known.height || node->size != known.size))) return IAVL_BAD_ROW;
    return list_add(&stage->read, node->row) ? IAVL_OK : IAVL_MEMORY;
}

/* Reads rows [first, end) of `rows`, and checks them. */
static enum iavl_result read_rows(struct iavl_stage *stage, const struct list *rows, size_t first, size_t end, size_t *bad) {
    for (*bad = first; *bad < end; ++*bad) {
        enum iavl_result result = read_row(stage, rows->at[*bad]);
        if (result != IAVL_OK) return result;
    }
    if (!iavl_hash_run(&stage->hashing)) return IAVL_MEMORY;
    for (*bad = first; *bad < end; ++*bad) {
        const struct wanted *wanted = rows->at[*bad];
        if (memcmp(wanted->node->hash, wanted->expected, SHA256_SIZE) != 0) return IAVL_BAD_HASH;
    }
    return IAVL_OK;
}

enum iavl_result iavl_go_on(struct iavl_stage *stage, size_t *bad) {
    struct list rows = stage->wanted;
    enum iavl_result result = IAVL_OK;
    stage->wanted = (struct list){0};
    for (size_t first = 0; first < rows.count && result == IAVL_OK; first += TOGETHER) {
        size_t end = rows.count - first < TOGETHER ? rows.count : first + TOGETHER;
        result = read_rows(stage, &rows, first, end, bad);
        for (size_t i = first; i < end && result == IAVL_OK; i++) {
            const struct wanted *wanted = rows.at[i];
            if (!stage_spread(stage, wanted->node, wanted->begin, wanted->end)) result = IAVL_MEMORY;
        }
    }
    free(rows.at);
    if (result != IAVL_OK) return result;
    stage_sort_wanted(stage);
    return apply(stage) ? IAVL_OK : IAVL_MEMORY;
}
