#include "events.h"
#include "view_inside.h"

static int over(ioi_view *v, ioi_limit limit) {
    v->limit = limit;
    return IOI_LIMIT;
}

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
    ioi_view_note_write(s, k->write);
    s->standing = standing;
    s->write_bytes = bytes;
    return &s->writes[k->write];
}

/* Where a value of `len` bytes is to be written that stands from now on; what stood there before may be there still. NULL: a limit is
 * exceeded. */
static uint8_t *room_to_put(ioi_view *v, ioi_key key, size_t len) {
    struct ioi_view_store *s = v->store;
    own_write *w = next_write(v, key, len);
    if (!w) return NULL;
    own_write after = {
        .entry = w->entry, .room = w->room, .len = (uint32_t)len, .capacity = w->capacity, .noted = w->noted, .standing = true};
    ioi_view_room(s, &after, len);
    after.bytes = after.room;
    *w = after;
    return after.room;
}

int ioi_view_put(ioi_view *v, ioi_key key, const uint8_t *value, size_t len) {
    if (value) {
        uint8_t *room = room_to_put(v, key, len);
        if (room && len) memmove(room, value, len); /* it may be the very value that `get` handed out */
        return room ? IOI_OK : IOI_LIMIT;
    }
    own_write *w = next_write(v, key, 0);
    if (!w) return IOI_LIMIT;
    *w = (own_write){.entry = w->entry, .room = w->room, .capacity = w->capacity, .noted = w->noted, .standing = true};
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
    uint8_t *after = room_to_put(v, key, a->field.size);
    if (!after) return IOI_LIMIT;
    if (there) memmove(after, before, a->field.size);
    else memset(after, 0, a->field.size);
    ioi_counter_put(after, &a->field, counter);
    return IOI_OK;
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
    if (seen != IOI_SEEN_VERSION) return ioi_view_in_the_way(v, entry, seen, word, writer);
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
                     .noted = w->noted,
                     .standing = true,
                     .adding = true,
                     .delta = a->negative ? delta - a->delta : delta + a->delta};
    return IOI_OK;
}

bool ioi_view_own(const ioi_view *v, uint32_t i, const ioi_entry **entry, const uint8_t **value, size_t *len) {
    const struct ioi_view_store *s = v->store;
    if (i >= s->writes_count) return false;
    *entry = s->writes[i].standing ? s->writes[i].entry : NULL;
    *value = s->writes[i].bytes;
    *len = s->writes[i].len;
    return true;
}

/* ---- events -------------------------------------------------------------------------------------------------- */

/* Is there room for so many bytes? Then what was there is noted, to be put back. */
static bool begin_event(struct ioi_view_store *s, size_t len) {
    if (len > IOI_EVENTS_BYTES - s->events.len) return false;
    ioi_view_note_write(s, NONE);
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
