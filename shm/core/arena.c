#include "arena.h"

#include <string.h>

void ioi_arena_init(ioi_arena *arena, uint8_t *base, uint64_t size, uint64_t reserved, const uint64_t seed[4]) {
    assert(reserved >= IOI_BLOCK_AT && reserved <= size && size <= IOI_ARENA_MAX);
    ioi_shared *shared = (ioi_shared *)base;
    memset(shared, 0, sizeof *shared);
    shared->magic = IOI_MAGIC;
    shared->layout = IOI_LAYOUT ^ (sizeof(ioi_shared) << 8);
    shared->size = size;
    memcpy(shared->seed, seed, sizeof shared->seed);
    a64_store(&shared->reserved, reserved);
    a64_store(&shared->bump, IOI_BLOCK_AT);
    *arena = (ioi_arena){.base = base, .size = size, .shared = shared};
}

bool ioi_arena_attach(ioi_arena *arena, uint8_t *base, uint64_t size) {
    ioi_shared *shared = (ioi_shared *)base;
    if (size < IOI_BLOCK_AT || shared->magic != IOI_MAGIC || shared->size != size ||
        shared->layout != (IOI_LAYOUT ^ (sizeof(ioi_shared) << 8)) || size > IOI_ARENA_MAX)
        return false;
    *arena = (ioi_arena){.base = base, .size = size, .shared = shared};
    return true;
}

void ioi_arena_reset(ioi_arena *arena) { a64_store(&arena->shared->bump, IOI_BLOCK_AT); }

void ioi_alloc_init(ioi_alloc *alloc, ioi_arena *arena) { *alloc = (ioi_alloc){arena, 0, 0}; }

/* Take [return, return + bytes) from the shared counter; 0 when it would pass the reserved end. */
static uint64_t take(ioi_arena *arena, uint64_t bytes) {
    ioi_shared *shared = arena->shared;
    uint64_t reserved = a64_load_relaxed(&shared->reserved); /* constant while workers run */
    uint64_t at = a64_load_relaxed(&shared->bump);
    /* A loop, not fetch_add: after a refusal the counter still says what is really in use. */
    do {
        if (bytes > reserved || at > reserved - bytes) return 0;
    } while (!a64_cas(&shared->bump, &at, at + bytes));
    return at;
}

void *ioi_alloc_bytes(ioi_alloc *alloc, uint64_t bytes, uint64_t align) {
    assert(align && (align & (align - 1)) == 0 && align <= IOI_LINE);
    uint64_t at = (alloc->next + align - 1) & ~(align - 1);
    if (alloc->end == 0 || at > alloc->end || bytes > alloc->end - at) {
        if (bytes > UINT64_MAX / 2) return NULL;
        uint64_t rounded = (bytes + IOI_LINE - 1) & ~(uint64_t)(IOI_LINE - 1);
        if (rounded >= IOI_CHUNK / 4) { /* big: its own piece, the chunk in hand stays */
            at = take(alloc->arena, rounded);
            return at ? ioi_at(alloc->arena, at) : NULL;
        }
        at = take(alloc->arena, IOI_CHUNK);
        if (at) {
            alloc->end = at + IOI_CHUNK;
        } else { /* the last crumbs: an arena swept from one page must still use them */
            at = take(alloc->arena, rounded);
            if (!at) return NULL;
            alloc->end = at + rounded;
        }
    }
    alloc->next = at + bytes;
    return ioi_at(alloc->arena, at);
}

void ioi_alloc_undo(ioi_alloc *alloc, void *newest, uint64_t bytes) {
    uint64_t at = ioi_offset(alloc->arena, newest);
    if (at + bytes == alloc->next) alloc->next = at;
}
