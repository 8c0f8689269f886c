/* Scans of the reference: three sources in key order, of which the upper hide the lower. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sequential_inside.h"

typedef struct own_pair { /* a write of this transaction, as of the scan's call */
    size_t cell;
    uint8_t *bytes; /* NULL: deleted */
    size_t len;
} own_pair;

enum { OWN, BLOCK, BASE, SOURCES };

struct ioi_scan {
    ioi_scan *older, **link; /* among those of its transaction */
    bool reverse, begun, done;
    uint8_t *low, *high; /* NULL: no bound */
    size_t low_len, high_len;
    own_pair *own; /* in the order of the scan */
    size_t own_count, own_at;
    size_t from, to;                  /* of seq->ordered still to come: [from, to) */
    size_t block_cell;                /* which next[BLOCK] is */
    void *walk;                       /* over the base; NULL at its end */
    ioi_pair next[SOURCES];           /* what each comes to; value NULL: deleted */
    bool there[SOURCES];              /* whether it comes to anything */
    uint8_t *given_key, *given_value; /* of the base, which goes on before the pair is looked at */
    size_t key_room, value_room;
};

static int order_of(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int by_key(const void *a, const void *b, void *context) {
    const ioi_seq *seq = context;
    const cell *x = &seq->cells[*(const size_t *)a], *y = &seq->cells[*(const size_t *)b];
    return order_of(x->key, x->key_len, y->key, y->key_len);
}

static int own_by_key(const void *a, const void *b, void *context) {
    return by_key(&((const own_pair *)a)->cell, &((const own_pair *)b)->cell, context);
}

static int own_from_the_end(const void *a, const void *b, void *context) { return own_by_key(b, a, context); }

static bool inside(const ioi_scan *s, const cell *c) {
    return (!s->low || order_of(c->key, c->key_len, s->low, s->low_len) >= 0) &&
           (!s->high || order_of(c->key, c->key_len, s->high, s->high_len) < 0);
}

static int starved(ioi_seq *seq) {
    seq->starved = true;
    return IOI_STOP;
}

/* Bring the cells that transactions have written since the last scan into key order with the others. */
static bool order_cells(ioi_seq *seq) {
    size_t known = seq->sorted_count, count = seq->ordered_count, *merged;
    if (known == count) return true;
    if (!(merged = malloc(count * sizeof *merged))) return false;
    qsort_r(seq->ordered + known, count - known, sizeof *seq->ordered, by_key, seq);
    for (size_t i = 0, a = 0, b = known; i < count; i++) {
        bool first = b == count || (a < known && by_key(&seq->ordered[a], &seq->ordered[b], seq) < 0);
        merged[i] = seq->ordered[first ? a++ : b++];
    }
    memcpy(seq->ordered, merged, count * sizeof *merged);
    free(merged);
    seq->sorted_count = count;
    return true;
}

/* The index in `ordered` of the first cell that is not below the bound. */
static size_t bisected(const ioi_seq *seq, const uint8_t *bound, size_t len) {
    size_t from = 0, to = seq->ordered_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const cell *c = &seq->cells[seq->ordered[middle]];
        if (order_of(c->key, c->key_len, bound, len) < 0) from = middle + 1;
        else to = middle;
    }
    return from;
}

/* A private copy; NULL without memory. */
static uint8_t *copied(const uint8_t *bytes, size_t len) {
    uint8_t *copy = malloc(len + 1);
    if (copy && len) memcpy(copy, bytes, len);
    return copy;
}

static bool take_own(ioi_seq *seq, ioi_scan *s) {
    s->own = malloc((seq->changes_count + 1) * sizeof *s->own);
    if (!s->own) return false;
    for (size_t i = 0; i < seq->changes_count; i++) {
        const change *made = &seq->changes[i];
        if (made->cell == NOWHERE) continue;
        const cell *c = &seq->cells[made->cell];
        if (made->stamp == seq->stamp || !inside(s, c)) continue; /* not the first one of its key */
        own_pair *pair = &s->own[s->own_count++];
        *pair = (own_pair){made->cell, NULL, c->now.len};
        if (c->now.present && !(pair->bytes = copied(bytes_of(&c->now), c->now.len))) return false;
    }
    if (s->own_count) qsort_r(s->own, s->own_count, sizeof *s->own, s->reverse ? own_from_the_end : own_by_key, seq);
    return true;
}

int ioi_seq_scan(ioi_state *state, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, int reverse,
                 ioi_scan **scan) {
    ioi_seq *seq = (ioi_seq *)state;
    ioi_scan *s = calloc(1, sizeof *s);
    if (!s) return starved(seq);
    s->reverse = reverse != 0;
    s->older = seq->scans;
    s->link = &seq->scans;
    if (s->older) s->older->link = &s->older;
    seq->scans = s;
    s->low_len = low_len;
    s->high_len = high_len;
    if ((low && !(s->low = copied(low, low_len))) || (high && !(s->high = copied(high, high_len))) || !order_cells(seq) ||
        !take_own(seq, s))
        return starved(seq);
    s->from = low ? bisected(seq, low, low_len) : 0;
    s->to = high ? bisected(seq, high, high_len) : seq->ordered_count;
    s->done = low && high && order_of(low, low_len, high, high_len) >= 0;
    *scan = s;
    return IOI_OK;
}

void ioi_seq_end(ioi_state *state, ioi_scan *s) {
    const ioi_seq *seq = (ioi_seq *)state;
    if (s->walk) seq->ranges->close(seq->ranges->context, s->walk);
    *s->link = s->older;
    if (s->older) s->older->link = s->link;
    for (size_t i = 0; i < s->own_count; i++) free(s->own[i].bytes);
    free(s->own);
    free(s->low);
    free(s->high);
    free(s->given_key);
    free(s->given_value);
    free(s);
}

/* What the block has of a cell, beneath the transaction that runs. */
static const value *of_block(const ioi_seq *seq, const cell *c) {
    return c->stamp == seq->stamp ? &seq->changes[c->first].before : &c->now;
}

static void of_cell(ioi_pair *pair, const cell *c, const uint8_t *bytes, size_t len) {
    *pair = (ioi_pair){c->key, bytes, c->key_len, len};
}

/* IOI_STOP where the base cannot be read. */
static int advance(ioi_seq *seq, ioi_scan *s, int source) {
    s->there[source] = false;
    if (source == OWN && s->own_at < s->own_count) {
        const own_pair *own = &s->own[s->own_at++];
        of_cell(&s->next[OWN], &seq->cells[own->cell], own->bytes, own->len);
        s->there[OWN] = true;
    } else if (source == BLOCK && s->from < s->to) {
        s->block_cell = seq->ordered[s->reverse ? --s->to : s->from++];
        of_cell(&s->next[BLOCK], &seq->cells[s->block_cell], NULL, 0); /* its value may be moved or replaced before it is given */
        s->there[BLOCK] = true;
    } else if (source == BASE && s->walk) {
        int there = seq->ranges->next(seq->ranges->context, s->walk, &s->next[BASE]);
        s->there[BASE] = there > 0;
        if (there > 0) return IOI_OK;
        seq->ranges->close(seq->ranges->context, s->walk);
        s->walk = NULL;
        if (there < 0) return seq->stopped = true, IOI_STOP;
    }
    return IOI_OK;
}

static int begin(ioi_seq *seq, ioi_scan *s) {
    assert(seq->ranges);
    s->begun = true;
    s->walk = seq->ranges->open(seq->ranges->context, s->low, s->low_len, s->high, s->high_len, s->reverse);
    if (!s->walk) return seq->stopped = true, IOI_STOP;
    for (int i = 0; i < SOURCES; i++)
        if (advance(seq, s, i) == IOI_STOP) return IOI_STOP;
    return IOI_OK;
}

/* Where the bytes stay while the sources go on: cells do not change meanwhile, but the base's are only lent. */
static bool lent(ioi_scan *s, ioi_pair *pair) {
    struct {
        const uint8_t **bytes;
        size_t len, *room;
        uint8_t **kept;
    } parts[] = {{&pair->key, pair->key_len, &s->key_room, &s->given_key},
                 {&pair->value, pair->len, &s->value_room, &s->given_value}};
    for (int i = 0; i < 2; i++) {
        if (!*parts[i].kept || parts[i].len > *parts[i].room) {
            free(*parts[i].kept);
            *parts[i].room = 2 * parts[i].len + 32;
            if (!(*parts[i].kept = malloc(*parts[i].room))) return false;
        }
        if (parts[i].len) memcpy(*parts[i].kept, *parts[i].bytes, parts[i].len);
        *parts[i].bytes = *parts[i].kept;
    }
    return true;
}

int ioi_seq_next(ioi_state *state, ioi_scan *s, const uint8_t **key, size_t *key_len, const uint8_t **bytes, size_t *len) {
    ioi_seq *seq = (ioi_seq *)state;
    if (s->done) return IOI_ABSENT;
    if (!s->begun && begin(seq, s) == IOI_STOP) return IOI_STOP;
    for (;;) {
        int first = -1;
        for (int i = 0; i < SOURCES; i++) {
            if (!s->there[i]) continue;
            const ioi_pair *a = &s->next[i], *b = first < 0 ? a : &s->next[first];
            int order = order_of(a->key, a->key_len, b->key, b->key_len) * (s->reverse ? -1 : 1);
            if (first < 0 || order < 0) first = i; /* of equal keys, the upper one stays */
        }
        if (first < 0) {
            s->done = true;
            return IOI_ABSENT;
        }
        ioi_pair pair = s->next[first];
        if (first == BASE && !lent(s, &pair)) return starved(seq);
        if (first == BLOCK) {
            const value *v = of_block(seq, &seq->cells[s->block_cell]);
            pair.value = bytes_of(v);
            pair.len = v->len;
        }
        for (int i = SOURCES - 1; i >= 0; i--)
            if (s->there[i] && order_of(s->next[i].key, s->next[i].key_len, pair.key, pair.key_len) == 0 &&
                advance(seq, s, i) == IOI_STOP)
                return IOI_STOP;
        if (!pair.value) continue;
        *key = pair.key;
        *key_len = pair.key_len;
        *bytes = pair.value;
        *len = pair.len;
        return IOI_OK;
    }
}
