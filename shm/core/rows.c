#include "rows.h"

#include <stdlib.h>
#include <string.h>

#include "ordered.h"
#include "recorder.h"

enum { NO_KEY = UINT32_MAX, NO_WRITER = -1 };

/* A key's counter after some transaction wrote it. */
typedef struct count {
    ioi_u128 counter;
    int32_t writer;
    bool there; /* false: the value is of another length, or not known */
} count;

/* The counts that an add may depend on. */
typedef struct tally {
    bool is;   /* somebody added to the key */
    count put; /* where it was last put or deleted; else the base, which is known: who adds on top of it asks for it */
    count met; /* the last that an add needed */
    count now;
} tally;

/* Entries to numbers, in order of their coming: open addressing, never more than half full. */
typedef struct numbering {
    uint64_t *entries; /* 0 = free */
    uint32_t *numbers;
    uint64_t capacity;
    ioi_rows found; /* const ioi_entry *, by number */
} numbering;

typedef struct taking {
    ioi_arena *arena;
    ioi_taken *out;
    numbering keys;
    ioi_rows writers; /* int32_t by number: who wrote the key last, of the transactions passed */
    ioi_rows readers; /* uint32_t by number: the last that read it, + 1 */
    ioi_rows tallies; /* by number */
    ioi_alloc alloc;  /* nothing is allocated */
    uint32_t tx;
    bool failed; /* no memory */
} taking;

/* ---- memory -------------------------------------------------------------------------------------------------- */

/* Room for one more row; NULL when there is none. */
static void *another(taking *t, ioi_rows *rows) {
    if (rows->count == rows->capacity) {
        uint64_t capacity = rows->capacity ? 2 * rows->capacity : 256;
        uint8_t *grown = realloc(rows->bytes, capacity * rows->size);
        if (!grown) {
            t->failed = true;
            return NULL;
        }
        rows->bytes = grown;
        rows->capacity = capacity;
    }
    return rows->bytes + rows->count++ * rows->size;
}

static uint64_t place(const numbering *keys, uint64_t entry) {
    uint64_t i = (entry * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (keys->capacity - 1);
    while (keys->entries[i] && keys->entries[i] != entry) i = (i + 1) & (keys->capacity - 1);
    return i;
}

/* False: no memory, and the table as it was. */
static bool rehash(taking *t, uint64_t capacity) {
    numbering old = t->keys, *keys = &t->keys;
    uint64_t *entries = calloc(capacity, sizeof *entries);
    uint32_t *numbers = malloc(capacity * sizeof *numbers);
    if (!entries || !numbers) {
        free(entries);
        free(numbers);
        t->failed = true;
        return false;
    }
    keys->entries = entries;
    keys->numbers = numbers;
    keys->capacity = capacity;
    for (uint64_t i = 0; i < old.capacity; i++) {
        if (!old.entries[i]) continue;
        uint64_t at = place(keys, old.entries[i]);
        entries[at] = old.entries[i];
        numbers[at] = old.numbers[i];
    }
    free(old.entries);
    free(old.numbers);
    return true;
}

/* A record as a count of its key. */
static count count_of(const taking *t, const ioi_entry *e, uint64_t word, int32_t writer) {
    ioi_field f = ioi_mv_field(t->arena, e);
    if (!ioi_word_present(word)) return (count){0, writer, word != 0};
    const ioi_record *record = ioi_word_record(t->arena, word);
    if (record->len != f.size) return (count){0, writer, false};
    return (count){ioi_counter_get(record->bytes, &f), writer, true};
}

static tally tally_of(taking *t, ioi_entry *e) {
    const ioi_deep *deep = ioi_deep_of(t->arena, e);
    if (!deep || !a64_load(&deep->field)) return (tally){0};
    uint64_t word;
    if (!ioi_versions_below(&t->alloc, e, 1, &word)) word = ioi_mv_base(t->arena, e);
    if (word & IOI_CACHED && !t->arena->cache) word = 0;
    count base = count_of(t, e, word, NO_WRITER);
    return (tally){true, base, base, base};
}

/* The number of an entry, a new one if need be; NO_KEY when there is no memory. */
static uint32_t number_of(taking *t, uint64_t entry) {
    numbering *keys = &t->keys;
    if (2 * keys->found.count >= keys->capacity && !rehash(t, 2 * keys->capacity)) return NO_KEY;
    uint64_t at = place(keys, entry);
    if (keys->entries[at]) return keys->numbers[at];
    uint32_t number = (uint32_t)keys->found.count;
    const ioi_entry **found = another(t, &keys->found);
    int32_t *writer = another(t, &t->writers);
    uint32_t *reader = another(t, &t->readers);
    tally *counts = another(t, &t->tallies);
    if (!found || !writer || !reader || !counts) return NO_KEY;
    *counts = tally_of(t, ioi_at(t->arena, entry));
    *found = ioi_at(t->arena, entry);
    *writer = NO_WRITER;
    *reader = 0;
    keys->entries[at] = entry;
    return keys->numbers[at] = number;
}

static int32_t *writer_of(taking *t, uint32_t number) { return (int32_t *)t->writers.bytes + number; }
static uint32_t *reader_of(taking *t, uint32_t number) { return (uint32_t *)t->readers.bytes + number; }

/* Has a transaction of those passed written it? */
static bool written(taking *t, uint64_t entry) {
    uint64_t at = place(&t->keys, entry);
    return t->keys.entries[at] && *writer_of(t, t->keys.numbers[at]) != NO_WRITER;
}

/* ---- accesses ------------------------------------------------------------------------------------------------ */

static void take_read(taking *t, uint32_t number, int32_t writer, bool added) {
    ioi_read_row *row = another(t, &t->out->reads);
    if (row) *row = (ioi_read_row){t->tx, number, writer, added};
    *reader_of(t, number) = t->tx + 1;
}

static bool stands(const count *c, const ioi_learned *l) {
    ioi_u128 low = (ioi_u128)l->low[1] << 64 | l->low[0], high = (ioi_u128)l->high[1] << 64 | l->high[0];
    return c->there && c->counter >= low && c->counter <= high;
}

/* Whose write an add needs: what was last put or is committed, if that is enough; else what another add needed; else all. */
static int32_t needed(taking *t, uint32_t number, const ioi_learned *l) {
    tally *c = (tally *)t->tallies.bytes + number;
    assert(c->is && (!c->now.there || stands(&c->now, l)));
    if (stands(&c->put, l)) return c->put.writer;
    if (c->met.writer < c->put.writer || !stands(&c->met, l)) c->met = c->now;
    return c->met.writer;
}

static void tell(taking *t, uint32_t number, const ioi_entry *e, uint64_t word) {
    tally *c = (tally *)t->tallies.bytes + number;
    *writer_of(t, number) = (int32_t)t->tx;
    if (!c->is) return;
    if (!ioi_word_added(word)) {
        c->now = c->put = count_of(t, e, word, (int32_t)t->tx);
        return;
    }
    ioi_u128 added;
    memcpy(&added, ioi_word_record(t->arena, word)->bytes, sizeof added);
    c->now.counter += added;
    c->now.writer = (int32_t)t->tx;
}

static bool scanned(const taking *t, const ioi_incarnation *inc, const ioi_entry *e) {
    const ioi_more *more = ioi_incarnation_more(t->arena, inc);
    const ioi_range *ranges = more->ranges_count ? ioi_deref(t->arena, more->ranges) : NULL;
    for (uint32_t i = 0; i < more->ranges_count; i++) {
        ioi_bounds bounds = ioi_range_bounds(t->arena, &ranges[i]);
        if (ioi_within(&bounds, e->key, e->key_len)) return true;
    }
    return false;
}

/* For ioi_mv_range_stands, which calls it with every key of the range that the block wrote, and goes on. */
static bool take_scanned(const void *context, uint64_t entry) {
    taking *t = *(taking *const *)context;
    if (!written(t, entry)) return true;
    uint32_t number = number_of(t, entry);
    if (number == NO_KEY || *reader_of(t, number) == t->tx + 1) return true;
    take_read(t, number, *writer_of(t, number), false);
    return true;
}

/* What it read as values or presences; or else what adds learned. */
static void take_reads(taking *t, const ioi_incarnation *inc, bool of_adds) {
    ioi_arena *arena = t->arena;
    for (uint32_t i = 0; i < inc->reads_count && !t->failed; i++) {
        uint64_t entry = ioi_read_entry(&inc->reads[i]);
        /* What was read in the cache is the base. */
        uint64_t word = (uint64_t)inc->reads[i].record * IOI_UNIT;
        bool learned = !(word & IOI_CACHED) && ioi_read_learned(arena, &inc->reads[i]);
        if (learned != of_adds) continue;
        const ioi_record *record = learned ? ioi_word_record(arena, word) : NULL;
        if (learned || word & IOI_CACHED) word = a64_load(&((const ioi_entry *)ioi_at(arena, entry))->base);
        else word = ioi_seen_word(arena, inc->reads[i].record);
        if (!ioi_word_present(word) && !written(t, entry) && scanned(t, inc, ioi_at(arena, entry))) continue;
        uint32_t number = number_of(t, entry);
        if (number == NO_KEY) return;
        if (!learned) take_read(t, number, *writer_of(t, number), false);
        else if (*reader_of(t, number) != t->tx + 1) /* else it looked at the value, or its presence, too */
            take_read(t, number, needed(t, number, (const ioi_learned *)(record + 1)), true);
    }
}

static void take_accesses(taking *t, const ioi_incarnation *inc) {
    ioi_arena *arena = t->arena;
    take_reads(t, inc, false);
    const ioi_more *more = ioi_incarnation_more(arena, inc);
    const ioi_range *ranges = more->ranges_count ? ioi_deref(arena, more->ranges) : NULL;
    for (uint32_t i = 0; i < more->ranges_count && !t->failed; i++) {
        ioi_bounds bounds = ioi_range_bounds(arena, &ranges[i]);
        ioi_mv_range_stands(&t->alloc, &bounds, 0, false, take_scanned, &t, NULL);
    }
    take_reads(t, inc, true);
    const ioi_write *writes = ioi_incarnation_writes(inc);
    for (uint32_t i = 0; i < inc->writes_count && !t->failed; i++) {
        uint32_t number = number_of(t, (uint64_t)writes[i].entry * IOI_UNIT);
        ioi_write_row *row = number == NO_KEY ? NULL : another(t, &t->out->writes);
        if (!row) return;
        uint64_t word = a64_load(&((ioi_version *)ioi_deref(arena, writes[i].version))->cell);
        *row = (ioi_write_row){t->tx, number, !ioi_word_present(word), ioi_word_added(word)};
        tell(t, number, ioi_deref(arena, writes[i].entry), word);
    }
}

/* ---- events -------------------------------------------------------------------------------------------------- */

static void take_event(taking *t, const ioi_event *e, uint16_t worker) {
    uint32_t key = e->entry ? number_of(t, e->entry) : NO_KEY;
    ioi_event_row *row = another(t, &t->out->events);
    if (!row) return;
    uint64_t began = t->arena->shared->block.began_ns;
    *row = (ioi_event_row){e->start - began, e->end - began,       e->tx,  e->incarnation, e->other,
                           (int32_t)key,     e->other_incarnation, worker, e->kind,        e->result};
}

/* A worker's chunks, whose links go from the newest to the oldest. */
static void take_events(taking *t, uint32_t worker) {
    ioi_rows chunks = {.size = sizeof(uint64_t)};
    for (uint64_t at = a64_load(&t->arena->shared->slots[worker].events); at;) {
        uint64_t *chunk = another(t, &chunks);
        if (!chunk) break;
        *chunk = at;
        at = ((const ioi_events *)ioi_at(t->arena, at))->older;
    }
    while (chunks.count && !t->failed) {
        const ioi_events *chunk = ioi_at(t->arena, ((uint64_t *)chunks.bytes)[--chunks.count]);
        for (uint32_t i = 0; i < chunk->count && !t->failed; i++) take_event(t, &chunk->events[i], (uint16_t)worker);
    }
    free(chunks.bytes);
}

/* ---- all ----------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b) {
    uint32_t x = ((const ioi_read_row *)a)->key, y = ((const ioi_read_row *)b)->key;
    return (x > y) - (x < y);
}

static_assert(offsetof(ioi_read_row, tx) == offsetof(ioi_write_row, tx) &&
                  offsetof(ioi_read_row, key) == offsetof(ioi_write_row, key),
              "reads and writes are sorted alike");

/* Keys by their rank instead of their number; within a transaction in this order. */
static void arrange(ioi_rows *rows, const uint32_t *rank) {
    uint64_t from = 0;
    for (uint64_t i = 0; i < rows->count; i++) {
        ioi_read_row *row = (ioi_read_row *)(rows->bytes + i * rows->size);
        row->key = rank[row->key];
        bool last = i + 1 == rows->count || ((ioi_read_row *)(rows->bytes + (i + 1) * rows->size))->tx != row->tx;
        if (!last) continue;
        if (i > from) qsort(rows->bytes + from * rows->size, i + 1 - from, rows->size, by_key);
        from = i + 1;
    }
}

static bool number_in_order(taking *t) {
    uint64_t count = t->keys.found.count;
    const ioi_entry **keys = (const ioi_entry **)t->keys.found.bytes;
    uint32_t *rank = malloc((count + 1) * sizeof *rank);
    if (!rank) return false;
    if (count) qsort(keys, count, sizeof *keys, ioi_entry_compare);
    for (uint64_t i = 0; i < count; i++) rank[t->keys.numbers[place(&t->keys, ioi_offset(t->arena, keys[i]))]] = (uint32_t)i;
    arrange(&t->out->reads, rank);
    arrange(&t->out->writes, rank);
    for (uint64_t i = 0; i < t->out->events.count; i++) {
        ioi_event_row *row = (ioi_event_row *)t->out->events.bytes + i;
        if (row->key >= 0) row->key = (int32_t)rank[row->key];
    }
    free(rank);
    t->out->keys = keys;
    t->out->keys_count = (uint32_t)count;
    t->keys.found.bytes = NULL;
    return true;
}

bool ioi_record_lost(const ioi_arena *arena) {
    for (uint32_t i = 0; i < arena->shared->block.workers; i++)
        if (a32_load(&arena->shared->slots[i].record_lost)) return true;
    return false;
}

bool ioi_record_take(ioi_arena *arena, ioi_taken *out) {
    const ioi_block *block = &arena->shared->block;
    assert(block->record && !ioi_record_lost(arena) && a32_load(&arena->shared->sched.state) == IOI_BLOCK_DONE);
    *out = (ioi_taken){
        .events.size = sizeof(ioi_event_row), .reads.size = sizeof(ioi_read_row), .writes.size = sizeof(ioi_write_row)};
    taking t = {.arena = arena,
                .out = out,
                .keys.found.size = sizeof(ioi_entry *),
                .writers.size = sizeof(int32_t),
                .readers.size = sizeof(uint32_t),
                .tallies.size = sizeof(tally)};
    ioi_alloc_init(&t.alloc, arena);
    const a32 *incarnations = ioi_at(arena, block->incarnations);
    if (rehash(&t, 1024))
        for (t.tx = 0; t.tx < block->n + (block->hook != IOI_NO_HOOK) && !t.failed; t.tx++)
            take_accesses(&t, ioi_deref(arena, a32_load(&incarnations[t.tx])));
    for (uint32_t i = 0; i < block->workers && !t.failed; i++) take_events(&t, i);
    bool taken = !t.failed && number_in_order(&t);
    free(t.keys.entries);
    free(t.keys.numbers);
    free(t.keys.found.bytes);
    free(t.writers.bytes);
    free(t.readers.bytes);
    free(t.tallies.bytes);
    return taken;
}

void ioi_taken_free(ioi_taken *taken) {
    free(taken->events.bytes);
    free(taken->reads.bytes);
    free(taken->writes.bytes);
    free(taken->keys);
}
