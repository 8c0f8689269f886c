#include "scan.h"

#include <stdlib.h>
#include <string.h>

#include "ordered.h"

typedef struct buffer { /* private copy of bytes */
    uint8_t *bytes;
    size_t len, room;
} buffer;

typedef struct own_pair {
    const ioi_entry *entry;
    uint8_t *value; /* NULL: deleted */
    size_t len;
} own_pair;

struct ioi_scan {
    ioi_scan *older, **link; /* among those of its view */
    uint32_t range;          /* of the view: how far was looked */
    bool reverse, begun, done;
    bool bounded_low, bounded_high;
    buffer low, high;
    void *walk;      /* over the committed state; NULL at its end */
    bool base_there; /* base_key and base_value are what it comes to next */
    buffer base_key, base_value;
    const ioi_entry *met; /* the last key that was met below; NULL: none yet */
    ioi_entry *pinning;   /* the next one, which is not read yet */
    bool ready;           /* `below` is what comes next below; its entry NULL: nothing does */
    struct {
        const ioi_entry *entry;
        const uint8_t *value;
        size_t len;
    } below;
    own_pair *own; /* in the order of the scan */
    size_t own_count, own_at;
};

static void keep(buffer *b, const uint8_t *bytes, size_t len) {
    if (len > b->room || !b->bytes) {
        b->room = len > 32 ? 2 * len : 64;
        free(b->bytes);
        b->bytes = malloc(b->room);
        assert(b->bytes);
    }
    if (len) memcpy(b->bytes, bytes, len);
    b->len = len;
}

static int order_of(const uint8_t *a, size_t a_len, const buffer *b) {
    return ioi_key_compare(a, (uint32_t)a_len, b->bytes, (uint32_t)b->len);
}

static bool in_range(const ioi_scan *s, const ioi_entry *e) {
    return (!s->bounded_low || order_of(e->key, e->key_len, &s->low) >= 0) &&
           (!s->bounded_high || order_of(e->key, e->key_len, &s->high) < 0);
}

static int own_ascending(const void *a, const void *b) {
    return ioi_entry_compare(&((const own_pair *)a)->entry, &((const own_pair *)b)->entry);
}
static int own_descending(const void *a, const void *b) { return own_ascending(b, a); }

/* This transaction's writes in the range, as they stand. */
static void take_own(ioi_view *v, ioi_scan *s) {
    const ioi_entry *entry;
    const uint8_t *value;
    size_t len, room = 0;
    for (uint32_t i = 0; ioi_view_own(v, i, &entry, &value, &len); i++) {
        if (!entry || !in_range(s, entry)) continue;
        if (s->own_count == room) {
            room = room ? 2 * room : 8;
            s->own = realloc(s->own, room * sizeof *s->own);
            assert(s->own);
        }
        own_pair *pair = &s->own[s->own_count++];
        *pair = (own_pair){entry, NULL, len};
        if (!value) continue;
        pair->value = malloc(len ? len : 1); /* a copy: it may be overwritten where it is */
        assert(pair->value);
        if (len) memcpy(pair->value, value, len);
    }
    if (s->own_count) qsort(s->own, s->own_count, sizeof *s->own, s->reverse ? own_descending : own_ascending);
}

int ioi_scan_open(ioi_view *v, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse,
                  ioi_scan **scan) {
    ioi_scan *s = calloc(1, sizeof *s);
    assert(s && low_len < IOI_UNBOUNDED && high_len < IOI_UNBOUNDED);
    s->reverse = reverse;
    if ((s->bounded_low = low != NULL)) keep(&s->low, low, low_len);
    if ((s->bounded_high = high != NULL)) keep(&s->high, high, high_len);
    s->older = v->scans;
    s->link = &v->scans;
    if (s->older) s->older->link = &s->older;
    v->scans = s;
    s->done = low && high && order_of(low, low_len, &s->high) >= 0;
    if (!s->done) {
        int r = ioi_view_range_open(v, low, low_len, high, high_len, reverse, &s->range);
        if (r == IOI_STOP) {
            ioi_scan_end(v, s);
            return r;
        }
        take_own(v, s);
    }
    *scan = s;
    return IOI_OK;
}

void ioi_scan_end(ioi_view *v, ioi_scan *s) {
    if (s->walk) v->ranges->close(v->ranges->context, s->walk);
    *s->link = s->older;
    if (s->older) s->older->link = s->link;
    for (size_t i = 0; i < s->own_count; i++) free(s->own[i].value);
    free(s->own);
    free(s->low.bytes);
    free(s->high.bytes);
    free(s->base_key.bytes);
    free(s->base_value.bytes);
    free(s);
}

void ioi_scans_end(ioi_view *v) {
    while (v->scans) ioi_scan_end(v, v->scans);
}

/* ---- below the transaction --------------------------------------------------------------------------------------- */

static int unreadable(ioi_view *v) {
    v->stop = IOI_STOP_UNREADABLE;
    return IOI_STOP;
}

static int next_of_base(ioi_view *v, ioi_scan *s) {
    ioi_pair pair;
    int there = s->walk ? v->ranges->next(v->ranges->context, s->walk, &pair) : 0;
    s->base_there = there > 0;
    if (there > 0) {
        keep(&s->base_key, pair.key, pair.key_len);
        keep(&s->base_value, pair.value, pair.len);
    } else if (s->walk) {
        v->ranges->close(v->ranges->context, s->walk);
        s->walk = NULL;
    }
    return there < 0 ? unreadable(v) : IOI_OK;
}

static int begin(ioi_view *v, ioi_scan *s) {
    const uint8_t *low = s->bounded_low ? s->low.bytes : NULL, *high = s->bounded_high ? s->high.bytes : NULL;
    assert(v->ranges);
    s->walk = v->ranges->open(v->ranges->context, low, s->low.len, high, s->high.len, s->reverse);
    if (!s->walk) return unreadable(v);
    s->begun = true;
    return next_of_base(v, s);
}

/* The next key of the block in the range, or NULL. */
static const ioi_entry *next_written(ioi_view *v, const ioi_scan *s) {
    const ioi_arena *arena = v->worker->arena;
    const buffer *from = s->reverse ? &s->high : &s->low;
    bool bounded = s->reverse ? s->bounded_high : s->bounded_low;
    const uint8_t *at = s->met ? s->met->key : bounded ? from->bytes : NULL;
    uint32_t len = s->met ? s->met->key_len : (uint32_t)from->len;
    const ioi_entry *e = s->reverse ? ioi_ordered_backward(arena, at, len) : ioi_ordered_forward(arena, at, len, s->met != NULL);
    return e && in_range(s, e) ? e : NULL;
}

/* The next key at or after the last one, of the block or the base, goes to `pinning`, with its committed value as its base.
 * IOI_ABSENT: there is none. */
static int meet(ioi_view *v, ioi_scan *s) {
    const ioi_entry *written = next_written(v, s);
    if (!written && !s->base_there) return IOI_ABSENT;
    int order = !s->base_there ? -1 : !written ? 1 : order_of(written->key, written->key_len, &s->base_key);
    if (written && s->base_there && s->reverse) order = -order;
    ioi_arena *arena = v->worker->arena;
    ioi_key key;
    if (order < 0) key = ioi_offset(arena, written);
    else if (ioi_view_key(v, s->base_key.bytes, s->base_key.len, &key) == IOI_STOP) return IOI_STOP;
    ioi_entry *entry = ioi_at(arena, key);
    /* Where the block has written a key that the walk passes by, nothing is committed. */
    if (!ioi_mv_set_base(&v->worker->alloc, entry, order < 0 ? NULL : s->base_value.bytes, (uint32_t)s->base_value.len)) {
        v->stop = IOI_STOP_FULL;
        return IOI_STOP;
    }
    s->pinning = entry;
    return order < 0 ? IOI_OK : next_of_base(v, s);
}

/* The next pair below this transaction goes to `below`. */
static int next_below(ioi_view *v, ioi_scan *s) {
    for (;;) {
        int r = s->pinning ? IOI_OK : meet(v, s);
        if (r == IOI_STOP) return r;
        s->below.entry = NULL;
        if (r == IOI_ABSENT) {
            ioi_view_range_reached(v, s->range, NULL, 0);
            return IOI_OK;
        }
        r = ioi_view_get_below(v, ioi_offset(v->worker->arena, s->pinning), &s->below.value, &s->below.len);
        if (r == IOI_STOP) return r;
        ioi_view_range_reached(v, s->range, s->pinning->key, s->pinning->key_len);
        s->met = s->pinning;
        s->pinning = NULL;
        if (r != IOI_OK) continue;
        s->below.entry = s->met;
        return IOI_OK;
    }
}

int ioi_scan_next(ioi_view *v, ioi_scan *s, ioi_pair *pair) {
    if (s->done) return IOI_ABSENT;
    if (!s->begun && begin(v, s) == IOI_STOP) return IOI_STOP;
    for (;;) {
        if (!s->ready && next_below(v, s) == IOI_STOP) return IOI_STOP;
        s->ready = true;
        const own_pair *own = s->own_at < s->own_count ? &s->own[s->own_at] : NULL;
        const ioi_entry *below = s->below.entry;
        if (!own && !below) {
            s->done = true;
            return IOI_ABSENT;
        }
        int order = !own ? 1 : !below ? -1 : ioi_key_compare(own->entry->key, own->entry->key_len, below->key, below->key_len);
        if (own && below && s->reverse) order = -order;
        if (order > 0) {
            *pair = (ioi_pair){below->key, s->below.value, below->key_len, s->below.len};
            s->ready = false;
            return IOI_OK;
        }
        if (order == 0) s->ready = false; /* hidden */
        s->own_at++;
        if (own->value) {
            *pair = (ioi_pair){own->entry->key, own->value, own->entry->key_len, own->len};
            return IOI_OK;
        }
    }
}
