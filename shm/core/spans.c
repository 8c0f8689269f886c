#include "spans.h"

#include <string.h>

ioi_spans *ioi_spans_grow(ioi_alloc *alloc, ioi_slot *slot) {
    ioi_spans *made = ioi_alloc_bytes(alloc, sizeof *made, 8);
    if (!made) return NULL;
    made->older = a64_load_relaxed(&slot->spans);
    made->count = 0;
    a64_store_relaxed(&slot->spans, ioi_offset(alloc->arena, made));
    return made;
}

uint64_t ioi_spans_all(const ioi_arena *arena, ioi_span *out) {
    uint64_t total = 0;
    for (uint32_t w = 0; w < arena->shared->block.workers; w++)
        for (uint64_t at = a64_load(&arena->shared->slots[w].spans); at;) {
            const ioi_spans *p = ioi_at(arena, at);
            if (out) memcpy(out + total, p->spans, p->count * sizeof *p->spans);
            total += p->count;
            at = p->older;
        }
    return total;
}
