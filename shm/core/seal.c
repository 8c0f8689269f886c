#include "seal.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD = 8 /* writes whose memory is asked for early: it lies all over the arena */ };

uint64_t ioi_seal_put(uint8_t *blob, uint64_t at, uint64_t ends[2], const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t len) {
    memcpy(blob + at, key, key_len);
    ends[0] = at += key_len;
    if (value && len && value != blob + at) memcpy(blob + at, value, len);
    at += value ? len : 0;
    ends[1] = at | (value ? 0 : IOI_SEAL_DELETED);
    return at;
}

static const ioi_entry *entry_of(const ioi_sorted *sorted) { return sorted->of; }

typedef struct taking {
    ioi_seal *seal;
    size_t capacity;
    bool fits;
} taking;

static void take_one(void *context, const ioi_entry *entry, uint64_t word) {
    taking *t = context;
    ioi_seal *seal = t->seal;
    if (!t->fits) return;
    if (seal->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 1024;
        ioi_sorted *grown = realloc(seal->writes, capacity * sizeof *grown);
        if (!(t->fits = grown != NULL)) return;
        seal->writes = grown;
        t->capacity = capacity;
    }
    seal->writes[seal->count++] = (ioi_sorted){0, entry, word};
}

static const uint8_t *key_of(const void *of, uint32_t *len) {
    const ioi_entry *entry = of;
    *len = entry->key_len;
    return entry->key;
}

static uint32_t value_len(const ioi_arena *arena, const ioi_sorted *s) {
    if (!ioi_word_present(s->word)) return 0;
    return ioi_word_added(s->word) ? ioi_mv_field(arena, entry_of(s)).size : ioi_word_record(arena, s->word)->len;
}

bool ioi_seal_take(ioi_arena *arena, ioi_seal *seal) {
    *seal = (ioi_seal){0};
    taking t = {seal, 0, true};
    ioi_mv_seal(arena, arena->shared->block.workers, take_one, &t);
    if (!t.fits) return false;
    if (seal->count == 0) return true;
    for (size_t i = 0; i < seal->count; i++) {
        if (i + AHEAD < seal->count) __builtin_prefetch(arena->base + (seal->writes[i + AHEAD].word & ~IOI_TAGS));
        const ioi_sorted *s = &seal->writes[i];
        seal->bytes += entry_of(s)->key_len + value_len(arena, s);
    }
    return ioi_sort(&seal->writes, seal->count, key_of);
}

void ioi_seal_pack(ioi_arena *arena, const ioi_seal *seal, uint8_t *blob, uint64_t *ends) {
    uint64_t at = 0;
    ioi_alloc alloc; /* one for all keys: each would take a chunk */
    ioi_alloc_init(&alloc, arena);
    for (size_t i = 0; i < seal->count; i++) {
        if (i + AHEAD < seal->count) {
            const ioi_sorted *later = &seal->writes[i + AHEAD];
            __builtin_prefetch(entry_of(later)->key);
            __builtin_prefetch(arena->base + (later->word & ~IOI_TAGS));
        }
        const ioi_sorted *s = &seal->writes[i];
        const ioi_record *record = ioi_word_present(s->word) ? ioi_word_record(arena, s->word) : NULL;
        const uint8_t *value = record ? record->bytes : NULL;
        if (ioi_word_added(s->word)) { /* straight to its place */
            ioi_mv_sealed(&alloc, (ioi_entry *)entry_of(s), blob + at + entry_of(s)->key_len);
            value = blob + at + entry_of(s)->key_len;
        }
        at = ioi_seal_put(blob, at, &ends[2 * i], entry_of(s)->key, entry_of(s)->key_len, value, value_len(arena, s));
    }
    assert(at == seal->bytes);
}

void ioi_seal_free(ioi_seal *seal) {
    free(seal->writes);
    *seal = (ioi_seal){0};
}
