#include "mvmemory.h"

#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "ordered.h"
#include "sums.h"

/* ---- entry set: open addressing, a generation per clearing ------------------------------------------------ */

struct ioi_entry_set {
    uint64_t *entries;
    uint32_t *generations;
    uint32_t capacity, count, generation;
};

static void set_reserve(ioi_entry_set *set, uint32_t count) {
    uint32_t capacity = set->capacity ? set->capacity : 64;
    while (capacity < 2 * count) capacity *= 2;
    set->generation++;
    if (capacity == set->capacity && set->generation != 0) return;
    free(set->entries);
    free(set->generations);
    set->entries = malloc(capacity * sizeof *set->entries);
    set->generations = calloc(capacity, sizeof *set->generations);
    assert(set->entries && set->generations);
    set->capacity = capacity;
    set->generation = 1;
}

static uint32_t set_slot(const ioi_entry_set *set, uint64_t entry) {
    uint32_t i = (uint32_t)((entry * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (set->capacity - 1);
    while (set->generations[i] == set->generation && set->entries[i] != entry) i = (i + 1) & (set->capacity - 1);
    return i;
}

static void set_add(ioi_entry_set *set, uint64_t entry) {
    uint32_t i = set_slot(set, entry);
    set->generations[i] = set->generation;
    set->entries[i] = entry;
}

static bool set_has(const ioi_entry_set *set, uint64_t entry) {
    return set->generations[set_slot(set, entry)] == set->generation;
}

ioi_entry_set *ioi_entry_set_new(void) {
    ioi_entry_set *set = calloc(1, sizeof *set);
    assert(set);
    return set;
}

void ioi_entry_set_free(ioi_entry_set *set) {
    if (!set) return;
    free(set->entries);
    free(set->generations);
    free(set);
}

/* ---- words ------------------------------------------------------------------------------------------------- */

static uint64_t fill(const ioi_arena *arena, ioi_record *record, uint64_t state, uint32_t incarnation, const uint8_t *bytes,
                     uint32_t len) {
    *record = (ioi_record){.len = len, .incarnation = incarnation, .deleted = state == IOI_DELETED, .added = state == IOI_ADDED};
    if (len) memcpy(record->bytes, bytes, len);
    return ioi_offset(arena, record) | state;
}

uint64_t ioi_mv_record(ioi_alloc *alloc, uint64_t state, uint32_t incarnation, const uint8_t *bytes, uint32_t len) {
    ioi_record *record = ioi_alloc_bytes(alloc, sizeof *record + len, IOI_RECORD_ALIGN);
    return record ? fill(alloc->arena, record, state, incarnation, bytes, len) : 0;
}

bool ioi_mv_set_base(ioi_alloc *alloc, ioi_entry *entry, const uint8_t *bytes, uint32_t len) {
    if (a64_load(&entry->base)) return true;
    uint64_t word = ioi_mv_record(alloc, bytes ? IOI_VALUE : IOI_DELETED, 0, bytes, bytes ? len : 0);
    if (!word) return false;
    uint64_t none = 0;
    a64_cas(&entry->base, &none, word); /* whoever was first read the same committed value */
    return true;
}

bool ioi_mv_fetched(ioi_alloc *alloc, ioi_slot *slot, ioi_entry *entry, const uint8_t *bytes, uint32_t len) {
    if (a64_load(&entry->base)) return true;
    ioi_fetched *fetched = ioi_alloc_bytes(alloc, sizeof *fetched + len, IOI_RECORD_ALIGN);
    if (!fetched) return false;
    fetched->entry = ioi_offset(alloc->arena, entry);
    uint64_t word = fill(alloc->arena, &fetched->record, bytes ? IOI_VALUE : IOI_DELETED, 0, bytes, bytes ? len : 0), none = 0;
    if (!a64_cas(&entry->base, &none, word)) return true;
    fetched->next = a64_load_relaxed(&slot->fetched);
    a64_store(&slot->fetched, ioi_offset(alloc->arena, fetched)); /* this worker's own; read when it has left */
    return true;
}

uint64_t ioi_mv_base(const ioi_arena *arena, ioi_entry *entry) {
    uint64_t word = a64_load(&entry->base);
    if (word || !arena->cache) return word;
    const ioi_cached *c = ioi_cache_find(arena->cache, entry->hash, entry->key, entry->key_len);
    if (!c) return 0;
    word = (uint64_t)((const uint8_t *)&c->record - arena->cache) | (c->record.deleted ? IOI_DELETED : IOI_VALUE);
    assert(word & IOI_CACHED);
    uint64_t none = 0;
    return a64_cas(&entry->base, &none, word) ? word : none; /* one word a key: it is its base's identity */
}

/* ---- counters ---------------------------------------------------------------------------------------------- */

enum {
    KNOW_EVERY = 8, /* steps over what is final, taken in vain before that sum is kept */
    WALK_ADDS = 32  /* adds that are not final: from more on the key gets sums */
};
enum { PLACE_BITS = 30, WIDTH_AT = 2 * PLACE_BITS };

bool ioi_mv_counter(ioi_alloc *alloc, ioi_entry *entry, const ioi_field *f, bool *full) {
    *full = false;
    if (f->size >> PLACE_BITS) return false;
    ioi_deep *deep = ioi_deep_make(alloc, entry);
    if (!deep) return !(*full = true);
    uint64_t packed = (uint64_t)(f->width - 1) << WIDTH_AT | (uint64_t)f->offset << PLACE_BITS | f->size;
    uint64_t before = a64_load(&deep->field);
    if (!before && a64_cas(&deep->field, &before, packed)) return true;
    return before == packed;
}

ioi_field ioi_mv_field(const ioi_arena *arena, const ioi_entry *entry) {
    uint64_t packed = a64_load(&ioi_deep_of(arena, entry)->field);
    uint32_t places = (UINT32_C(1) << PLACE_BITS) - 1;
    return (ioi_field){(uint32_t)(packed >> PLACE_BITS) & places, (uint32_t)(packed >> WIDTH_AT) + 1, (uint32_t)packed & places};
}

/* The value that is added to; NULL: zero bytes. One of a wrong length too: for now, of a transaction that will be executed again. */
static const uint8_t *added_to(const ioi_arena *arena, uint64_t word, uint32_t size) {
    const ioi_record *record = ioi_word_present(word) ? ioi_word_record(arena, word) : NULL;
    return record && record->len == size ? record->bytes : NULL;
}

static void value_of(const ioi_arena *arena, const ioi_entry *entry, uint64_t word, ioi_u128 added, uint8_t *value) {
    ioi_field f = ioi_mv_field(arena, entry);
    const uint8_t *before = added_to(arena, word, f.size);
    if (before) memcpy(value, before, f.size);
    else memset(value, 0, f.size);
    ioi_counter_put(value, &f, ioi_counter_get(value, &f) + added);
}

/* A word of its own for a value that was summed up. 0 when the arena is full. */
static uint64_t summed_word(ioi_alloc *alloc, const ioi_entry *entry, uint64_t word, ioi_u128 added) {
    uint32_t size = ioi_mv_field(alloc->arena, entry).size;
    ioi_record *record = ioi_alloc_bytes(alloc, sizeof *record + size, IOI_RECORD_ALIGN);
    if (!record) return 0;
    *record = (ioi_record){.len = size};
    value_of(alloc->arena, entry, word, added, record->bytes);
    return ioi_offset(alloc->arena, record) | IOI_VALUE;
}

/* For those to come. In vain, where the arena is full or somebody knows more. */
static void keep_known(ioi_alloc *alloc, ioi_entry *entry, ioi_deep *deep, uint32_t position, uint64_t word, ioi_u128 added) {
    const ioi_arena *arena = alloc->arena;
    if (!(word = summed_word(alloc, entry, word, added))) return;
    ioi_known *made = ioi_alloc_bytes(alloc, sizeof *made, sizeof *made);
    if (!made) return;
    *made = (ioi_known){position, 0, word};
    ioi_ref known = a32_load(&deep->known);
    while (!known || ((const ioi_known *)ioi_deref(arena, known))->position < position)
        if (a32_cas(&deep->known, &known, ioi_ref_of(arena, made))) return;
}

/* A base that the cache has is copied: the coordinator seals sums, and does not map it. False when the arena is full. */
static bool keep_base(ioi_alloc *alloc, ioi_entry *entry, uint64_t base) {
    const ioi_arena *arena = alloc->arena;
    a32 *known = &ioi_deep_of(arena, entry)->known;
    if (a32_load(known)) return true; /* that is of this or of something later */
    const ioi_record *record = ioi_word_record(arena, base);
    uint64_t word = ioi_mv_record(alloc, base & (IOI_VALUE | IOI_DELETED), 0, record->bytes, record->len);
    ioi_known *made = word ? ioi_alloc_bytes(alloc, sizeof *made, sizeof *made) : NULL;
    if (!made) return false;
    *made = (ioi_known){1, 0, word};
    ioi_ref none = 0;
    a32_cas(known, &none, ioi_ref_of(arena, made));
    return true;
}

/* Up to which position all is final. To be asked before the versions are looked at: what is met below is what it will always be. */
static uint32_t final_below(const ioi_arena *arena, uint32_t position) {
    uint32_t final = a32_load(&arena->shared->sched.commit_idx) + 1;
    return final < position ? final : position; /* who asks may have become final by now */
}

/* From `version` on, whose cell is `cell`, down to `from` or to the first that is no add: true. Counts those that are not final. */
static bool walk_up(ioi_alloc *alloc, ioi_entry *entry, uint32_t from, uint32_t final, ioi_version *version, uint64_t cell,
                    ioi_sum *settled, ioi_sum *sum) {
    const ioi_arena *arena = alloc->arena;
    ioi_sum *s = sum;
    for (; version && version->position >= from; version = ioi_versions_older(alloc, entry, version, &cell)) {
        if (version->position < final) s = settled;
        if (!ioi_word_added(cell)) {
            s->word = cell;
            s->position = version->position;
            return true;
        }
        s->added += ioi_added_by(arena, cell);
        s->steps++;
        if (cell & IOI_ESTIMATE && !s->aborted) {
            s->aborted = version->position;
            s->aborted_word = cell;
        }
    }
    return false;
}

/* Sum up from `version` on, the highest below `position`, whose cell is `cell`: an ADDED word. */
static ioi_sum sum_up(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint32_t final, ioi_version *version,
                      uint64_t cell) {
    const ioi_arena *arena = alloc->arena;
    ioi_deep *deep = ioi_deep_of(arena, entry);
    ioi_ref at = a32_load(&deep->known);
    const ioi_known *known = at ? ioi_deref(arena, at) : NULL;
    uint32_t from = known && known->position <= position ? known->position : 0;
    if (final < from) final = from; /* somebody else saw the watermark later */
    ioi_sum s = {0}, settled = {0}; /* what was added at `final` or above, and below */
    const ioi_sums *sums = ioi_sums_of(arena, entry);
    if (!sums || !ioi_sums_whole(sums, from)) {
        walk_up(alloc, entry, from, final, version, cell, &settled, &s);
        if (!sums && s.steps > WALK_ADDS) ioi_sums_make(alloc, entry, at ? known->position : 0);
    } else if (!ioi_sums_up(alloc, entry, sums, final, position, &s)) {
        ioi_sums_up(alloc, entry, sums, from, final, &settled);
    }
    if (!s.word) { /* nothing ended it above */
        s.word = settled.word;
        s.position = settled.position;
        if (!s.word && from) {
            s.word = known->word;
            s.position = from - 1;
        } else if (!s.word) {
            s.word = ioi_mv_base(arena, entry);
        }
        if (settled.steps >= KNOW_EVERY && s.word) keep_known(alloc, entry, deep, final, s.word, settled.added);
    }
    assert(!settled.aborted && "what is final was not aborted");
    s.added += settled.added;
    return s;
}

ioi_seen ioi_mv_count(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, ioi_u128 *counter, uint32_t *length, uint64_t *word,
                      uint32_t *writer) {
    const ioi_arena *arena = alloc->arena;
    ioi_field f = ioi_mv_field(arena, entry);
    uint32_t final = final_below(arena, position);
    ioi_version *version = ioi_versions_below(alloc, entry, position, word);
    if (!version) *word = ioi_mv_base(arena, entry);
    *writer = version ? version->position : 0;
    ioi_sum s = {.word = *word, .position = *writer};
    if (version && ioi_word_added(*word)) s = sum_up(alloc, entry, position, final, version, *word);
    if (!s.word) return IOI_SEEN_NOTHING;
    if (s.word & IOI_ESTIMATE) {
        *writer = s.position;
        *word = s.word;
        return IOI_SEEN_ESTIMATE;
    }
    if (s.word & IOI_CACHED && !keep_base(alloc, entry, s.word)) return IOI_SEEN_FULL;
    const ioi_record *record = ioi_word_present(s.word) ? ioi_word_record(arena, s.word) : NULL;
    *length = record ? record->len : f.size;
    *counter = s.added + (record && record->len == f.size ? ioi_counter_get(record->bytes, &f) : 0);
    return IOI_SEEN_VERSION;
}

static bool learned_stands(ioi_alloc *alloc, ioi_entry *entry, const ioi_learned *learned, uint32_t position, uint64_t *word,
                           uint32_t *writer) {
    ioi_u128 counter, low = (ioi_u128)learned->low[1] << 64 | learned->low[0];
    ioi_u128 high = (ioi_u128)learned->high[1] << 64 | learned->high[0];
    uint32_t length;
    return ioi_mv_count(alloc, entry, position, &counter, &length, word, writer) == IOI_SEEN_VERSION &&
           length == ioi_mv_field(alloc->arena, entry).size && counter >= low && counter <= high;
}

bool ioi_mv_learned_stands(ioi_alloc *alloc, ioi_entry *entry, const ioi_learned *learned, uint32_t position) {
    uint64_t word;
    uint32_t writer;
    return learned_stands(alloc, entry, learned, position, &word, &writer);
}

/* ---- read and validate ------------------------------------------------------------------------------------- */

/* As ioi_mv_read, but an ADDED word is summed up: what was aborted anywhere in the sum is in the way. */
static ioi_seen read_sum(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, ioi_sum *s, uint64_t *word, uint32_t *writer) {
    uint32_t final = final_below(alloc->arena, position);
    ioi_version *version = ioi_versions_below(alloc, entry, position, word);
    *s = (ioi_sum){.word = *word};
    *writer = 0;
    if (!version) *word = s->word = ioi_mv_base(alloc->arena, entry);
    if (!*word) return IOI_SEEN_NOTHING;
    if (!version) return IOI_SEEN_BASE;
    *writer = s->position = version->position;
    if (ioi_word_added(*word)) *s = sum_up(alloc, entry, position, final, version, *word);
    if (!s->word) return IOI_SEEN_NOTHING;
    if (s->aborted || s->word & IOI_ESTIMATE) {
        *writer = s->aborted ? s->aborted : s->position;
        *word = s->aborted ? s->aborted_word : s->word;
        return IOI_SEEN_ESTIMATE;
    }
    return IOI_SEEN_VERSION;
}

ioi_seen ioi_mv_value(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t *word, uint32_t *writer) {
    ioi_sum s;
    ioi_seen seen = read_sum(alloc, entry, position, &s, word, writer);
    if (seen != IOI_SEEN_VERSION || !ioi_word_added(*word)) return seen;
    *word = summed_word(alloc, entry, s.word, s.added);
    return *word ? IOI_SEEN_VERSION : IOI_SEEN_FULL;
}

ioi_seen ioi_mv_read(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t *word, uint32_t *writer) {
    ioi_version *version = ioi_versions_below(alloc, entry, position, word);
    if (version) {
        *writer = version->position;
        return *word & IOI_ESTIMATE ? IOI_SEEN_ESTIMATE : IOI_SEEN_VERSION;
    }
    *word = ioi_mv_base(alloc->arena, entry);
    return *word ? IOI_SEEN_BASE : IOI_SEEN_NOTHING;
}

static bool same_value(const ioi_arena *arena, uint64_t a, uint64_t b) {
    const ioi_record *x = ioi_word_record(arena, a), *y = ioi_word_record(arena, b);
    return x->len == y->len && memcmp(x->bytes, y->bytes, x->len) == 0;
}

/* Is the value that was summed up what a record says? */
static bool same_sum(const ioi_arena *arena, const ioi_entry *entry, const ioi_sum *s, uint64_t then) {
    if (!ioi_word_present(then)) return false;
    const ioi_record *x = ioi_word_record(arena, then);
    ioi_field f = ioi_mv_field(arena, entry);
    const uint8_t *y = added_to(arena, s->word, f.size);
    if (x->len != f.size) return false;
    ioi_u128 before = y ? ioi_counter_get(y, &f) : 0;
    if (ioi_counter_get(x->bytes, &f) != ((before + s->added) & ioi_counter_max(f.width))) return false;
    for (uint32_t i = 0; i < f.size; i++)
        if ((i < f.offset || i >= f.offset + f.width) && x->bytes[i] != (y ? y[i] : 0)) return false;
    return true;
}

/* *word, *writer: what stands there now. */
static bool read_stands(ioi_alloc *alloc, const ioi_read *read, uint32_t position, bool by_version, uint64_t *word,
                        uint32_t *writer) {
    const ioi_arena *arena = alloc->arena;
    ioi_entry *entry = ioi_deref(arena, read->entry & ~IOI_PRESENCE);
    *writer = 0;
    ioi_seen seen = ioi_mv_read(alloc, entry, position, word, writer);
    bool there = seen == IOI_SEEN_VERSION || seen == IOI_SEEN_BASE;
    if (there && ioi_seen_record(*word) == read->record) return true; /* without a look at it */
    const ioi_record *record = ioi_word_record(arena, (uint64_t)read->record * IOI_UNIT);
    if (record->learned) return learned_stands(alloc, entry, (const ioi_learned *)(record + 1), position, word, writer);
    uint64_t now = *word, then = ioi_seen_word(arena, read->record);
    if (ioi_word_added(now) && !(read->entry & IOI_PRESENCE)) {
        ioi_sum s;
        return read_sum(alloc, entry, position, &s, word, writer) == IOI_SEEN_VERSION && ioi_word_added(*word) &&
               same_sum(arena, entry, &s, then);
    }
    if (!there || by_version) return false;
    if (ioi_word_present(now) != ioi_word_present(then)) return false;
    return !ioi_word_present(now) || (read->entry & IOI_PRESENCE) || same_value(arena, now, then);
}

bool ioi_mv_read_stands(ioi_alloc *alloc, const ioi_read *read, uint32_t position, bool by_version) {
    uint64_t word;
    uint32_t writer;
    return read_stands(alloc, read, position, by_version, &word, &writer);
}

ioi_cause ioi_mv_cause(const ioi_arena *arena, uint64_t entry, uint32_t position, uint64_t word) {
    uint32_t incarnation = position ? ioi_word_record(arena, word)->incarnation : 0;
    return (ioi_cause){entry, position, incarnation, (word & IOI_ESTIMATE) != 0};
}

bool ioi_beyond(const ioi_bounds *bounds, const uint8_t *key, uint32_t len) {
    if (bounds->high_len == IOI_UNBOUNDED) return false;
    int order = ioi_key_compare(key, len, bounds->high, bounds->high_len);
    return order > 0 || (order == 0 && !bounds->high_inclusive);
}

bool ioi_within(const ioi_bounds *bounds, const uint8_t *key, uint32_t len) {
    if (bounds->low_len != IOI_UNBOUNDED && ioi_key_compare(key, len, bounds->low, bounds->low_len) < 0) return false;
    return !ioi_beyond(bounds, key, len);
}

ioi_bounds ioi_range_bounds(const ioi_arena *arena, const ioi_range *range) {
    ioi_bounds bounds = {NULL, NULL, range->low_len, range->high_len, range->high_inclusive};
    if (range->low_len != IOI_UNBOUNDED) bounds.low = ioi_deref(arena, range->low);
    if (range->high_len != IOI_UNBOUNDED) bounds.high = ioi_deref(arena, range->high);
    return bounds;
}

/* Looks for a phantom: a key of the range that has a live value now and was not seen then. Keys that were seen are
 * reads and validated as such. */
bool ioi_mv_range_stands(ioi_alloc *alloc, const ioi_bounds *bounds, uint32_t position, bool by_version,
                         bool (*seen)(const void *context, uint64_t entry), const void *context, ioi_cause *cause) {
    const ioi_arena *arena = alloc->arena;
    ioi_entry *e = ioi_ordered_forward(arena, bounds->low_len == IOI_UNBOUNDED ? NULL : bounds->low, bounds->low_len, false);
    for (; e; e = ioi_ordered_next(arena, e)) {
        if (ioi_beyond(bounds, e->key, e->key_len)) return true;
        if (seen(context, ioi_offset(arena, e))) continue;
        uint64_t now;
        ioi_version *version = ioi_versions_below(alloc, e, position, &now);
        /* No version: the base shows, and the scan met every key of the base as far as it looked. */
        if (version && (by_version || ioi_word_present(now) || (now & IOI_ESTIMATE))) {
            if (cause) *cause = ioi_mv_cause(arena, ioi_offset(arena, e), version->position, now);
            return false;
        }
    }
    return true;
}

static bool in_set(const void *set, uint64_t entry) { return set_has(set, entry); }

bool ioi_mv_validate(ioi_alloc *alloc, const ioi_incarnation *inc, uint32_t position, bool by_version, ioi_entry_set *scratch,
                     ioi_cause *cause) {
    for (uint32_t i = 0; i < inc->reads_count; i++) {
        uint64_t word;
        uint32_t writer;
        if (read_stands(alloc, &inc->reads[i], position, by_version, &word, &writer)) continue;
        if (cause) *cause = ioi_mv_cause(alloc->arena, ioi_read_entry(&inc->reads[i]), writer, word);
        return false;
    }
    const ioi_more *more = ioi_incarnation_more(alloc->arena, inc);
    if (more->ranges_count == 0) return true;

    set_reserve(scratch, inc->reads_count);
    for (uint32_t i = 0; i < inc->reads_count; i++)
        if (!ioi_read_learned(alloc->arena, &inc->reads[i])) set_add(scratch, ioi_read_entry(&inc->reads[i])); /* it saw no key */
    const ioi_range *ranges = ioi_deref(alloc->arena, more->ranges);
    for (uint32_t i = 0; i < more->ranges_count; i++) {
        ioi_bounds bounds = ioi_range_bounds(alloc->arena, &ranges[i]);
        if (!ioi_mv_range_stands(alloc, &bounds, position, by_version, in_set, scratch, cause)) return false;
    }
    return true;
}

/* ---- write ------------------------------------------------------------------------------------------------- */

/* A cell that had a word before, or may have had, gets another. False when the arena is full. */
static bool replace(ioi_alloc *alloc, ioi_entry *entry, ioi_version *version, uint64_t word) {
    ioi_versions_set(alloc->arena, entry, version, word);
    ioi_sums *sums = ioi_sums_of(alloc->arena, entry);
    return !sums || ioi_sums_set(alloc, sums, version->position, word);
}

bool ioi_mv_publish(ioi_alloc *alloc, ioi_slot *slot, uint32_t position, uint32_t incarnation, const ioi_put *puts,
                    uint32_t count, const ioi_incarnation *previous, ioi_write *writes, bool *wrote_new) {
    ioi_arena *arena = alloc->arena;
    *wrote_new = false;
    for (uint32_t i = 0; i < count; i++) {
        ioi_entry *entry = puts[i].entry;
        uint32_t len = puts[i].bytes ? puts[i].len : 0;
        uint64_t state = puts[i].added ? IOI_ADDED : puts[i].bytes ? IOI_VALUE : IOI_DELETED;
        ioi_made made;
        /* The first value lies right behind its node: they are looked at together. */
        ioi_version *version = ioi_versions_node(alloc, entry, position, sizeof(ioi_record) + len, &made);
        if (!version) return false;
        if (made == IOI_MADE_FIRST) {
            a32_store_relaxed(&entry->next_written, (ioi_ref)a64_load_relaxed(&slot->written));
            a64_store(&slot->written, ioi_ref_of(arena, entry));
        }
        uint64_t word = made == IOI_MADE_BEFORE
                            ? ioi_mv_record(alloc, state, incarnation, puts[i].bytes, len)
                            : fill(arena, (ioi_record *)(version + 1), state, incarnation, puts[i].bytes, len);
        if (!word) return false;
        if (a64_load_relaxed(&version->cell) == 0) {
            *wrote_new = true;
            /* Not only the key's first writer: that one may be stopped right before it, while this write becomes final. */
            if (!ioi_ordered_written(alloc, entry)) return false;
        }
        if (made == IOI_MADE_BEFORE) {
            if (!replace(alloc, entry, version, word)) return false;
        } else {
            ioi_sums *sums = ioi_sums_of(arena, entry); /* after the node was linked: whoever makes them from now on sees it */
            a64_store(&version->cell, word);            /* wherever the node is linked its bits stand */
            if (sums && !ioi_sums_set(alloc, sums, position, word)) return false;
        }
        writes[i] = (ioi_write){ioi_ref_of(arena, entry), ioi_ref_of(arena, version)};
    }
    if (!previous) return true;
    /* What still carries another incarnation was written before and not now. */
    const ioi_write *old = ioi_incarnation_writes(previous);
    for (uint32_t i = 0; i < previous->writes_count; i++) {
        ioi_version *version = ioi_deref(arena, old[i].version);
        uint64_t word = a64_load_relaxed(&version->cell); /* only the position's owner writes it */
        if (word && ioi_word_record(arena, word)->incarnation != incarnation &&
            !replace(alloc, ioi_deref(arena, old[i].entry), version, 0))
            return false;
    }
    return true;
}

void ioi_mv_estimate(ioi_alloc *alloc, const ioi_incarnation *aborted) {
    const ioi_arena *arena = alloc->arena;
    const ioi_write *writes = ioi_incarnation_writes(aborted);
    for (uint32_t i = 0; i < aborted->writes_count; i++) {
        ioi_version *version = ioi_deref(arena, writes[i].version);
        uint64_t word = a64_or(&version->cell, IOI_ESTIMATE) | IOI_ESTIMATE; /* whoever aborts is the position's owner */
        ioi_sums *sums = ioi_sums_of(arena, ioi_deref(arena, writes[i].entry));
        /* Without room for it sums go on as they were, until the next incarnation writes: readers take what was aborted. */
        if (sums) (void)ioi_sums_set(alloc, sums, version->position, word);
    }
}

void ioi_mv_seal(ioi_arena *arena, uint32_t workers, void (*emit)(void *, const ioi_entry *, uint64_t word), void *context) {
    uint32_t top = arena->shared->block.n + 2;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, arena);
    for (uint32_t w = 0; w < workers; w++)
        for (ioi_ref at = (ioi_ref)a64_load(&arena->shared->slots[w].written); at;) {
            ioi_entry *entry = ioi_deref(arena, at);
            uint64_t word;
            ioi_version *version = ioi_versions_below(&alloc, entry, top, &word);
            if (version && version->position > 0) {
                assert(!(word & IOI_ESTIMATE) && "every transaction is final");
                emit(context, entry, word);
            }
            at = a32_load(&entry->next_written);
        }
}

void ioi_mv_sealed(ioi_alloc *alloc, ioi_entry *entry, uint8_t *value) {
    const ioi_arena *arena = alloc->arena;
    uint64_t word;
    uint32_t writer;
    ioi_sum s;
    ioi_seen seen = read_sum(alloc, entry, arena->shared->block.n + 2, &s, &word, &writer);
    assert(seen == IOI_SEEN_VERSION && ioi_word_added(word));
    (void)seen;
    value_of(arena, entry, s.word, s.added, value);
}
