/* Random histories through the C core of the IAVL tree alone, under sanitizers, against the tree by its formulas.
 *
 * argv: first seed, number of seeds. Exit 0 if all roots agree; otherwise the seed is printed. Also feeds damaged rows and
 * good rows in the wrong place, which must be refused.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iavl.h"

enum { KEYS = 90, VERSIONS = 14, ROWS = 20000, ROW_MAX = 4096, KEY_SIZE = 40 };

static uint64_t state;

static uint32_t below(uint32_t n) { /* xorshift64* */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

/* ---- the formulas: no node is ever changed, no hash kept ---- */

struct naive {
    struct naive *all; /* list of all, to be freed */
    const struct naive *left, *right;
    const uint8_t *key, *value_hash;
    uint32_t key_size;
    unsigned height;
    uint64_t size, version;
};

static struct naive *every;

static struct naive *make(void) {
    struct naive *node = calloc(1, sizeof *node);
    assert(node != NULL);
    node->all = every;
    return every = node;
}

static const struct naive *join(const uint8_t *key, uint32_t key_size, uint64_t version, const struct naive *left,
                                const struct naive *right) {
    struct naive *node = make();
    *node = (struct naive){node->all, left, right, key, NULL, key_size, 0, left->size + right->size, version};
    node->height = 1 + (left->height > right->height ? left->height : right->height);
    return node;
}

static const struct naive *rotated_right(const struct naive *n, uint64_t v) {
    const struct naive *l = n->left;
    return join(l->key, l->key_size, v, l->left, join(n->key, n->key_size, v, l->right, n->right));
}

static const struct naive *rotated_left(const struct naive *n, uint64_t v) {
    const struct naive *r = n->right;
    return join(r->key, r->key_size, v, join(n->key, n->key_size, v, n->left, r->left), r->right);
}

static const struct naive *balanced(const struct naive *n, uint64_t v) {
    int lean = (int)n->left->height - (int)n->right->height;
    if (lean > 1) {
        if (n->left->left->height < n->left->right->height) n = join(n->key, n->key_size, v, rotated_left(n->left, v), n->right);
        return rotated_right(n, v);
    }
    if (lean < -1) {
        if (n->right->left->height > n->right->right->height)
            n = join(n->key, n->key_size, v, n->left, rotated_right(n->right, v));
        return rotated_left(n, v);
    }
    return n;
}

static int order_of(const struct iavl_write *write, const struct naive *node) {
    return iavl_compare(write->key, write->key_size, node->key, node->key_size);
}

static const struct naive *naive_put(const struct naive *node, const struct iavl_write *write, uint64_t v) {
    if (node == NULL || node->height == 0) {
        struct naive *leaf = make();
        *leaf = (struct naive){leaf->all, NULL, NULL, write->key, write->value_hash, write->key_size, 0, 1, v};
        int order = node != NULL ? order_of(write, node) : 0;
        if (order == 0) return leaf;
        return order < 0 ? join(node->key, node->key_size, v, leaf, node) : join(leaf->key, leaf->key_size, v, node, leaf);
    }
    bool left = order_of(write, node) < 0;
    const struct naive *half = naive_put(left ? node->left : node->right, write, v);
    return balanced(join(node->key, node->key_size, v, left ? half : node->left, left ? node->right : half), v);
}

static const struct naive *smallest_of(const struct naive *node) {
    while (node->height > 0) node = node->left;
    return node;
}

/* The key is there. An inner node's key is the smallest of its right half, whatever was removed. */
static const struct naive *naive_remove(const struct naive *node, const struct iavl_write *write, uint64_t v) {
    if (node->height == 0) return NULL;
    bool left = order_of(write, node) < 0;
    const struct naive *half = naive_remove(left ? node->left : node->right, write, v);
    if (half == NULL) return left ? node->right : node->left;
    const struct naive *key = left ? node : smallest_of(half);
    return balanced(join(key->key, key->key_size, v, left ? half : node->left, left ? node->right : half), v);
}

static bool naive_has(const struct naive *node, const struct iavl_write *write) {
    while (node != NULL && node->height > 0) node = order_of(write, node) < 0 ? node->left : node->right;
    return node != NULL && order_of(write, node) == 0;
}

static uint8_t *zigzag(uint8_t *at, uint64_t value) {
    for (value *= 2; value > 127; value >>= 7) *at++ = (uint8_t)(value & 127) | 128;
    *at++ = (uint8_t)value;
    return at;
}

static void naive_hash(const struct naive *node, uint8_t out[32]) {
    uint8_t text[160], *at = text;
    if (node == NULL) {
        sha256(NULL, 0, out);
        return;
    }
    at = zigzag(zigzag(zigzag(at, node->height), node->size), node->version);
    if (node->height == 0) {
        *at++ = (uint8_t)node->key_size;
        memcpy(at, node->key, node->key_size);
        at += node->key_size;
        *at++ = 32;
        memcpy(at, node->value_hash, 32);
        at += 32;
    } else {
        *at++ = 32;
        naive_hash(node->left, at);
        at += 32;
        *at++ = 32;
        naive_hash(node->right, at);
        at += 32;
    }
    sha256(text, (size_t)(at - text), out);
}

/* ---- the core ---- */

static struct {
    uint8_t key[KEY_SIZE];
    uint32_t size;
} keys[KEYS];
static size_t key_count;

static struct {
    uint8_t key[IAVL_ROW_KEY], row[ROW_MAX];
    size_t size;
    bool stale;
} *rows;
static size_t row_count;

static int by_key(const void *a, const void *b) {
    return iavl_compare(a, *(const uint32_t *)((const uint8_t *)a + KEY_SIZE), b,
                        *(const uint32_t *)((const uint8_t *)b + KEY_SIZE));
}

static void make_keys(void) {
    key_count = 1 + below(KEYS);
    for (size_t i = 0; i < key_count; i++) {
        keys[i].size = 1 + below(KEY_SIZE);
        for (unsigned j = 0; j < KEY_SIZE; j++) keys[i].key[j] = (uint8_t)below(3);
    }
    qsort(keys, key_count, sizeof keys[0], by_key);
    size_t unique = 0;
    for (size_t i = 0; i < key_count; i++) {
        if (i == 0 || by_key(&keys[i], &keys[unique - 1]) != 0) keys[unique++] = keys[i];
    }
    key_count = unique;
}

static const uint8_t value_hashes[3][32] = {{1}, {2}, {3}};
static const uint8_t key_hash[32] = {9};

static size_t make_batch(struct iavl_write *writes) {
    size_t count = 0, first = below((uint32_t)key_count), most = 1 + below((uint32_t)key_count);
    uint32_t touched = 1 + below(4), removed = below(5);
    for (size_t i = below(2) ? 0 : first; i < key_count && count < most; i++) {
        if (below(4) >= touched) continue;
        writes[count++] = (struct iavl_write){.key = keys[i].key,
                                              .key_size = keys[i].size,
                                              .key_hash = key_hash,
                                              .value_hash = below(4) < removed ? NULL : value_hashes[below(3)]};
    }
    return count;
}

static size_t find_row(const uint8_t *key) {
    for (size_t i = row_count; i-- > 0;) {
        if (memcmp(rows[i].key, key, IAVL_ROW_KEY) == 0) return i;
    }
    assert(!"a wanted row was never written");
    return 0;
}

/* The hash of the node that a row begins with. Two rows may have the same: a leaf that becomes the whole tree once more, or
 * nodes that stand together in one and apart in the other. */
static void row_hash(size_t at, uint8_t hash[32]) {
    struct iavl_node top = {0};
    struct pool pool = {0};
    struct iavl_hashing hashing = {0};
    assert(iavl_parse(&top, rows[at].row, rows[at].size, &pool, &hashing) == IAVL_PARSED && iavl_hash_run(&hashing));
    memcpy(hash, top.hash, 32);
    iavl_hash_free(&hashing);
    pool_free(&pool);
}

/* The first row is damaged, or another one. */
static void check_damage(const uint8_t *root, const uint8_t *row_key, const struct iavl_write *writes, size_t count) {
    struct iavl_write own[KEYS];
    memcpy(own, writes, count * sizeof *own);
    struct iavl_stage *stage;
    assert(iavl_open(&stage, root, row_key, own, count, 1000) == IAVL_OK);
    uint8_t row[ROW_MAX];
    size_t bad = 0;
    if (iavl_wanted(stage) == 1) {
        uint8_t hash[32];
        size_t at = find_row(row_key), size = rows[at].size;
        memcpy(row, rows[at].row, size);
        enum iavl_result expected = IAVL_BAD_ROW;
        switch (below(3)) {
        case 0: row[below((uint32_t)size)] ^= (uint8_t)(1 << below(8)); break;
        case 1: size = below((uint32_t)size); break;
        default:
            at = below((uint32_t)row_count);
            size = rows[at].size;
            memcpy(row, rows[at].row, size);
            row_hash(at, hash);
            expected = memcmp(hash, root, 32) == 0 ? IAVL_OK : IAVL_BAD_HASH;
        }
        iavl_feed(stage, 0, row, size);
        assert(iavl_go_on(stage, &bad) == expected && (expected == IAVL_OK || bad == 0));
    }
    iavl_free(stage);
}

static void keep_rows(const struct iavl_stage *stage, uint64_t version) {
    for (size_t i = 0; i < iavl_rows(stage); i++, row_count++) {
        assert(row_count < ROWS);
        memcpy(rows[row_count].key, iavl_row_key(stage, i), IAVL_ROW_KEY);
        rows[row_count].size = iavl_new_row_size(stage, i);
        rows[row_count].stale = false;
        assert(rows[row_count].size <= ROW_MAX && rows[row_count].key[7] == version);
        assert(i == 0 || memcmp(rows[row_count - 1].key, rows[row_count].key, IAVL_ROW_KEY) < 0);
        assert(iavl_new_row(stage, i, rows[row_count].row, rows[row_count].size));
    }
    for (size_t i = 0; i < iavl_stales(stage); i++) {
        uint8_t record[IAVL_STALE_MAX], key[IAVL_ROW_KEY];
        assert(iavl_stale(stage, i, record) == 10u + record[9]);
        assert(record[8] < version);
        if (record[0] != 0) continue;
        memcpy(key, record + 1, 8);
        memcpy(key + 8, record + 10, record[9]);
        size_t at = find_row(key);
        assert(!rows[at].stale);
        rows[at].stale = true;
    }
}

static void run(uint64_t seed) {
    state = seed * 0x9E3779B97F4A7C15u + 1;
    row_count = 0;
    make_keys();
    const struct naive *naive = NULL;
    uint8_t root[32], root_row[IAVL_ROW_KEY];
    bool there = false;
    for (uint64_t version = 0; version < VERSIONS; version++) {
        struct iavl_write writes[KEYS];
        size_t count = make_batch(writes);
        if (there) check_damage(root, root_row, writes, count);
        struct iavl_stage *stage;
        assert(iavl_open(&stage, there ? root : NULL, there ? root_row : NULL, writes, count, version + 1) == IAVL_OK);
        while (iavl_wanted(stage) > 0) {
            for (size_t i = 0; i < iavl_wanted(stage); i++) {
                size_t at = find_row(iavl_wanted_key(stage, i));
                assert(!rows[at].stale);
                iavl_feed(stage, i, rows[at].row, rows[at].size);
            }
            size_t bad;
            assert(iavl_go_on(stage, &bad) == IAVL_OK);
        }
        assert(iavl_close(stage) == IAVL_OK);
        for (size_t i = 0; i < count; i++) {
            bool has = naive_has(naive, &writes[i]), put = writes[i].value_hash != NULL;
            assert(writes[i].effect == (put ? has ? IAVL_UPDATED : IAVL_INSERTED : has ? IAVL_DELETED : IAVL_NOTHING));
            if (put) naive = naive_put(naive, &writes[i], version + 1);
            else if (has) naive = naive_remove(naive, &writes[i], version + 1);
        }
        const uint8_t *row_key;
        there = iavl_root(stage, root, &row_key);
        if (there) memcpy(root_row, row_key, IAVL_ROW_KEY);
        keep_rows(stage, version);
        iavl_free(stage);
        uint8_t expected[32];
        naive_hash(naive, expected);
        if (there != (naive != NULL) || memcmp(expected, root, 32) != 0) {
            printf("seed %llu: wrong root at version %llu\n", (unsigned long long)seed, (unsigned long long)version);
            exit(1);
        }
    }
    while (every != NULL) {
        struct naive *next = every->all;
        free(every);
        every = next;
    }
}

int main(int argc, char **argv) {
    assert(argc == 3);
    rows = malloc(ROWS * sizeof *rows);
    assert(rows != NULL);
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) run(seed);
    free(rows);
    printf("%llu seeds\n", (unsigned long long)count);
    return 0;
}
