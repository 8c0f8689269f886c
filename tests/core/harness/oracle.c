/* The oracle: one transaction after another over plain arrays, copied whole where something may have to be undone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_case.h"
#include "events.h"

typedef struct slot {
    bool present, written, by_tx;
    uint32_t len;
    const uint8_t *bytes; /* in the oracle's arena of bytes: never freed before the end */
} slot;

typedef struct oracle {
    world world; /* first */
    const block_case *c;
    slot now[KEYS_MAX];
    slot saved[ORACLE_MARKS_MAX][KEYS_MAX];
    size_t saved_events[ORACLE_MARKS_MAX];
    uint32_t depth;
    ioi_bytes *events; /* of this transaction */
    bool metered, out;
    uint64_t limit, used; /* of gas */
    uint8_t **pieces;
    size_t pieces_count;
} oracle;

static const uint8_t *keep(oracle *o, const uint8_t *bytes, size_t len) {
    if ((o->pieces_count & (o->pieces_count - 1)) == 0)
        o->pieces = realloc(o->pieces, (2 * o->pieces_count + 1) * sizeof *o->pieces);
    uint8_t *copy = malloc(len + 1);
    if (len) memcpy(copy, bytes, len);
    return o->pieces[o->pieces_count++] = copy;
}

/* What an operation costs; false: there is not so much left, and never again. */
static bool pay(world *w, uint64_t amount) {
    oracle *o = (oracle *)w;
    if (!o->metered) return true;
    if (!o->out && o->used + amount <= o->limit) o->used += amount;
    else o->out = true;
    return !o->out;
}

static const ioi_gas *gas_of(world *w) { return &((oracle *)w)->c->limits.gas; }
static uint64_t key_len(world *w, uint32_t key) { return ((oracle *)w)->c->key_len[key]; }
static int charge(world *w, uint64_t amount) { return pay(w, amount) ? IOI_OK : IOI_STOP; }

static int get(world *w, uint32_t key, const uint8_t **value, size_t *len) {
    const slot *s = &((oracle *)w)->now[key];
    if (!pay(w, gas_of(w)->get) || (s->present && !pay(w, gas_of(w)->read_byte * s->len))) return IOI_STOP;
    if (!s->present) return IOI_ABSENT;
    *value = s->bytes;
    *len = s->len;
    return IOI_OK;
}

static int exists(world *w, uint32_t key) {
    if (!pay(w, gas_of(w)->get)) return IOI_STOP;
    return ((oracle *)w)->now[key].present ? IOI_OK : IOI_ABSENT;
}

static int store(oracle *o, uint32_t key, bool present, const uint8_t *value, size_t len) {
    const ioi_limits *limits = &o->c->limits;
    if (o->c->key_len[key] > limits->key_bytes || len > limits->value_bytes) return IOI_LIMIT;
    uint64_t bytes = o->c->key_len[key] + len;
    uint32_t count = 1;
    for (uint32_t k = 0; k < o->c->keys; k++)
        if (k != key && o->now[k].by_tx) {
            count++;
            bytes += o->c->key_len[k] + o->now[k].len;
        }
    if (count > limits->tx_keys || bytes > limits->tx_write_bytes) return IOI_LIMIT;
    o->now[key] = (slot){present, true, true, (uint32_t)len, present ? keep(o, value, len) : NULL};
    return IOI_OK;
}

static int put(world *w, uint32_t key, const uint8_t *value, size_t len) {
    if (!pay(w, gas_of(w)->put + gas_of(w)->written_byte * (key_len(w, key) + len))) return IOI_STOP;
    return store((oracle *)w, key, true, value, len);
}

static int remove_key(world *w, uint32_t key) {
    if (!pay(w, gas_of(w)->remove + gas_of(w)->written_byte * key_len(w, key))) return IOI_STOP;
    return store((oracle *)w, key, false, NULL, 0);
}

static int add(world *w, uint32_t key, const ioi_addition *a, size_t *found) {
    oracle *o = (oracle *)w;
    const slot *s = &o->now[key];
    uint64_t size = a->field.size;
    if (!pay(w,
             gas_of(w)->get + gas_of(w)->put + gas_of(w)->read_byte * size + gas_of(w)->written_byte * (key_len(w, key) + size)))
        return IOI_STOP;
    if (o->c->key_len[key] > o->c->limits.key_bytes || a->field.size > o->c->limits.value_bytes) return IOI_LIMIT;
    if (s->present && (*found = s->len) != a->field.size) return IOI_LENGTH;
    uint8_t value[16] = {0}; /* programs add to no larger ones */
    if (s->present) memcpy(value, s->bytes, s->len);
    __int128 counter = 0, most = 0;
    for (uint32_t i = a->field.offset; i < a->field.offset + a->field.width; i++) counter = counter * 256 + value[i];
    for (uint32_t i = 0; i < a->field.width; i++) most = most * 256 + 255; /* at most 8 bytes */
    if ((uint64_t)a->maximum < most) most = (__int128)a->maximum;
    counter += a->negative ? -(__int128)a->delta : (__int128)a->delta;
    if (counter < 0 || counter < (__int128)a->minimum || counter > most) return IOI_REFUSED;
    for (uint32_t i = a->field.offset + a->field.width; i-- > a->field.offset; counter /= 256)
        value[i] = (uint8_t)(counter % 256);
    return store(o, key, true, value, a->field.size);
}

static int emit(world *w, const ioi_attribute *attribute) {
    ioi_bytes *events = ((oracle *)w)->events;
    size_t before = events->len;
    ioi_event_pack(events, "e", attribute, 1);
    if (pay(w, gas_of(w)->emit + gas_of(w)->written_byte * (events->len - before))) return IOI_OK;
    events->len = before;
    return IOI_STOP;
}

static int mark(world *w, uint64_t *mark) {
    oracle *o = (oracle *)w;
    if (o->out) return IOI_STOP;
    if (o->depth >= o->c->limits.checkpoint_depth) return IOI_LIMIT;
    memcpy(o->saved[o->depth], o->now, sizeof o->now);
    o->saved_events[o->depth] = o->events->len;
    *mark = o->depth++;
    return IOI_OK;
}

static int close_mark(world *w, uint64_t mark, int undo) {
    oracle *o = (oracle *)w;
    if (o->out) return IOI_STOP;
    if (undo) {
        memcpy(o->now, o->saved[mark], sizeof o->now);
        o->events->len = o->saved_events[mark];
    }
    o->depth = (uint32_t)mark;
    return IOI_OK;
}

static int scan(world *w, const key_bounds *b, scan_visit *visit, void *context, bool *complete) {
    oracle *o = (oracle *)w;
    if (o->out) return IOI_STOP;
    slot frozen[KEYS_MAX]; /* own writes as of the call; what lies below does not change anyway */
    memcpy(frozen, o->now, sizeof frozen);
    uint32_t met = 0;
    *complete = false;
    for (uint32_t i = 0; i < o->c->keys; i++) {
        uint32_t key = b->reverse ? o->c->keys - 1 - i : i;
        if (!within(b, key) || !frozen[key].present) continue;
        if (!pay(w, gas_of(w)->scan) || !pay(w, gas_of(w)->read_byte * (key_len(w, key) + frozen[key].len))) return IOI_STOP;
        int status = visit(context, key, frozen[key].bytes, frozen[key].len);
        if (status != IOI_OK) return status;
        if (b->limit && ++met == b->limit) return IOI_OK;
    }
    if (!pay(w, gas_of(w)->scan)) return IOI_STOP; /* to learn that there is no more */
    *complete = true;
    return IOI_OK;
}

static void opacity(world *w, const char *what, uint32_t key) {
    (void)w, (void)what, (void)key;
    abort(); /* the oracle contradicts itself */
}

static uint32_t code_of(void *context, uint32_t tx) { return ((const block_case *)context)->outcomes[tx].code; }

/* What stays though a transaction fails. */
typedef struct held {
    slot slots[KEYS_MAX];
    size_t events;
} held;

static void run(oracle *o, block_case *c, uint32_t tx, held *held, program_outcome *out) {
    size_t len, from, to;
    const uint8_t *bytes = block_case_tx(c, tx, &len);
    uint64_t salt = block_case_salt(c, tx, code_of, c);
    program_ante(bytes, len, &from, &to);
    if (c->ante && tx < c->n) {
        out->refused = true;
        program_run(bytes + from, to - from, ~salt, c->keys, &o->world, out);
        if (o->out || out->code) return;
        memset(out, 0, sizeof *out);
        memcpy(held->slots, o->now, sizeof o->now);
        held->events = o->events->len;
    }
    program_run(bytes + to, len - to, salt, c->keys, &o->world, out);
}

/* False when the block stops here. */
static bool execute(oracle *o, block_case *c, uint32_t tx) {
    held held = {.events = 0};
    memcpy(held.slots, o->now, sizeof o->now);
    o->events = &c->events[tx];
    for (uint32_t k = 0; k < c->keys; k++) o->now[k].by_tx = false;
    o->depth = 0;
    size_t len;
    const uint8_t *bytes = block_case_tx(c, tx, &len);
    program_outcome *out = &c->outcomes[tx];
    uint64_t asked = program_gas_limit(bytes, len);
    o->metered = c->limits.gas.on && tx < c->n;
    o->out = false;
    o->used = 0;
    o->limit = asked < c->limits.gas.most ? asked : c->limits.gas.most;
    memset(out, 0, sizeof *out);
    out->refused = c->ante && tx < c->n;
    if (pay(&o->world, c->limits.gas.flat)) run(o, c, tx, &held, out);
    if (o->out) {
        *out = (program_outcome){.code = 11, .error = "out of gas", .error_len = 10, .refused = out->refused};
        o->used = o->limit;
    }
    if (o->metered) out->gas_wanted = o->limit, out->gas_used = o->used;
    if (out->code) out->output_len = 0;
    if (out->output_len > c->limits.output_bytes) {
        out->code = 2;
        out->output_len = 0;
        out->error_len = (size_t)snprintf(out->error, sizeof out->error, "LimitExceeded");
    }
    if (tx == c->n) out->output_len = 0;
    if (out->code || out->fault) {
        memcpy(o->now, held.slots, sizeof o->now);
        o->events->len = held.events;
    }
    if (!out->fault && !(tx == c->n && out->code)) return true;
    c->faulted = true;
    c->fault_tx = tx;
    return false;
}

void oracle_run(block_case *c) {
    oracle *o = calloc(1, sizeof *o);
    o->world = (world){get, exists, put, remove_key, add, emit, mark, close_mark, scan, NULL, charge, opacity};
    o->c = c;
    for (uint32_t k = 0; k < c->keys; k++) {
        const case_value *v = c->has_overlay[k] ? &c->overlay[k] : &c->base[k];
        o->now[k] = (slot){v->present, false, false, v->len, v->bytes};
    }
    bool going = true;
    for (uint32_t tx = 0; tx < c->n && going; tx++) going = execute(o, c, tx);
    if (going && c->end_block) execute(o, c, c->n);
    for (uint32_t k = 0; k < c->keys; k++) {
        const slot *s = &o->now[k];
        c->written[k] = s->written;
        c->final[k] = (case_value){s->present, s->present ? s->len : 0, NULL};
        if (s->present) {
            c->final[k].bytes = malloc(s->len + 1);
            if (s->len) memcpy(c->final[k].bytes, s->bytes, s->len);
        }
    }
    for (size_t i = 0; i < o->pieces_count; i++) free(o->pieces[i]);
    free(o->pieces);
    free(o);
}
