#include "versions.h"

#include <string.h>

enum { WAYS = 64, WAY_BITS = 6, LEVELS_MAX = 5 };

typedef struct way {
    a64 bits;
    a32 slot[WAYS]; /* an inner way: child ways; a leaf: ioi_version */
} way;

typedef struct trie {
    a32 migrated;
    a32 sums;
    uint32_t levels;
    way root;
} trie;

/* ---- trie ------------------------------------------------------------------------------------------------ */

static inline uint32_t digit(uint32_t position, uint32_t level) { return (position >> (level * WAY_BITS)) & (WAYS - 1); }

/* The leaf way of a position, made if missing; `path` gets the ways from leaf (0) to root (levels - 1). */
static way *leaf_for(ioi_alloc *alloc, trie *t, uint32_t position, way *path[LEVELS_MAX]) {
    const ioi_arena *arena = alloc->arena;
    way *at = &t->root;
    for (uint32_t level = t->levels - 1;; level--) {
        path[level] = at;
        if (level == 0) return at;
        a32 *slot = &at->slot[digit(position, level)];
        ioi_ref child = a32_load(slot);
        if (!child) {
            way *made = ioi_alloc_bytes(alloc, sizeof *made, 8);
            if (!made) return NULL;
            memset((void *)made, 0, sizeof *made);
            if (a32_cas(slot, &child, ioi_ref_of(arena, made))) child = ioi_ref_of(arena, made);
            else ioi_alloc_undo(alloc, made, sizeof *made); /* `child` is the winner's */
        }
        at = ioi_deref(arena, child);
    }
}

static inline void set_bit(way *w, uint32_t i) {
    if (!(a64_load(&w->bits) >> i & 1)) a64_or(&w->bits, UINT64_C(1) << i);
}

static bool trie_link(ioi_alloc *alloc, trie *t, ioi_version *node) {
    way *path[LEVELS_MAX];
    uint32_t position = node->position;
    way *leaf = leaf_for(alloc, t, position, path);
    if (!leaf) return false;
    a32_store(&leaf->slot[digit(position, 0)], ioi_ref_of(alloc->arena, node));
    /* From the leaf up: whoever sees a bit finds what is below it complete. */
    for (uint32_t level = 0; level < t->levels; level++) set_bit(path[level], digit(position, level));
    return true;
}

/* The leaf way of a position that was linked before. */
static way *linked_leaf(const ioi_arena *arena, trie *t, uint32_t position) {
    way *at = &t->root;
    for (uint32_t level = t->levels - 1; level; level--) {
        ioi_ref child = a32_load(&at->slot[digit(position, level)]);
        if (!child) return NULL;
        at = ioi_deref(arena, child);
    }
    return at;
}

/* Highest position < limit whose leaf bit is set, as its node; NULL if none. */
static ioi_version *trie_below(const ioi_arena *arena, trie *t, uint32_t limit) {
    for (;;) {
        if (limit == 0) return NULL;
        /* Find the lowest level at which something lies below `limit` beside its own path. */
        way *path[LEVELS_MAX];
        way *at = &t->root;
        uint32_t level = t->levels - 1;
        for (;; level--) {
            path[level] = at;
            if (level == 0) break;
            ioi_ref child = a32_load(&at->slot[digit(limit, level)]);
            if (!child) break;
            at = ioi_deref(arena, child);
        }
        uint64_t below = 0;
        for (; level < t->levels; level++) {
            below = a64_load(&path[level]->bits) & ((UINT64_C(1) << digit(limit, level)) - 1);
            if (below) break;
        }
        if (!below) return NULL;
        /* Down again along the highest bits. */
        at = path[level];
        uint32_t found = level + 1 < t->levels ? limit >> ((level + 1) * WAY_BITS) : 0;
        for (;; level--) {
            uint32_t i = 63 - (uint32_t)__builtin_clzll(below);
            found = found << WAY_BITS | i;
            ioi_ref child = a32_load(&at->slot[i]);
            if (level == 0) return ioi_deref(arena, child);
            at = ioi_deref(arena, child);
            below = a64_load(&at->bits);
            if (!below) { /* every write below was withdrawn: go on in front of it */
                limit = found << (level * WAY_BITS);
                break;
            }
        }
    }
}

/* ---- what few keys have ---------------------------------------------------------------------------------- */

ioi_deep *ioi_deep_make(ioi_alloc *alloc, ioi_entry *entry) {
    const ioi_arena *arena = alloc->arena;
    ioi_deep *deep = ioi_deep_of(arena, entry);
    if (deep) return deep;
    ioi_deep *made = ioi_alloc_bytes(alloc, sizeof *made, sizeof *made);
    if (!made) return NULL;
    memset((void *)made, 0, sizeof *made);
    ioi_ref none = 0;
    if (a32_cas(&entry->deep, &none, ioi_ref_of(arena, made))) return made;
    ioi_alloc_undo(alloc, made, sizeof *made);
    return ioi_deref(arena, none);
}

/* ---- list ------------------------------------------------------------------------------------------------ */

static trie *trie_of(const ioi_arena *arena, const ioi_entry *entry) {
    const ioi_deep *deep = ioi_deep_of(arena, entry);
    ioi_ref at = deep ? a32_load_sc(&deep->trie) : 0;
    return at ? ioi_deref(arena, at) : NULL;
}

/* The list node of a position, or where it belongs: *link is the slot that holds *older. Adds its steps to *walked. */
static ioi_version *list_find(const ioi_arena *arena, ioi_entry *entry, uint32_t position, a32 **link, ioi_ref *older,
                              uint32_t *walked) {
    *link = &entry->head;
    for (;; ++*walked) {
        *older = a32_load(*link);
        if (!*older) return NULL;
        ioi_version *v = ioi_deref(arena, *older);
        if (v->position == position) return v;
        if (v->position < position) return NULL;
        *link = &v->next;
    }
}

static bool promote(ioi_alloc *alloc, ioi_entry *entry) {
    const ioi_arena *arena = alloc->arena;
    ioi_deep *deep = ioi_deep_make(alloc, entry);
    trie *t = deep ? ioi_alloc_bytes(alloc, sizeof *t, 8) : NULL;
    if (!t) return false;
    memset((void *)t, 0, sizeof *t);
    t->levels = arena->shared->block.trie_levels;
    assert(t->levels >= 1 && t->levels <= LEVELS_MAX);
    ioi_ref none = 0;
    if (!a32_cas(&deep->trie, &none, ioi_ref_of(arena, t))) {
        ioi_alloc_undo(alloc, t, sizeof *t);
        return true; /* somebody else promotes */
    }
    for (ioi_ref at = a32_load_sc(&entry->head); at;) {
        ioi_version *v = ioi_deref(arena, at);
        if (!trie_link(alloc, t, v)) return false;
        at = a32_load_sc(&v->next);
    }
    a32_store(&t->migrated, 1);
    return true;
}

ioi_version *ioi_versions_node(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t room, ioi_made *how) {
    const ioi_arena *arena = alloc->arena;
    *how = IOI_MADE_BEFORE;
    a32 *link;
    ioi_ref older;
    uint32_t walked = 0;
    trie *t = trie_of(arena, entry);
    bool migrated = t && a32_load(&t->migrated); /* read before the trie, see ioi_versions_below */
    if (t) {
        way *leaf = linked_leaf(arena, t, position);
        ioi_ref at = leaf ? a32_load(&leaf->slot[digit(position, 0)]) : 0;
        if (at) return ioi_deref(arena, at);
    }
    /* Even with a trie: this position may have entered the list before it, and not be migrated yet. */
    if (!migrated) {
        ioi_version *v = list_find(arena, entry, position, &link, &older, &walked);
        if (v) return v;
    }
    ioi_version *made = ioi_alloc_bytes(alloc, sizeof *made + room, sizeof *made);
    if (!made) return NULL;
    *how = IOI_MADE_NOW;
    memset((void *)made, 0, sizeof *made);
    made->position = position;
    if (t) return trie_link(alloc, t, made) ? made : NULL;

    for (;;) {
        a32_store_relaxed(&made->next, older);
        if (a32_cas(link, &older, ioi_ref_of(arena, made))) break;
        ioi_version *v = list_find(arena, entry, position, &link, &older, &walked);
        assert(!v && "a position has one owner");
    }
    if (link == &entry->head && older == 0) *how = IOI_MADE_FIRST;
    if (walked > WALK_MAX && !promote(alloc, entry)) return NULL;
    /* Look again: a promoter may have walked past before the node stood in the list. Linking twice is harmless. */
    t = trie_of(arena, entry);
    if (t && !trie_link(alloc, t, made)) return NULL;
    return made;
}

void ioi_versions_set(const ioi_arena *arena, ioi_entry *entry, ioi_version *node, uint64_t cell) {
    uint64_t before = a64_load_relaxed(&node->cell);
    a64_xchg(&node->cell, cell);
    if ((before == 0) == (cell == 0)) return;
    trie *t = trie_of(arena, entry);
    if (!t) return;
    way *leaf = linked_leaf(arena, t, node->position);
    if (!leaf) return; /* the promoter has not come to it yet, and will set the bit; a set bit on a 0 cell is only slower */
    uint64_t bit = UINT64_C(1) << digit(node->position, 0);
    if (cell) {
        if (a32_load(&leaf->slot[digit(node->position, 0)])) a64_or(&leaf->bits, bit);
    } else {
        a64_and(&leaf->bits, ~bit);
    }
}

ioi_version *ioi_versions_below(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t *cell) {
    const ioi_arena *arena = alloc->arena;
    ioi_version *best = NULL;
    trie *t = trie_of(arena, entry);
    if (t) {
        /* Before the trie is searched: what it lacked then may stand in the list alone, though it is linked a moment later. */
        bool migrated = a32_load(&t->migrated);
        for (uint32_t limit = position; (best = trie_below(arena, t, limit)); limit = best->position)
            if ((*cell = a64_load(&best->cell))) break;
        if (migrated) return best;
    }
    uint32_t walked = 0;
    for (ioi_ref at = a32_load(&entry->head); at; walked++) {
        ioi_version *v = ioi_deref(arena, at);
        if (best && v->position <= best->position) break;
        uint64_t word;
        if (v->position < position && (word = a64_load(&v->cell))) {
            *cell = word;
            best = v;
            break;
        }
        at = a32_load(&v->next);
    }
    if (walked > WALK_MAX && !t) promote(alloc, entry); /* no room for it: then the next one walks again */
    return best;
}

ioi_version *ioi_versions_older(ioi_alloc *alloc, ioi_entry *entry, const ioi_version *version, uint64_t *cell) {
    const ioi_arena *arena = alloc->arena;
    /* No trie: there was none when the version was linked, so it is in the list, and so is all that is older. */
    if (trie_of(arena, entry)) return ioi_versions_below(alloc, entry, version->position, cell);
    for (ioi_ref at = a32_load(&version->next); at;) {
        ioi_version *v = ioi_deref(arena, at);
        if ((*cell = a64_load(&v->cell))) return v;
        at = a32_load(&v->next);
    }
    return NULL;
}

bool ioi_versions_all_in_trie(ioi_alloc *alloc, ioi_entry *entry) {
    const trie *t = trie_of(alloc->arena, entry);
    if (!t && promote(alloc, entry)) t = trie_of(alloc->arena, entry);
    return t && a32_load(&t->migrated);
}

a32 *ioi_versions_sums(const ioi_arena *arena, const ioi_entry *entry) { return &trie_of(arena, entry)->sums; }

static bool each(const ioi_arena *arena, const way *w, uint32_t level, uint32_t first, uint32_t from,
                 bool (*visit)(void *, const ioi_version *), void *context) {
    for (uint64_t bits = a64_load_sc(&w->bits); bits; bits &= bits - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(bits), at = first + (i << (level * WAY_BITS));
        const void *below = ioi_deref(arena, a32_load(&w->slot[i]));
        if (level == 0) {
            if (at >= from && !visit(context, below)) return false;
        } else if (at + (UINT32_C(1) << (level * WAY_BITS)) > from) {
            if (!each(arena, below, level - 1, at, from, visit, context)) return false;
        }
    }
    return true;
}

bool ioi_versions_each(const ioi_arena *arena, const ioi_entry *entry, uint32_t from, bool (*visit)(void *, const ioi_version *),
                       void *context) {
    const trie *t = trie_of(arena, entry);
    return each(arena, &t->root, t->levels - 1, 0, from, visit, context);
}
