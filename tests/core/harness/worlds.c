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
    case IOI_STOP_UNREADABLE:
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

static int add(world *w, uint32_t key, const ioi_addition *a, size_t *found) {
    WITH_HANDLE(w, key);
    return TRY(x, x->state->add(x->state, at, a, found));
}

static int emit(world *w, const ioi_attribute *attribute) {
    state_world *x = (state_world *)w;
    return x->state->emit(x->state, "e", attribute, 1);
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

/* ---- scans ------------------------------------------------------------------------------------------------------------- */

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

static int scan(world *w, const key_bounds *b, scan_visit *visit, void *context, bool *complete) {
    state_world *x = (state_world *)w;
    bound low = make_bound(x->c, b->no_low, b->low), high = make_bound(x->c, b->no_high, b->high);
    ioi_scan *scan;
    int status = TRY(x, x->state->scan(x->state, low.none ? NULL : low.bytes, low.len, high.none ? NULL : high.bytes, high.len,
                                       b->reverse, &scan));
    if (status != IOI_OK) return status;
    *complete = false;
    for (uint32_t met = 0; !b->limit || met < b->limit; met++) {
        const uint8_t *key, *value;
        size_t key_len, len;
        if (x->engine && x->engine->shake) x->engine->shake(x->engine);
        status = TRY(x, x->state->next(x->state, scan, &key, &key_len, &value, &len));
        *complete = status == IOI_ABSENT;
        if (status == IOI_OK) status = visit(context, block_case_rank(x->c, key, (uint32_t)key_len), value, len);
        if (status != IOI_OK) break;
    }
    if (status == IOI_STOP) return status; /* it ends with its transaction */
    x->state->end(x->state, scan);
    return *complete ? IOI_OK : status;
}

/* The committed state of a case, for scans: a walk over the ranks in a range. */
typedef struct walk {
    const case_walks *walks;
    uint32_t passed;
    bool reverse;
    bound low, high;
} walk;

static const case_value *committed(const case_walks *w, uint32_t key) {
    return w->overlaid && w->c->has_overlay[key] ? &w->c->overlay[key] : &w->c->base[key];
}

static bound kept(const uint8_t *bytes, size_t len) {
    bound b = {.none = !bytes, .len = (uint32_t)len};
    if (bytes) memcpy(b.bytes, bytes, len);
    return b;
}

static void *walk_open(void *context, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse) {
    walk *made = malloc(sizeof *made);
    *made = (walk){context, 0, reverse, kept(low, low_len), kept(high, high_len)};
    return made;
}

static int walk_next(void *context, void *opened, ioi_pair *pair) {
    const case_walks *walks = context;
    walk *k = opened;
    const block_case *c = walks->c;
    while (k->passed < c->keys) {
        uint32_t key = k->reverse ? c->keys - 1 - k->passed : k->passed;
        k->passed++;
        const uint8_t *bytes = c->key_bytes[key];
        uint32_t len = c->key_len[key];
        const case_value *v = committed(walks, key);
        if (!v->present || (!k->low.none && ioi_key_compare(bytes, len, k->low.bytes, k->low.len) < 0) ||
            (!k->high.none && ioi_key_compare(bytes, len, k->high.bytes, k->high.len) >= 0))
            continue;
        *pair = (ioi_pair){bytes, v->bytes, len, v->len};
        return 1;
    }
    return 0;
}

static void walk_close(void *context, void *opened) {
    (void)context;
    free(opened);
}

void case_walks_init(case_walks *w, const block_case *c, bool overlaid) {
    *w = (case_walks){{w, walk_open, walk_next, walk_close}, c, overlaid};
}

static void spin(world *w, uint32_t turns) {
    state_world *x = (state_world *)w;
    if (x->engine && x->engine->spin) x->engine->spin(x->engine, turns);
}

static int charge(world *w, uint64_t amount) {
    state_world *x = (state_world *)w;
    return x->state->charge(x->state, amount);
}

static void opacity(world *w, const char *what, uint32_t key) {
    state_world *x = (state_world *)w;
    engine_fail(x->engine, "opacity: %s of key %u shows something else than before", what, key);
}

void state_world_init(state_world *x, engine *e, const block_case *c, ioi_state *state, ioi_view *view, bool resume) {
    x->world = (world){get, exists, put, remove_key, add, emit, mark, close_mark, scan, spin, charge, opacity};
    x->state = state;
    x->view = view;
    x->engine = e;
    x->c = c;
    x->resume = resume;
    memset(x->known, 0, sizeof x->known);
}
