/* A node of the Jellyfish tree as it is stored, and its hash (penumbra jmt 0.12, src/node_type.rs).
 *
 * A node covers all keys whose hash begins with its path (0..63 nibbles) and has up to 16 children, one per next nibble.
 * A child that covers one key is a leaf and lives in this node's row; a child that covers more has a row of its own.
 *
 *   row    children u16 BE (bit n: child n is there) | leaves u16 BE (of those, which are leaves) | slots, ascending
 *          | XXH3-64 of all that, u64 BE (the hash of a node does not cover the versions)
 *   slot   inner: version u64 BE of the child's row | hash 32                               = 40 bytes
 *          leaf:  version u64 BE of the value's row | key hash 32 | value hash 32           = 72 bytes
 *
 * Hash of a range of keys, so that the 16-way rows leave no trace in it:
 *   no key: the placeholder; one key: H("JMT::LeafNode" | key hash | value hash); else H("JMT::IntrnalNode" | left | right).
 */
#ifndef IOI_NODE_H
#define IOI_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sha256.h"

enum {
    NODE_HEADER = 4,
    NODE_INNER = 40,
    NODE_LEAF = 72,
    NODE_CHECKSUM = 8,
    NODE_MAX = NODE_HEADER + 16 * NODE_LEAF + NODE_CHECKSUM,
    NODE_DEPTHS = 64, /* nibbles of a key hash */
};

extern const uint8_t node_placeholder[SHA256_SIZE]; /* the hash of no keys */

struct node {
    uint16_t children, leaves; /* bit n: nibble n; leaves is a subset */
    const uint8_t *slot[16];   /* NULL where there is no child; pointers into memory the node does not own */
};

/* Hashes of the 31 aligned ranges of a node: [1] all, [2i] and [2i+1] the halves of [i], [16+n] child n. */
typedef uint8_t node_hashes[32][SHA256_SIZE];

static inline uint8_t node_nibble(const uint8_t *key_hash, unsigned depth) {
    return depth % 2 == 0 ? key_hash[depth / 2] >> 4 : key_hash[depth / 2] & 15;
}

static inline bool node_is_leaf(const struct node *node, unsigned nibble) { return node->leaves >> nibble & 1; }

/* What differs between the two kinds of slot. */
static inline const uint8_t *slot_inner_hash(const uint8_t *slot) { return slot + 8; }
static inline const uint8_t *slot_key_hash(const uint8_t *slot) { return slot + 8; }
static inline const uint8_t *slot_value_hash(const uint8_t *slot) { return slot + 8 + SHA256_SIZE; }
uint64_t slot_version(const uint8_t *slot);
void slot_set_version(uint8_t *slot, uint64_t version);

/* Replaces child `nibble`; slot NULL removes it. */
void node_set(struct node *node, unsigned nibble, const uint8_t *slot, bool leaf);

/* Reads a row; the slots point into it. False if it is no row. */
bool node_parse(struct node *node, const uint8_t *row, size_t size);

/* Writes the row; returns its size, at most NODE_MAX. */
size_t node_write(const struct node *node, uint8_t *row);

/* Messages waiting to be hashed together. Whoever needs a digest flushes first. */
struct node_queue {
    size_t count;
    uint8_t message[64][SHA256_TWO_BLOCKS];
    uint8_t *digest[64];
};

void node_flush(struct node_queue *queue);

/* Step 0..4 of hashing a node: the children's own hashes, then ranges of 2, 4, 8 and all 16. Only ranges that touch
 * `dirty` are done anew. Flush between the steps of a node; nodes do not depend on each other. */
void node_hash_step(struct node_queue *queue, const struct node *node, uint16_t dirty, unsigned step, node_hashes hashes);

enum { NODE_HASH_STEPS = 5 };

/* The hashes of one node, all steps; and the hash of the whole alone. */
void node_hash_all(const struct node *node, node_hashes hashes);
void node_hash(const struct node *node, uint8_t hash[SHA256_SIZE]);

#endif
