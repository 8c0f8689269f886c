#include "scan.h"
#include "view_inside.h"

enum { CHECK_EVERY = 1024 }; /* operations between two looks whether the incarnation is still worth finishing */

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
    free(s->begins);
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
    s->floor = s->events_noted = 0;
    if (s->spared) memset(s->spare, 0, sizeof s->spare);
    s->spared = false;
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

static bool was_read(const void *store, uint64_t entry) {
    const struct ioi_view_store *s = store;
    const known *k = lookup(s, entry);
    return k->generation == s->generation && k->read != NONE;
}

bool ioi_view_overtaken(ioi_view *v) {
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

/* What was seen of a key cannot be gone on with. */
int ioi_view_in_the_way(ioi_view *v, ioi_entry *entry, ioi_seen seen, uint64_t word, uint32_t writer) {
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
    if (seen != IOI_SEEN_VERSION && seen != IOI_SEEN_BASE) return ioi_view_in_the_way(v, entry, seen, *word, writer);
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

/* The value below and what this transaction adds to it. It is made in the write's own room, where nothing else is while it adds. */
static int get_added(ioi_view *v, ioi_key key, const uint8_t **value, size_t *len) {
    struct ioi_view_store *s = v->store;
    own_write *w = &s->writes[lookup(s, key)->write];
    const uint8_t *below;
    size_t below_len;
    int r = ioi_view_get_below(v, key, &below, &below_len);
    if (r == IOI_STOP) return r;
    ioi_field f = ioi_mv_field(v->worker->arena, w->entry);
    const learned *l = &s->learned[lookup(s, key)->learned];
    ioi_u128 counter = r == IOI_OK && below_len == f.size ? ioi_counter_get(below, &f) : 0;
    /* Since the first add it became what would have made the adds go another way. */
    if ((r == IOI_OK && below_len != f.size) || counter < l->low || counter > l->high) return stop(v, IOI_STOP_STALE);
    ioi_view_room(s, w, f.size);
    if (r == IOI_OK) memcpy(w->room, below, f.size);
    else memset(w->room, 0, f.size);
    ioi_counter_put(w->room, &f, counter + w->delta);
    *value = w->room;
    *len = f.size;
    return IOI_OK;
}

int ioi_view_get(ioi_view *v, ioi_key key, const uint8_t **value, size_t *len) {
    const own_write *w = v->store->writes_count ? own(v->store, key) : NULL;
    if (!w) return ioi_view_get_below(v, key, value, len);
    if (w->adding) return get_added(v, key, value, len);
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
