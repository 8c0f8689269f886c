#include "index.h"

#include <string.h>

enum { FANOUT_BITS = 3, FANOUT = 1 << FANOUT_BITS, HASH_BITS = 64 };
enum { NODE = 1 /* a slot's lowest bit: it names a node, not an entry */ };

typedef struct node {
    a32 slot[FANOUT];
} node;

static inline uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t ioi_hash(const uint64_t seed[4], const uint8_t *key, uint32_t len) {
    uint64_t h = seed[0] ^ len, a, b;
    uint32_t left = len;
    const uint8_t *p = key;
    for (; left >= 16; p += 16, left -= 16) {
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        h = fold(a ^ seed[1] ^ h, b ^ seed[2]);
    }
    if (len >= 16) { /* the last 16 bytes once more, whole: no byte loop for the tail */
        memcpy(&a, key + len - 16, 8);
        memcpy(&b, key + len - 8, 8);
    } else if (len >= 8) {
        memcpy(&a, key, 8);
        memcpy(&b, key + len - 8, 8);
    } else {
        uint8_t tail[8] = {0};
        memcpy(tail, key, len);
        memcpy(&a, tail, 8);
        b = 0;
    }
    h = fold(a ^ seed[1] ^ h, b ^ seed[3]);
    return fold(h ^ seed[2], seed[0] | 1);
}

uint32_t ioi_index_bits(uint64_t keys) {
    uint32_t bits = 10;
    while (bits < 26 && (UINT64_C(1) << bits) < keys) bits++;
    return bits;
}

static inline a32 *root_slot(const ioi_arena *arena, uint64_t hash) {
    const ioi_block *block = &arena->shared->block;
    a32 *root = ioi_at(arena, block->root);
    return &root[hash & ((UINT64_C(1) << block->root_bits) - 1)];
}

void ioi_index_prefetch(const ioi_arena *arena, uint64_t hash, bool entry) {
    const a32 *slot = root_slot(arena, hash);
    if (!entry) {
        __builtin_prefetch(slot);
        return;
    }
    uint64_t at = (uint64_t)(a32_load_relaxed(slot) & ~(ioi_ref)NODE) * IOI_UNIT;
    __builtin_prefetch(arena->base + at);
    __builtin_prefetch(arena->base + at + IOI_LINE);
}

static inline bool same_key(const ioi_entry *e, uint64_t hash, const uint8_t *key, uint32_t len) {
    return e->hash == hash && e->key_len == len && memcmp(e->key, key, len) == 0;
}

static ioi_entry *make_entry(ioi_alloc *alloc, uint64_t hash, const uint8_t *key, uint32_t len) {
    ioi_entry *e = ioi_alloc_bytes(alloc, sizeof *e + len, IOI_ENTRY_ALIGN);
    if (!e) return NULL;
    memset(e, 0, sizeof *e);
    e->hash = hash;
    e->key_len = len;
    memcpy(e->key, key, len);
    return e;
}

static inline node *node_at(const ioi_arena *arena, ioi_ref word) { return ioi_deref(arena, word - NODE); }

static inline a32 *child_slot(const ioi_arena *arena, ioi_ref word, uint64_t hash, uint32_t shift) {
    node *inner = node_at(arena, word);
    return &inner->slot[(hash >> shift) & (FANOUT - 1)];
}

ioi_entry *ioi_index_find(const ioi_arena *arena, uint64_t hash, const uint8_t *key, uint32_t len) {
    uint32_t shift = arena->shared->block.root_bits;
    for (a32 *slot = root_slot(arena, hash);;) {
        ioi_ref word = a32_load(slot);
        if (word & NODE) {
            slot = child_slot(arena, word, hash, shift);
            shift += FANOUT_BITS;
            continue;
        }
        while (word) {
            ioi_entry *e = ioi_deref(arena, word);
            if (same_key(e, hash, key, len)) return e;
            if (e->hash != hash) return NULL;
            word = a32_load(&e->next_same);
        }
        return NULL;
    }
}

ioi_entry *ioi_index_intern(ioi_alloc *alloc, uint64_t hash, const uint8_t *key, uint32_t len) {
    const ioi_arena *arena = alloc->arena;
    uint32_t shift = arena->shared->block.root_bits;
    ioi_entry *made = NULL; /* ours, not linked yet */
    a32 *slot = root_slot(arena, hash);
    for (;;) {
        ioi_ref word = a32_load(slot);
        if (word & NODE) {
            slot = child_slot(arena, word, hash, shift);
            shift += FANOUT_BITS;
            continue;
        }
        if (word) {
            ioi_entry *e = ioi_deref(arena, word);
            if (e->hash == hash) {
                if (same_key(e, hash, key, len)) {
                    if (made) ioi_alloc_undo(alloc, made, sizeof *made + len);
                    return e;
                }
                slot = &e->next_same; /* a chain link holds entries only, never a node */
                continue;
            }
            /* Two hashes share this slot: put a node in between that already holds the one standing here.
             * 64 bits cannot run out before the hashes differ. */
            assert(shift < HASH_BITS);
            node *inner = ioi_alloc_bytes(alloc, sizeof *inner, sizeof *inner);
            if (!inner) return NULL;
            memset((void *)inner, 0, sizeof *inner);
            a32_store_relaxed(&inner->slot[(e->hash >> shift) & (FANOUT - 1)], word);
            if (!a32_cas(slot, &word, ioi_ref_of(arena, inner) + NODE)) ioi_alloc_undo(alloc, inner, sizeof *inner);
            continue;
        }
        if (!made && !(made = make_entry(alloc, hash, key, len))) return NULL;
        if (a32_cas(slot, &word, ioi_ref_of(arena, made))) return made;
    }
}

static bool each_below(const ioi_arena *arena, ioi_ref word, bool (*visit)(void *, ioi_entry *), void *context) {
    if (word & NODE) {
        node *inner = node_at(arena, word);
        for (int i = 0; i < FANOUT; i++)
            /* seq_cst: pairs with the exchange that links an entry (see ordered.h on switching the index on) */
            if (!each_below(arena, a32_load_sc(&inner->slot[i]), visit, context)) return false;
        return true;
    }
    while (word) {
        ioi_entry *e = ioi_deref(arena, word);
        if (!visit(context, e)) return false;
        word = a32_load_sc(&e->next_same);
    }
    return true;
}

bool ioi_index_each(const ioi_arena *arena, bool (*visit)(void *, ioi_entry *), void *context) {
    const ioi_block *block = &arena->shared->block;
    a32 *root = ioi_at(arena, block->root);
    for (uint64_t i = 0; i < UINT64_C(1) << block->root_bits; i++)
        if (!each_below(arena, a32_load_sc(&root[i]), visit, context)) return false;
    return true;
}
