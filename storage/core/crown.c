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

static void drop(struct crown *crown, size_t place) {
    struct crown_row *row = crown->rows[place];
    if (row == NULL) return;
    crown->rows[place] = NULL;
    crown->bytes -= row->size;
    row->next = crown->dropped;
    crown->dropped = row;
}

static void free_dropped(struct crown *crown) {
    while (crown->dropped != NULL) {
        struct crown_row *next = crown->dropped->next;
        free(crown->dropped);
        crown->dropped = next;
    }
}

bool crown_take(struct crown *crown) { return !atomic_exchange(&crown->taken, true); }

void crown_release(struct crown *crown) {
    assert(crown->taken);
    free_dropped(crown);
    crown->taken = false;
}

struct crown_row *crown_find(struct crown *crown, unsigned depth, const uint8_t *key_hash, uint64_t version,
                             const uint8_t *expected) {
    size_t place = place_of(depth, key_hash);
    struct crown_row *row = crown->rows != NULL && place < CROWN_ROWS ? crown->rows[place] : NULL;
    if (row == NULL || row->version != version || memcmp(row->ranges[1], expected, SHA256_SIZE) != 0) return NULL;
    row->used = true;
    return row;
}

enum { CACHE_LINE = 64, EXPECTED = 24 * CACHE_LINE }; /* bytes: nearly all of a usual row and its hashes */

void crown_expect(const struct crown *crown, unsigned depth, const uint8_t *key_hash) {
    size_t place = place_of(depth, key_hash);
    const struct crown_row *row = crown->rows != NULL && place < CROWN_ROWS ? crown->rows[place] : NULL;
    for (size_t at = 0; row != NULL && at < EXPECTED; at += CACHE_LINE) __builtin_prefetch((const void *)((uintptr_t)row + at));
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

struct crown_row *crown_make(struct crown *crown, unsigned depth, const uint8_t *key_hash, size_t size) {
    size_t place = place_of(depth, key_hash);
    if (place == CROWN_ROWS) return NULL;
    if (crown->rows == NULL && (crown->rows = calloc(CROWN_ROWS, sizeof *crown->rows)) == NULL) return NULL;
    drop(crown, place);
    size += sizeof(struct crown_row);
    struct crown_row *row = make_room(crown, size) ? malloc(size) : NULL;
    if (row == NULL) return NULL;
    crown->rows[place] = row;
    crown->bytes += size;
    row->version = CROWN_UNFINISHED;
    row->size = size;
    row->used = false;
    return row;
}

void crown_clear(struct crown *crown) {
    assert(!crown->taken);
    for (size_t i = 0; crown->rows != NULL && i < CROWN_ROWS; i++) drop(crown, i);
    free_dropped(crown);
    free(crown->rows);
    crown->rows = NULL;
}
