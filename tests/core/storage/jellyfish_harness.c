/* Random histories through the C core alone, under sanitizers: the root must be the one of the definition.
 *
 * argv: first seed, number of seeds. Key hashes are made up, many with long common prefixes, which no real key would
 * have. Exit 0 if all agree; otherwise the seed is printed. Also feeds damaged rows, which must be refused.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jellyfish.h"
#include "sha256.h"

enum { KEYS = 120, VERSIONS = 12, ROWS = 20000 };

static uint64_t state;

static uint32_t below(uint32_t n) { /* xorshift64* */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

struct key {
    uint8_t hash[32], value[32];
    int there;
};

static struct key keys[KEYS];
static size_t key_count;

static struct {
    uint8_t key[JF_KEY_MAX], row[NODE_MAX];
    size_t key_size, size;
} *rows;
static size_t row_count;
static struct crown crown;

static int by_hash(const void *a, const void *b) { return memcmp(a, b, 32); }

/* All under one top nibble. A new key repeats the first bits of an earlier one, sometimes all but the last nibble. */
static void make_keys(void) {
    key_count = 1 + below(KEYS);
    for (size_t i = 0; i < key_count; i++) {
        for (unsigned j = 0; j < 32; j++) keys[i].hash[j] = (uint8_t)below(256);
        if (i > 0 && below(2) == 0) memcpy(keys[i].hash, keys[below((uint32_t)i)].hash, below(32));
        if (i > 0 && below(8) == 0) memcpy(keys[i].hash, keys[below((uint32_t)i)].hash, 31);
        keys[i].hash[0] = (uint8_t)(0x70 | (keys[i].hash[0] & 15));
        keys[i].there = 0;
    }
    qsort(keys, key_count, sizeof keys[0], by_hash);
    size_t unique = 0;
    for (size_t i = 0; i < key_count; i++) {
        if (i == 0 || memcmp(keys[i].hash, keys[unique - 1].hash, 32) != 0) keys[unique++] = keys[i];
    }
    key_count = unique;
}

/* The definition: keys[begin, end) agree in their first `bit` bits. */
static void definition(size_t begin, size_t end, unsigned bit, uint8_t out[32]) {
    size_t there = 0, last = 0, split = begin;
    for (size_t i = begin; i < end; i++) {
        if (keys[i].there) there++, last = i;
        if (bit < 256 && !(keys[i].hash[bit / 8] >> (7 - bit % 8) & 1)) split = i + 1;
    }
    uint8_t text[80];
    if (there == 0) {
        memcpy(out, placeholder, 32);
    } else if (there == 1) {
        memcpy(text, "JMT::LeafNode", 13);
        memcpy(text + 13, keys[last].hash, 32);
        memcpy(text + 45, keys[last].value, 32);
        sha256(text, 77, out);
    } else {
        memcpy(text, "JMT::IntrnalNode", 16);
        definition(begin, split, bit + 1, text + 16);
        definition(split, end, bit + 1, text + 48);
        sha256(text, 80, out);
    }
}

static size_t find_row(const uint8_t *key, size_t size) {
    for (size_t i = row_count; i-- > 0;) {
        if (rows[i].key_size == size && memcmp(rows[i].key, key, size) == 0) return i;
    }
    assert(!"a wanted row was never written");
    return 0;
}

static size_t make_batch(struct jf_entry *entries) {
    size_t count = 0;
    uint32_t touched = 1 + below(4), deleted = below(5);
    for (size_t i = 0; i < key_count; i++) {
        if (below(4) >= touched) continue;
        struct jf_entry *entry = &entries[count++];
        memset(entry, 0, sizeof *entry);
        memcpy(entry->key_hash, keys[i].hash, 32);
        entry->is_put = below(4) >= deleted;
        if (entry->is_put) entry->value_hash[below(32)] = (uint8_t)below(3);
        keys[i].there = (int)entry->is_put;
        memcpy(keys[i].value, entry->value_hash, 32);
    }
    return count;
}

/* A flipped bit in any wanted row must be refused by a stage of its own. */
static void check_damage(const uint8_t *slot, int leaf, const struct jf_entry *entries, size_t count) {
    struct jf_stage *stage;
    uint8_t key[JF_KEY_MAX], row[NODE_MAX];
    assert(jf_open(&stage, 1, slot, leaf, entries, count, 1000, NULL) == JF_OK);
    if (jf_wanted(stage) == 1) {
        size_t at = find_row(key, jf_wanted_key(stage, 0, key));
        memcpy(row, rows[at].row, rows[at].size);
        row[below((uint32_t)rows[at].size)] ^= (uint8_t)(1 << below(8));
        assert(jf_feed(stage, 0, row, rows[at].size) == JF_BAD_ROW);
        assert(jf_feed(stage, 0, row, below((uint32_t)rows[at].size)) == JF_BAD_ROW);
        size_t bad;
        assert(jf_descend(stage, &bad) == JF_BAD_HASH && bad == 0);
    }
    jf_free(stage);
}

static void run(uint64_t seed) {
    state = seed * 0x9E3779B97F4A7C15u + 1;
    row_count = 0;
    crown_clear(&crown);
    crown.limit = below(2) * below(200000);
    make_keys();
    uint8_t slot_bytes[NODE_LEAF];
    const uint8_t *slot = NULL;
    bool leaf = false;
    for (uint64_t version = 0; version < VERSIONS; version++) {
        struct jf_entry entries[KEYS];
        size_t count = make_batch(entries);
        if (count == 0) continue;
        check_damage(slot, leaf, entries, count);
        struct jf_stage *stage;
        assert(jf_open(&stage, 1, slot, leaf, entries, count, version, &crown) == JF_OK);
        while (jf_wanted(stage) > 0) {
            for (size_t i = 0; i < jf_wanted(stage); i++) {
                uint8_t key[JF_KEY_MAX];
                size_t at = find_row(key, jf_wanted_key(stage, i, key));
                assert(jf_feed(stage, i, rows[at].row, rows[at].size) == JF_OK);
            }
            size_t bad;
            assert(jf_descend(stage, &bad) == JF_OK);
        }
        assert(jf_close(stage) == JF_OK);
        for (size_t i = 0; i < jf_rows(stage); i++, row_count++) {
            assert(row_count < ROWS);
            rows[row_count].key_size = jf_row_key(stage, i, rows[row_count].key);
            rows[row_count].size = jf_row(stage, i, rows[row_count].row);
        }
        for (size_t i = 0; i < jf_stales(stage); i++) {
            uint8_t record[JF_STALE_MAX];
            assert(jf_stale(stage, i, record) <= JF_STALE_MAX);
            if (record[0] == JF_STALE_NODE) { /* only rows that there are go stale, and never one of this version */
                uint8_t key[JF_KEY_MAX];
                memcpy(key, record + 1, 8);
                memcpy(key + 8, record + 10, record[9]);
                assert(find_row(key, 8u + record[9]) < row_count && slot_version(key) < version);
            }
        }
        slot = jf_slot(stage, &leaf);
        if (slot != NULL) slot = memcpy(slot_bytes, slot, leaf ? NODE_LEAF : NODE_INNER);
        jf_free(stage);
        uint8_t expected[32], got[32];
        definition(0, key_count, 4, expected);
        struct node holder = {0};
        node_hashes hashes;
        if (slot != NULL) node_set_leaves(&holder, 7, slot, 1);
        if (slot != NULL && !leaf) memcpy(got, slot_inner_hash(slot), 32);
        else assert(node_hash_all(&holder, hashes)), memcpy(got, hashes[1], 32); /* one leaf or none: the subtree's hash */
        if (memcmp(expected, got, 32) != 0) {
            printf("seed %llu: wrong root at version %llu\n", (unsigned long long)seed, (unsigned long long)version);
            exit(1);
        }
    }
}

int main(int argc, char **argv) {
    assert(argc == 3);
    rows = malloc(ROWS * sizeof *rows);
    assert(rows != NULL);
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) run(seed);
    crown_clear(&crown);
    free(rows);
    printf("%llu seeds\n", (unsigned long long)count);
    return 0;
}
