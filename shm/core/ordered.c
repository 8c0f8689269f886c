#include "ordered.h"

#include <string.h>

enum { HEIGHT_MAX = 16 };

typedef struct node {
    ioi_ref entry;
    uint32_t height;
    a32 next[]; /* [height] */
} node;

int ioi_key_compare(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len) {
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

int ioi_entry_compare(const void *a, const void *b) {
    const ioi_entry *x = *(ioi_entry *const *)a, *y = *(ioi_entry *const *)b;
    return ioi_key_compare(x->key, x->key_len, y->key, y->key_len);
}

static node *make_node(ioi_alloc *alloc, uint32_t height) {
    node *made = ioi_alloc_bytes(alloc, sizeof *made + height * sizeof(a32), 8);
    if (!made) return NULL;
    memset((void *)made, 0, sizeof *made + height * sizeof(a32));
    made->height = height;
    return made;
}

uint64_t ioi_ordered_create(ioi_alloc *alloc) {
    node *head = make_node(alloc, HEIGHT_MAX);
    return head ? ioi_offset(alloc->arena, head) : 0;
}

static inline node *head_of(const ioi_arena *arena) { return ioi_at(arena, arena->shared->block.ordered); }

static inline ioi_entry *entry_of(const ioi_arena *arena, const node *n) { return ioi_deref(arena, n->entry); }

/* The last node before `key` on every level (the head counts as before everything). With `through`, nodes equal to the
 * key count as before it too. */
static void find(const ioi_arena *arena, const uint8_t *key, uint32_t len, bool through, node *before[HEIGHT_MAX]) {
    node *at = head_of(arena);
    for (int level = HEIGHT_MAX - 1; level >= 0; level--) {
        for (ioi_ref next; (next = a32_load(&at->next[level]));) {
            node *n = ioi_deref(arena, next);
            ioi_entry *e = entry_of(arena, n);
            int order = ioi_key_compare(e->key, e->key_len, key, len);
            if (order > 0 || (order == 0 && !through)) break;
            at = n;
        }
        before[level] = at;
    }
}

/* Tower heights come from the key's hash, one level per two zero bits: no random state to share. */
static uint32_t height_of(uint64_t hash) {
    uint32_t zeros = (uint32_t)__builtin_ctzll(hash >> 24 | UINT64_C(1) << 39);
    uint32_t height = 1 + zeros / 2;
    return height < HEIGHT_MAX ? height : HEIGHT_MAX;
}

/* Put a written key into the list. The writer and the scanner's walk may both try: each must know the key is in before
 * it goes on, so neither waits for the other; who comes second finds the key standing and drops its node. */
static bool link_entry(ioi_alloc *alloc, ioi_entry *entry) {
    const ioi_arena *arena = alloc->arena;
    if (a32_load(&entry->ordered)) return true;
    node *made = make_node(alloc, height_of(entry->hash));
    if (!made) return false;
    made->entry = ioi_ref_of(arena, entry);
    node *before[HEIGHT_MAX];
    for (;;) { /* the bottom level decides */
        find(arena, entry->key, entry->key_len, false, before);
        ioi_ref next = a32_load(&before[0]->next[0]);
        if (next) {
            ioi_entry *e = entry_of(arena, ioi_deref(arena, next));
            int order = ioi_key_compare(e->key, e->key_len, entry->key, entry->key_len);
            if (order == 0) { /* another worker was faster; its node serves, ours is dropped with the block */
                a32_store(&entry->ordered, next);
                return true;
            }
            if (order < 0) continue; /* a smaller key came in between */
        }
        a32_store_relaxed(&made->next[0], next);
        if (a32_cas(&before[0]->next[0], &next, ioi_ref_of(arena, made))) break;
    }
    a32_store(&entry->ordered, ioi_ref_of(arena, made));
    for (uint32_t level = 1; level < made->height; level++) {
        for (;;) {
            ioi_ref next = a32_load(&before[level]->next[level]);
            while (next) { /* walk on to where the node belongs by now */
                ioi_entry *e = entry_of(arena, ioi_deref(arena, next));
                if (ioi_key_compare(e->key, e->key_len, entry->key, entry->key_len) >= 0) break;
                before[level] = ioi_deref(arena, next);
                next = a32_load(&before[level]->next[level]);
            }
            a32_store_relaxed(&made->next[level], next);
            if (a32_cas(&before[level]->next[level], &next, ioi_ref_of(arena, made))) break;
        }
    }
    return true;
}

bool ioi_ordered_written(ioi_alloc *alloc, ioi_entry *entry) {
    if (!a32_load_sc(&alloc->arena->shared->sched.ordered_on)) return true;
    return link_entry(alloc, entry);
}

static bool link_if_written(void *alloc, ioi_entry *entry) { return a32_load_sc(&entry->head) == 0 || link_entry(alloc, entry); }

bool ioi_ordered_switch_on(ioi_alloc *alloc) {
    ioi_sched *sched = &alloc->arena->shared->sched;
    if (a32_load(&sched->ordered_on) == 2) return true;
    uint32_t off = 0;
    a32_cas(&sched->ordered_on, &off, 1);
    if (!ioi_index_each(alloc->arena, link_if_written, alloc)) return false;
    a32_store(&sched->ordered_on, 2); /* later scanners need not walk */
    return true;
}

ioi_entry *ioi_ordered_forward(const ioi_arena *arena, const uint8_t *key, uint32_t len, bool after) {
    node *at = head_of(arena);
    if (key) {
        node *before[HEIGHT_MAX];
        find(arena, key, len, after, before);
        at = before[0];
    }
    for (ioi_ref next; (next = a32_load(&at->next[0]));) {
        at = ioi_deref(arena, next);
        ioi_entry *e = entry_of(arena, at);
        if (!key) return e;
        /* A key linked since may lie in front of what was asked for: a scan must never turn back. */
        int order = ioi_key_compare(e->key, e->key_len, key, len);
        if (order > 0 || (order == 0 && !after)) return e;
    }
    return NULL;
}

ioi_entry *ioi_ordered_backward(const ioi_arena *arena, const uint8_t *key, uint32_t len) {
    node *head = head_of(arena), *at = head;
    if (key) {
        node *before[HEIGHT_MAX];
        find(arena, key, len, false, before);
        at = before[0];
    } else {
        for (int level = HEIGHT_MAX - 1; level >= 0; level--)
            for (ioi_ref next; (next = a32_load(&at->next[level]));) at = ioi_deref(arena, next);
    }
    return at == head ? NULL : entry_of(arena, at);
}

ioi_entry *ioi_ordered_next(const ioi_arena *arena, const ioi_entry *entry) {
    ioi_ref at = a32_load(&entry->ordered);
    /* Linked, but its linker has not noted the node yet. */
    if (!at) return ioi_ordered_forward(arena, entry->key, entry->key_len, true);
    ioi_ref next = a32_load(&((node *)ioi_deref(arena, at))->next[0]);
    return next ? entry_of(arena, ioi_deref(arena, next)) : NULL;
}
