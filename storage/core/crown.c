#include "crown.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct crown_row {
    struct crown_row *next; /* of those dropped */
    uint64_t version;
    size_t size; /* of the whole piece of memory */
    bool used;   /* since the hand was here */
    uint8_t hashes[16][SHA256_SIZE];
    uint8_t row[];
};
_Static_assert((sizeof(struct crown_row) + NODE_MAX + CROWN_STEP - 1) / CROWN_STEP < CROWN_SIZES, "every row has a size");

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

static void free_rows(struct crown_row **list) {
    while (*list != NULL) {
        struct crown_row *next = (*list)->next;
        free(*list);
        *list = next;
    }
}

/* Nobody uses dropped rows any more: their memory is for the next batch, and what this one left of the last is given back. */
static void keep_dropped(struct crown *crown) {
    for (size_t i = 0; i < CROWN_SIZES; i++) free_rows(&crown->spare[i]);
    for (struct crown_row *row = crown->dropped, *next; row != NULL; row = next) {
        next = row->next;
        row->next = crown->spare[row->size / CROWN_STEP];
        crown->spare[row->size / CROWN_STEP] = row;
    }
    crown->dropped = NULL;
}

static struct crown_row *new_row(struct crown *crown, size_t size) {
    struct crown_row **spare = &crown->spare[size / CROWN_STEP], *row = *spare;
    if (row == NULL) return malloc(size);
    *spare = row->next;
    return row;
}

bool crown_take(struct crown *crown) { return !atomic_exchange(&crown->taken, true); }

void crown_release(struct crown *crown) {
    assert(crown->taken);
    keep_dropped(crown);
    crown->taken = false;
}

bool crown_get(struct crown *crown, unsigned depth, const uint8_t *key_hash, uint64_t version, const uint8_t *expected,
               struct node *node, node_hashes hashes) {
    size_t place = place_of(depth, key_hash);
    struct crown_row *row = crown->rows != NULL && place < CROWN_ROWS ? crown->rows[place] : NULL;
    if (row == NULL || row->version != version || memcmp(row->hashes[1], expected, SHA256_SIZE) != 0) return false;
    row->used = true;
    node_point(node, row->row);
    memcpy(hashes, row->hashes, sizeof row->hashes);
    return true;
}

void crown_expect(const struct crown *crown, unsigned depth, const uint8_t *key_hash) {
    size_t place = place_of(depth, key_hash);
    const uint8_t *row = crown->rows != NULL && place < CROWN_ROWS ? (const uint8_t *)crown->rows[place] : NULL;
    for (size_t at = 0; row != NULL && at < offsetof(struct crown_row, row) + 64; at += 64) __builtin_prefetch(row + at);
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

void crown_put(struct crown *crown, unsigned depth, const uint8_t *key_hash, uint64_t version, const struct node *node,
               node_hashes hashes) {
    size_t place = place_of(depth, key_hash);
    if (place == CROWN_ROWS) return;
    if (crown->rows == NULL && (crown->rows = calloc(CROWN_ROWS, sizeof *crown->rows)) == NULL) return;
    drop(crown, place);
    size_t size = (sizeof(struct crown_row) + node_size(node) + CROWN_STEP - 1) / CROWN_STEP * CROWN_STEP;
    struct crown_row *row = make_room(crown, size) ? new_row(crown, size) : NULL;
    if (row == NULL) return;
    crown->rows[place] = row;
    crown->bytes += size;
    row->version = version;
    row->size = size;
    row->used = false;
    memcpy(row->hashes, hashes, sizeof row->hashes);
    node_lay_out(node, row->row);
}

void crown_clear(struct crown *crown) {
    assert(!crown->taken);
    for (size_t i = 0; crown->rows != NULL && i < CROWN_ROWS; i++) drop(crown, i);
    free_rows(&crown->dropped);
    for (size_t i = 0; i < CROWN_SIZES; i++) free_rows(&crown->spare[i]);
    free(crown->rows);
    crown->rows = NULL;
}
