/* The Program VM alone: transactions from standard input (length u32 little endian, bytes), over a state that begins
 * empty, one line each on standard output: code, output in hex, error text.
 *
 * Every operation on the state is now and then answered with IOI_STOP, and the transaction begun anew; values are handed
 * out in memory of their own that is freed at the next operation. Sanitizers see what the VM does with stale memory. */
#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

enum { KEYS_MAX = 100000, VALUE_MAX = 1 << 20, DEPTH_MAX = 64 };

typedef struct cell {
    uint8_t *key, *value; /* value NULL: absent */
    size_t key_len, len;
} cell;

typedef struct change {
    size_t cell;
    uint8_t *before;
    size_t len;
} change;

typedef struct world {
    ioi_state state; /* first */
    cell *cells;
    size_t count;
    change *changes;
    size_t changes_count, changes_capacity;
    unsigned depth;
    uint8_t *lent;
    uint64_t random, stops;
    size_t hints;
} world;

static uint8_t *copied(const uint8_t *bytes, size_t len) {
    uint8_t *copy = malloc(len ? len : 1); /* exactly as long: one byte beyond is seen */
    assert(copy);
    if (len) memcpy(copy, bytes, len);
    return copy;
}

static bool stops(world *w) {
    free(w->lent);
    w->lent = NULL;
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    bool now = w->random >> 60 == 0;
    w->stops += now;
    return now;
}

static int op_key(ioi_state *state, const uint8_t *bytes, size_t len, ioi_key *key) {
    world *w = (world *)state;
    if (stops(w)) return IOI_STOP;
    assert(len > 0 && len <= 255);
    for (*key = 0; *key < w->count; ++*key)
        if (w->cells[*key].key_len == len && memcmp(w->cells[*key].key, bytes, len) == 0) return IOI_OK;
    assert(w->count < KEYS_MAX);
    w->cells[w->count++] = (cell){copied(bytes, len), NULL, len, 0};
    return IOI_OK;
}

static int op_get(ioi_state *state, ioi_key key, const uint8_t **value, size_t *len) {
    world *w = (world *)state;
    if (stops(w)) return IOI_STOP;
    const cell *c = &w->cells[key];
    if (!c->value) return IOI_ABSENT;
    *value = w->lent = copied(c->value, *len = c->len);
    return IOI_OK;
}

static int op_exists(ioi_state *state, ioi_key key) {
    world *w = (world *)state;
    if (stops(w)) return IOI_STOP;
    return w->cells[key].value ? IOI_OK : IOI_ABSENT;
}

static int change_to(world *w, ioi_key key, uint8_t *value, size_t len) {
    if (w->changes_count == w->changes_capacity) {
        w->changes_capacity = w->changes_capacity ? 2 * w->changes_capacity : 64;
        w->changes = realloc(w->changes, w->changes_capacity * sizeof *w->changes);
        assert(w->changes);
    }
    w->changes[w->changes_count++] = (change){key, w->cells[key].value, w->cells[key].len};
    w->cells[key].value = value;
    w->cells[key].len = len;
    return IOI_OK;
}

static int op_put(ioi_state *state, ioi_key key, const uint8_t *value, size_t len) {
    world *w = (world *)state;
    if (stops(w)) return IOI_STOP;
    if (len > VALUE_MAX) return IOI_LIMIT;
    return change_to(w, key, copied(value, len), len);
}

static int op_remove(ioi_state *state, ioi_key key) {
    world *w = (world *)state;
    return stops(w) ? IOI_STOP : change_to(w, key, NULL, 0);
}

static int op_add(ioi_state *state, ioi_key key, const ioi_addition *a, size_t *found) {
    world *w = (world *)state;
    const cell *c = &w->cells[key];
    ioi_u128 n = 0;
    if (stops(w)) return IOI_STOP;
    if (a->field.size > VALUE_MAX) return IOI_LIMIT;
    if (c->value && (*found = c->len) != a->field.size) return IOI_LENGTH;
    for (uint32_t i = 0; c->value && i < a->field.width; i++) n = n << 8 | c->value[a->field.offset + i];
    if (a->negative ? n < a->delta : a->maximum - n < a->delta) return IOI_REFUSED;
    n = a->negative ? n - a->delta : n + a->delta;
    uint8_t *value = calloc(1, a->field.size);
    assert(value && a->minimum == 0);
    if (c->value) memcpy(value, c->value, a->field.size);
    for (uint32_t i = a->field.width; i-- > 0; n >>= 8) value[a->field.offset + i] = (uint8_t)n;
    return change_to(w, key, value, a->field.size);
}

static void undo_to(world *w, size_t count) {
    while (w->changes_count > count) {
        change *u = &w->changes[--w->changes_count];
        free(w->cells[u->cell].value);
        w->cells[u->cell].value = u->before;
        w->cells[u->cell].len = u->len;
    }
}

static int op_mark(ioi_state *state, uint64_t *mark) {
    world *w = (world *)state;
    if (stops(w)) return IOI_STOP;
    if (w->depth == DEPTH_MAX) return IOI_LIMIT;
    *mark = (uint64_t)w->depth++ << 32 | w->changes_count;
    return IOI_OK;
}

static int op_close(ioi_state *state, uint64_t mark, int undo) {
    world *w = (world *)state;
    if (stops(w)) return IOI_STOP;
    w->depth = (unsigned)(mark >> 32);
    if (undo) undo_to(w, (uint32_t)mark);
    return IOI_OK;
}

static void hint(void *context, const uint8_t *key, size_t len) {
    world *w = context;
    uint8_t *copy = copied(key, len); /* reads all of it */
    free(copy);
    w->hints++;
}

static void execute(world *w, const uint8_t *tx, size_t len) {
    ioi_ctx ctx = {.height = 1};
    ioi_outcome outcome;
    int r;
    ioi_program.keys(&ioi_program, tx, len, hint, w);
    do {
        memset(&outcome, 0, sizeof outcome);
        w->depth = 0;
        r = ioi_program.execute(&ioi_program, tx, len, &w->state, &ctx, &outcome);
        assert(r == IOI_OK || r == IOI_STOP);
        if (r == IOI_STOP || outcome.code != 0) undo_to(w, 0);
    } while (r == IOI_STOP);
    for (size_t i = 0; i < w->changes_count; i++) free(w->changes[i].before);
    w->changes_count = 0;
    printf("%u ", outcome.code);
    for (size_t i = 0; i < outcome.output_len; i++) printf("%02x", outcome.output[i]);
    printf(" %.*s\n", (int)outcome.error_len, outcome.error ? outcome.error : "");
}

int main(void) {
    world w = {.state = {op_key, op_get, op_exists, op_put, op_remove, op_mark, op_close, .add = op_add}, .random = 1};
    w.cells = malloc(KEYS_MAX * sizeof *w.cells);
    assert(w.cells);
    uint32_t len;
    while (fread(&len, sizeof len, 1, stdin) == 1) {
        uint8_t *tx = malloc(len ? len : 1);
        assert(tx);
        size_t got = fread(tx, 1, len, stdin);
        assert(got == len);
        execute(&w, tx, len);
        free(tx);
    }
    fprintf(stderr, "%" PRIu64 " stops, %zu hints, %zu keys\n", w.stops, w.hints, w.count);
    for (size_t i = 0; i < w.count; i++) {
        free(w.cells[i].key);
        free(w.cells[i].value);
    }
    free(w.cells);
    free(w.changes);
    free(w.lent);
    return 0;
}
