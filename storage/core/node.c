#include "node.h"

#include <assert.h>
#include <string.h>

#include "xxh3.h"

/* Tag and two hashes are 77 or 80 bytes: with padding, two SHA-256 blocks either way. */
enum { TAG_LEAF = 13, TAG_INNER = 16 };
static const uint8_t leaf_tag[TAG_LEAF + 1] = "JMT::LeafNode";
static const uint8_t inner_tag[TAG_INNER + 1] = "JMT::IntrnalNode";
const uint8_t node_placeholder[SHA256_SIZE] = {
    'S', 'P', 'A', 'R', 'S', 'E', '_', 'M', 'E', 'R', 'K', 'L', 'E', '_', 'P', 'L',
    'A', 'C', 'E', 'H', 'O', 'L', 'D', 'E', 'R', '_', 'H', 'A', 'S', 'H', '_', '_',
};

static uint64_t load_be64(const uint8_t *p) {
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++) x = x << 8 | p[i];
    return x;
}

static void store_be64(uint8_t *p, uint64_t x) {
    for (unsigned i = 8; i-- > 0; x >>= 8) p[i] = (uint8_t)x;
}

uint64_t slot_version(const uint8_t *slot) { return load_be64(slot); }

void slot_set_version(uint8_t *slot, uint64_t version) { store_be64(slot, version); }

void node_set(struct node *node, unsigned nibble, const uint8_t *slot, bool leaf) {
    uint16_t bit = (uint16_t)(1u << nibble);
    node->slot[nibble] = slot;
    node->children = slot != NULL ? node->children | bit : node->children & (uint16_t)~bit;
    node->leaves = slot != NULL && leaf ? node->leaves | bit : node->leaves & (uint16_t)~bit;
}

bool node_parse(struct node *node, const uint8_t *row, size_t size) {
    memset(node, 0, sizeof *node);
    if (size < NODE_HEADER + NODE_CHECKSUM) return false;
    size -= NODE_CHECKSUM;
    if (load_be64(row + size) != xxh3(row, size, 0)) return false;
    node->children = (uint16_t)(row[0] << 8 | row[1]);
    node->leaves = (uint16_t)(row[2] << 8 | row[3]);
    if ((node->leaves & ~node->children) != 0) return false;
    size_t at = NODE_HEADER;
    for (unsigned n = 0; n < 16; n++) {
        if (!(node->children >> n & 1)) continue;
        node->slot[n] = row + at;
        at += node_is_leaf(node, n) ? NODE_LEAF : NODE_INNER;
        if (at > size) return false;
    }
    return at == size;
}

size_t node_write(const struct node *node, uint8_t *row) {
    row[0] = (uint8_t)(node->children >> 8), row[1] = (uint8_t)node->children;
    row[2] = (uint8_t)(node->leaves >> 8), row[3] = (uint8_t)node->leaves;
    size_t at = NODE_HEADER;
    for (unsigned n = 0; n < 16; n++) {
        if (node->slot[n] == NULL) continue;
        size_t size = node_is_leaf(node, n) ? NODE_LEAF : NODE_INNER;
        memcpy(row + at, node->slot[n], size);
        at += size;
    }
    store_be64(row + at, xxh3(row, at, 0));
    return at + NODE_CHECKSUM;
}

void node_flush(struct node_queue *queue) {
    sha256_two_blocks((const uint8_t(*)[SHA256_TWO_BLOCKS])queue->message, queue->digest, queue->count);
    queue->count = 0;
}

/* Queues H(tag | first | second) for `digest`. The inputs are copied: only digests of this flush are out of bounds. */
static void enqueue(struct node_queue *queue, const uint8_t *tag, size_t tag_size, const uint8_t *first,
                    const uint8_t *second, uint8_t *digest) {
    if (queue->count == sizeof queue->digest / sizeof *queue->digest) node_flush(queue);
    uint8_t *message = queue->message[queue->count];
    memcpy(message, tag, tag_size);
    memcpy(message + tag_size, first, SHA256_SIZE);
    memcpy(message + tag_size + SHA256_SIZE, second, SHA256_SIZE);
    sha256_pad(message, tag_size + 2 * SHA256_SIZE);
    queue->digest[queue->count++] = digest;
}

static void child_hashes(struct node_queue *queue, const struct node *node, uint16_t dirty, node_hashes hashes) {
    for (unsigned n = 0; n < 16; n++) {
        if (!(dirty >> n & 1)) continue;
        const uint8_t *slot = node->slot[n];
        uint8_t *hash = hashes[16 + n];
        if (slot == NULL) memcpy(hash, node_placeholder, SHA256_SIZE);
        else if (!node_is_leaf(node, n)) memcpy(hash, slot_inner_hash(slot), SHA256_SIZE);
        else enqueue(queue, leaf_tag, TAG_LEAF, slot_key_hash(slot), slot_value_hash(slot), hash);
    }
}

void node_hash_step(struct node_queue *queue, const struct node *node, uint16_t dirty, unsigned step,
                    node_hashes hashes) {
    assert(step < NODE_HASH_STEPS);
    if (step == 0) {
        child_hashes(queue, node, dirty, hashes);
        return;
    }
    unsigned width = 1u << step, first = 16 >> step;
    for (unsigned i = first; i < 2 * first; i++) {
        uint32_t range = ((1u << width) - 1) << ((i - first) * width);
        if (!(dirty & range)) continue;
        uint32_t there = node->children & range;
        bool single = there != 0 && (there & (there - 1)) == 0;
        if (there == 0) {
            memcpy(hashes[i], node_placeholder, SHA256_SIZE);
        } else if (single && (node->leaves & there) != 0) {
            memcpy(hashes[i], hashes[16 + __builtin_ctz(there)], SHA256_SIZE);
        } else {
            enqueue(queue, inner_tag, TAG_INNER, hashes[2 * i], hashes[2 * i + 1], hashes[i]);
        }
    }
}

void node_hash_all(const struct node *node, node_hashes hashes) {
    struct node_queue queue;
    queue.count = 0;
    for (unsigned step = 0; step < NODE_HASH_STEPS; step++) {
        node_hash_step(&queue, node, 0xffff, step, hashes);
        node_flush(&queue);
    }
}

void node_hash(const struct node *node, uint8_t hash[SHA256_SIZE]) {
    node_hashes hashes;
    node_hash_all(node, hashes);
    memcpy(hash, hashes[1], SHA256_SIZE);
}
