/* Internal to jellyfish_*.c: the partial tree a batch touches, while it is worked on. */
#ifndef IOI_STAGE_H
#define IOI_STAGE_H

#include "jellyfish.h"
#include "pool.h"

#define NO_ROW UINT64_MAX /* old_version of a node that did not exist before */

struct work {
    struct node node;
    struct work *parent;
    struct work *child[16];  /* the children that are worked on */
    const uint8_t *key_hash; /* of some key below: its first `depth` nibbles are the path */
    const uint8_t *expected; /* the hash the parent recorded (rows only) */
    uint64_t old_version;    /* of the row, or NO_ROW */
    uint32_t begin, end;     /* its entries */
    uint16_t dirty;          /* children that are no longer what they were */
    uint8_t depth, nibble;   /* nibble: the last of the path */
    bool keep;               /* after closing: belongs to the tree and has a new row */
    node_hashes hashes;
};

struct list {
    void **at;
    size_t count, room;
};

struct stale {
    const uint8_t *key_hash;
    uint64_t version;
    uint8_t kind, size;
};

struct jf_stage {
    struct pool pool;
    const struct jf_entry *entries;
    uint8_t *effects;
    size_t count;
    uint64_t version;
    struct work top;                      /* holds the subtree's slot as its only child; has no row itself */
    struct list levels[NODE_DEPTHS + 1];  /* of struct work, by depth, each ascending by path */
    struct list wanted;                   /* of struct work, ascending by (version, path) */
    struct list rows, stales;
};

bool list_add(struct list *list, void *item);

/* Notes that a row is no longer part of the tree. */
bool stage_stale(struct jf_stage *stage, uint8_t kind, uint64_t version, const uint8_t *key_hash, unsigned size);

/* Hashes the nodes of a list: `all` of them wholly, or of those to keep what changed. */
void stage_hash(const struct list *works, bool all);

#endif
