/* Random lives of a crown, under sanitizers: whatever was staged before, abandoned or out of memory in the middle, a
 * stage with it gives byte for byte what one without it gives.
 *
 * Several batches are staged on each version, one of them is committed. Linked with --wrap for all that takes memory,
 * so that any of it can fail. argv: first seed, number of seeds.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "jellyfish.h"

enum { KEYS = 1800, VERSIONS = 6, PLACES = 1 << 16, STAGED = 3 };

static uint64_t state;

static uint32_t below(uint32_t n) { /* xorshift64* */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

/* ---- memory that runs out ---- */

static uint64_t calls, fails_at; /* the call that fails; 0: none */
static bool fails_on;            /* and all after it */

static bool fails(void) {
    calls++;
    return fails_at > 0 && (fails_on ? calls >= fails_at : calls == fails_at);
}

#define WRAPPED(type, name, parameters, arguments, failure)                                                                      \
    type __real_##name parameters;                                                                                               \
    type __wrap_##name parameters;                                                                                               \
    type __wrap_##name parameters { return fails() ? failure : __real_##name arguments; }
WRAPPED(void *, malloc, (size_t size), (size), NULL)
WRAPPED(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAPPED(void *, realloc, (void *old, size_t size), (old, size), NULL)
WRAPPED(void *, mmap, (void *at, size_t size, int protection, int flags, int file, off_t from),
        (at, size, protection, flags, file, from), MAP_FAILED)
WRAPPED(void *, pool_take, (struct pool * pool, size_t size), (pool, size), NULL)

/* ---- the disk ---- */

struct row {
    uint8_t key[JF_KEY_MAX], row[NODE_MAX];
    size_t key_size, size;
};
static struct row *disk[PLACES];

static struct row **place_of(const uint8_t *key, size_t size) {
    uint32_t hash = 2166136261;
    for (size_t i = 0; i < size; i++) hash = (hash ^ key[i]) * 16777619;
    struct row **place = &disk[hash % PLACES];
    while (*place != NULL && ((*place)->key_size != size || memcmp((*place)->key, key, size) != 0))
        place = place + 1 < disk + PLACES ? place + 1 : disk;
    return place;
}

/* ---- stages ---- */

struct batch {
    struct jf_entry entries[KEYS];
    size_t count;
};

static uint8_t hashes[KEYS][32]; /* ascending, all under one nibble */
static size_t key_count;

static int by_hash(const void *a, const void *b) { return memcmp(a, b, 32); }

/* The first nibbles are few, so that there are rows at the last depth of the crown. */
static void make_keys(void) {
    uint32_t spread = 1 + below(3);
    key_count = 1 + below(below(3) ? KEYS : 40);
    for (size_t i = 0; i < key_count; i++) {
        for (unsigned j = 0; j < 32; j++) hashes[i][j] = (uint8_t)below(256);
        hashes[i][0] = (uint8_t)(0x70 | below(spread));
        hashes[i][1] = (uint8_t)(below(spread) << 4 | (hashes[i][1] & 15));
        if (i > 0 && below(20) == 0) memcpy(hashes[i], hashes[below((uint32_t)i)], below(32));
        hashes[i][31] = (uint8_t)i, hashes[i][30] = (uint8_t)(i >> 8);
    }
    qsort(hashes, key_count, sizeof hashes[0], by_hash);
}

static void make_batch(struct batch *batch) {
    batch->count = 0;
    uint32_t dense = 1 + below(below(2) ? 100 : 4), deleted = below(5), first = below((uint32_t)key_count);
    for (size_t i = below(2) ? first : 0; i < key_count; i++) {
        if (below(dense) != 0) continue;
        struct jf_entry *entry = &batch->entries[batch->count++];
        memset(entry, 0, sizeof *entry);
        memcpy(entry->key_hash, hashes[i], 32);
        entry->is_put = below(4) >= deleted;
        if (entry->is_put) entry->value_hash[0] = (uint8_t)below(2);
    }
}

struct tree {
    uint8_t slot[NODE_LEAF];
    bool there, leaf;
};

/* NULL: out of memory. `levels`: of rows that are read, then it is left as it is. */
static struct jf_stage *staged(const struct tree *tree, const struct batch *batch, uint64_t version, struct crown *crown,
                               unsigned levels) {
    struct jf_stage *stage;
    const uint8_t *slot = tree->there ? tree->slot : NULL;
    enum jf_result result = jf_open(&stage, 1, slot, tree->leaf, batch->entries, batch->count, version, crown);
    assert((result == JF_OK) == (stage != NULL));
    while (result == JF_OK && jf_wanted(stage) > 0 && levels > 0) {
        for (size_t i = 0; i < jf_wanted(stage); i++) {
            uint8_t key[JF_KEY_MAX];
            const struct row *row = *place_of(key, jf_wanted_key(stage, i, key));
            assert(row != NULL); /* else a row is wanted that no committed version has */
            assert(jf_feed(stage, i, row->row, row->size) == JF_OK);
        }
        size_t bad;
        result = jf_descend(stage, &bad);
        levels--;
    }
    if (result == JF_OK && levels > 0) result = jf_close(stage);
    if (result == JF_OK) return stage;
    assert(result == JF_MEMORY);
    jf_free(stage);
    return NULL;
}

static int by_record(const void *a, const void *b) { return memcmp(a, b, JF_STALE_MAX); }

static void same_stales(const struct jf_stage *a, const struct jf_stage *b) { /* in whatever order */
    size_t n = jf_stales(a);
    assert(n == jf_stales(b));
    uint8_t (*records)[JF_STALE_MAX] = calloc(2 * n + 1, sizeof *records);
    for (size_t i = 0; i < n; i++) jf_stale(a, i, records[i]), jf_stale(b, i, records[n + i]);
    qsort(records, n, sizeof *records, by_record);
    qsort(records + n, n, sizeof *records, by_record);
    assert(memcmp(records, records + n, n * sizeof *records) == 0);
    free(records);
}

static void same(const struct jf_stage *a, const struct jf_stage *b) {
    bool a_leaf, b_leaf;
    const uint8_t *a_slot = jf_slot(a, &a_leaf), *b_slot = jf_slot(b, &b_leaf);
    assert((a_slot == NULL) == (b_slot == NULL) && a_leaf == b_leaf);
    assert(a_slot == NULL || memcmp(a_slot, b_slot, a_leaf ? NODE_LEAF : NODE_INNER) == 0);
    assert(memcmp(jf_effects(a), jf_effects(b), jf_count(a)) == 0);
    same_stales(a, b);
    assert(jf_rows(a) == jf_rows(b));
    for (size_t i = 0; i < jf_rows(a); i++) {
        uint8_t key[2][JF_KEY_MAX], row[2][NODE_MAX];
        size_t key_size = jf_row_key(a, i, key[0]), size = jf_row_size(a, i);
        assert(jf_row_key(b, i, key[1]) == key_size && memcmp(key[0], key[1], key_size) == 0);
        assert(jf_row(a, i, row[0]) == size && jf_row(b, i, row[1]) == size && memcmp(row[0], row[1], size) == 0);
    }
}

static void commit(const struct jf_stage *stage, struct tree *tree) {
    for (size_t i = 0; i < jf_rows(stage); i++) {
        struct row *row = malloc(sizeof *row);
        row->key_size = jf_row_key(stage, i, row->key);
        row->size = jf_row(stage, i, row->row);
        struct row **place = place_of(row->key, row->key_size);
        assert(*place == NULL);
        *place = row;
    }
    const uint8_t *slot = jf_slot(stage, &tree->leaf);
    tree->there = slot != NULL;
    if (slot != NULL) memcpy(tree->slot, slot, tree->leaf ? NODE_LEAF : NODE_INNER);
}

static uint64_t usual_calls = 100, out_of_memory;

/* A stage that comes to nothing, because nobody takes what it made, or memory runs out. */
static void abandon(const struct tree *tree, const struct batch *batch, uint64_t version, struct crown *crown) {
    bool fault = below(2), taken = crown->taken;
    calls = 0;
    fails_at = fault ? 1 + below((uint32_t)usual_calls + usual_calls / 8) : 0;
    fails_on = below(2);
    struct jf_stage *stage = staged(tree, batch, version, crown, below(2) ? below(4) : NODE_DEPTHS);
    fails_at = 0;
    out_of_memory += stage == NULL;
    jf_free(stage);
    assert(crown->taken == taken);
}

static void run(uint64_t seed) {
    static struct batch batches[STAGED];
    state = seed * 0x9E3779B97F4A7C15u + 1;
    struct crown crown = {.limit = below(4) ? below(1u << (10 + below(13))) : 8 << 20};
    struct tree tree = {0};
    make_keys();
    for (uint64_t version = 0; version < VERSIONS; version++) {
        struct jf_stage *plain[STAGED] = {NULL}, *crowned[STAGED] = {NULL};
        size_t made = 1 + below(STAGED), chosen = below((uint32_t)made);
        bool unused = below(4) == 0; /* the crown misses this version */
        for (size_t i = 0; i < made; i++) {
            do make_batch(&batches[i]);
            while (batches[i].count == 0);
            if (!unused && below(2)) abandon(&tree, &batches[i], version, &crown);
            calls = 0;
            plain[i] = staged(&tree, &batches[i], version, NULL, NODE_DEPTHS);
            usual_calls = calls;
            /* It goes without, if an earlier one still has it. */
            crowned[i] = staged(&tree, &batches[i], version, unused ? NULL : &crown, NODE_DEPTHS);
            same(plain[i], crowned[i]);
            assert(crown.bytes <= crown.limit);
            if (below(4)) jf_free(crowned[i]), crowned[i] = NULL;
        }
        for (size_t i = 0; i < made; i++) {
            if (crowned[i] != NULL) same(plain[i], crowned[i]); /* whatever was staged since */
        }
        commit(crowned[chosen] != NULL ? crowned[chosen] : plain[chosen], &tree);
        for (size_t i = made; i-- > 0;) jf_free(plain[i]), jf_free(crowned[i]);
        assert(!crown.taken);
    }
    crown_clear(&crown);
    for (size_t i = 0; i < PLACES; i++) free(disk[i]), disk[i] = NULL;
}

int main(int argc, char **argv) {
    assert(argc == 3);
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) run(seed);
    assert(out_of_memory > 0 || count < 10);
    printf("%llu seeds\n", (unsigned long long)count);
    return 0;
}
