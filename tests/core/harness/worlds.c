#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "ordered.h"

/* ---- stopping, or going on ------------------------------------------------------------------------------------------- */

/* After IOI_STOP: true if what was missing is there now and the operation should be tried again. */
static bool again(state_world *x) {
    if (!x->resume) return false;
    ioi_worker *w = x->view->worker;
    switch (x->view->stop) {
    case IOI_STOP_BASE: {
        ioi_entry *entry = x->view->missing;
        const case_value *v = &x->c->base[block_case_rank(x->c, entry->key, entry->key_len)];
        if (ioi_mv_set_base(&w->alloc, entry, v->bytes, v->len)) return true;
        ioi_stop_block(w->arena, IOI_BLOCK_FULL);
        return false;
    }
    case IOI_STOP_ESTIMATE: return ioi_wait_for(w, x->view->blocker);
    case IOI_STOP_FULL: ioi_stop_block(w->arena, IOI_BLOCK_FULL); return false;
    case IOI_STOP_STALE: return false;
    case IOI_STOP_NONE: break;
    }
    engine_fail(x->engine, "IOI_STOP without a reason");
}

#define TRY(x, call)                                                                                                             \
    ({                                                                                                                           \
        int status_;                                                                                                             \
        do status_ = (call);                                                                                                     \
        while (status_ == IOI_STOP && again(x));                                                                                 \
        status_;                                                                                                                 \
    })

static int handle(state_world *x, uint32_t key, ioi_key *out) {
    if (x->engine && x->engine->shake) x->engine->shake(x->engine);
    if (!x->known[key]) {
        int status = TRY(x, x->state->key(x->state, x->c->key_bytes[key], x->c->key_len[key], &x->handles[key]));
        if (status != IOI_OK) return status;
        x->known[key] = true;
    }
    *out = x->handles[key];
    return IOI_OK;
}

#define WITH_HANDLE(w, key)                                                                                                      \
    state_world *x = (state_world *)(w);                                                                                         \
    ioi_key at;                                                                                                                  \
    if (handle(x, key, &at) != IOI_OK) return IOI_STOP

static int get(world *w, uint32_t key, const uint8_t **value, size_t *len) {
    WITH_HANDLE(w, key);
    return TRY(x, x->state->get(x->state, at, value, len));
}

static int exists(world *w, uint32_t key) {
    WITH_HANDLE(w, key);
    return TRY(x, x->state->exists(x->state, at));
}

static int put(world *w, uint32_t key, const uint8_t *value, size_t len) {
    WITH_HANDLE(w, key);
    return TRY(x, x->state->put(x->state, at, value, len));
}

static int remove_key(world *w, uint32_t key) {
    WITH_HANDLE(w, key);
    return TRY(x, x->state->remove(x->state, at));
}

static int mark(world *w, uint64_t *mark) {
    state_world *x = (state_world *)w;
    int status = TRY(x, x->state->mark(x->state, mark));
    if (status == IOI_OK && x->view && !ioi_view_innermost(x->view, *mark))
        engine_fail(x->engine, "a new checkpoint is not the innermost one");
    return status;
}

static int close_mark(world *w, uint64_t mark, int undo) {
    state_world *x = (state_world *)w;
    return x->state->close(x->state, mark, undo);
}

/* ---- scans: base, the block's writes and own writes merged, as ioi_exec/execution/workers/view.py does ------------------------ */

typedef struct bound {
    uint8_t bytes[KEY_LEN_MAX + 1];
    uint32_t len;
    bool none;
} bound;

static bound make_bound(const block_case *c, bool none, uint32_t place) {
    bound b = {.none = none};
    if (none) return b;
    b.len = c->key_len[place / 2];
    memcpy(b.bytes, c->key_bytes[place / 2], b.len);
    if (place & 1) b.bytes[b.len++] = 0;
    return b;
}

typedef struct below { /* what lies below the transaction, in order */
    state_world *x;
    const key_bounds *b;
    uint32_t range;
    uint32_t base; /* how many ranks the base's cursor has passed */
    bound at;
    bool met, done;
    uint32_t key; /* the item in hand, unless done */
    const uint8_t *value;
    size_t len;
} below;

static bool base_at(const below *s, uint32_t passed, uint32_t *key) {
    *key = s->b->reverse ? s->x->c->keys - 1 - passed : passed;
    return within(s->b, *key) && s->x->c->base[*key].present;
}

static bool before(const below *s, uint32_t a, uint32_t b) { return s->b->reverse ? a > b : a < b; }

static int below_next(below *s) {
    state_world *x = s->x;
    const block_case *c = x->c;
    ioi_view *view = x->view;
    const ioi_arena *arena = view->worker->arena;
    for (;;) {
        uint32_t base_key = 0, written_key = 0;
        bool base = false;
        for (; s->base < c->keys && !(base = base_at(s, s->base, &base_key)); s->base++) {}
        if (x->engine->shake) x->engine->shake(x->engine);
        const uint8_t *at = s->at.none ? NULL : s->at.bytes;
        ioi_entry *written = s->b->reverse ? ioi_ordered_backward(arena, at, s->at.len)
                                           : ioi_ordered_forward(arena, at, s->at.len, s->met);
        if (written) {
            written_key = block_case_rank(c, written->key, written->key_len);
            if (!within(s->b, written_key)) written = NULL;
        }
        if (!base && !written) {
            s->done = true;
            return TRY(x, ioi_view_range_reached(view, s->range, NULL, 0));
        }
        s->key = !base || (written && before(s, written_key, base_key)) ? written_key : base_key;
        if (base && s->key == base_key) s->base++;
        ioi_key key;
        if (handle(x, s->key, &key) != IOI_OK) return IOI_STOP;
        /* The scan has read the base; so has whoever first reads this key after it. */
        if (!ioi_mv_set_base(&view->worker->alloc, ioi_at(arena, key), c->base[s->key].bytes, c->base[s->key].len)) {
            view->stop = IOI_STOP_FULL;
            again(x);
            return IOI_STOP;
        }
        int status = TRY(x, ioi_view_get_below(view, key, &s->value, &s->len));
        if (status == IOI_STOP) return status;
        if (ioi_view_range_reached(view, s->range, c->key_bytes[s->key], c->key_len[s->key]) != IOI_OK) return IOI_STOP;
        s->at = make_bound(c, false, 2 * s->key);
        s->met = true;
        if (status == IOI_OK) return IOI_OK;
    }
}

typedef struct own_item {
    bool there;
    const uint8_t *value; /* NULL = deleted */
    size_t len;
} own_item;

static int scan(world *w, const key_bounds *b, scan_visit *visit, void *context, bool *complete) {
    state_world *x = (state_world *)w;
    const block_case *c = x->c;
    bound low = make_bound(c, b->no_low, b->low), high = make_bound(c, b->no_high, b->high);
    below s = {.x = x, .b = b, .at = b->reverse ? high : low};
    int status = TRY(x, ioi_view_range_open(x->view, low.none ? NULL : low.bytes, low.len, high.none ? NULL : high.bytes,
                                            high.len, b->reverse, &s.range));
    if (status != IOI_OK) return status;

    own_item own[KEYS_MAX] = {0};
    const ioi_entry *entry;
    const uint8_t *value;
    size_t len;
    for (uint32_t i = 0; ioi_view_own(x->view, i, &entry, &value, &len); i++) {
        if (!entry) continue;
        uint32_t key = block_case_rank(c, entry->key, entry->key_len);
        if (within(b, key)) own[key] = (own_item){true, value, len};
    }
    bool empty = !low.none && !high.none && b->low >= b->high;
    s.done = empty;
    if (!empty && (status = below_next(&s)) == IOI_STOP) return status;
    uint32_t passed = 0, met = 0; /* ranks of own writes passed, in the direction of the scan */
    *complete = false;
    for (;;) {
        uint32_t key = 0;
        for (; passed < c->keys; passed++)
            if (own[key = b->reverse ? c->keys - 1 - passed : passed].there) break;
        bool mine = passed < c->keys;
        if (!mine && s.done) break;
        if (mine && !s.done && s.key == key && (status = below_next(&s)) == IOI_STOP) return status; /* hidden */
        bool below_first = !mine || (!s.done && before(&s, s.key, key));
        if (below_first) {
            key = s.key;
            value = s.value;
            len = s.len;
        } else {
            value = own[key].value;
            len = own[key].len;
            passed++;
        }
        if (value) {
            status = visit(context, key, value, len);
            if (status != IOI_OK) return status;
            if (b->limit && ++met == b->limit) return IOI_OK;
        }
        if (below_first && (status = below_next(&s)) == IOI_STOP) return status;
    }
    *complete = true;
    return IOI_OK;
}

static void spin(world *w, uint32_t turns) {
    state_world *x = (state_world *)w;
    if (x->engine && x->engine->spin) x->engine->spin(x->engine, turns);
}

static void opacity(world *w, const char *what, uint32_t key) {
    state_world *x = (state_world *)w;
    engine_fail(x->engine, "opacity: %s of key %u shows something else than before", what, key);
}

void state_world_init(state_world *x, engine *e, const block_case *c, ioi_state *state, ioi_view *view, bool resume) {
    x->world = (world){get, exists, put, remove_key, mark, close_mark, view ? scan : NULL, spin, opacity};
    x->state = state;
    x->view = view;
    x->engine = e;
    x->c = c;
    x->resume = resume;
    memset(x->known, 0, sizeof x->known);
}
