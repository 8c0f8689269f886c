#include "sums.h"

enum { BITS = 4, WAYS = 1 << BITS, POSITION_BITS = 29, LEVELS_MAX = (POSITION_BITS + BITS - 1) / BITS };

/* What a position says: a record of its version, with ABORTED where that is an ESTIMATE, or one of these. */
enum { UNTOLD = 0, NOTHING = 1, LOOK = 2 };
enum { ABORTED = 1 /* records lie at multiples of two units */ };

typedef struct leaf {
    a32 says[WAYS];
} leaf;

typedef struct child {
    a64 low, high; /* halves of the sum */
    a32 ends, aborted;
    a32 node; /* a leaf or a node */
} child;

typedef struct node {
    child child[WAYS];
} node;

struct ioi_sums {
    uint32_t from, levels; /* of nodes, over a level of leaves */
    a32 whole;
    node root;
};

static inline uint32_t digit(uint32_t position, uint32_t level) { return (position >> (level * BITS)) & (WAYS - 1); }

/* ---- what a position says ---------------------------------------------------------------------------------- */

static uint32_t saying(const ioi_arena *arena, uint64_t word) {
    if (!word) return NOTHING;
    assert(!(word & IOI_CACHED) && word >= IOI_BLOCK_AT && "a record of the block, and none of the three");
    return ioi_ref_of(arena, ioi_word_record(arena, word)) | (word & IOI_ESTIMATE ? ABORTED : 0);
}

/* The word again. */
static uint64_t said(const ioi_arena *arena, uint32_t says) {
    return ioi_seen_word(arena, says & ~(uint32_t)ABORTED) | (says & ABORTED ? IOI_ESTIMATE : 0);
}

/* What a position counts for in the nodes above. */
typedef struct weight {
    ioi_u128 added;
    uint32_t ends, aborted;
} weight;

static weight weigh(const ioi_arena *arena, uint32_t says) {
    if (says == UNTOLD || says == NOTHING) return (weight){0};
    if (says == LOOK) return (weight){.ends = 1}; /* not to be passed over */
    uint64_t word = said(arena, says);
    if (!ioi_word_added(word)) return (weight){.ends = 1};
    return (weight){ioi_added_by(arena, word), 0, says & ABORTED};
}

/* ---- telling ----------------------------------------------------------------------------------------------- */

/* The leaf of a position, and the nodes above it; what is missing is made. NULL when the arena is full. */
static leaf *leaf_for(ioi_alloc *alloc, ioi_sums *sums, uint32_t position, node *path[LEVELS_MAX + 1]) {
    const ioi_arena *arena = alloc->arena;
    node *at = &sums->root;
    for (uint32_t level = sums->levels;; level--) {
        path[level] = at;
        a32 *slot = &at->child[digit(position, level)].node;
        ioi_ref below = a32_load(slot);
        if (!below) {
            uint64_t bytes = level == 1 ? sizeof(leaf) : sizeof(node);
            void *made = ioi_alloc_bytes(alloc, bytes, IOI_LINE);
            if (!made) return NULL;
            memset(made, 0, bytes);
            if (a32_cas(slot, &below, ioi_ref_of(arena, made))) below = ioi_ref_of(arena, made);
            else ioi_alloc_undo(alloc, made, bytes); /* `below` is the winner's */
        }
        if (level == 1) return ioi_deref(arena, below);
        at = ioi_deref(arena, below);
    }
}

/* A position said one thing and says another. Additions commute, and carry once for each time that a half wraps: so both halves are right
 * as soon as nobody is at it, whatever the order. */
static void change(const ioi_arena *arena, const ioi_sums *sums, node *path[LEVELS_MAX + 1], uint32_t position, uint32_t before,
                   uint32_t after) {
    weight old = weigh(arena, before), new = weigh(arena, after);
    ioi_u128 by = new.added - old.added;
    for (uint32_t level = 1; level <= sums->levels; level++) {
        child *c = &path[level]->child[digit(position, level)];
        uint64_t low = (uint64_t)by, high = (uint64_t)(by >> 64);
        if (low && a64_add(&c->low, low) + low < low) high++;
        if (high) a64_add(&c->high, high);
        if (new.ends != old.ends) a32_add(&c->ends, new.ends - old.ends);
        if (new.aborted != old.aborted) a32_add(&c->aborted, new.aborted - old.aborted);
    }
}

bool ioi_sums_set(ioi_alloc *alloc, ioi_sums *sums, uint32_t position, uint64_t word) {
    node *path[LEVELS_MAX + 1];
    leaf *l = leaf_for(alloc, sums, position, path);
    if (!l) return false;
    uint32_t says = saying(alloc->arena, word);
    /* An exchange: the maker may say it first, and then what it said is what has changed. */
    uint32_t before = a32_xchg(&l->says[digit(position, 0)], says);
    change(alloc->arena, sums, path, position, before, says);
    return true;
}

/* ---- making ------------------------------------------------------------------------------------------------ */

bool ioi_sums_whole(const ioi_sums *sums, uint32_t from) { return a32_load(&sums->whole) && sums->from <= from; }

typedef struct making {
    ioi_alloc *alloc;
    ioi_sums *sums;
} making;

static bool tell(void *context, const ioi_version *version) {
    making *m = context;
    node *path[LEVELS_MAX + 1];
    leaf *l = leaf_for(m->alloc, m->sums, version->position, path);
    if (!l) return false;
    uint64_t word = a64_load_sc(&version->cell); /* after the sums were published: what is not seen here, its owner tells */
    uint32_t says = word ? saying(m->alloc->arena, word) : LOOK, untold = UNTOLD;
    if (a32_cas(&l->says[digit(version->position, 0)], &untold, says))
        change(m->alloc->arena, m->sums, path, version->position, UNTOLD, says);
    return true;
}

void ioi_sums_make(ioi_alloc *alloc, ioi_entry *entry, uint32_t from) {
    const ioi_arena *arena = alloc->arena;
    if (!ioi_versions_all_in_trie(alloc, entry)) return; /* somebody is at it: whoever walks next */
    a32 *at = ioi_versions_sums(arena, entry);
    if (a32_load(at)) return;
    ioi_sums *sums = ioi_alloc_bytes(alloc, sizeof *sums, IOI_LINE);
    if (!sums) return;
    memset((void *)sums, 0, sizeof *sums);
    sums->from = from;
    sums->levels = 1;
    for (uint64_t room = WAYS * WAYS; room < (uint64_t)arena->shared->block.n + 3; room *= WAYS) sums->levels++;
    assert(sums->levels <= LEVELS_MAX);
    ioi_ref none = 0;
    if (!a32_cas(at, &none, ioi_ref_of(arena, sums))) {
        ioi_alloc_undo(alloc, sums, sizeof *sums);
        return;
    }
    making m = {alloc, sums};
    if (ioi_versions_each(arena, entry, from, tell, &m)) a32_store(&sums->whole, 1);
}

/* ---- asking ------------------------------------------------------------------------------------------------ */

typedef struct asking {
    ioi_alloc *alloc;
    ioi_entry *entry;
    uint32_t from, to;
    ioi_sum *sum;
} asking;

/* What the cell of a position says; 0: nothing. */
static uint64_t look(const asking *a, uint32_t position) {
    uint64_t cell;
    const ioi_version *version = ioi_versions_below(a->alloc, a->entry, position + 1, &cell);
    return version && version->position == position ? cell : 0;
}

/* The position under it that ends the sum: true. */
static bool up_leaf(const asking *a, const leaf *l, uint32_t first, uint32_t low, uint32_t high) {
    const ioi_arena *arena = a->alloc->arena;
    ioi_sum *sum = a->sum;
    for (uint32_t i = high + 1; i-- > low;) {
        uint32_t says = a32_load(&l->says[i]);
        if (says == UNTOLD || says == NOTHING) continue;
        sum->steps++;
        uint64_t word = says == LOOK ? look(a, first + i) : said(arena, says);
        if (!word) continue;
        if (!ioi_word_added(word)) {
            sum->word = word;
            sum->position = first + i;
            return true;
        }
        sum->added += ioi_added_by(arena, word);
        if (word & IOI_ESTIMATE && !sum->aborted) {
            sum->aborted = first + i;
            sum->aborted_word = word;
        }
    }
    return false;
}

/* Under a node or leaf whose first position is `first`. */
static bool up(const asking *a, const void *under, uint32_t level, uint32_t first) {
    const ioi_arena *arena = a->alloc->arena;
    uint32_t size = UINT32_C(1) << (level * BITS); /* of a child */
    uint32_t low = a->from > first ? (a->from - first) / size : 0, high = (a->to - 1 - first) / size;
    if (high >= WAYS) high = WAYS - 1;
    if (level == 0) return up_leaf(a, under, first, low, high);
    for (uint32_t i = high + 1; i-- > low;) {
        const child *c = &((const node *)under)->child[i];
        uint32_t at = first + i * size;
        bool within = at >= a->from && a->to - at >= size;
        if (within && !a32_load(&c->ends) && (a->sum->aborted || !a32_load(&c->aborted))) {
            ioi_u128 added = (ioi_u128)a64_load(&c->high) << 64 | a64_load(&c->low);
            a->sum->added += added;
            a->sum->steps += added != 0;
            continue;
        }
        ioi_ref below = a32_load(&c->node);
        if (below && up(a, ioi_deref(arena, below), level - 1, at)) return true;
    }
    return false;
}

bool ioi_sums_up(ioi_alloc *alloc, ioi_entry *entry, const ioi_sums *sums, uint32_t from, uint32_t to, ioi_sum *sum) {
    assert(from >= sums->from && to <= alloc->arena->shared->block.n + 2);
    if (from >= to) return false;
    asking a = {alloc, entry, from, to, sum};
    return up(&a, &sums->root, sums->levels, 0);
}
