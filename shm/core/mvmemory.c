#include "mvmemory.h"

#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "ordered.h"

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
    *record = (ioi_record){.len = len, .incarnation = incarnation, .deleted = state == IOI_DELETED};
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

/* ---- read and validate ------------------------------------------------------------------------------------- */

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

/* *word, *writer: what stands there now. */
static bool read_stands(ioi_alloc *alloc, const ioi_read *read, uint32_t position, bool by_version, uint64_t *word,
                        uint32_t *writer) {
    const ioi_arena *arena = alloc->arena;
    ioi_entry *entry = ioi_deref(arena, read->entry & ~IOI_PRESENCE);
    *writer = 0;
    ioi_seen seen = ioi_mv_read(alloc, entry, position, word, writer);
    uint64_t now = *word;
    if (seen == IOI_SEEN_ESTIMATE || seen == IOI_SEEN_NOTHING) return false;
    if (ioi_seen_record(now) == read->record) return true;
    if (by_version) return false;
    uint64_t then = ioi_seen_word(arena, read->record);
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
    for (uint32_t i = 0; i < inc->reads_count; i++) set_add(scratch, ioi_read_entry(&inc->reads[i]));
    const ioi_range *ranges = ioi_deref(alloc->arena, more->ranges);
    for (uint32_t i = 0; i < more->ranges_count; i++) {
        ioi_bounds bounds = ioi_range_bounds(alloc->arena, &ranges[i]);
        if (!ioi_mv_range_stands(alloc, &bounds, position, by_version, in_set, scratch, cause)) return false;
    }
    return true;
}

/* ---- write ------------------------------------------------------------------------------------------------- */

bool ioi_mv_publish(ioi_alloc *alloc, ioi_slot *slot, uint32_t position, uint32_t incarnation, const ioi_put *puts,
                    uint32_t count, const ioi_incarnation *previous, ioi_write *writes, bool *wrote_new) {
    ioi_arena *arena = alloc->arena;
    *wrote_new = false;
    for (uint32_t i = 0; i < count; i++) {
        ioi_entry *entry = puts[i].entry;
        uint32_t len = puts[i].bytes ? puts[i].len : 0;
        uint64_t state = puts[i].bytes ? IOI_VALUE : IOI_DELETED;
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
        if (made == IOI_MADE_BEFORE) ioi_versions_set(arena, entry, version, word);
        else a64_store(&version->cell, word); /* wherever the node is linked its bits stand */
        writes[i] = (ioi_write){ioi_ref_of(arena, entry), ioi_ref_of(arena, version)};
    }
    if (!previous) return true;
    /* What still carries another incarnation was written before and not now. */
    const ioi_write *old = ioi_incarnation_writes(previous);
    for (uint32_t i = 0; i < previous->writes_count; i++) {
        ioi_version *version = ioi_deref(arena, old[i].version);
        uint64_t word = a64_load_relaxed(&version->cell); /* only the position's owner writes it */
        if (word && ioi_word_record(arena, word)->incarnation != incarnation)
            ioi_versions_set(arena, ioi_deref(arena, old[i].entry), version, 0);
    }
    return true;
}

void ioi_mv_estimate(const ioi_arena *arena, const ioi_incarnation *aborted) {
    const ioi_write *writes = ioi_incarnation_writes(aborted);
    for (uint32_t i = 0; i < aborted->writes_count; i++) {
        a64 *cell = &((ioi_version *)ioi_deref(arena, writes[i].version))->cell;
        a64_store(cell, a64_load_relaxed(cell) | IOI_ESTIMATE); /* whoever aborts is the position's owner */
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
