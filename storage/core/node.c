#include "node.h"

#include <assert.h>
#include <string.h>

#include "xxh3.h"

enum { KIND_NONE = 0, KIND_REF = 255 };

static uint64_t load_be64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return __builtin_bswap64(x);
}

static void store_be64(uint8_t *p, uint64_t x) {
    x = __builtin_bswap64(x);
    memcpy(p, &x, 8);
}

uint64_t slot_version(const uint8_t *slot) { return load_be64(slot); }

void slot_set_version(uint8_t *slot, uint64_t version) { store_be64(slot, version); }

static void forget(struct node *node, uint16_t bit) {
    node->refs &= (uint16_t)~bit;
    node->singles &= (uint16_t)~bit;
    node->groups &= (uint16_t)~bit;
}

void node_set_leaves(struct node *node, unsigned n, const uint8_t *leaves, size_t count) {
    uint16_t bit = (uint16_t)(1u << n);
    forget(node, bit);
    if (count == 1) node->singles |= bit;
    if (count > 1) node->groups |= bit;
    node->count[n] = (uint32_t)count;
    node->slot[n] = count > 0 ? leaves : NULL;
    node->hash[n] = NULL;
}

void node_set_ref(struct node *node, unsigned n, const uint8_t *slot) {
    uint16_t bit = (uint16_t)(1u << n);
    forget(node, bit);
    node->refs |= bit;
    node->count[n] = 0;
    node->slot[n] = slot;
    node->hash[n] = slot_inner_hash(slot);
}

size_t node_leaves(const struct node *node) {
    size_t count = 0;
    for (unsigned n = 0; n < 16; n++) count += node->count[n];
    return count;
}

static bool bit_of(const uint8_t *leaf, unsigned bit) { return slot_key_hash(leaf)[bit / 8] >> (7 - bit % 8) & 1; }

static bool ascending(const uint8_t *leaves, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const uint8_t *leaf = leaves + i * NODE_LEAF;
        if (memcmp(slot_key_hash(leaf - NODE_LEAF), slot_key_hash(leaf), SHA256_SIZE) >= 0) return false;
    }
    return true;
}

bool node_leaves_good(const uint8_t *leaves, size_t count, unsigned bit) {
    if (bit >= 8 * SHA256_SIZE || !ascending(leaves, count)) return false;
    const uint8_t *last = leaves + (count > 0 ? count - 1 : 0) * NODE_LEAF;
    for (unsigned i = 0; count > 0 && i < bit; i++) {
        if (bit_of(leaves, i) != bit_of(last, i)) return false;
    }
    return true;
}

/* Bytes of a child of this kind. */
static size_t child_size(uint8_t kind) {
    if (kind == KIND_REF) return NODE_INNER;
    return (size_t)kind * NODE_LEAF + (kind > 1 ? SHA256_SIZE : 0);
}

/* Takes child n at `child`. */
static void point_child(struct node *node, unsigned n, uint8_t kind, const uint8_t *child) {
    if (kind == KIND_REF) {
        node_set_ref(node, n, child);
    } else if (kind > 1) {
        node_set_leaves(node, n, child + SHA256_SIZE, kind);
        node->hash[n] = child;
    } else {
        node_set_leaves(node, n, child, kind);
    }
}

void node_point(struct node *node, const uint8_t *row) {
    memset(node, 0, sizeof *node);
    const uint8_t *child = row + NODE_HEADER;
    for (unsigned n = 0; n < 16; n++) {
        point_child(node, n, row[n], child);
        child += child_size(row[n]);
    }
}

static bool good(const uint8_t *row, size_t size) {
    if (size < NODE_HEADER + NODE_CHECKSUM || size > NODE_MAX) return false;
    size -= NODE_CHECKSUM;
    if (load_be64(row + size) != xxh3(row, size, 0)) return false;
    size_t at = NODE_HEADER;
    for (unsigned n = 0; n < 16; n++) {
        const uint8_t *child = row + at;
        at += child_size(row[n]);
        if (at > size) return false;
        if (row[n] > 1 && row[n] != KIND_REF && !ascending(child + SHA256_SIZE, row[n])) return false;
    }
    return at == size;
}

bool node_parse(struct node *node, const uint8_t *row, size_t size) {
    if (good(row, size)) {
        node_point(node, row);
        return true;
    }
    memset(node, 0, sizeof *node);
    return false;
}

size_t node_size(const struct node *node) {
    size_t refs = (size_t)__builtin_popcount(node->refs), groups = (size_t)__builtin_popcount(node->groups);
    return NODE_HEADER + refs * NODE_INNER + groups * SHA256_SIZE + node_leaves(node) * NODE_LEAF + NODE_CHECKSUM;
}

static void write_kinds(const struct node *node, uint8_t kinds[NODE_HEADER]) {
    for (unsigned n = 0; n < 16; n++) {
        assert(node->count[n] < KIND_REF);
        kinds[n] = node->refs >> n & 1 ? KIND_REF : (uint8_t)node->count[n];
    }
}

static void write_child(const struct node *node, unsigned n, uint8_t *child, size_t size) {
    if (node->groups >> n & 1) {
        memcpy(child, node->hash[n], SHA256_SIZE);
        child += SHA256_SIZE;
        size -= SHA256_SIZE;
    }
    if (size > 0) memcpy(child, node->slot[n], size);
}

/* Writes the children that are in `these` behind the kinds, and the checksum; returns the size of the row. */
static size_t write_children(const struct node *node, uint16_t these, uint8_t *row) {
    size_t at = NODE_HEADER;
    for (unsigned n = 0; n < 16; n++) {
        size_t size = child_size(row[n]);
        assert(at + size + NODE_CHECKSUM <= NODE_MAX);
        if (these >> n & 1) write_child(node, n, row + at, size);
        at += size;
    }
    store_be64(row + at, xxh3(row, at, 0));
    return at + NODE_CHECKSUM;
}

size_t node_write(const struct node *node, uint8_t *row) {
    write_kinds(node, row);
    return write_children(node, 0xffff, row);
}

size_t node_rewrite(const struct node *node, uint16_t dirty, uint8_t *row) {
    uint8_t kinds[NODE_HEADER];
    write_kinds(node, kinds);
    return memcmp(kinds, row, sizeof kinds) == 0 ? write_children(node, dirty, row) : 0;
}

struct digest node_hash_leaves(struct rounds *rounds, const uint8_t *leaves, size_t count, unsigned bit, uint8_t *out) {
    if (count == 0) return rounds_nothing();
    if (count == 1) return rounds_leaf(rounds, slot_key_hash(leaves), NULL);
    assert(bit < 8 * SHA256_SIZE); /* the keys ascend, so they differ somewhere */
    size_t low = 0, high = count;  /* the first leaf whose bit is set */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bit_of(leaves + middle * NODE_LEAF, bit)) high = middle;
        else low = middle + 1;
    }
    struct digest left = node_hash_leaves(rounds, leaves, low, bit + 1, NULL);
    struct digest right = node_hash_leaves(rounds, leaves + low * NODE_LEAF, count - low, bit + 1, NULL);
    /* Two keys on one side are more than one: a join is always made. */
    return rounds_join(rounds, left, right, out);
}

static struct digest hash_child(struct rounds *rounds, struct node *node, unsigned n, unsigned depth, bool dirty, uint8_t *hash) {
    uint16_t bit = (uint16_t)(1u << n);
    if (node->singles & bit) return rounds_leaf(rounds, slot_key_hash(node->slot[n]), hash);
    if (node->groups & bit && (dirty || node->hash[n] == NULL)) {
        struct digest digest = node_hash_leaves(rounds, node->slot[n], node->count[n], 4 * (depth + 1), hash);
        node->hash[n] = digest.at;
        return digest;
    }
    return node->slot[n] != NULL ? (struct digest){node->hash[n], 0, 2} : rounds_nothing();
}

struct ranges {
    struct rounds *rounds;
    struct node *node;
    uint8_t (*hashes)[SHA256_SIZE], (*children)[SHA256_SIZE];
    unsigned depth;
    uint16_t dirty;
    bool anew;
};

static struct digest hash_range(const struct ranges *r, unsigned i) {
    if (i >= 16) {
        unsigned n = i - 16;
        return hash_child(r->rounds, r->node, n, r->depth, r->dirty >> n & 1, r->children != NULL ? r->children[n] : NULL);
    }
    unsigned level = 31u - (unsigned)__builtin_clz(i), width = 16u >> level, first = i * width - 16;
    uint32_t range = ((1u << width) - 1) << first;
    const struct node *node = r->node;
    if (!r->anew && !(r->dirty & range)) {
        uint32_t single = node->singles & range, more = (node->refs | node->groups) & range;
        if (more != 0 || (single & (single - 1)) != 0) return (struct digest){r->hashes[i], 0, 2};
    }
    struct digest left = hash_range(r, 2 * i);
    return rounds_join(r->rounds, left, hash_range(r, 2 * i + 1), r->hashes[i]);
}

struct digest node_hash_ranges(struct rounds *rounds, struct node *node, unsigned depth, uint16_t dirty, bool anew,
                               node_ranges ranges, node_ranges children) {
    struct ranges all = {rounds, node, ranges, children, depth, dirty, anew};
    return hash_range(&all, 1);
}

bool node_hash_all(const struct node *node, node_hashes hashes) {
    struct rounds rounds;
    rounds_open(&rounds);
    struct node copy = *node; /* no group is hashed, for all have the hash they record */
    node_hash_ranges(&rounds, &copy, 0, 0, true, hashes, hashes + 16);
    bool ok = rounds_run(&rounds);
    rounds_free(&rounds);
    for (unsigned i = 31; i >= 1; i--) { /* what had nothing to hash */
        unsigned n = i - 16;
        if (i >= 16) {
            if (node->slot[n] == NULL) memcpy(hashes[i], placeholder, SHA256_SIZE);
            else if (node->hash[n] != NULL) memcpy(hashes[i], node->hash[n], SHA256_SIZE);
            continue;
        }
        unsigned level = 31u - (unsigned)__builtin_clz(i), width = 16u >> level;
        uint32_t range = ((1u << width) - 1) << (i * width - 16), single = node->singles & range;
        if ((node->refs | node->groups) & range || (single & (single - 1)) != 0) continue;
        if (single == 0) memcpy(hashes[i], placeholder, SHA256_SIZE);
        else memcpy(hashes[i], hashes[16 + __builtin_ctz(single)], SHA256_SIZE);
    }
    return ok;
}
