#include "cache.h"

#include <string.h>

#define MAGIC UINT64_C(0x494f494341434845) /* "IOICACHE" */

enum {
    WAYS = 8,
    FIRST_BITS = 4,
    LOAD = 3,  /* records a bucket on average before there are twice as many buckets: few are full then */
    LOOK = 16, /* buckets looked at for a record to let go */
    /* A word: tag (16) | offset in lines (32) | unused | size (2) | kept (1). 0 = nothing. */
    TAG_SHIFT = 48,
    LINE_SHIFT = 8,
    SIZE_SHIFT = 1,
};
#define KEPT UINT64_C(1) /* written or promoted since the hand came by: spared once */

static_assert(sizeof(ioi_cache_head) <= IOI_CACHE_HEAD, "the head has room");

typedef struct bucket {
    alignas(IOI_LINE) uint64_t way[WAYS];
} bucket;

static ioi_cache_head *head_of(uint8_t *base) { return (ioi_cache_head *)base; }
static const ioi_cache_head *head_read(const uint8_t *base) { return (const ioi_cache_head *)base; }

static uint64_t offset_of(uint64_t word) { return (word >> LINE_SHIFT & UINT32_MAX) * IOI_LINE; }
static uint32_t size_of(uint64_t word) { return (uint32_t)(word >> SIZE_SHIFT) & (IOI_CACHE_SIZES - 1); }
static uint64_t size_bytes(uint32_t size) { return (uint64_t)IOI_LINE << size; }

static uint64_t word_of(uint64_t hash, uint64_t offset, uint32_t size) {
    return (hash >> TAG_SHIFT) << TAG_SHIFT | (offset / IOI_LINE) << LINE_SHIFT | (uint64_t)size << SIZE_SHIFT | KEPT;
}

static ioi_cached *record_at(uint8_t *base, uint64_t word) { return (ioi_cached *)(base + offset_of(word)); }

static const bucket *bucket_of(const uint8_t *base, uint64_t hash) {
    const ioi_cache_head *h = head_read(base);
    return (const bucket *)(base + h->table) + (hash & ((UINT64_C(1) << h->bits) - 1));
}

static bool same_key(const ioi_cached *c, uint64_t hash, const uint8_t *key, uint32_t len) {
    return c->hash == hash && c->key_len == len && memcmp(c->record.bytes + c->record.len, key, len) == 0;
}

/* The way of a key, or WAYS. */
static uint32_t way_of(const uint8_t *base, const bucket *b, uint64_t hash, const uint8_t *key, uint32_t len) {
    for (uint32_t i = 0; i < WAYS; i++)
        if (b->way[i] && (b->way[i] ^ hash) >> TAG_SHIFT == 0 &&
            same_key((const ioi_cached *)(base + offset_of(b->way[i])), hash, key, len))
            return i;
    return WAYS;
}

const ioi_cached *ioi_cache_find(const uint8_t *base, uint64_t hash, const uint8_t *key, uint32_t len) {
    const bucket *b = bucket_of(base, hash);
    uint32_t i = way_of(base, b, hash, key, len);
    return i == WAYS ? NULL : (const ioi_cached *)(base + offset_of(b->way[i]));
}

void ioi_cache_prefetch(const uint8_t *base, uint64_t hash, bool record) {
    const bucket *b = bucket_of(base, hash);
    if (!record) __builtin_prefetch(b);
    for (uint32_t i = 0; record && i < WAYS; i++)
        if (b->way[i] && (b->way[i] ^ hash) >> TAG_SHIFT == 0) {
            __builtin_prefetch(base + offset_of(b->way[i]));
            __builtin_prefetch(base + offset_of(b->way[i]) + IOI_LINE);
        }
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

/* Bytes nobody had yet: their offset, 0 if there are none, or with *more set if there would be. */
static uint64_t take(ioi_cache_head *h, uint64_t bytes, bool *more) {
    if (h->used + bytes > h->size) return 0;
    if (h->used + bytes > h->reserved) {
        *more = true;
        return 0;
    }
    uint64_t at = h->used;
    h->used += bytes;
    return at;
}

static void give_back(uint8_t *base, uint64_t offset, uint32_t size) {
    ioi_cache_head *h = head_of(base);
    ((ioi_cached *)(base + offset))->version = h->free[size];
    h->free[size] = offset;
}

static void let_go(uint8_t *base, uint64_t *way) {
    give_back(base, offset_of(*way), size_of(*way));
    *way = 0;
    head_of(base)->count--;
}

static bool may_go(uint8_t *base, uint64_t word, uint64_t flat) { return record_at(base, word)->version <= flat; }

/* Let a record of this size go: one that nothing was heard of for a while, or the first that may. */
static bool make_room(uint8_t *base, uint32_t size, uint64_t flat) {
    ioi_cache_head *h = head_of(base);
    bucket *table = (bucket *)(base + h->table);
    uint64_t mask = (UINT64_C(1) << h->bits) - 1, *spared = NULL;
    for (uint32_t look = 0; look < LOOK; look++) {
        bucket *b = &table[h->hand & mask];
        for (uint32_t i = 0; i < WAYS; i++) {
            uint64_t word = b->way[i];
            if (!word || size_of(word) != size) continue;
            if (word & KEPT) {
                b->way[i] = word & ~KEPT;
                if (!spared && may_go(base, word, flat)) spared = &b->way[i];
            } else if (may_go(base, word, flat)) {
                let_go(base, &b->way[i]);
                return true;
            }
        }
        h->hand++;
    }
    if (spared) let_go(base, spared);
    return spared;
}

/* A place for a record: 0 if there is none, or with *more set. */
static uint64_t place(uint8_t *base, uint32_t size, uint64_t flat, bool *more) {
    ioi_cache_head *h = head_of(base);
    if (!h->free[size]) {
        uint64_t fresh = take(h, size_bytes(size), more);
        if (fresh || *more) return fresh;
        if (!make_room(base, size, flat)) return 0;
    }
    uint64_t at = h->free[size];
    h->free[size] = ((ioi_cached *)(base + at))->version;
    return at;
}

/* An empty way; where there is none, one of the bucket's own records goes. */
static uint64_t *empty_way(uint8_t *base, bucket *b, uint64_t flat) {
    for (uint32_t i = 0; i < WAYS; i++)
        if (!b->way[i]) return &b->way[i];
    for (int spare = 1; spare >= 0; spare--)
        for (uint32_t i = 0; i < WAYS; i++) {
            if ((spare && (b->way[i] & KEPT)) || !may_go(base, b->way[i], flat)) continue;
            let_go(base, &b->way[i]);
            return &b->way[i];
        }
    return NULL;
}

/* Twice as many buckets, if the table stays a small part of all; the old one becomes room for records. */
static void widen(uint8_t *base, bool *more) {
    ioi_cache_head *h = head_of(base);
    uint64_t old_bytes = sizeof(bucket) << h->bits, old_table = h->table;
    if (4 * 2 * old_bytes > h->size) return;
    uint64_t table = take(h, 2 * old_bytes, more);
    if (!table) return;
    bucket *old = (bucket *)(base + old_table), *wide = (bucket *)(base + table);
    memset(wide, 0, 2 * old_bytes);
    uint64_t buckets = UINT64_C(1) << h->bits;
    for (uint64_t b = 0; b < buckets; b++)
        for (uint32_t i = 0, low = 0, high = 0; i < WAYS; i++) {
            uint64_t word = old[b].way[i];
            if (!word) continue;
            /* Of a bucket's records each goes to one of two: both have room. */
            if (record_at(base, word)->hash & buckets) wide[b + buckets].way[high++] = word;
            else wide[b].way[low++] = word;
        }
    h->table = table;
    h->bits++;
    for (uint64_t at = old_table; at < old_table + old_bytes; at += size_bytes(1)) give_back(base, at, 1);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

bool ioi_cache_init(uint8_t *base, uint64_t size, uint64_t reserved, const uint64_t seed[4]) {
    static_assert(IOI_CACHE_LEAST == IOI_CACHE_HEAD + (sizeof(bucket) << FIRST_BITS), "the head and the first table");
    if (reserved < IOI_CACHE_LEAST || reserved > size || size > IOI_ARENA_MAX) return false;
    ioi_cache_head *h = head_of(base);
    *h = (ioi_cache_head){.magic = MAGIC, .size = size, .reserved = reserved};
    memcpy(h->seed, seed, sizeof h->seed);
    ioi_cache_clear(base);
    return true;
}

bool ioi_cache_attach(const uint8_t *base, uint64_t size) {
    return size >= IOI_CACHE_LEAST && head_read(base)->magic == MAGIC && head_read(base)->size <= size;
}

void ioi_cache_clear(uint8_t *base) {
    ioi_cache_head *h = head_of(base);
    assert(h->magic == MAGIC);
    h->stamped = h->count = h->hand = 0;
    memset(h->free, 0, sizeof h->free);
    h->bits = FIRST_BITS;
    h->table = IOI_CACHE_HEAD;
    h->used = IOI_CACHE_LEAST;
    memset(base + h->table, 0, sizeof(bucket) << FIRST_BITS);
}

void ioi_cache_stamp(uint8_t *base, const uint8_t stamp[IOI_STAMP]) {
    memcpy(head_of(base)->stamp, stamp, IOI_STAMP);
    head_of(base)->stamped = 1;
}

bool ioi_cache_is_of(const uint8_t *base, const uint8_t *stamp, size_t len) {
    const ioi_cache_head *h = head_read(base);
    return h->stamped && len == IOI_STAMP && memcmp(h->stamp, stamp, IOI_STAMP) == 0;
}

static void fill(ioi_cached *c, uint64_t hash, uint64_t version, const uint8_t *key, uint32_t key_len, const uint8_t *bytes,
                 uint32_t len) {
    c->hash = hash;
    c->version = version;
    c->key_len = key_len;
    c->unused = 0;
    c->record = (ioi_record){.len = bytes ? len : 0, .deleted = !bytes};
    if (bytes && len) memcpy(c->record.bytes, bytes, len);
    memcpy(c->record.bytes + c->record.len, key, key_len);
}

/* The size of record that has room for so many bytes, or IOI_CACHE_SIZES. */
static uint32_t size_for(uint64_t bytes) {
    uint32_t size = 0;
    while (size < IOI_CACHE_SIZES && size_bytes(size) < bytes) size++;
    return size;
}

static ioi_cache_result keep(uint8_t *base, uint64_t hash, const uint8_t *key, uint32_t key_len, const uint8_t *bytes,
                             uint32_t len, uint64_t version, uint64_t flat) {
    ioi_cache_head *h = head_of(base);
    h->stamped = 0;
    bool promoted = version == 0, more = false;
    uint32_t size = size_for(sizeof(ioi_cached) + key_len + (uint64_t)(bytes ? len : 0));
    bucket *b = (bucket *)(uintptr_t)bucket_of(base, hash);
    uint32_t i = way_of(base, b, hash, key, key_len);
    if (i < WAYS && promoted) return IOI_CACHE_KEPT;
    if (i < WAYS && size_of(b->way[i]) == size) {
        b->way[i] |= KEPT;
        fill(record_at(base, b->way[i]), hash, version, key, key_len, bytes, len);
        return IOI_CACHE_KEPT;
    }
    if (i < WAYS) let_go(base, &b->way[i]); /* whatever comes of the new one */
    if (size == IOI_CACHE_SIZES) return IOI_CACHE_NO_ROOM;
    if (h->count >= (uint64_t)LOAD << h->bits) widen(base, &more);
    uint64_t at = more ? 0 : place(base, size, flat, &more);
    if (more) return IOI_CACHE_MORE;
    if (!at) return IOI_CACHE_NO_ROOM;
    uint64_t *way = empty_way(base, (bucket *)(uintptr_t)bucket_of(base, hash), flat);
    if (!way) {
        give_back(base, at, size);
        return IOI_CACHE_NO_ROOM;
    }
    fill((ioi_cached *)(base + at), hash, version, key, key_len, bytes, len);
    *way = word_of(hash, at, size);
    h->count++;
    return IOI_CACHE_KEPT;
}

ioi_cache_result ioi_cache_write(uint8_t *base, uint64_t hash, const uint8_t *key, uint32_t key_len, const uint8_t *bytes,
                                 uint32_t len, uint64_t version, uint64_t flat) {
    assert(version > 0);
    return keep(base, hash, key, key_len, bytes, len, version, flat);
}

ioi_cache_result ioi_cache_promote(uint8_t *base, uint64_t hash, const uint8_t *key, uint32_t key_len, const uint8_t *bytes,
                                   uint32_t len, uint64_t flat) {
    return keep(base, hash, key, key_len, bytes, len, 0, flat);
}
