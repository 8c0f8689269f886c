#include <sys/mman.h>

#include "cache.h"
#include "unit.h"

/* Random versions, reads and upkeep against a model of three things: the newest value of every key, the table of latest values
 * that lags behind, and what the cache had no room for. */
enum { KEYS = 200, LONGEST = 600 };

typedef struct newest_value {
    uint8_t bytes[LONGEST];
    uint32_t len;
    bool present;
    uint64_t version; /* that wrote it */
} newest_value;

typedef struct model {
    uint8_t *base;
    uint64_t mapped, size;
    uint64_t seed[4];
    uint64_t version, flat;
    uint32_t same_hashes; /* so many keys have one hash */
    newest_value newest[KEYS];
    bool spilled[KEYS];
    uint64_t kept, refused, read;
} model;

static uint32_t key_of(uint32_t k, uint8_t *key) {
    memset(key, 'k', 64);
    key[0] = (uint8_t)k;
    key[1] = (uint8_t)(k >> 8);
    return 2 + k % 50;
}

static uint64_t hash_of(const model *w, uint32_t k) {
    uint8_t key[64];
    uint32_t of = k / w->same_hashes * w->same_hashes, len = key_of(of, key);
    return ioi_hash(w->seed, key, len);
}

static ioi_cache_result kept_after_reserving(model *w, uint32_t k, uint64_t version, bool wrote) {
    const newest_value *v = &w->newest[k];
    uint8_t key[64];
    uint32_t len = key_of(k, key);
    const uint8_t *bytes = v->present ? v->bytes : NULL;
    for (;;) {
        ioi_cache_result r = wrote ? ioi_cache_write(w->base, hash_of(w, k), key, len, bytes, v->len, version, w->flat)
                                   : ioi_cache_promote(w->base, hash_of(w, k), key, len, bytes, v->len, w->flat);
        ioi_cache_head *h = (ioi_cache_head *)w->base;
        if (r != IOI_CACHE_MORE) return r;
        CHECK(h->reserved < h->size);
        h->reserved = h->reserved + 4096 < h->size ? h->reserved + 4096 : h->size;
    }
}

/* What workers of a block see: the cache, the spilled writes, else the table; and that must be the newest. */
static void check_all(model *w) {
    for (uint32_t k = 0; k < KEYS; k++) {
        const newest_value *v = &w->newest[k];
        uint8_t key[64];
        uint32_t len = key_of(k, key);
        const ioi_cached *c = ioi_cache_find(w->base, hash_of(w, k), key, len);
        if (c) {
            CHECK(c->record.deleted != v->present &&
                  (!v->present || (c->record.len == v->len && !memcmp(c->record.bytes, v->bytes, v->len))));
            w->read++;
        } else CHECK(v->version <= w->flat || w->spilled[k]);
    }
    const ioi_cache_head *h = (const ioi_cache_head *)w->base;
    CHECK(h->used <= h->reserved && h->reserved <= h->size && h->size == w->size);
}

static void commit(model *w, uint64_t *rng) {
    w->version++;
    uint32_t writes = (uint32_t)rng_below(rng, 30);
    for (uint32_t i = 0; i < writes; i++) {
        uint32_t k = (uint32_t)rng_below(rng, KEYS);
        newest_value *v = &w->newest[k];
        v->present = rng_below(rng, 5) > 0;
        v->len = v->present ? (uint32_t)rng_below(rng, rng_below(rng, 8) ? 40 : LONGEST) : 0;
        for (uint32_t b = 0; b < v->len; b++) v->bytes[b] = (uint8_t)rng_next(rng);
        v->version = w->version;
        w->spilled[k] = kept_after_reserving(w, k, w->version, true) == IOI_CACHE_NO_ROOM;
        w->kept += !w->spilled[k];
        w->refused += w->spilled[k];
    }
}

static void one_life(uint64_t *rng, uint64_t size, uint32_t same_hashes, uint64_t *refused, uint64_t *read) {
    model *w = calloc(1, sizeof *w);
    CHECK(w);
    w->size = size;
    w->mapped = (size + 4095) & ~UINT64_C(4095);
    w->same_hashes = same_hashes;
    for (int i = 0; i < 4; i++) w->seed[i] = rng_next(rng);
    w->base = mmap(NULL, w->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(w->base != MAP_FAILED);
    CHECK(!ioi_cache_init(w->base, IOI_CACHE_LEAST - 1, IOI_CACHE_LEAST - 1, w->seed));
    CHECK(!ioi_cache_attach(w->base, size));
    CHECK(ioi_cache_init(w->base, size, size < 4096 ? size : 4096, w->seed));
    CHECK(ioi_cache_attach(w->base, size) && !ioi_cache_attach(w->base, size - 1));
    uint8_t stamp[IOI_STAMP] = {0}, other[IOI_STAMP] = {1};
    CHECK(!ioi_cache_is_of(w->base, stamp, sizeof stamp));
    for (uint32_t turn = 0; turn < 300; turn++) {
        switch (rng_below(rng, 8)) {
        case 0: w->flat += rng_below(rng, w->version - w->flat + 1); break; /* upkeep */
        case 1: { /* a block's fetches: of what it finds neither here nor under the block */
            for (uint32_t i = 0; i < 20; i++) {
                uint32_t k = (uint32_t)rng_below(rng, KEYS);
                if (w->newest[k].version <= w->flat) kept_after_reserving(w, k, 0, false);
            }
            break;
        }
        case 2:
            if (rng_below(rng, 20)) break;
            ioi_cache_clear(w->base);
            CHECK(!ioi_cache_is_of(w->base, stamp, sizeof stamp));
            for (uint32_t k = 0; k < KEYS; k++) /* filled from what lags */
                if (w->newest[k].version > w->flat)
                    w->spilled[k] = kept_after_reserving(w, k, w->version, true) == IOI_CACHE_NO_ROOM;
            break;
        default: commit(w, rng);
        }
        check_all(w);
        ioi_cache_stamp(w->base, stamp);
        CHECK(ioi_cache_is_of(w->base, stamp, sizeof stamp) && !ioi_cache_is_of(w->base, other, sizeof other));
        CHECK(!ioi_cache_is_of(w->base, stamp, sizeof stamp - 1));
        uint32_t k = (uint32_t)rng_below(rng, KEYS);
        if (w->newest[k].version > w->flat) continue;
        kept_after_reserving(w, k, 0, false);
        CHECK(!ioi_cache_is_of(w->base, stamp, sizeof stamp)); /* whatever came of it */
    }
    *refused += w->refused;
    *read += w->read;
    munmap(w->base, w->mapped);
    free(w);
}

/* Eviction makes room where the table has it all, and a full bucket's own records go. */
static void everything_goes_in_turn(void) {
    enum { ROOM = 8 };
    uint64_t size = IOI_CACHE_LEAST + ROOM * 128;
    uint8_t *base = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    uint64_t seed[4] = {1, 2, 3, 4};
    CHECK(ioi_cache_init(base, size, size, seed));
    uint8_t bytes[80] = {0};
    for (uint32_t i = 0; i < 1000; i++) { /* none is above the mark: all of them find room */
        uint8_t key[4] = {(uint8_t)i, (uint8_t)(i >> 8), 0, 0};
        uint64_t hash = ioi_hash(seed, key, sizeof key);
        CHECK(ioi_cache_write(base, hash, key, sizeof key, bytes, sizeof bytes, i + 1, i + 1) == IOI_CACHE_KEPT);
        CHECK(ioi_cache_find(base, hash, key, sizeof key));
    }
    CHECK(((ioi_cache_head *)base)->count == ROOM);
    ioi_cache_clear(base);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 100; i++) { /* all are: none goes */
        uint8_t key[4] = {(uint8_t)i, (uint8_t)(i >> 8), 0, 0};
        kept += ioi_cache_write(base, ioi_hash(seed, key, sizeof key), key, sizeof key, bytes, sizeof bytes, 2, 1) ==
                IOI_CACHE_KEPT;
    }
    CHECK(kept == ROOM);
    munmap(base, 4096);
}

/* A block reads the cache in place, and one word is a key's base for all. */
static void a_block_reads_it(void) {
    fixture f;
    fixture_block(&f, 8, 1, 4 << 20);
    uint8_t *base = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED && ioi_cache_init(base, 1 << 16, 1 << 16, f.arena.shared->seed));
    ioi_entry *there = intern(&f, &f.alloc, "there"), *absent = intern(&f, &f.alloc, "absent"),
              *not = intern(&f, &f.alloc, "not");
    CHECK(ioi_cache_write(base, there->hash, there->key, there->key_len, (const uint8_t *)"v", 1, 1, 0) == IOI_CACHE_KEPT);
    CHECK(ioi_cache_write(base, absent->hash, absent->key, absent->key_len, NULL, 0, 1, 0) == IOI_CACHE_KEPT);
    uint64_t word;
    uint32_t writer;
    CHECK(ioi_mv_read(&f.alloc, there, 3, &word, &writer) == IOI_SEEN_NOTHING); /* this block reads none */
    f.arena.cache = base;
    f.arena.cache_size = 1 << 16;
    CHECK(ioi_mv_read(&f.alloc, there, 3, &word, &writer) == IOI_SEEN_BASE && ioi_word_present(word));
    const ioi_record *r = ioi_word_record(&f.arena, word);
    CHECK(r->len == 1 && r->bytes[0] == 'v' && (const uint8_t *)r > base && (const uint8_t *)r < base + (1 << 16));
    CHECK(ioi_mv_base(&f.arena, there) == word && a64_load(&there->base) == word);
    CHECK(ioi_mv_fetched(&f.alloc, &f.arena.shared->slots[0], there, (const uint8_t *)"w", 1) && a64_load(&there->base) == word);
    CHECK(ioi_mv_read(&f.alloc, absent, 3, &word, &writer) == IOI_SEEN_BASE && !ioi_word_present(word));
    CHECK(ioi_mv_read(&f.alloc, not, 3, &word, &writer) == IOI_SEEN_NOTHING && ioi_mv_base(&f.arena, not) == 0);
    CHECK(a64_load(&f.arena.shared->slots[0].fetched) == 0);
    CHECK(ioi_mv_fetched(&f.alloc, &f.arena.shared->slots[0], not, NULL, 0));
    const ioi_fetched *fetched = ioi_at(&f.arena, a64_load(&f.arena.shared->slots[0].fetched));
    CHECK(fetched->entry == ioi_offset(&f.arena, not) && fetched->next == 0 && fetched->record.len == 0);
    munmap(base, 1 << 16);
    fixture_free(&f);
}

void test_cache(void) {
    uint64_t state = unit_seed, *rng = &state, refused = 0, read = 0;
    static const uint64_t sizes[] = {IOI_CACHE_LEAST, IOI_CACHE_LEAST + 8 * 128, 6000, 20000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        one_life(rng, sizes[i], 1, &refused, &read);
        one_life(rng, sizes[i], 3, &refused, &read);
        one_life(rng, sizes[i], 20, &refused, &read);
    }
    CHECK(refused > 0 && read > 0);
    everything_goes_in_turn();
    a_block_reads_it();
}
