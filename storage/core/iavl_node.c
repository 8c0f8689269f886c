#include "iavl_node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "seal.h"

enum { ROW_LEAF, ROW_INNER, ROW_ELSEWHERE };
enum { VARINT_MAX = 10, HASHED_TOGETHER = 32 };

int iavl_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* ---- varints ---- */

static uint8_t *write_varint(uint8_t *at, uint64_t value) {
    for (; value > 127; value >>= 7) *at++ = (uint8_t)(value | 128);
    *at++ = (uint8_t)value;
    return at;
}

static size_t varint_size(uint64_t value) {
    size_t size = 1;
    for (; value > 127; value >>= 7) size++;
    return size;
}

/* The zigzag of what is not negative, which all numbers here are. */
static uint8_t *write_zigzag(uint8_t *at, uint64_t value) {
    assert(value < (uint64_t)1 << 63);
    return write_varint(at, value << 1);
}

/* ---- hashing ---- */

size_t iavl_meta(const struct iavl_node *node, uint8_t meta[IAVL_META_MAX]) {
    return (size_t)(write_zigzag(write_zigzag(write_zigzag(meta, node->height), node->size), node->version) - meta);
}

bool iavl_hash_add(struct iavl_hashing *hashing, struct iavl_node *node) {
    assert(node->height < IAVL_HEIGHTS);
    return list_add(&hashing->heights[node->height], node);
}

static size_t message_most(const struct iavl_node *node) {
    return IAVL_META_MAX + 2 * (1 + SHA256_SIZE) + (node->height == 0 ? VARINT_MAX + node->key_size : 0);
}

static uint8_t *write_hash(uint8_t *at, const uint8_t *hash) {
    *at = SHA256_SIZE; /* its length, a varint */
    return (uint8_t *)memcpy(at + 1, hash, SHA256_SIZE) + SHA256_SIZE;
}

static uint8_t *write_message(uint8_t *at, const struct iavl_node *node) {
    at += iavl_meta(node, at);
    if (node->height > 0) return write_hash(write_hash(at, node->left->hash), node->right->hash);
    at = write_varint(at, node->key_size);
    return write_hash((uint8_t *)memcpy(at, node->key, node->key_size) + node->key_size, node->value_hash);
}

static bool hash_together(struct iavl_hashing *hashing, void *const *nodes, size_t count) {
    struct sha256_message messages[HASHED_TOGETHER];
    size_t most = 0;
    for (size_t i = 0; i < count; i++) most += message_most(nodes[i]);
    if (most > hashing->room) {
        free(hashing->messages);
        hashing->room = 0;
        if ((hashing->messages = malloc(most)) == NULL) return false;
        hashing->room = most;
    }
    uint8_t *at = hashing->messages;
    for (size_t i = 0; i < count; i++) {
        struct iavl_node *node = nodes[i];
        uint8_t *end = write_message(at, node);
        messages[i] = (struct sha256_message){at, (size_t)(end - at), node->hash};
        at = end;
    }
    sha256_many(messages, count);
    return true;
}

bool iavl_hash_run(struct iavl_hashing *hashing) {
    for (unsigned height = 0; height < IAVL_HEIGHTS; height++) {
        struct list *nodes = &hashing->heights[height];
        for (size_t i = 0; i < nodes->count; i += HASHED_TOGETHER) {
            size_t rest = nodes->count - i;
            if (!hash_together(hashing, nodes->at + i, rest < HASHED_TOGETHER ? rest : HASHED_TOGETHER)) return false;
        }
        nodes->count = 0;
    }
    return true;
}

void iavl_hash_free(struct iavl_hashing *hashing) {
    for (unsigned height = 0; height < IAVL_HEIGHTS; height++) free(hashing->heights[height].at);
    free(hashing->messages);
}

/* ---- reading rows ---- */

struct reading {
    const uint8_t *at, *end;
    struct pool *pool;
    struct iavl_hashing *hashing;
    struct iavl_row *row;
    enum iavl_parsed failure;
};

static bool failed(struct reading *r, enum iavl_parsed failure) {
    r->failure = failure;
    return false;
}

static const uint8_t *take(struct reading *r, uint64_t size) {
    if ((uint64_t)(r->end - r->at) < size) return NULL;
    const uint8_t *taken = r->at;
    r->at += size;
    return taken;
}

static bool read_varint(struct reading *r, uint64_t limit, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        const uint8_t *byte = take(r, 1);
        if (byte == NULL) return false;
        *value |= (uint64_t)(*byte & 127) << shift;
        if (*byte < 128) return *value < limit;
    }
    return false;
}

static bool read_key(struct reading *r, struct iavl_node *node) {
    uint64_t size;
    if (!read_varint(r, IAVL_KEY_MAX + 1, &size)) return false;
    node->key_size = (uint32_t)size;
    return (node->key = take(r, size)) != NULL;
}

static bool read_elsewhere(struct reading *r, struct iavl_node *node) {
    const uint8_t *key = take(r, IAVL_ROW_KEY), *hash = key != NULL ? take(r, SHA256_SIZE) : NULL;
    if (hash == NULL) return false;
    memcpy(node->hash, hash, SHA256_SIZE);
    node->row = pool_take(r->pool, sizeof *node->row);
    if (node->row == NULL) return failed(r, IAVL_NO_MEMORY);
    node->row->stale = false;
    memcpy(node->row->key, key, IAVL_ROW_KEY);
    return true;
}

/* Whether a node is what its halves make of it: who writes relies on that. */
static bool fits_halves(const struct iavl_node *node) {
    const struct iavl_node *left = node->left, *right = node->right;
    int lean = (int)left->height - (int)right->height;
    unsigned higher = lean > 0 ? left->height : right->height;
    return lean >= -1 && lean <= 1 && node->height == 1 + higher && node->size == left->size + right->size;
}

/* The next node, which must be below `height`. */
static bool read_node(struct reading *r, struct iavl_node *node, uint64_t height) {
    const uint8_t *kind = take(r, 1);
    uint64_t own = 0;
    if (kind == NULL || *kind > ROW_ELSEWHERE) return false;
    node->size = 1;
    if (*kind != ROW_LEAF && (!read_varint(r, height, &own) || !read_varint(r, (uint64_t)1 << 62, &node->size))) return false;
    if (!read_varint(r, UINT64_MAX, &node->version) || node->version == 0) return false;
    if (node->size == 0 || (own == 0 && node->size != 1)) return false;
    node->height = (uint8_t)own;
    if (*kind == ROW_ELSEWHERE) return read_elsewhere(r, node);
    node->row = r->row;
    if (!read_key(r, node)) return false;
    if (*kind == ROW_LEAF) {
        if ((node->value_hash = take(r, SHA256_SIZE)) == NULL) return false;
    } else {
        struct iavl_node *halves = pool_take(r->pool, 2 * sizeof *halves);
        if (halves == NULL) return failed(r, IAVL_NO_MEMORY);
        memset(halves, 0, 2 * sizeof *halves);
        node->left = &halves[0];
        node->right = &halves[1];
        if (own == 0 || !read_node(r, node->left, own) || !read_node(r, node->right, own)) return false;
        if (!fits_halves(node)) return false;
    }
    return iavl_hash_add(r->hashing, node) || failed(r, IAVL_NO_MEMORY);
}

enum iavl_parsed iavl_parse(struct iavl_node *top, const uint8_t *row, size_t size, struct pool *pool,
                            struct iavl_hashing *hashing) {
    enum seal_result seal = seal_check(NULL, 0, row, size);
    if (seal != SEAL_GOOD) return seal == SEAL_BAD ? IAVL_NO_ROW : IAVL_NO_MEMORY;
    struct reading reading = {row, row + size - SEAL_SIZE, pool, hashing, top->row, IAVL_NO_ROW};
    bool ok = size > SEAL_SIZE && *row != ROW_ELSEWHERE && read_node(&reading, top, IAVL_HEIGHTS);
    if (!ok) return reading.failure;
    return reading.at == reading.end ? IAVL_PARSED : IAVL_NO_ROW;
}

/* ---- writing rows ---- */

static size_t numbers_size(const struct iavl_node *node) {
    return varint_size(node->height) + varint_size(node->size) + varint_size(node->version);
}

static size_t key_size(const struct iavl_node *node) { return varint_size(node->key_size) + node->key_size; }

static size_t body_size(const struct iavl_node *node, iavl_stands_in *stands_in) {
    if (node->height == 0) return 1 + varint_size(node->version) + key_size(node) + SHA256_SIZE;
    size_t size = 1 + numbers_size(node) + key_size(node);
    const struct iavl_node *halves[2] = {node->left, node->right};
    for (unsigned i = 0; i < 2; i++) {
        const struct iavl_node *half = halves[i];
        size += stands_in(half, node) ? body_size(half, stands_in) : 1 + numbers_size(half) + IAVL_ROW_KEY + SHA256_SIZE;
    }
    return size;
}

size_t iavl_row_size(const struct iavl_node *top, iavl_stands_in *stands_in) { return body_size(top, stands_in) + SEAL_SIZE; }

static uint8_t *write_numbers(uint8_t *at, const struct iavl_node *node) {
    return write_varint(write_varint(write_varint(at, node->height), node->size), node->version);
}

static uint8_t *write_key(uint8_t *at, const struct iavl_node *node) {
    at = write_varint(at, node->key_size);
    return (uint8_t *)memcpy(at, node->key, node->key_size) + node->key_size;
}

static uint8_t *write_elsewhere(uint8_t *at, const struct iavl_node *node) {
    *at = ROW_ELSEWHERE;
    at = (uint8_t *)memcpy(write_numbers(at + 1, node), node->row->key, IAVL_ROW_KEY) + IAVL_ROW_KEY;
    return (uint8_t *)memcpy(at, node->hash, SHA256_SIZE) + SHA256_SIZE;
}

static uint8_t *write_body(uint8_t *at, const struct iavl_node *node, iavl_stands_in *stands_in) {
    if (node->height == 0) {
        *at = ROW_LEAF;
        at = write_key(write_varint(at + 1, node->version), node);
        return (uint8_t *)memcpy(at, node->value_hash, SHA256_SIZE) + SHA256_SIZE;
    }
    *at = ROW_INNER;
    at = write_key(write_numbers(at + 1, node), node);
    const struct iavl_node *halves[2] = {node->left, node->right};
    for (unsigned i = 0; i < 2; i++) {
        at = stands_in(halves[i], node) ? write_body(at, halves[i], stands_in) : write_elsewhere(at, halves[i]);
    }
    return at;
}

bool iavl_row_write(const struct iavl_node *top, iavl_stands_in *stands_in, uint8_t *row, size_t size) {
    uint8_t *end = write_body(row, top, stands_in);
    assert((size_t)(end - row) + SEAL_SIZE == size);
    return seal_write(NULL, 0, row, size - SEAL_SIZE, end);
}
