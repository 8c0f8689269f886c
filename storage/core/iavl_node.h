/* Nodes of the IAVL tree, hashed and as rows (cosmos/iavl v1, node.go, has other rows and the same hashes).
 *
 *   leaf    H(zz 0 | zz 1 | zz version | uv key size | key | 20 | value hash)
 *   inner   H(zz height | zz size | zz version | 20 | left hash | 20 | right hash)       zz: zigzag varint, uv: varint
 *
 * A row holds a node and what is below it down to the next band of IAVL_BAND heights, in pre-order, then the seal (seal.h)
 * under no key. Numbers are varints; a version is the node's own, as it is hashed.
 *
 *   0 | version | key size | key | value hash 32                        a leaf
 *   1 | height | size | version | key size | key | left | right         an inner node; key: the smallest of its right half
 *   2 | height | size | version | row key 12 | hash 32                  a node with a row of its own
 *
 * Where rows end is a matter of speed: whoever reads takes any. The key of a row is version u64 BE | number u32 BE.
 */
#ifndef IOI_IAVL_NODE_H
#define IOI_IAVL_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"
#include "pool.h"
#include "sha256.h"

enum {
    IAVL_BAND = 4,        /* with keys of 37 bytes a row then fits half a page of LMDB */
    IAVL_HEIGHTS = 101,   /* 0..100: trees of 2^64 keys stay below */
    IAVL_KEY_MAX = 65535, /* bytes; a store allows fewer */
    IAVL_ROW_KEY = 12,
    IAVL_META_MAX = 22,
};

/* A row, read or not. */
struct iavl_row {
    uint8_t key[IAVL_ROW_KEY];
    bool stale; /* not all of it is part of the tree any more */
};

struct iavl_node {
    struct iavl_node *left, *right; /* NULL: a leaf, or not read yet */
    const uint8_t *key;             /* NULL: not read yet; then row, hash and, but for the root, the numbers are known */
    const uint8_t *value_hash;      /* of a leaf */
    struct iavl_row *row;           /* in which it stands; NULL: none yet */
    uint64_t size, version;
    uint32_t key_size;
    uint32_t number; /* free for the user */
    uint8_t height;  /* 0: a leaf */
    uint8_t hash[SHA256_SIZE];
};

static inline bool iavl_is_read(const struct iavl_node *node) { return node->key != NULL; }
static inline bool iavl_is_leaf(const struct iavl_node *node) { return node->height == 0; } /* of those that were read */

/* Which key comes first: byte by byte, a prefix before what it begins. As memcmp. */
int iavl_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

/* What the hash of a node begins with: its height, size and version. Returns how many bytes. */
size_t iavl_meta(const struct iavl_node *node, uint8_t meta[IAVL_META_MAX]);

/* Hashes to compute, lowest nodes first, so that the hardware always has several to interleave. All zero is empty. */
struct iavl_hashing {
    struct list heights[IAVL_HEIGHTS];
    uint8_t *messages;
    size_t room;
};

/* The hash of this node is to be computed. The halves of an inner node have theirs, or were added too. False: no memory. */
bool iavl_hash_add(struct iavl_hashing *hashing, struct iavl_node *node);
bool iavl_hash_run(struct iavl_hashing *hashing);
void iavl_hash_free(struct iavl_hashing *hashing);

enum iavl_parsed { IAVL_PARSED, IAVL_NO_ROW, IAVL_NO_MEMORY };

/* Reads a row into `top`, whose `row` it is, and into new nodes from `pool`. Nodes point into the row. Heights and sizes fit
 * those below, and no node leans. Those that stand in it are added to `hashing`: the hash of `top` says whether they are the
 * ones that were written. */
enum iavl_parsed iavl_parse(struct iavl_node *top, const uint8_t *row, size_t size, struct pool *pool,
                            struct iavl_hashing *hashing);

/* How long a row with these nodes is, seal included, and the row. stands_in(child, parent): whether a child stands in the
 * row of its parent; of others `row` says where they do. */
typedef bool iavl_stands_in(const struct iavl_node *child, const struct iavl_node *parent);
size_t iavl_row_size(const struct iavl_node *top, iavl_stands_in *stands_in);
/* False: no memory. */
bool iavl_row_write(const struct iavl_node *top, iavl_stands_in *stands_in, uint8_t *row, size_t size);

#endif
