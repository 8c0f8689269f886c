#include "spans.h"

#include <string.h>

enum { PIECE = 40 }; /* spans of one allocation */

typedef struct piece {
    uint64_t older; /* offset of the piece before, 0 = none */
    uint64_t count;
    ioi_span spans[PIECE];
} piece;

static piece *newest(const ioi_arena *arena, const ioi_slot *slot) {
    uint64_t at = a64_load_relaxed(&slot->spans);
    return at ? ioi_at(arena, at) : NULL;
}

bool ioi_span_reserve(ioi_alloc *alloc, ioi_slot *slot) {
    const piece *p = newest(alloc->arena, slot);
    if (p && p->count < PIECE) return true;
    piece *made = ioi_alloc_bytes(alloc, sizeof *made, 8);
    if (!made) return false;
    made->older = p ? ioi_offset(alloc->arena, p) : 0;
    made->count = 0;
    a64_store_relaxed(&slot->spans, ioi_offset(alloc->arena, made));
    return true;
}

void ioi_span_add(const ioi_arena *arena, const ioi_slot *slot, const ioi_span *span) {
    piece *p = newest(arena, slot);
    if (p && p->count < PIECE) p->spans[p->count++] = *span;
}

uint64_t ioi_spans_all(const ioi_arena *arena, ioi_span *out) {
    uint64_t total = 0;
    for (uint32_t w = 0; w < arena->shared->block.workers; w++)
        for (uint64_t at = a64_load(&arena->shared->slots[w].spans); at;) {
            const piece *p = ioi_at(arena, at);
            if (out) memcpy(out + total, p->spans, p->count * sizeof *p->spans);
            total += p->count;
            at = p->older;
        }
    return total;
}
