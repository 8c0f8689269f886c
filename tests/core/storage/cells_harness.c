/* Random pieces taken and given back, under sanitizers: none overlaps another, each keeps what was written to it, and the
 * memory can be had whole again.
 *
 * argv: first seed, number of seeds.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"

enum { PIECES = 300, STEPS = 3000, CELLS_MOST = 1 + (1 << 16) };

static uint64_t state;

static uint32_t below(uint32_t n) { /* xorshift64* */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

static struct piece {
    uint8_t *at;
    size_t size;
    uint8_t mark;
} pieces[PIECES];

static void give(struct cells *cells, struct piece *piece) {
    for (size_t i = 0; i < piece->size; i++) assert(piece->at[i] == piece->mark);
    cells_give(cells, piece->at, piece->size);
    piece->at = NULL;
}

/* Whether a search that may give up after CELLS_SEARCHED cells from `next` on had to find `size` bytes in a row. */
static bool findable(const struct cells *cells, size_t next, size_t size) {
    static uint8_t taken[CELLS_MOST]; /* from what is held, not from what `cells` remembers */
    memset(taken, 0, cells->count);
    for (unsigned i = 0; i < PIECES; i++) {
        if (pieces[i].at != NULL)
            memset(taken + (size_t)(pieces[i].at - cells->base) / CELL, 1, (pieces[i].size + CELL - 1) / CELL);
    }
    size_t need = (size + CELL - 1) / CELL, begun = 0;
    for (size_t first = next; begun < CELLS_SEARCHED && begun < cells->count; first++, begun++) {
        if (first >= cells->count) first = 0;
        size_t run = 0;
        while (run < need && first + run < cells->count && !taken[first + run]) run++;
        if (run == need) return true;
    }
    return false;
}

static void run(uint64_t seed) {
    state = seed * 0x9E3779B97F4A7C15u + 1;
    struct cells cells;
    size_t bytes = CELL * (1 + below(1u << below(17)));
    uint32_t largest = 1 + below(below(2) ? 3000 : 300);
    if (!cells_open(&cells, bytes)) assert(!"no memory");
    size_t used = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        struct piece *piece = &pieces[below(PIECES)];
        if (piece->at != NULL) {
            used -= (piece->size + CELL - 1) / CELL * CELL;
            give(&cells, piece);
            continue;
        }
        piece->size = 1 + below(largest);
        piece->mark = (uint8_t)step;
        size_t next = cells.next;
        piece->at = cells_take(&cells, piece->size);
        if (piece->at == NULL) {
            assert(!findable(&cells, next, piece->size));
            continue;
        }
        assert((uintptr_t)piece->at % CELL == 0);
        memset(piece->at, piece->mark, piece->size);
        used += (piece->size + CELL - 1) / CELL * CELL;
        assert(used <= bytes);
    }
    for (unsigned i = 0; i < PIECES; i++) {
        if (pieces[i].at != NULL) give(&cells, &pieces[i]);
    }
    assert(cells_take(&cells, bytes + 1) == NULL);
    void *all = NULL;
    for (unsigned tries = 0; all == NULL && tries < 100; tries++) all = cells_take(&cells, bytes);
    assert(all != NULL);
    memset(all, 1, bytes);
    cells_give(&cells, all, bytes);
    cells_close(&cells);
}

int main(int argc, char **argv) {
    assert(argc == 3);
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = first; seed < first + count; seed++) run(seed);
    printf("%llu seeds\n", (unsigned long long)count);
    return 0;
}
