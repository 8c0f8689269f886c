/* A node of the Jellyfish tree as it is stored (penumbra jmt 0.12, src/node_type.rs, has other rows and the same hashes).
 *
 * A node covers all keys whose hash begins with its path (0..63 nibbles) and has 16 children, one per next nibble. Where
 * they are few, the leaves below a child stand flat in this node's row; else the child has a row of its own.
 *
 *   row    kind u8 x 16 (of child n: 0 no key, 255 a row of its own, else its number of leaves) | children, ascending
 *          | XXH3-64 of all that, u64 BE (the hash of a node does not cover the versions)
 *   child  with a row: the slot: version u64 BE of that row | hash 32                            = 40 bytes
 *          one key:    the leaf: version u64 BE of the value's row | key hash 32 | value hash 32 = 72 bytes
 *          more keys:  the group: hash 32 | leaves, ascending by key hash                        = 32 + 72 n bytes
 *
 * A row and its key fill at most half a page of LMDB. A node with a child that has a row, and the root, has no group.
 */
#ifndef IOI_NODE_H
#define IOI_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rounds.h"
#include "sha256.h"

enum {
    NODE_HEADER = 16,
    NODE_INNER = 40,
    NODE_LEAF = 72,
    NODE_CHECKSUM = 8,
    NODE_MAX = 2022,  /* 2038 less LMDB's 8 and the version of the row key; see node_room */
    NODE_DEPTHS = 64, /* nibbles of a key hash */
};

struct node {
    uint16_t refs, singles, groups; /* bit n: what child n is, at most one of these */
    uint32_t count[16];             /* leaves of child n; 0 of one with a row */
    const uint8_t *slot[16];        /* its slot, or its leaves; NULL: no key. Memory the node does not own */
    const uint8_t *hash[16];        /* of a ref or a group, as recorded; NULL: of a group, unknown */
};

/* Hashes of the 31 aligned ranges of a node: [1] all, [2i] and [2i+1] the halves of [i], [16+n] child n; and those of
 * more than one child alone. */
typedef uint8_t node_hashes[32][SHA256_SIZE];
typedef uint8_t node_ranges[16][SHA256_SIZE];

static inline unsigned node_nibble(const uint8_t *key_hash, unsigned depth) {
    return depth % 2 == 0 ? key_hash[depth / 2] >> 4 : key_hash[depth / 2] & 15;
}

/* The parts of slots and leaves. */
static inline const uint8_t *slot_inner_hash(const uint8_t *slot) { return slot + 8; }
static inline const uint8_t *slot_key_hash(const uint8_t *leaf) { return leaf + 8; }
static inline const uint8_t *slot_value_hash(const uint8_t *leaf) { return leaf + 8 + SHA256_SIZE; }
uint64_t slot_version(const uint8_t *slot);
void slot_set_version(uint8_t *slot, uint64_t version);

/* Replaces child n. `count` leaves (none: no key), whose hash is unknown as yet; or a row of its own. */
void node_set_leaves(struct node *node, unsigned n, const uint8_t *leaves, size_t count);
void node_set_ref(struct node *node, unsigned n, const uint8_t *slot);

/* How many leaves stand in the row. */
size_t node_leaves(const struct node *node);

/* Reads a row; the slots point into it. False, and a node without keys, if it is no row. */
bool node_parse(struct node *node, const uint8_t *row, size_t size);

/* How long the row of a node is, how long that of a node at this depth may be, and the row: at most NODE_MAX bytes. */
size_t node_size(const struct node *node);
static inline size_t node_room(unsigned depth) { return (size_t)NODE_MAX - depth; }
size_t node_write(const struct node *node, uint8_t *row);

/* Reads a row that is known to be good. */
void node_point(struct node *node, const uint8_t *row);

/* Makes a row that of a node which differs from it in the children `dirty` alone, and returns its size. 0, and nothing is
 * done, if they take another room than those in it: then the row is to be written anew. */
size_t node_rewrite(const struct node *node, uint16_t dirty, uint8_t *row);

/* Whether leaves ascend and agree in their first `bit` bits. */
bool node_leaves_good(const uint8_t *leaves, size_t count, unsigned bit);

/* Adds the hashing of `count` leaves that agree in their first `bit` bits; `out` gets the digest unless there is one
 * key or none. */
struct digest node_hash_leaves(struct rounds *rounds, const uint8_t *leaves, size_t count, unsigned bit, uint8_t *out);

/* Adds the hashing of a node at `depth`. Only ranges that touch `dirty` are done anew: of groups in it the leaves are
 * hashed, and node->hash will be there; all else is taken from ranges[1..15], or what the row records. `children` gets
 * the hashes of the children that are hashed; NULL: they are there, as node->hash is, until rounds are added to. */
struct digest node_hash_ranges(struct rounds *rounds, struct node *node, unsigned depth, uint16_t dirty, bool anew,
                               node_ranges ranges, node_ranges children);

/* The hashes of one node, all of them; false if there is no memory. Of ranges with one key it is that key's. */
bool node_hash_all(const struct node *node, node_hashes hashes);

#endif
