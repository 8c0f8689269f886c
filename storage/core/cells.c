#include "cells.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { BITS = 64, HUGE = 2 << 20 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t trailing_zeros(uint64_t x) { return x != 0 ? (size_t)__builtin_ctzll(x) : BITS; }

static size_t cells_of(size_t size) { return (size + CELL - 1) / CELL; }

bool cells_open(struct cells *cells, size_t bytes) {
    *cells = (struct cells){.count = bytes / CELL};
    if (cells->count == 0) return false;
    size_t size = cells->count * CELL + HUGE;
    uint8_t *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cells->taken = mapped != MAP_FAILED ? calloc((cells->count + BITS - 1) / BITS, sizeof *cells->taken) : NULL;
    if (cells->taken == NULL) {
        if (mapped != MAP_FAILED) munmap(mapped, size);
        *cells = (struct cells){0};
        return false;
    }
    cells->mapped = mapped;
    cells->mapped_size = size;
    cells->base = mapped + (HUGE - (uintptr_t)mapped % HUGE) % HUGE;
    ASAN_POISON_MEMORY_REGION(cells->base, cells->count * CELL);
    return true;
}

void cells_close(struct cells *cells) {
    if (cells->mapped == NULL) return;
    ASAN_UNPOISON_MEMORY_REGION(cells->base, cells->count * CELL);
    munmap(cells->mapped, cells->mapped_size);
    free(cells->taken);
    *cells = (struct cells){0};
}

/* Marks cells [first, end), all of which are the other way so far. */
static void mark(struct cells *cells, size_t first, size_t end, bool taken) {
    for (size_t at = first; at < end;) {
        size_t shift = at % BITS, n = smaller(end - at, BITS - shift);
        uint64_t bits = (n == BITS ? UINT64_MAX : (UINT64_C(1) << n) - 1) << shift, *word = &cells->taken[at / BITS];
        assert((*word & bits) == (taken ? 0 : bits));
        *word ^= bits;
        at += n;
    }
}

/* Small states are spared the two megabytes. */
static void ask_for_huge_pages(struct cells *cells) {
    cells->huge = true;
    size_t size = cells->count * CELL;
    madvise(cells->base, size, MADV_HUGEPAGE); /* only a wish, and so is this one, for what is there already */
    if (size >= HUGE) madvise(cells->base, HUGE, MADV_COLLAPSE);
}

void *cells_take(struct cells *cells, size_t size) {
    size_t need = cells_of(size), run = 0, at = cells->next;
    for (size_t searched = 0; need <= cells->count && searched < CELLS_SEARCHED + need;) {
        if (at >= cells->count) at = run = 0;
        uint64_t word = cells->taken[at / BITS] >> at % BITS;
        size_t same = trailing_zeros(word & 1 ? ~word : word); /* so many cells are as this one */
        same = smaller(same, smaller(BITS - at % BITS, cells->count - at));
        run = word & 1 ? 0 : run + same;
        at += same;
        searched += same;
        if (run < need) continue;
        size_t first = at - run;
        cells->next = first + need;
        mark(cells, first, first + need, true);
        if (!cells->huge && cells->next * CELL > HUGE / 2) ask_for_huge_pages(cells);
        ASAN_UNPOISON_MEMORY_REGION(cells->base + first * CELL, size);
        return cells->base + first * CELL;
    }
    cells->next = at;
    return NULL;
}

void cells_give(struct cells *cells, void *piece, size_t size) {
    size_t first = (size_t)((uint8_t *)piece - cells->base) / CELL, end = first + cells_of(size);
    mark(cells, first, end, false);
    ASAN_POISON_MEMORY_REGION(piece, (end - first) * CELL);
    /* With what is free before it, it may be room enough for more. */
    for (cells->next = first; cells->next > 0 && first - cells->next < BITS; cells->next--) {
        size_t before = cells->next - 1;
        if (cells->taken[before / BITS] >> before % BITS & 1) break;
    }
}
