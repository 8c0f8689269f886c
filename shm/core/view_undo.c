/* Checkpoints of a view: what they may have to put back, and room for it. */
#include "view_inside.h"

/* ---- room ------------------------------------------------------------------------------------------------------ */

static int size_of(size_t len) { return len <= IOI_ROOM_LEAST ? 4 : 64 - __builtin_clzll(len - 1); }

/* What lies in the room is needed no more. */
static void give_back(struct ioi_view_store *s, own_write *w) {
    if (!w->room) return;
    uint8_t **first = &s->spare[size_of(w->capacity)];
    memcpy(w->room, first, sizeof *first);
    *first = w->room;
    s->spared = true;
}

void ioi_view_room(struct ioi_view_store *s, own_write *w, size_t len) {
    if (w->room && len <= w->capacity) return;
    give_back(s, w);
    int which = size_of(len); /* an empty value has an address too: NULL is a deletion */
    size_t size = which < 32 ? (size_t)1 << which : UINT32_MAX;
    assert(len <= size);
    w->capacity = (uint32_t)size;
    if ((w->room = s->spare[which])) {
        memcpy(&s->spare[which], w->room, sizeof w->room);
        return;
    }
    if (!s->blocks || s->blocks->size - s->blocks->used < size) {
        size_t block = size > 16384 ? size : 16384;
        bytes_block *made = malloc(sizeof *made + block);
        assert(made);
        *made = (bytes_block){s->blocks, 0, block};
        s->blocks = made;
    }
    w->room = s->blocks->bytes + s->blocks->used;
    s->blocks->used += size;
}

/* ---- noting and putting back ------------------------------------------------------------------------------------ */

static uint32_t *noted_of(struct ioi_view_store *s, uint32_t write) {
    return write == NONE ? &s->events_noted : &s->writes[write].noted;
}

void ioi_view_note_write(struct ioi_view_store *s, uint32_t write) {
    if (!s->marks || *noted_of(s, write) > s->begins[s->marks - 1]) return;
    s->undos = grown(s->undos, &s->undos_capacity, s->undos_count + 1, sizeof *s->undos);
    undo *u = &s->undos[s->undos_count++];
    *u = (undo){.write = write};
    if (write == NONE) {
        u->before.len = (uint32_t)s->events.len;
        u->before.noted = s->events_noted;
    } else { /* its room goes with it */
        u->before = s->writes[write];
        s->writes[write].room = NULL;
        s->writes[write].capacity = 0;
    }
    *noted_of(s, write) = s->undos_count;
}

void ioi_view_undo(struct ioi_view_store *s, uint32_t count) {
    while (s->undos_count > count) {
        const undo *u = &s->undos[--s->undos_count];
        if (u->write == NONE) {
            s->events.len = u->before.len;
            s->events_noted = u->before.noted;
            continue;
        }
        own_write *w = &s->writes[u->write];
        s->write_bytes = s->write_bytes - weight(w) + weight(&u->before);
        s->standing = s->standing - w->standing + u->before.standing;
        give_back(s, w);
        *w = u->before;
    }
}

/* What was noted from `from` on is now for the checkpoint around it, which began at `begin` and has what it noted itself; with
 * `forget` there is none. */
static void hand_over(struct ioi_view_store *s, uint32_t from, uint32_t begin, bool forget) {
    uint32_t kept = from;
    for (uint32_t i = from; i < s->undos_count; i++) {
        undo u = s->undos[i];
        if (forget || u.before.noted > begin) {
            if (forget) *noted_of(s, u.write) = 0;
            else if (u.before.noted <= from) *noted_of(s, u.write) = u.before.noted; /* else of one that was just looked at */
            give_back(s, &u.before);
        } else {
            s->undos[kept++] = u;
            *noted_of(s, u.write) = kept;
        }
    }
    s->undos_count = kept;
}

/* ---- checkpoints -------------------------------------------------------------------------------------------------- */

static void begin_mark(struct ioi_view_store *s) {
    s->begins = grown(s->begins, &s->begins_capacity, s->marks + 1, sizeof *s->begins);
    s->begins[s->marks++] = s->undos_count;
}

int ioi_view_mark(ioi_view *v, uint64_t *mark) {
    struct ioi_view_store *s = v->store;
    if (gone_stale(v)) return stop(v, IOI_STOP_STALE);
    if (s->marks - (s->floor != 0) >= v->limits.checkpoint_depth) {
        v->limit = IOI_LIMIT_CHECKPOINT_DEPTH;
        return IOI_LIMIT;
    }
    *mark = s->marks;
    begin_mark(s);
    return IOI_OK;
}

bool ioi_view_innermost(const ioi_view *v, uint64_t mark) { return mark + 1 == v->store->marks; }

int ioi_view_close(ioi_view *v, uint64_t mark, bool undo_writes) {
    struct ioi_view_store *s = v->store;
    if (mark >= s->marks || mark < s->floor) return IOI_OK; /* closed with one around it, or never to be */
    s->marks = (uint32_t)mark;
    if (undo_writes) ioi_view_undo(s, s->begins[mark]);
    else hand_over(s, s->begins[mark], mark ? s->begins[mark - 1] : 0, mark == 0);
    return IOI_OK;
}

void ioi_view_hold(ioi_view *v) {
    struct ioi_view_store *s = v->store;
    hand_over(s, 0, 0, true); /* what stays is never put back */
    begin_mark(s);            /* from here on what is replaced is noted */
    s->floor = s->marks;
    v->kept = true;
}
