#include "sequential_inside.h"

#include "counter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "sort.h"

static void drop(value *v) {
    if (v->present && v->len > SMALL) free(v->big);
}

/* False: no memory. */
static bool copy(value *v, const uint8_t *bytes, size_t len) {
    *v = (value){.len = len, .present = true};
    uint8_t *to = len > SMALL ? v->big = malloc(len) : v->small;
    if (!to) return false;
    if (len) memcpy(to, bytes, len);
    return true;
}

bool ioi_seq_room(void *field, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return true;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *array;
    memcpy(&array, field, sizeof array);
    if (!(array = realloc(array, wanted * size))) return false;
    memcpy(field, &array, sizeof array);
    *capacity = wanted;
    return true;
}

static uint32_t hash(const uint8_t *key, size_t len) { /* FNV-1a, eight bytes a step; no adversary in a reference */
    uint64_t h = 14695981039346656037u ^ len, word;
    for (; len >= 8; key += 8, len -= 8) {
        memcpy(&word, key, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; len; key++, len--) h = (h ^ *key) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

/* Where in the table a key is, or would be. Hashes are compared first: a cell and its key are two more lines to fetch. */
static size_t slot_of(const ioi_seq *seq, uint32_t h, const uint8_t *key, size_t len) {
    size_t mask = seq->table_size - 1, i = h & mask;
    for (; seq->table[i]; i = (i + 1) & mask) {
        if (seq->table[i] >> 32 != h) continue;
        const cell *c = &seq->cells[(uint32_t)seq->table[i] - 1];
        if (c->key_len == len && memcmp(c->key, key, len) == 0) break;
    }
    return i;
}

static bool widen(ioi_seq *seq) {
    size_t size = 2 * seq->table_size, mask = size - 1;
    uint64_t *table = calloc(size, sizeof *table);
    if (!table) return false;
    for (size_t from = 0; from < seq->table_size; from++) {
        if (!seq->table[from]) continue;
        size_t i = seq->table[from] >> 32 & mask;
        while (table[i]) i = (i + 1) & mask;
        table[i] = seq->table[from];
    }
    free(seq->table);
    seq->table = table;
    seq->table_size = size;
    return true;
}

/* The cell of a key, a new one if need be; NOWHERE without memory. */
static size_t find(ioi_seq *seq, const uint8_t *key, size_t len) {
    uint32_t h = hash(key, len);
    size_t i = slot_of(seq, h, key, len);
    if (seq->table[i]) return (uint32_t)seq->table[i] - 1;
    uint8_t *own = malloc(len + 1);
    bool wide = 2 * (seq->count + 1) <= seq->table_size;
    if (!wide && (wide = widen(seq))) i = slot_of(seq, h, key, len);
    if (!own || !wide || seq->count == UINT32_MAX - 1 ||
        !ioi_seq_room(&seq->cells, &seq->capacity, seq->count, sizeof *seq->cells)) {
        free(own);
        seq->starved = true;
        return NOWHERE;
    }
    memcpy(own, key, len);
    seq->cells[seq->count] = (cell){.key = own, .key_len = len};
    seq->table[i] = (uint64_t)h << 32 | ++seq->count;
    return seq->count - 1;
}

static int ask(ioi_seq *seq, size_t i) {
    cell *c = &seq->cells[i];
    if (c->asked) return IOI_STOP;
    if (ioi_seq_room(&seq->missing, &seq->missing_capacity, seq->missing_count, sizeof *seq->missing)) {
        c->asked = true;
        seq->missing[seq->missing_count++] = i;
    } else {
        seq->starved = true;
    }
    return IOI_STOP;
}

/* ---- the state a VM sees --------------------------------------------------------------------------------------- */

static int op_key(ioi_state *state, const uint8_t *bytes, size_t len, ioi_key *key) {
    *key = find((ioi_seq *)state, bytes, len);
    return *key == NOWHERE ? IOI_STOP : IOI_OK;
}

static int op_get(ioi_state *state, ioi_key key, const uint8_t **bytes, size_t *len) {
    ioi_seq *seq = (ioi_seq *)state;
    if (!seq->cells[key].known && !(seq->bring && seq->bring(seq->bringing, seq->cells[key].key, seq->cells[key].key_len)))
        return seq->stopped = true, ask(seq, key);
    const cell *c = &seq->cells[key];
    assert(c->known);
    *bytes = bytes_of(&c->now);
    *len = c->now.len;
    return *bytes ? IOI_OK : IOI_ABSENT;
}

static int op_exists(ioi_state *state, ioi_key key) {
    const uint8_t *bytes;
    size_t len;
    return op_get(state, key, &bytes, &len);
}

/* How many changes there were when the innermost checkpoint, or the transaction, began. */
static size_t newest_begin(const ioi_seq *seq) { return seq->depth ? seq->begins[seq->depth - 1] : 0; }

static int write_value(ioi_seq *seq, size_t i, value v) {
    cell *c = &seq->cells[i];
    bool again = c->stamp == seq->stamp;
    uint32_t keys = seq->tx_keys + !again;
    uint64_t bytes = seq->tx_bytes + v.len + (again ? 0 : c->key_len) - (again ? c->now.len : 0);
    if (c->key_len == 0 || c->key_len > seq->limits.key_bytes || v.len > seq->limits.value_bytes || keys > seq->limits.tx_keys ||
        bytes > seq->limits.tx_write_bytes) {
        drop(&v);
        return IOI_LIMIT;
    }
    bool is_noted = again && c->noted > newest_begin(seq);
    if (!is_noted && !ioi_seq_room(&seq->changes, &seq->changes_capacity, seq->changes_count, sizeof *seq->changes)) {
        drop(&v);
        seq->starved = true;
        return IOI_STOP;
    }
    if (is_noted) {
        drop(&c->now);
    } else {
        if (!again) c->first = seq->changes_count;
        seq->changes[seq->changes_count] = (change){i, again ? c->noted : 0, c->now, c->known, c->stamp};
        c->noted = ++seq->changes_count;
    }
    c->now = v;
    c->known = true;
    c->stamp = seq->stamp;
    seq->tx_keys = keys;
    seq->tx_bytes = bytes;
    return IOI_OK;
}

static int op_put(ioi_state *state, ioi_key key, const uint8_t *bytes, size_t len) {
    ioi_seq *seq = (ioi_seq *)state;
    value v;
    if (copy(&v, bytes, len)) return write_value(seq, key, v);
    seq->starved = true;
    return IOI_STOP;
}

static int op_remove(ioi_state *state, ioi_key key) { return write_value((ioi_seq *)state, key, (value){.present = false}); }

static int op_add(ioi_state *state, ioi_key key, const ioi_addition *a, size_t *found) {
    ioi_seq *seq = (ioi_seq *)state;
    const cell *c = &seq->cells[key];
    const uint8_t *before;
    if (c->key_len == 0 || c->key_len > seq->limits.key_bytes || a->field.size > seq->limits.value_bytes ||
        !ioi_field_is_one(&a->field))
        return IOI_LIMIT;
    int r = op_get(state, key, &before, found);
    if (r == IOI_STOP) return r;
    if (!before) *found = a->field.size;
    if (*found != a->field.size) return IOI_LENGTH;
    ioi_u128 counter = before ? ioi_counter_get(before, &a->field) : 0;
    if (!ioi_counter_add(a, &counter)) return IOI_REFUSED;
    value v = {.len = a->field.size, .present = true};
    uint8_t *after = v.len > SMALL ? v.big = malloc(v.len) : v.small;
    if (!after) return seq->starved = true, IOI_STOP;
    if (before) memcpy(after, before, v.len);
    else memset(after, 0, v.len);
    ioi_counter_put(after, &a->field, counter);
    return write_value(seq, key, v);
}

static void undo_to(ioi_seq *seq, size_t count) {
    while (seq->changes_count > count) {
        change *u = &seq->changes[--seq->changes_count];
        if (u->cell == NOWHERE) {
            seq->events.len = u->before.len;
            seq->events_noted = u->noted;
            continue;
        }
        cell *c = &seq->cells[u->cell];
        bool first = u->stamp != seq->stamp;
        seq->tx_keys -= first;
        seq->tx_bytes -= c->now.len + (first ? c->key_len : 0) - (first ? 0 : u->before.len);
        drop(&c->now);
        c->now = u->before;
        c->known = u->known;
        c->stamp = u->stamp;
        c->noted = u->noted;
    }
}

/* A checkpoint ends and is kept: what it noted is for the one around it, or the transaction, which has what it noted itself. */
static void hand_over(ioi_seq *seq, size_t from) {
    size_t kept = from, begin = newest_begin(seq);
    for (size_t i = from; i < seq->changes_count; i++) {
        change *u = &seq->changes[i];
        size_t *noted = u->cell == NOWHERE ? &seq->events_noted : &seq->cells[u->cell].noted;
        if (u->noted > begin) {
            if (u->noted <= from) *noted = u->noted; /* else of one that was just looked at */
            drop(&u->before);
            continue;
        }
        if (u->noted == 0 && u->cell != NOWHERE) seq->cells[u->cell].first = kept;
        seq->changes[kept] = *u;
        *noted = ++kept;
    }
    seq->changes_count = kept;
}

static bool begin_mark(ioi_seq *seq) {
    if (!ioi_seq_room(&seq->begins, &seq->begins_capacity, seq->depth, sizeof *seq->begins)) return seq->starved = true, false;
    seq->begins[seq->depth++] = seq->changes_count;
    return true;
}

static int op_mark(ioi_state *state, uint64_t *mark) {
    ioi_seq *seq = (ioi_seq *)state;
    if (seq->depth - (seq->floor != 0) >= seq->limits.checkpoint_depth) return IOI_LIMIT;
    if (!begin_mark(seq)) return IOI_STOP;
    *mark = seq->depth - 1;
    return IOI_OK;
}

static int op_close(ioi_state *state, uint64_t mark, int undo) {
    ioi_seq *seq = (ioi_seq *)state;
    if (mark >= seq->depth || mark < seq->floor) return IOI_OK; /* closed with one around it, or never to be */
    seq->depth = (uint32_t)mark;
    if (undo) undo_to(seq, seq->begins[mark]);
    else hand_over(seq, seq->begins[mark]);
    return IOI_OK;
}

static void hold(ioi_state *state) {
    ioi_seq *seq = (ioi_seq *)state;
    if (begin_mark(seq)) seq->floor = seq->depth;
}

static int op_emit(ioi_state *state, const char *name, const ioi_attribute *attributes, size_t count) {
    ioi_seq *seq = (ioi_seq *)state;
    size_t size = ioi_event_size(name, attributes, count), before = seq->events.len;
    if (!size || size > IOI_EVENTS_BYTES - before) return IOI_LIMIT;
    bool is_noted = seq->events_noted > newest_begin(seq);
    if ((!is_noted && !ioi_seq_room(&seq->changes, &seq->changes_capacity, seq->changes_count, sizeof *seq->changes)) ||
        !ioi_event_pack(&seq->events, name, attributes, count)) {
        seq->starved = true;
        return IOI_STOP;
    }
    if (is_noted) return IOI_OK;
    seq->changes[seq->changes_count] = (change){NOWHERE, seq->events_noted, {.len = before}, false, 0};
    seq->events_noted = ++seq->changes_count;
    return IOI_OK;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

ioi_seq *ioi_seq_new(const ioi_vm *vm, const ioi_limits *limits, const ioi_ctx *ctx) {
    ioi_seq *seq = calloc(1, sizeof *seq);
    if (!seq) return NULL;
    seq->state = (ioi_state){op_key,       op_get,       op_exists,   op_put,        op_remove,       op_mark, op_close,
                             ioi_seq_scan, ioi_seq_next, ioi_seq_end, ioi_no_charge, ioi_no_gas_left, op_add,  op_emit};
    seq->vm = vm;
    seq->limits = *limits;
    seq->ctx = *ctx;
    seq->ctx.memory = ioi_vm_memory_new(vm);
    seq->table_size = 1024;
    seq->table = calloc(seq->table_size, sizeof *seq->table);
    if (seq->table) return seq;
    ioi_seq_free(seq);
    return NULL;
}

void ioi_seq_free(ioi_seq *seq) {
    if (!seq) return;
    ioi_vm_memory_free(seq->vm, seq->ctx.memory);
    for (size_t i = 0; i < seq->changes_count; i++) drop(&seq->changes[i].before);
    for (size_t i = 0; i < seq->count; i++) {
        free(seq->cells[i].key);
        drop(&seq->cells[i].now);
    }
    free(seq->cells);
    free(seq->table);
    free(seq->changes);
    free(seq->begins);
    free(seq->missing);
    free(seq->writes);
    free(seq->ordered);
    ioi_bytes_free(&seq->events);
    ioi_bytes_free(&seq->tail);
    free(seq);
}

void ioi_seq_bring_with(ioi_seq *seq, bool (*bring)(void *context, const uint8_t *key, size_t len), void *context) {
    seq->bring = bring;
    seq->bringing = context;
}

void ioi_seq_walk_with(ioi_seq *seq, const ioi_base_ranges *ranges) { seq->ranges = ranges; }

void ioi_seq_set_base(ioi_seq *seq, const uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len) {
    size_t i = find(seq, key, key_len); /* may move the cells */
    if (i == NOWHERE || seq->cells[i].known) return;
    cell *c = &seq->cells[i];
    value v = {.present = false};
    if (bytes && !copy(&v, bytes, len)) {
        seq->starved = true;
        return;
    }
    c->now = v;
    c->known = true;
}

bool ioi_seq_starved(const ioi_seq *seq) { return seq->starved; }

bool ioi_seq_stopped(const ioi_seq *seq) { return seq->stopped; }

static void hint_key(void *context, const uint8_t *key, size_t len) {
    ioi_seq *seq = context;
    if (len == 0 || len > seq->limits.key_bytes) return;
    size_t i = find(seq, key, len);
    if (i != NOWHERE && !seq->cells[i].known) ask(seq, i);
}

void ioi_seq_hint(ioi_seq *seq, uint64_t tx_index, const uint8_t *tx, size_t len) {
    seq->ctx.tx_index = tx_index;
    ioi_vm_hint(seq->vm, tx, len, &seq->ctx, hint_key, seq);
}

static const uint8_t *key_of(const void *of, uint32_t *len) {
    const cell *c = of;
    *len = (uint32_t)c->key_len;
    return c->key;
}

/* Cells by their keys. False: no memory. */
static bool sort_cells(const ioi_seq *seq, size_t *cells, size_t count) {
    ioi_sorted *items = malloc((count + 1) * sizeof *items);
    if (!items) return false;
    for (size_t i = 0; i < count; i++) items[i] = (ioi_sorted){0, &seq->cells[cells[i]], cells[i]};
    bool sorted = ioi_sort(&items, count, key_of);
    for (size_t i = 0; i < count; i++) cells[i] = items[i].word;
    free(items);
    return sorted;
}

void ioi_seq_sort_missing(ioi_seq *seq) {
    size_t kept = 0;
    for (size_t i = 0; i < seq->missing_count; i++) {
        cell *c = &seq->cells[seq->missing[i]];
        c->asked = false;
        if (!c->known) seq->missing[kept++] = seq->missing[i];
    }
    seq->missing_count = kept;
    if (!sort_cells(seq, seq->missing, kept)) seq->starved = true;
}

bool ioi_seq_missing(const ioi_seq *seq, size_t i, const uint8_t **key, size_t *len) {
    if (i >= seq->missing_count) return false;
    *key = seq->cells[seq->missing[i]].key;
    *len = seq->cells[seq->missing[i]].key_len;
    return true;
}

static void start(ioi_seq *seq) {
    seq->stamp++;
    seq->tx_keys = seq->depth = seq->floor = 0;
    seq->tx_bytes = 0;
    seq->events.len = seq->tail.len = seq->events_noted = 0;
    seq->missing_count = 0;
    seq->stopped = false;
}

static void add_tail(ioi_seq *seq, ioi_tail kind, const uint8_t *bytes, size_t len) {
    if (!ioi_tail_add(&seq->tail, kind, bytes, len)) seq->starved = true;
}

/* Keep the writes of a success, and what holds; put everything back after a stop. */
static bool settle(ioi_seq *seq, int result, ioi_outcome *outcome) {
    while (seq->scans) ioi_seq_end(&seq->state, seq->scans);
    if (seq->starved) result = IOI_STOP;
    bool stopped = result == IOI_STOP || seq->stopped;
    if (!stopped) ioi_bound_outcome(&seq->limits, outcome);
    if (stopped || outcome->code != 0) undo_to(seq, !stopped && seq->floor ? seq->begins[seq->floor - 1] : 0);
    if (stopped) return false;
    for (size_t i = 0; i < seq->changes_count; i++) {
        if (seq->changes[i].cell == NOWHERE) continue;
        cell *c = &seq->cells[seq->changes[i].cell];
        if (!c->written && !ioi_seq_room(&seq->ordered, &seq->ordered_capacity, seq->ordered_count, sizeof *seq->ordered)) {
            seq->starved = true;
            return undo_to(seq, 0), false;
        }
        if (!c->written) seq->ordered[seq->ordered_count++] = seq->changes[i].cell;
        c->written = true;
    }
    for (size_t i = 0; i < seq->changes_count; i++) {
        drop(&seq->changes[i].before);
    }
    seq->changes_count = 0;
    if (seq->events.len) add_tail(seq, IOI_TAIL_EVENTS, seq->events.at, seq->events.len);
    return true;
}

static size_t key_len(const ioi_state *state, ioi_key key) { return ((const ioi_seq *)state)->cells[key].key_len; }

/* good: it may be executed; else *outcome says why not. */
static bool execute(ioi_seq *seq, const uint8_t *tx, size_t len, bool good, ioi_outcome *outcome) {
    ioi_below below = {&seq->state, &seq->limits.gas, key_len, hold};
    bool refused;
    seq->ctx.tx_index = seq->tx_index;
    int result = ioi_transaction(seq->vm, tx, len, &seq->ctx, &below, good, outcome, &refused);
    if (!settle(seq, result, outcome)) return false;
    if (refused) add_tail(seq, IOI_TAIL_REFUSED, NULL, 0);
    seq->tx_index++;
    return !seq->starved;
}

bool ioi_seq_execute(ioi_seq *seq, const uint8_t *tx, size_t len, ioi_outcome *outcome) {
    start(seq);
    memset(outcome, 0, sizeof *outcome);
    return execute(seq, tx, len, true, outcome);
}

bool ioi_seq_refuse(ioi_seq *seq, const uint8_t *tx, size_t len, ioi_outcome *outcome) {
    start(seq);
    return execute(seq, tx, len, false, outcome);
}

bool ioi_seq_hook(ioi_seq *seq, ioi_hook hook, const ioi_results *results, ioi_outcome *outcome) {
    start(seq);
    memset(outcome, 0, sizeof *outcome);
    seq->ctx.tx_index = ioi_vm_hook_index(hook, seq->tx_index);
    bool done = settle(seq, ioi_vm_hook(seq->vm, hook, &seq->state, &seq->ctx, results, outcome), outcome) && !seq->starved;
    outcome->output_len = 0;
    return done;
}

const uint8_t *ioi_seq_tail(const ioi_seq *seq, size_t *len) {
    *len = seq->tail.len;
    return seq->tail.at;
}

bool ioi_seq_sort_writes(ioi_seq *seq) {
    free(seq->writes);
    seq->writes_count = 0;
    seq->writes = malloc((seq->count + 1) * sizeof *seq->writes);
    if (!seq->writes) return false;
    for (size_t i = 0; i < seq->count; i++)
        if (seq->cells[i].written) seq->writes[seq->writes_count++] = i;
    return sort_cells(seq, seq->writes, seq->writes_count);
}

bool ioi_seq_write(const ioi_seq *seq, size_t i, const uint8_t **key, size_t *key_len, const uint8_t **bytes, size_t *len) {
    if (i >= seq->writes_count) return false;
    const cell *c = &seq->cells[seq->writes[i]];
    *key = c->key;
    *key_len = c->key_len;
    *bytes = bytes_of(&c->now);
    *len = c->now.len;
    return true;
}
