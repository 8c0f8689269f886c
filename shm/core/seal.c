#include "seal.h"

#include <stdlib.h>
#include <string.h>

#include "ordered.h"

enum { AHEAD = 8 /* writes whose memory is asked for early: it lies all over the arena */ };

uint64_t ioi_seal_put(uint8_t *blob, uint64_t at, uint64_t ends[2], const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t len) {
    memcpy(blob + at, key, key_len);
    ends[0] = at += key_len;
    if (value && len) memcpy(blob + at, value, len);
    at += value ? len : 0;
    ends[1] = at | (value ? 0 : IOI_SEAL_DELETED);
    return at;
}

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
        ioi_sealed *grown = realloc(seal->writes, capacity * sizeof *grown);
        if (!(t->fits = grown != NULL)) return;
        seal->writes = grown;
        t->capacity = capacity;
    }
    seal->writes[seal->count++] = (ioi_sealed){0, entry, word};
}

/* How many bytes all keys have in common at their beginning. */
static uint32_t common_prefix(const ioi_seal *seal) {
    const ioi_entry *first = seal->writes[0].entry;
    uint32_t common = first->key_len;
    for (size_t i = 1; i < seal->count && common; i++) {
        const ioi_entry *e = seal->writes[i].entry;
        if (e->key_len < common) common = e->key_len;
        if (memcmp(first->key, e->key, common) == 0) continue;
        uint32_t same = 0;
        while (first->key[same] == e->key[same]) same++;
        common = same;
    }
    return common;
}

static uint64_t order_of(const ioi_entry *e, uint32_t from) {
    uint8_t bytes[8] = {0};
    uint32_t len = e->key_len - from;
    memcpy(bytes, e->key + from, len < 8 ? len : 8);
    uint64_t order;
    memcpy(&order, bytes, 8);
    return __builtin_bswap64(order); /* both supported machines are little endian */
}

static int by_key(const void *a, const void *b) {
    const ioi_entry *x = ((const ioi_sealed *)a)->entry, *y = ((const ioi_sealed *)b)->entry;
    return ioi_key_compare(x->key, x->key_len, y->key, y->key_len);
}

/* By the eight bytes, byte by byte from the last; then those that are alike in them by the whole key. False: no memory. */
static bool sort(ioi_seal *seal) {
    ioi_sealed *from = seal->writes, *to = malloc(seal->count * sizeof *to);
    if (!to) return false;
    for (uint32_t shift = 0; shift < 64; shift += 8) {
        size_t starts[257] = {0};
        for (size_t i = 0; i < seal->count; i++) starts[(from[i].order >> shift & 255) + 1]++;
        if (starts[(from[0].order >> shift & 255) + 1] == seal->count) continue; /* all the same */
        for (uint32_t b = 0; b < 256; b++) starts[b + 1] += starts[b];
        for (size_t i = 0; i < seal->count; i++) to[starts[from[i].order >> shift & 255]++] = from[i];
        ioi_sealed *sorted = to;
        to = from;
        from = sorted;
    }
    free(to);
    seal->writes = from;
    for (size_t i = 0, end; i < seal->count; i = end) {
        for (end = i + 1; end < seal->count && from[end].order == from[i].order; end++) {}
        if (end - i > 1) qsort(&from[i], end - i, sizeof *from, by_key);
    }
    return true;
}

bool ioi_seal_take(ioi_arena *arena, ioi_seal *seal) {
    *seal = (ioi_seal){0};
    taking t = {seal, 0, true};
    ioi_mv_seal(arena, arena->shared->block.workers, take_one, &t);
    if (!t.fits) return false;
    if (seal->count == 0) return true;
    uint32_t prefix = common_prefix(seal);
    for (size_t i = 0; i < seal->count; i++) {
        if (i + AHEAD < seal->count) __builtin_prefetch(arena->base + (seal->writes[i + AHEAD].word & ~IOI_TAGS));
        ioi_sealed *s = &seal->writes[i];
        s->order = order_of(s->entry, prefix);
        seal->bytes += s->entry->key_len + (ioi_word_present(s->word) ? ioi_word_record(arena, s->word)->len : 0);
    }
    return sort(seal);
}

void ioi_seal_pack(const ioi_arena *arena, const ioi_seal *seal, uint8_t *blob, uint64_t *ends) {
    uint64_t at = 0;
    for (size_t i = 0; i < seal->count; i++) {
        if (i + AHEAD < seal->count) {
            const ioi_sealed *later = &seal->writes[i + AHEAD];
            __builtin_prefetch(later->entry->key);
            __builtin_prefetch(arena->base + (later->word & ~IOI_TAGS));
        }
        const ioi_sealed *s = &seal->writes[i];
        const ioi_record *record = ioi_word_present(s->word) ? ioi_word_record(arena, s->word) : NULL;
        at = ioi_seal_put(blob, at, &ends[2 * i], s->entry->key, s->entry->key_len, record ? record->bytes : NULL,
                          record ? record->len : 0);
    }
    assert(at == seal->bytes);
}

void ioi_seal_free(ioi_seal *seal) {
    free(seal->writes);
    *seal = (ioi_seal){0};
}
