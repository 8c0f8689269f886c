#include "view.h"

#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "ordered.h"
#include "scan.h"

enum { BOUND_MAX = 1 << 20 }; /* bytes of a range's bound that are looked at */
enum { CHECK_EVERY = 1024 };  /* operations between two looks whether the incarnation is still worth finishing */

typedef struct own_write {
    ioi_entry *entry;
    const uint8_t *bytes; /* NULL = delete; else in room */
    uint8_t *room;
    uint32_t len, capacity;
    bool standing; /* false: undone, nothing written */
    bool adding;   /* no bytes, but what is added to the key's counter, modulo 2^128 */
    ioi_u128 delta;
} own_write;

typedef struct undo {
    uint32_t write; /* NONE: an event was added; before.len is what there was before */
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
    uint32_t standing;    /* distinct keys written, as it stands */
    uint32_t marks;       /* checkpoints open, nested, and what holds */
    uint32_t floor;       /* so many are closed no more: those below what holds, and that; 0: nothing does */
    uint32_t held;        /* changes that stay */
    uint64_t write_bytes; /* their keys and values */
    bytes_block *blocks;
    ioi_bytes tail, events; /* of the receipt, packed */
};

/* Private memory is bounded by the limits, but for checkpoints, which keep what they may have to put back; without it
 * nothing can go on, and the pool starts afresh. */
static void *grown(void *array, uint32_t *capacity, uint32_t needed, size_t size) {
    if (needed <= *capacity) return array;
    uint32_t c = *capacity ? *capacity : 16;
    while (c < needed) c *= 2;
    array = realloc(array, c * size);
    assert(array);
    *capacity = c;
    return array;
}

/* Room for `len` bytes; at least twice as much as the write had, so that growing it over and over stays cheap. */
static uint8_t *room_for(struct ioi_view_store *s, size_t len, uint32_t had, uint32_t *capacity) {
    size_t size = len > 2 * (size_t)had ? len : 2 * (size_t)had;
    if (size > UINT32_MAX) size = UINT32_MAX;
    if (size == 0) size = 1; /* an empty value has an address too: NULL is a deletion */
    if (!s->blocks || s->blocks->size - s->blocks->used < size) {
        size_t block = size > 16384 ? size : 16384;
        bytes_block *made = malloc(sizeof *made + block);
        assert(made);
        *made = (bytes_block){s->blocks, 0, block};
        s->blocks = made;
    }
    uint8_t *at = s->blocks->bytes + s->blocks->used;
    s->blocks->used += size;
    *capacity = (uint32_t)size;
    return at;
}

/* ---- what is known of a key ---------------------------------------------------------------------------------- */

static known *lookup(const struct ioi_view_store *s, uint64_t entry) {
    uint32_t mask = s->known_capacity - 1;
    uint32_t i = (uint32_t)((entry * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
    while (s->known[i].generation == s->generation && s->known[i].entry != entry) i = (i + 1) & mask;
    return &s->known[i];
}

static known *know(struct ioi_view_store *s, uint64_t entry) {
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

/* ---- life ---------------------------------------------------------------------------------------------------- */

static int op_key(ioi_state *v, const uint8_t *bytes, size_t len, ioi_key *key) {
    return ioi_view_key((ioi_view *)v, bytes, len, key);
}
static int op_get(ioi_state *v, ioi_key key, const uint8_t **value, size_t *len) {
    return ioi_view_get((ioi_view *)v, key, value, len);
}
static int op_exists(ioi_state *v, ioi_key key) { return ioi_view_exists((ioi_view *)v, key); }
static int op_put(ioi_state *v, ioi_key key, const uint8_t *value, size_t len) {
    static const uint8_t empty[1];
    return ioi_view_put((ioi_view *)v, key, value ? value : empty, value ? len : 0);
}
static int op_remove(ioi_state *v, ioi_key key) { return ioi_view_put((ioi_view *)v, key, NULL, 0); }
static int op_add(ioi_state *v, ioi_key key, const ioi_addition *a, size_t *found) {
    return ioi_view_add((ioi_view *)v, key, a, found);
}
static int op_mark(ioi_state *v, uint64_t *mark) { return ioi_view_mark((ioi_view *)v, mark); }
static int op_close(ioi_state *v, uint64_t mark, int undo) { return ioi_view_close((ioi_view *)v, mark, undo != 0); }
static int op_scan(ioi_state *v, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, int reverse,
                   ioi_scan **scan) {
    return ioi_scan_open((ioi_view *)v, low, low_len, high, high_len, reverse != 0, scan);
}
static int op_next(ioi_state *v, ioi_scan *scan, const uint8_t **key, size_t *key_len, const uint8_t **value, size_t *len) {
    ioi_pair pair;
    int r = ioi_scan_next((ioi_view *)v, scan, &pair);
    if (r != IOI_OK) return r;
    *key = pair.key;
    *key_len = pair.key_len;
    *value = pair.value;
    *len = pair.len;
    return IOI_OK;
}
static void op_end(ioi_state *v, ioi_scan *scan) { ioi_scan_end((ioi_view *)v, scan); }

static int op_emit(ioi_state *v, const char *name, const ioi_attribute *attributes, size_t count) {
    return ioi_view_emit_native((ioi_view *)v, name, attributes, count);
}

ioi_view *ioi_view_new(ioi_worker *worker) {
    ioi_view *v = calloc(1, sizeof *v);
    struct ioi_view_store *s = calloc(1, sizeof *s);
    assert(v && s);
    v->state = (ioi_state){op_key,  op_get,  op_exists, op_put,        op_remove,       op_mark, op_close,
                           op_scan, op_next, op_end,    ioi_no_charge, ioi_no_gas_left, op_add,  op_emit};
    v->worker = worker;
    v->store = s;
    s->known_capacity = 64;
    s->known = calloc(s->known_capacity, sizeof *s->known);
    assert(s->known);
    return v;
}

static void free_ranges(struct ioi_view_store *s) {
    for (uint32_t i = 0; i < s->ranges_count; i++) {
        free(s->ranges[i].low);
        free(s->ranges[i].high);
        free(s->ranges[i].reached);
    }
    s->ranges_count = 0;
}

void ioi_view_free(ioi_view *v) {
    if (!v) return;
    ioi_scans_end(v);
    struct ioi_view_store *s = v->store;
    free_ranges(s);
    for (bytes_block *b = s->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(s->known);
    free(s->reads);
    free(s->writes);
    free(s->undos);
    free(s->ranges);
    free(s->puts);
    ioi_bytes_free(&s->tail);
    ioi_bytes_free(&s->events);
    free(s->learned);
    free(s);
    free(v);
}

void ioi_view_begin(ioi_view *v, uint32_t tx) {
    struct ioi_view_store *s = v->store;
    v->tx = tx;
    v->position = tx + 1;
    v->incarnation = tx < v->worker->n ? ioi_incarnation_of(v->worker, tx) : 0;
    v->stop = IOI_STOP_NONE;
    v->missing = NULL;
    v->likely_left = 0;
    v->worker->noted = 0;
    v->operations = 0;
    v->next_check = CHECK_EVERY;
    if (++s->generation == 0) { /* wrapped: old marks could look new */
        memset(s->known, 0, s->known_capacity * sizeof *s->known);
        s->generation = 1;
    }
    s->known_count = s->reads_count = s->learned_count = s->writes_count = s->undos_count = s->standing = s->marks = 0;
    s->write_bytes = 0;
    s->tail.len = s->events.len = 0;
    s->floor = 0;
    v->kept = false;
    if (s->ranges_count) free_ranges(s);
    if (v->scans) ioi_scans_end(v);
    if (s->blocks) { /* keep the newest, which is the biggest need so far or the usual size */
        for (bytes_block *b = s->blocks->next, *next; b; b = next) {
            next = b->next;
            free(b);
        }
        s->blocks->next = NULL;
        s->blocks->used = 0;
    }
    if (ioi_recording(v->worker)) ioi_recorder_execute(&v->worker->recorder, v->tx, v->incarnation);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static int stop(ioi_view *v, ioi_stop why) {
    v->stop = why;
    if (why == IOI_STOP_STALE && ioi_recording(v->worker)) ioi_recorder_executed(&v->worker->recorder, false);
    return IOI_STOP;
}

/* The part of an open range that was looked at. */
static ioi_bounds looked_at(const open_range *r) {
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

static bool was_read(const void *store, uint64_t entry) {
    const struct ioi_view_store *s = store;
    const known *k = lookup(s, entry);
    return k->generation == s->generation && k->read != NONE;
}

static ioi_learned halves(const learned *l) {
    return (ioi_learned){{(uint64_t)l->low, (uint64_t)(l->low >> 64)}, {(uint64_t)l->high, (uint64_t)(l->high >> 64)}};
}

static __attribute__((noinline)) bool reads_overtaken(ioi_view *v) {
    const struct ioi_view_store *s = v->store;
    if (v->tx >= v->worker->n) return false;
    /* Looking costs as much as was read: so the next look is after as many operations again. */
    v->next_check = v->operations + (s->reads_count > CHECK_EVERY ? s->reads_count : CHECK_EVERY);
    if (v->worker->fresh == v->tx) return false;    /* all below is final */
    bool by_version = v->worker->policy.by_version; /* what validation would not let pass is not worth finishing */
    for (uint32_t i = 0; i < s->reads_count; i++)
        if (!ioi_mv_read_stands(&v->worker->alloc, &s->reads[i], v->position, by_version)) return true;
    for (uint32_t i = 0; i < s->learned_count; i++) {
        ioi_learned learned = halves(&s->learned[i]);
        if (!ioi_mv_learned_stands(&v->worker->alloc, s->learned[i].entry, &learned, v->position)) return true;
    }
    for (uint32_t i = 0; i < s->ranges_count; i++) {
        if (!s->ranges[i].looked) continue;
        ioi_bounds bounds = looked_at(&s->ranges[i]);
        if (!ioi_mv_range_stands(&v->worker->alloc, &bounds, v->position, by_version, was_read, s, NULL)) return true;
    }
    return false;
}

/* A VM fed with stale reads may go round in circles, whatever it does there: look now and then whether they still stand. */
static bool gone_stale(ioi_view *v) { return ++v->operations >= v->next_check && reads_overtaken(v); }

int ioi_view_key(ioi_view *v, const uint8_t *bytes, size_t len, ioi_key *key) {
    assert(len <= UINT32_MAX);
    if (gone_stale(v)) return stop(v, IOI_STOP_STALE); /* for a VM in Python that is every read and write */
    if (v->likely_left) {
        ioi_entry *next = *v->likely;
        if (next->key_len == len && memcmp(next->key, bytes, len) == 0) {
            v->likely++;
            v->likely_left--;
            *key = ioi_offset(v->worker->arena, next);
            return IOI_OK;
        }
    }
    uint64_t hash = ioi_hash(v->worker->arena->shared->seed, bytes, (uint32_t)len);
    ioi_entry *entry = ioi_index_intern(&v->worker->alloc, hash, bytes, (uint32_t)len);
    if (!entry) return stop(v, IOI_STOP_FULL);
    *key = ioi_offset(v->worker->arena, entry);
    return IOI_OK;
}

/* Was the absence of this key seen by a scan? Then it stays absent for this incarnation. */
static bool in_scanned_range(const struct ioi_view_store *s, const ioi_entry *e) {
    for (uint32_t i = 0; i < s->ranges_count; i++) {
        if (!s->ranges[i].looked) continue;
        ioi_bounds b = looked_at(&s->ranges[i]);
        if (ioi_within(&b, e->key, e->key_len)) return true;
    }
    return false;
}

/* What was seen of a key cannot be gone on with. */
static int in_the_way(ioi_view *v, ioi_entry *entry, ioi_seen seen, uint64_t word, uint32_t writer) {
    if (seen == IOI_SEEN_FULL) return stop(v, IOI_STOP_FULL);
    if (seen == IOI_SEEN_NOTHING) {
        v->missing = entry;
        return stop(v, IOI_STOP_BASE);
    }
    assert(seen == IOI_SEEN_ESTIMATE && writer >= 1 && writer < v->position);
    v->blocker = writer - 1;
    if (ioi_recording(v->worker))
        v->worker->recorder.cause = ioi_mv_cause(v->worker->arena, ioi_offset(v->worker->arena, entry), writer, word);
    return stop(v, IOI_STOP_ESTIMATE);
}

static void will_read(ioi_view *v, const ioi_entry *entry) {
    if (v->worker->noting) ioi_will_read(v->worker, v->tx, ioi_key_bits(ioi_ref_of(v->worker->arena, entry)));
}

static ioi_seen see(ioi_view *v, ioi_entry *entry, bool presence, uint64_t *word, uint32_t *writer) {
    ioi_seen seen = ioi_mv_read(&v->worker->alloc, entry, v->position, word, writer);
    if (presence || seen == IOI_SEEN_NOTHING || !ioi_word_added(*word)) return seen;
    return ioi_mv_value(&v->worker->alloc, entry, v->position, word, writer);
}

/* The word this incarnation sees below itself, recorded. `presence`: only whether there is a value. */
static int read_below(ioi_view *v, uint64_t key, bool presence, uint64_t *word) {
    struct ioi_view_store *s = v->store;
    if (gone_stale(v)) return stop(v, IOI_STOP_STALE);
    known *k = know(s, key);
    ioi_arena *arena = v->worker->arena;
    if (k->read != NONE) {
        *word = ioi_seen_word(arena, s->reads[k->read].record);
        if (presence) return IOI_OK;
        s->reads[k->read].entry &= ~IOI_PRESENCE;  /* now the value matters too; it is the one pinned */
        if (!ioi_word_added(*word)) return IOI_OK; /* else that there is one was pinned, and which is to be seen */
    }
    ioi_entry *entry = ioi_at(arena, key);
    if (k->read == NONE && s->ranges_count && in_scanned_range(s, entry)) {
        *word = IOI_DELETED; /* the range stands for the read */
        return IOI_OK;
    }
    uint32_t writer;
    will_read(v, entry);
    ioi_seen seen = see(v, entry, presence, word, &writer);
    if (seen == IOI_SEEN_NOTHING && v->bring && v->bring(v, entry)) /* meanwhile somebody may have written it */
        seen = see(v, entry, presence, word, &writer);
    if (seen != IOI_SEEN_VERSION && seen != IOI_SEEN_BASE) return in_the_way(v, entry, seen, *word, writer);
    if (k->read != NONE) {
        if (!ioi_word_present(*word)) return stop(v, IOI_STOP_STALE);
        s->reads[k->read].record = ioi_seen_record(*word);
        return IOI_OK;
    }
    s->reads = grown(s->reads, &s->reads_capacity, s->reads_count + 1, sizeof *s->reads);
    k->read = s->reads_count;
    s->reads[s->reads_count++] = (ioi_read){ioi_ref_of(arena, entry) | (presence ? IOI_PRESENCE : 0), ioi_seen_record(*word)};
    return IOI_OK;
}

static int word_value(const ioi_view *v, uint64_t word, const uint8_t **value, size_t *len) {
    if (!ioi_word_present(word)) return IOI_ABSENT;
    const ioi_record *record = ioi_word_record(v->worker->arena, word);
    *value = record->bytes;
    *len = record->len;
    return IOI_OK;
}

int ioi_view_get_below(ioi_view *v, ioi_key key, const uint8_t **value, size_t *len) {
    uint64_t word;
    int r = read_below(v, key, false, &word);
    return r ? r : word_value(v, word, value, len);
}

static const own_write *own(const struct ioi_view_store *s, uint64_t key) {
    const known *k = lookup(s, key);
    if (k->generation != s->generation || k->write == NONE || !s->writes[k->write].standing) return NULL;
    return &s->writes[k->write];
}

/* The value below and what this transaction adds to it. */
static int get_added(ioi_view *v, ioi_key key, const own_write *w, const uint8_t **value, size_t *len) {
    struct ioi_view_store *s = v->store;
    const uint8_t *below;
    size_t below_len;
    int r = ioi_view_get_below(v, key, &below, &below_len);
    if (r == IOI_STOP) return r;
    ioi_field f = ioi_mv_field(v->worker->arena, w->entry);
    const learned *l = &s->learned[lookup(s, key)->learned];
    ioi_u128 counter = r == IOI_OK && below_len == f.size ? ioi_counter_get(below, &f) : 0;
    /* Since the first add it became what would have made the adds go another way. */
    if ((r == IOI_OK && below_len != f.size) || counter < l->low || counter > l->high) return stop(v, IOI_STOP_STALE);
    uint32_t capacity;
    uint8_t *made = room_for(s, f.size, 0, &capacity);
    if (r == IOI_OK) memcpy(made, below, f.size);
    else memset(made, 0, f.size);
    ioi_counter_put(made, &f, counter + w->delta);
    *value = made;
    *len = f.size;
    return IOI_OK;
}

int ioi_view_get(ioi_view *v, ioi_key key, const uint8_t **value, size_t *len) {
    const own_write *w = v->store->writes_count ? own(v->store, key) : NULL;
    if (!w) return ioi_view_get_below(v, key, value, len);
    if (w->adding) return get_added(v, key, w, value, len);
    if (!w->bytes) return IOI_ABSENT;
    *value = w->bytes;
    *len = w->len;
    return IOI_OK;
}

int ioi_view_exists(ioi_view *v, ioi_key key) {
    const own_write *w = v->store->writes_count ? own(v->store, key) : NULL;
    if (w) return w->bytes || w->adding ? IOI_OK : IOI_ABSENT;
    uint64_t word;
    int r = read_below(v, key, true, &word);
    return r ? r : ioi_word_present(word) ? IOI_OK : IOI_ABSENT;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static int over(ioi_view *v, ioi_limit limit) {
    v->limit = limit;
    return IOI_LIMIT;
}

static uint64_t weight(const own_write *w) { return w->standing ? (uint64_t)w->entry->key_len + w->len : 0; }

/* Limits of a key and of its value. */
static bool may_write(ioi_view *v, const ioi_entry *entry, size_t len) {
    if (entry->key_len == 0 || entry->key_len > v->limits.key_bytes) return over(v, IOI_LIMIT_KEY_BYTES) == IOI_OK;
    return len <= v->limits.value_bytes || over(v, IOI_LIMIT_VALUE_BYTES) == IOI_OK;
}

/* The buffered write of a key, to be replaced by one of a value of `len` bytes: what is put back if that is undone is noted. NULL:
 * a limit is exceeded. */
static own_write *next_write(ioi_view *v, ioi_key key, size_t len) {
    struct ioi_view_store *s = v->store;
    ioi_entry *entry = ioi_at(v->worker->arena, key);
    if (!may_write(v, entry, len)) return NULL;
    known *k = know(s, key);
    own_write before = {.entry = entry};
    if (k->write != NONE) before = s->writes[k->write];
    uint64_t bytes = s->write_bytes - weight(&before) + entry->key_len + len;
    uint32_t standing = s->standing + !before.standing;
    if (standing > v->limits.tx_keys) return over(v, IOI_LIMIT_TX_KEYS), NULL;
    if (bytes > v->limits.tx_write_bytes) return over(v, IOI_LIMIT_TX_WRITE_BYTES), NULL;

    if (k->write == NONE) {
        s->writes = grown(s->writes, &s->writes_capacity, s->writes_count + 1, sizeof *s->writes);
        k->write = s->writes_count++;
        s->writes[k->write] = before;
    }
    if (s->marks) {
        s->undos = grown(s->undos, &s->undos_capacity, s->undos_count + 1, sizeof *s->undos);
        s->undos[s->undos_count++] = (undo){k->write, before};
    }
    s->standing = standing;
    s->write_bytes = bytes;
    return &s->writes[k->write];
}

int ioi_view_put(ioi_view *v, ioi_key key, const uint8_t *value, size_t len) {
    struct ioi_view_store *s = v->store;
    own_write *w = next_write(v, key, len);
    if (!w) return IOI_LIMIT;
    own_write after = {.entry = w->entry, .room = w->room, .len = (uint32_t)len, .capacity = w->capacity, .standing = true};
    if (value && (!after.room || s->marks || len > after.capacity)) /* a checkpoint may have to put the old bytes back */
        after.room = room_for(s, len, s->marks ? 0 : after.capacity, &after.capacity);
    if (value) { /* memmove: it may be the very value that `get` handed out */
        if (len) memmove(after.room, value, len);
        after.bytes = after.room;
    }
    *w = after;
    return IOI_OK;
}

/* ---- counters ------------------------------------------------------------------------------------------------ */

/* As anybody could, by reading and writing. */
static int add_to_value(ioi_view *v, ioi_key key, const ioi_addition *a, size_t *found) {
    const uint8_t *before;
    int r = ioi_view_get(v, key, &before, found);
    if (r == IOI_STOP) return r;
    bool there = r == IOI_OK;
    if (!there) *found = a->field.size;
    if (*found != a->field.size) return IOI_LENGTH;
    ioi_u128 counter = there ? ioi_counter_get(before, &a->field) : 0;
    if (!ioi_counter_add(a, &counter)) return IOI_REFUSED;
    uint32_t capacity;
    uint8_t *after = room_for(v->store, a->field.size, 0, &capacity);
    if (there) memcpy(after, before, a->field.size);
    else memset(after, 0, a->field.size);
    ioi_counter_put(after, &a->field, counter);
    return ioi_view_put(v, key, after, a->field.size);
}

/* Must the value be read, or is it known, so that reading it costs nothing? */
static bool reads_to_add(const struct ioi_view_store *s, const known *k, const ioi_entry *entry) {
    bool written = k->write != NONE && s->writes[k->write].standing;
    if (written && !s->writes[k->write].adding) return true;
    if (k->read != NONE && !(s->reads[k->read].entry & IOI_PRESENCE)) return true;
    return k->learned == NONE && k->read == NONE && s->ranges_count && in_scanned_range(s, entry);
}

/* Meet the counter of a key for the first time. IOI_LENGTH where there is none. */
static int meet_counter(ioi_view *v, known *k, ioi_entry *entry, uint32_t size) {
    struct ioi_view_store *s = v->store;
    ioi_alloc *alloc = &v->worker->alloc;
    learned l = {.entry = entry, .low = 0, .high = ~(ioi_u128)0};
    uint64_t word;
    uint32_t writer, len;
    will_read(v, entry);
    ioi_seen seen = ioi_mv_count(alloc, entry, v->position, &l.base, &len, &word, &writer);
    if (seen == IOI_SEEN_NOTHING && v->bring && v->bring(v, entry))
        seen = ioi_mv_count(alloc, entry, v->position, &l.base, &len, &word, &writer);
    if (seen != IOI_SEEN_VERSION) return in_the_way(v, entry, seen, word, writer);
    if (len != size) return IOI_LENGTH;
    s->learned = grown(s->learned, &s->learned_capacity, s->learned_count + 1, sizeof *s->learned);
    k->learned = s->learned_count;
    s->learned[s->learned_count++] = l;
    return IOI_OK;
}

int ioi_view_add(ioi_view *v, ioi_key key, const ioi_addition *a, size_t *found) {
    struct ioi_view_store *s = v->store;
    ioi_entry *entry = ioi_at(v->worker->arena, key);
    bool full = false;
    if (gone_stale(v)) return stop(v, IOI_STOP_STALE);
    if (!may_write(v, entry, a->field.size)) return IOI_LIMIT;
    if (!ioi_field_is_one(&a->field)) return over(v, IOI_LIMIT_VALUE_BYTES);
    known *k = know(s, key);
    if (reads_to_add(s, k, entry) || !ioi_mv_counter(&v->worker->alloc, entry, &a->field, &full))
        return full ? stop(v, IOI_STOP_FULL) : add_to_value(v, key, a, found);
    int r = k->learned == NONE ? meet_counter(v, k, entry, a->field.size) : IOI_OK;
    if (r == IOI_STOP) return r;
    if (r == IOI_LENGTH) return add_to_value(v, key, a, found); /* which length it has is what was learned */
    learned *l = &s->learned[k->learned];
    const own_write *before = own(s, key);
    ioi_u128 delta = before ? before->delta : 0;
    if (!ioi_counter_learn(a, l->base, l->base + delta, &l->low, &l->high)) return IOI_REFUSED;
    own_write *w = next_write(v, key, a->field.size);
    if (!w) return IOI_LIMIT;
    *w = (own_write){.entry = entry,
                     .room = w->room,
                     .len = a->field.size,
                     .capacity = w->capacity,
                     .standing = true,
                     .adding = true,
                     .delta = a->negative ? delta - a->delta : delta + a->delta};
    return IOI_OK;
}

int ioi_view_mark(ioi_view *v, uint64_t *mark) {
    struct ioi_view_store *s = v->store;
    if (gone_stale(v)) return stop(v, IOI_STOP_STALE);
    if (s->marks - (s->floor != 0) >= v->limits.checkpoint_depth) return over(v, IOI_LIMIT_CHECKPOINT_DEPTH);
    *mark = (uint64_t)s->marks << 32 | s->undos_count;
    s->marks++;
    return IOI_OK;
}

bool ioi_view_innermost(const ioi_view *v, uint64_t mark) { return (mark >> 32) + 1 == v->store->marks; }

static void undo_to(struct ioi_view_store *s, uint32_t count) {
    while (s->undos_count > count) {
        const undo *u = &s->undos[--s->undos_count];
        if (u->write == NONE) {
            s->events.len = u->before.len;
            continue;
        }
        own_write *w = &s->writes[u->write];
        s->write_bytes = s->write_bytes - weight(w) + weight(&u->before);
        s->standing = s->standing - w->standing + u->before.standing;
        *w = u->before;
    }
}

int ioi_view_close(ioi_view *v, uint64_t mark, bool undo_writes) {
    struct ioi_view_store *s = v->store;
    uint32_t depth = (uint32_t)(mark >> 32), to = (uint32_t)mark;
    if (depth >= s->marks || depth < s->floor) return IOI_OK; /* closed with one around it, or never to be */
    s->marks = depth;
    if (undo_writes) undo_to(s, to);
    if (depth == 0) s->undos_count = 0;
    return IOI_OK;
}

void ioi_view_hold(ioi_view *v) {
    struct ioi_view_store *s = v->store;
    s->floor = ++s->marks; /* from here on what is replaced is noted */
    s->held = s->undos_count;
    v->kept = true;
}

bool ioi_view_own(const ioi_view *v, uint32_t i, const ioi_entry **entry, const uint8_t **value, size_t *len) {
    const struct ioi_view_store *s = v->store;
    if (i >= s->writes_count) return false;
    *entry = s->writes[i].standing ? s->writes[i].entry : NULL;
    *value = s->writes[i].bytes;
    *len = s->writes[i].len;
    return true;
}

/* ---- ranges -------------------------------------------------------------------------------------------------- */

static uint8_t *copied(const uint8_t *bytes, size_t len) {
    uint8_t *copy = malloc(len ? len : 1);
    assert(copy);
    memcpy(copy, bytes, len);
    return copy;
}

/* What this transaction adds in a range becomes what it writes there: a scan shows values. False: it cannot be read now. */
static bool own_values(ioi_view *v, const ioi_bounds *range) {
    struct ioi_view_store *s = v->store;
    for (uint32_t i = 0; i < s->writes_count; i++) {
        const own_write *w = &s->writes[i];
        if (!w->standing || !w->adding || !ioi_within(range, w->entry->key, w->entry->key_len)) continue;
        ioi_key key = ioi_offset(v->worker->arena, w->entry);
        const uint8_t *value;
        size_t len;
        if (get_added(v, key, w, &value, &len) == IOI_STOP) return false;
        int r = ioi_view_put(v, key, value, len);
        assert(r == IOI_OK && "it counts as before");
        (void)r;
    }
    return true;
}

int ioi_view_range_open(ioi_view *v, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse,
                        uint32_t *range) {
    struct ioi_view_store *s = v->store;
    if (gone_stale(v)) return stop(v, IOI_STOP_STALE);
    if (!ioi_ordered_switch_on(&v->worker->alloc)) return stop(v, IOI_STOP_FULL);
    ioi_bounds all = {low, high, low ? (uint32_t)low_len : IOI_UNBOUNDED, high ? (uint32_t)high_len : IOI_UNBOUNDED, false};
    if (!own_values(v, &all)) return IOI_STOP;
    if (v->worker->noting) ioi_will_read(v->worker, v->tx, IOI_ANY_KEY);
    s->ranges = grown(s->ranges, &s->ranges_capacity, s->ranges_count + 1, sizeof *s->ranges);
    *range = s->ranges_count++;
    s->ranges[*range] = (open_range){
        .low = low ? copied(low, low_len) : NULL,
        .high = high ? copied(high, high_len) : NULL,
        .low_len = (uint32_t)low_len,
        .high_len = (uint32_t)high_len,
        .reverse = reverse,
    };
    return IOI_OK;
}

int ioi_view_range_reached(ioi_view *v, uint32_t range, const uint8_t *key, size_t len) {
    struct ioi_view_store *s = v->store;
    assert(range < s->ranges_count);
    open_range *r = &s->ranges[range];
    r->looked = true;
    if (!key) {
        r->complete = true;
        return IOI_OK;
    }
    r->reached = realloc(r->reached, len ? len : 1);
    assert(r->reached);
    memcpy(r->reached, key, len);
    r->reached_len = (uint32_t)len;
    return IOI_OK;
}

static bool store_bytes(ioi_alloc *alloc, const uint8_t *bytes, size_t len, ioi_ref *at) {
    *at = 0;
    if (len == 0) return true;
    uint8_t *copy = ioi_alloc_bytes(alloc, len, 8);
    if (!copy) return false;
    memcpy(copy, bytes, len);
    *at = ioi_ref_of(alloc->arena, copy);
    return true;
}

/* A bound of no bytes still needs an address: offset 0 is none. */
static bool store_bound(ioi_alloc *alloc, const uint8_t *bytes, uint32_t len, ioi_ref *at) {
    if (len == IOI_UNBOUNDED) return true;
    return len ? store_bytes(alloc, bytes, len, at) : store_bytes(alloc, (const uint8_t *)"", 1, at);
}

/* The part of each range that was looked at, for validators. */
static bool store_ranges(ioi_view *v, ioi_more *more) {
    struct ioi_view_store *s = v->store;
    ioi_alloc *alloc = &v->worker->alloc;
    if (s->ranges_count == 0) return true;
    ioi_range *out = ioi_alloc_bytes(alloc, s->ranges_count * sizeof *out, 8);
    if (!out) return false;
    more->ranges = ioi_ref_of(alloc->arena, out);
    for (uint32_t i = 0; i < s->ranges_count; i++) {
        const open_range *r = &s->ranges[i];
        if (!r->looked) continue;
        ioi_bounds bounds = looked_at(r);
        ioi_range *stored = &out[more->ranges_count++];
        *stored = (ioi_range){.low_len = bounds.low_len, .high_len = bounds.high_len, .high_inclusive = bounds.high_inclusive};
        if (!store_bound(alloc, bounds.low, bounds.low_len, &stored->low) ||
            !store_bound(alloc, bounds.high, bounds.high_len, &stored->high))
            return false;
    }
    return true;
}

/* ---- events -------------------------------------------------------------------------------------------------- */

/* Is there room for so many bytes? Then what was there is noted, to be put back. */
static bool begin_event(struct ioi_view_store *s, size_t len) {
    if (len > IOI_EVENTS_BYTES - s->events.len) return false;
    if (s->marks) {
        s->undos = grown(s->undos, &s->undos_capacity, s->undos_count + 1, sizeof *s->undos);
        s->undos[s->undos_count++] = (undo){NONE, {.len = (uint32_t)s->events.len}};
    }
    return true;
}

int ioi_view_emit(ioi_view *v, const uint8_t *bytes, size_t len) {
    if (!begin_event(v->store, len)) return IOI_LIMIT;
    bool room = ioi_bytes_add(&v->store->events, bytes, len);
    assert(room);
    return IOI_OK;
}

int ioi_view_emit_native(ioi_view *v, const char *name, const ioi_attribute *attributes, size_t count) {
    size_t len = ioi_event_size(name, attributes, count);
    if (!len || !begin_event(v->store, len)) return IOI_LIMIT;
    bool room = ioi_event_pack(&v->store->events, name, attributes, count);
    assert(room);
    return IOI_OK;
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

void ioi_view_note(ioi_view *v, ioi_tail kind, const uint8_t *bytes, size_t len) {
    bool room = ioi_tail_add(&v->store->tail, kind, bytes, len);
    assert(room);
}

/* What most incarnations do not have: *at stays 0 then. */
static bool store_more(ioi_view *v, const ioi_outcome *outcome, bool fault, ioi_ref *at) {
    ioi_alloc *alloc = &v->worker->alloc;
    if (!v->store->ranges_count && !fault && !outcome->code && !outcome->gas_wanted && !outcome->gas_used &&
        !outcome->output_len && !outcome->error_len && !v->store->tail.len)
        return true;
    ioi_more *more = ioi_alloc_bytes(alloc, sizeof *more, IOI_UNIT);
    if (!more) return false;
    *more = (ioi_more){.receipt = {.code = outcome->code,
                                   .fault = fault,
                                   .output_len = (uint32_t)outcome->output_len,
                                   .error_len = (uint32_t)outcome->error_len,
                                   .tail_len = (uint32_t)v->store->tail.len,
                                   .gas_wanted = outcome->gas_wanted,
                                   .gas_used = outcome->gas_used}};
    *at = ioi_ref_of(alloc->arena, more);
    return store_ranges(v, more) && store_bytes(alloc, outcome->output, outcome->output_len, &more->receipt.output) &&
           store_bytes(alloc, (const uint8_t *)outcome->error, outcome->error_len, &more->receipt.error) &&
           store_bytes(alloc, v->store->tail.at, v->store->tail.len, &more->receipt.tail);
}

static ioi_put put_of(const own_write *w) {
    if (w->adding) return (ioi_put){w->entry, (const uint8_t *)&w->delta, sizeof w->delta, true};
    return (ioi_put){w->entry, w->bytes, w->len, false};
}

/* What adds have learned goes to the reads; also where the value was read afterwards, which may have been another by then. */
static bool read_learned(ioi_view *v) {
    struct ioi_view_store *s = v->store;
    const ioi_arena *arena = v->worker->arena;
    for (uint32_t i = 0; i < s->learned_count; i++) {
        const learned *l = &s->learned[i];
        ioi_learned learned = halves(l);
        ioi_record *record = ioi_alloc_bytes(&v->worker->alloc, sizeof *record + sizeof learned, IOI_RECORD_ALIGN);
        if (!record) return false;
        *record = (ioi_record){.len = sizeof learned, .learned = true};
        memcpy(record->bytes, &learned, sizeof learned);
        s->reads = grown(s->reads, &s->reads_capacity, s->reads_count + 1, sizeof *s->reads);
        s->reads[s->reads_count++] = (ioi_read){ioi_ref_of(arena, l->entry), ioi_seen_record(ioi_offset(arena, record))};
    }
    return true;
}

bool ioi_view_finish(ioi_view *v, const ioi_outcome *outcome, bool fault) {
    struct ioi_view_store *s = v->store;
    ioi_worker *w = v->worker;
    ioi_alloc *alloc = &w->alloc;
    bool failed = fault || (outcome->code != 0 && !v->kept);
    if (s->floor && outcome->code) undo_to(s, s->held);
    if (s->events.len && !failed) ioi_view_note(v, IOI_TAIL_EVENTS, s->events.at, s->events.len);

    s->puts = grown(s->puts, &s->puts_capacity, s->writes_count + 1, sizeof *s->puts);
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->writes_count && !failed; i++)
        if (s->writes[i].standing) s->puts[count++] = put_of(&s->writes[i]);
    if (!read_learned(v)) return false;

    ioi_incarnation *inc = ioi_alloc_bytes(alloc, ioi_incarnation_bytes(s->reads_count, count), IOI_UNIT);
    if (!inc) return false;
    *inc = (ioi_incarnation){.incarnation = v->incarnation, .reads_count = s->reads_count, .writes_count = count};
    if (s->reads_count) memcpy(inc->reads, s->reads, s->reads_count * sizeof *inc->reads);
    if (!store_more(v, outcome, fault, &inc->more)) return false;

    bool wrote_new, end_block = v->tx == w->n;
    const ioi_incarnation *previous = end_block ? NULL : ioi_finished(w, v->tx);
    if (!ioi_mv_publish(alloc, w->slot, v->position, v->incarnation, s->puts, count, previous, ioi_incarnation_writes(inc),
                        &wrote_new))
        return false;
    if (end_block) ioi_finish_block(w, inc);
    else ioi_finish(w, v->tx, inc, wrote_new);
    return true;
}
