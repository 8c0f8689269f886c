/* Internal to jellyfish_*.c: the partial tree a batch touches, while it is worked on. */
#ifndef IOI_STAGE_H
#define IOI_STAGE_H

#include "jellyfish.h"
#include "list.h"
#include "pool.h"
#include "rounds.h"

#define NO_ROW UINT64_MAX /* old_version of a node that had no row before */

struct work { /* what is looked at most comes first */
    struct work *parent;
    const uint8_t *key_hash; /* of some key below: its first `depth` nibbles are the path */
    const uint8_t *expected; /* the hash the parent recorded (rows only) */
    uint8_t *ref;            /* the new slot, if it has a new row */
    struct crown_row *kept;  /* the row in the crown, if it was there: the node points into it */
    const uint8_t *row;      /* the new row */
    uint64_t old_version;    /* of the row, or NO_ROW */
    uint32_t begin, end;     /* its entries */
    uint16_t dirty;          /* children that are no longer what they were */
    uint16_t children;       /* those that are worked on */
    uint8_t depth, nibble;   /* nibble: the last of the path */
    uint16_t row_size;
    uint8_t (*ranges)[SHA256_SIZE]; /* its node_ranges; NULL: not known */
    struct work *child[16];
    struct node node;
};

struct stale {
    const uint8_t *key_hash;
    uint64_t version;
    uint8_t kind, size;
};

struct jf_stage {
    struct pool pool;
    struct rounds rounds;
    struct crown *crown; /* may be NULL */
    const struct jf_entry *entries;
    uint8_t *effects;
    size_t count;
    uint64_t version;
    struct work top;                     /* holds the subtree as its only child; has no row itself */
    struct list levels[NODE_DEPTHS + 1]; /* of struct work, by depth */
    struct list wanted;                  /* of struct work, ascending by (version, path) */
    struct list rows, stales;
};

/* So many nodes are hashed at a time: enough to interleave, few enough to stay in the first caches. */
enum { TOGETHER = 16 };

/* A node to work on, as child of one that is. NULL: no memory. */
struct work *stage_work(struct jf_stage *stage, struct work *parent, unsigned nibble, const uint8_t *key_hash);

/* Notes that a row is no longer part of the tree. */
bool stage_stale(struct jf_stage *stage, uint8_t kind, uint64_t version, const uint8_t *key_hash, unsigned size);

/* The end of the entries from `begin` on that agree in the nibble at `depth`. */
size_t stage_run(const struct jf_stage *stage, size_t begin, size_t end, unsigned depth);

#endif
