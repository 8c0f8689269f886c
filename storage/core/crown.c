#include "crown.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* CROWN_ROWS for what is too deep. */
static size_t place_of(unsigned depth, const uint8_t *key_hash) {
    if (depth < 1 || depth >= CROWN_DEPTHS) return CROWN_ROWS;
    size_t path = 0, before = 0;
    for (unsigned d = 1; d < depth; d++) { /* the first nibble is that of the whole subtree */
        path = 16 * path + node_nibble(key_hash, d);
        before = 16 * before + 1;
    }
    return before + path;
}

/* Takes a row out. Its user may have pointers into it still: then its memory stays until the crown is released. */
static void drop(struct crown *crown, size_t place) {
    struct crown_row *row = crown->rows[place];
    if (row == NULL) return;
    crown->rows[place] = NULL;
    crown->bytes -= row->size;
    if (row->user != crown->user) {
        cells_give(&crown->cells, row, row->size);
    } else {
        row->next = crown->dropped;
        crown->dropped = row;
    }
}

bool crown_take(struct crown *crown) {
    if (atomic_exchange(&crown->taken, true)) return false;
    crown->user++;
    return true;
}

void crown_release(struct crown *crown) {
    assert(crown->taken);
    for (struct crown_row *row = crown->dropped, *next; row != NULL; row = next) {
        next = row->next;
        cells_give(&crown->cells, row, row->size);
    }
    crown->dropped = NULL;
    crown->taken = false;
}

struct crown_row *crown_find(struct crown *crown, unsigned depth, const uint8_t *key_hash, uint64_t version,
                             const uint8_t *expected) {
    size_t place = place_of(depth, key_hash);
    struct crown_row *row = crown->rows != NULL && place < CROWN_ROWS ? crown->rows[place] : NULL;
    if (row == NULL || row->version != version || memcmp(row->ranges[1], expected, SHA256_SIZE) != 0) return NULL;
    row->user = crown->user;
    row->used = true;
    return row;
}

enum { CACHE_LINE = 64, EXPECTED = 24 * CACHE_LINE }; /* bytes: nearly all of a usual row and its hashes */

void crown_expect(const struct crown *crown, unsigned depth, const uint8_t *key_hash) {
    size_t place = place_of(depth, key_hash);
    const struct crown_row *row = crown->rows != NULL && place < CROWN_ROWS ? crown->rows[place] : NULL;
    for (size_t at = 0; row != NULL && at < EXPECTED; at += CACHE_LINE)
        __builtin_prefetch((const void *)((uintptr_t)row + at)); /* beyond the row it does no harm */
}

void crown_expect_place(const struct crown *crown, unsigned depth, const uint8_t *key_hash) {
    size_t place = place_of(depth, key_hash);
    if (crown->rows != NULL && place < CROWN_ROWS) __builtin_prefetch(&crown->rows[place]);
}

/* Makes room for `size` bytes; false if there is none, or it is not worth more searching. */
static bool make_room(struct crown *crown, size_t size) {
    for (unsigned tries = 0; crown->bytes + size > crown->limit; tries++) {
        if (tries == 64) return false;
        if (crown->hand < CROWN_FIXED || crown->hand >= CROWN_ROWS) crown->hand = CROWN_FIXED;
        struct crown_row *row = crown->rows[crown->hand];
        if (row != NULL && row->used) row->used = false;
        else drop(crown, crown->hand);
        crown->hand++;
    }
    return true;
}

static bool open(struct crown *crown) {
    if (crown->rows != NULL) return true;
    if (!cells_open(&crown->cells, crown->limit + crown->limit / 4)) return false;
    crown->rows = calloc(CROWN_ROWS, sizeof *crown->rows);
    if (crown->rows == NULL) cells_close(&crown->cells);
    return crown->rows != NULL;
}

struct crown_row *crown_make(struct crown *crown, unsigned depth, const uint8_t *key_hash, size_t size) {
    size_t place = place_of(depth, key_hash);
    if (place == CROWN_ROWS || !open(crown)) return NULL;
    drop(crown, place);
    size += sizeof(struct crown_row);
    struct crown_row *row = make_room(crown, size) ? cells_take(&crown->cells, size) : NULL;
    if (row == NULL) return NULL;
    crown->rows[place] = row;
    crown->bytes += size;
    row->version = CROWN_UNFINISHED;
    row->user = crown->user;
    row->size = (uint32_t)size;
    row->used = false;
    return row;
}

void crown_clear(struct crown *crown) {
    assert(!crown->taken);
    free(crown->rows);
    crown->rows = NULL;
    crown->bytes = 0;
    cells_close(&crown->cells);
}
