/* What the files of a view share: view.c reads, view_write.c writes, view_ranges.c notes what scans look at, view_finish.c publishes. */
#ifndef IOI_VIEW_INSIDE_H
#define IOI_VIEW_INSIDE_H

#include <stdlib.h>
#include <string.h>

#include "view.h"

typedef struct own_write {
    ioi_entry *entry;
    const uint8_t *bytes; /* NULL = delete; else in room */
    uint8_t *room;        /* its own: what an undo puts back has another */
    uint32_t len, capacity;
    uint32_t noted; /* its newest undo, + 1; 0: none */
    bool standing;  /* false: undone, nothing written */
    bool adding;    /* no bytes, but what is added to the key's counter, modulo 2^128 */
    ioi_u128 delta;
} own_write;

/* What a key was, or the events were, when the innermost checkpoint then open began. It is noted once for each, however often they change
 * inside: what may have to be put back is bounded by the limits of a transaction, and how deep checkpoints may be nested. */
typedef struct undo {
    uint32_t write; /* NONE: of the events; before.len is how long they were */
    own_write before;
} undo;

typedef struct open_range {
    uint8_t *low, *high, *reached; /* private copies; NULL = unbounded, nothing reached yet */
    uint32_t low_len, high_len, reached_len;
    bool reverse, complete, looked;
} open_range;

/* What this incarnation knows of a key: indices into reads and writes, or NONE. */
typedef struct known {
    uint64_t entry;
    uint32_t generation, read, write, learned;
} known;
enum { NONE = UINT32_MAX };

/* What adding to a key's counter has learned of it. */
typedef struct learned {
    ioi_entry *entry;
    ioi_u128 base;      /* the counter below this transaction, as first met: pinned */
    ioi_u128 low, high; /* all would have gone the same way from here to there */
} learned;

/* Sizes of room for a value: powers of two from IOI_ROOM_LEAST on. */
enum { IOI_ROOM_LEAST = 16, IOI_ROOM_SIZES = 33 };

/* Value bytes live in blocks that are never moved within an incarnation. */
typedef struct bytes_block {
    struct bytes_block *next;
    size_t used, size;
    uint8_t bytes[];
} bytes_block;

struct ioi_view_store {
    known *known;
    uint32_t known_capacity, known_count, generation;
    ioi_read *reads;
    own_write *writes;
    undo *undos;
    open_range *ranges;
    ioi_put *puts;
    learned *learned;
    uint32_t learned_count, learned_capacity;
    uint32_t reads_count, reads_capacity, writes_count, writes_capacity, undos_count, undos_capacity;
    uint32_t ranges_count, ranges_capacity, puts_capacity;
    uint32_t standing;               /* distinct keys written, as it stands */
    uint32_t *begins;                /* of each open checkpoint: how many undos there were when it began */
    uint32_t marks, begins_capacity; /* checkpoints open, nested, and what holds */
    uint32_t floor;                  /* so many are closed no more: those below what holds, and that; 0: nothing does */
    uint32_t events_noted;           /* as own_write.noted */
    uint64_t write_bytes;            /* their keys and values */
    bytes_block *blocks;
    uint8_t *spare[IOI_ROOM_SIZES]; /* room that is of no use any more, by its size: each begins with the next */
    bool spared;                    /* is there any */
    ioi_bytes tail, events;         /* of the receipt, packed */
};

/* Private memory is bounded by the limits; without it nothing can go on, and the pool starts afresh. */
static inline void *grown(void *array, uint32_t *capacity, uint32_t needed, size_t size) {
    if (needed <= *capacity) return array;
    uint32_t c = *capacity ? *capacity : 16;
    while (c < needed) c *= 2;
    array = realloc(array, c * size);
    assert(array);
    *capacity = c;
    return array;
}

static inline known *lookup(const struct ioi_view_store *s, uint64_t entry) {
    uint32_t mask = s->known_capacity - 1;
    uint32_t i = (uint32_t)((entry * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
    while (s->known[i].generation == s->generation && s->known[i].entry != entry) i = (i + 1) & mask;
    return &s->known[i];
}

static inline known *know(struct ioi_view_store *s, uint64_t entry) {
    known *k = lookup(s, entry);
    if (k->generation == s->generation) return k;
    if (2 * (s->known_count + 1) > s->known_capacity) {
        uint32_t old_capacity = s->known_capacity;
        known *old = s->known;
        s->known_capacity *= 2;
        s->known = calloc(s->known_capacity, sizeof *s->known);
        assert(s->known);
        for (uint32_t i = 0; i < old_capacity; i++)
            if (old[i].generation == s->generation) *lookup(s, old[i].entry) = old[i];
        free(old);
        k = lookup(s, entry);
    }
    *k = (known){entry, s->generation, NONE, NONE, NONE};
    s->known_count++;
    return k;
}

static inline const own_write *own(const struct ioi_view_store *s, uint64_t key) {
    const known *k = lookup(s, key);
    if (k->generation != s->generation || k->write == NONE || !s->writes[k->write].standing) return NULL;
    return &s->writes[k->write];
}

/* The part of an open range that was looked at. */
static inline ioi_bounds looked_at(const open_range *r) {
    ioi_bounds b = {r->low, r->high, r->low ? r->low_len : IOI_UNBOUNDED, r->high ? r->high_len : IOI_UNBOUNDED, false};
    if (!r->complete && r->reverse) {
        b.low = r->reached;
        b.low_len = r->reached_len;
    } else if (!r->complete) {
        b.high = r->reached;
        b.high_len = r->reached_len;
        b.high_inclusive = true;
    }
    return b;
}

/* Was the absence of this key seen by a scan? Then it stays absent for this incarnation. */
static inline bool in_scanned_range(const struct ioi_view_store *s, const ioi_entry *e) {
    for (uint32_t i = 0; i < s->ranges_count; i++) {
        if (!s->ranges[i].looked) continue;
        ioi_bounds b = looked_at(&s->ranges[i]);
        if (ioi_within(&b, e->key, e->key_len)) return true;
    }
    return false;
}

static inline ioi_learned halves(const learned *l) {
    return (ioi_learned){{(uint64_t)l->low, (uint64_t)(l->low >> 64)}, {(uint64_t)l->high, (uint64_t)(l->high >> 64)}};
}

static inline int stop(ioi_view *v, ioi_stop why) {
    v->stop = why;
    if (why == IOI_STOP_STALE && ioi_recording(v->worker)) ioi_recorder_executed(&v->worker->recorder, false);
    return IOI_STOP;
}

/* Before a key is read: scheduler.h. */
static inline void will_read(ioi_view *v, const ioi_entry *entry) {
    if (v->worker->noting) ioi_will_read(v->worker, v->tx, ioi_key_bits(ioi_ref_of(v->worker->arena, entry)));
}

/* view.c: whether what was read has been overtaken, and when to look again. */
bool ioi_view_overtaken(ioi_view *v);

/* A VM fed with stale reads may go round in circles, whatever it does there: look now and then whether they still stand. */
static inline bool gone_stale(ioi_view *v) { return ++v->operations >= v->next_check && ioi_view_overtaken(v); }

/* view.c: what was seen of a key cannot be gone on with. */
int ioi_view_in_the_way(ioi_view *v, ioi_entry *entry, ioi_seen seen, uint64_t word, uint32_t writer);

/* view_undo.c: see that a write has room for `len` bytes; where it had less it gets at least twice as much, so that growing it over and over
 * stays cheap, and what was there is lost. */
void ioi_view_room(struct ioi_view_store *s, own_write *write, size_t len);

/* view_undo.c: a write, or with NONE an event, is about to change: note what it was, unless that was done since the newest checkpoint began. */
void ioi_view_note_write(struct ioi_view_store *s, uint32_t write);

/* view_undo.c: put back what was there before the changes from `count` on. */
void ioi_view_undo(struct ioi_view_store *s, uint32_t count);

/* What a write adds to the size of the transaction. */
static inline uint64_t weight(const own_write *w) { return w->standing ? (uint64_t)w->entry->key_len + w->len : 0; }

#endif
