#include "unit.h"

enum { KEYS = 3000, THREADS = 4 };

typedef struct keys {
    fixture *f;
    uint64_t hash[KEYS];
    char name[KEYS][16];
    ioi_entry *got[THREADS][KEYS];
} keys;

/* Hashes crafted to meet: one root slot for all, then paths that part late, and chains of equal ones. */
static void craft(keys *k, uint64_t *rng) {
    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(k->name[i], sizeof k->name[i], "key %u", i);
        uint64_t low = rng_chance(rng, 50) ? 5 : rng_next(rng);
        uint64_t high = rng_chance(rng, 50) ? (uint64_t)rng_below(rng, 16) << 60 : rng_next(rng);
        k->hash[i] = rng_chance(rng, 5) ? 77 : (low & ((1 << 20) - 1)) | (high & ~(uint64_t)((1 << 20) - 1));
    }
}

static void intern_all(void *context, uint32_t thread) {
    keys *k = context;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &k->f->arena);
    uint64_t rng = unit_seed + thread;
    for (uint32_t turn = 0; turn < 2 * KEYS; turn++) {
        uint32_t i = turn < KEYS ? turn : rng_below(&rng, KEYS);
        ioi_entry *e = ioi_index_intern(&alloc, k->hash[i], (const uint8_t *)k->name[i], (uint32_t)strlen(k->name[i]));
        CHECK(e && (!k->got[thread][i] || k->got[thread][i] == e));
        k->got[thread][i] = e;
    }
}

static bool count_entry(void *context, ioi_entry *e) {
    (void)e;
    return ++*(uint32_t *)context < 2 * KEYS;
}

static bool stop_at_ten(void *context, ioi_entry *e) {
    (void)e;
    return ++*(uint32_t *)context < 10;
}

static void interning(uint64_t *rng) {
    fixture f;
    fixture_block(&f, 4, 1, 32 << 20);
    keys *k = calloc(1, sizeof *k);
    k->f = &f;
    craft(k, rng);
    for (uint32_t i = 0; i < 20; i++)
        CHECK(!ioi_index_find(&f.arena, k->hash[i], (const uint8_t *)k->name[i], (uint32_t)strlen(k->name[i])));
    on_threads(THREADS, intern_all, k);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t len = (uint32_t)strlen(k->name[i]);
        ioi_entry *e = ioi_index_find(&f.arena, k->hash[i], (const uint8_t *)k->name[i], len);
        CHECK(e && e->key_len == len && memcmp(e->key, k->name[i], len) == 0 && e->hash == k->hash[i]);
        for (uint32_t t = 0; t < THREADS; t++) CHECK(k->got[t][i] == e); /* one entry, whoever came first */
        CHECK(!ioi_index_find(&f.arena, k->hash[i], (const uint8_t *)"other key", 9));
        CHECK(!ioi_index_find(&f.arena, k->hash[i] ^ UINT64_C(1) << 63, (const uint8_t *)k->name[i], len));
    }
    uint32_t count = 0;
    CHECK(ioi_index_each(&f.arena, count_entry, &count) && count == KEYS);
    count = 0;
    CHECK(!ioi_index_each(&f.arena, stop_at_ten, &count) && count == 10);
    free(k);
    fixture_free(&f);
}

static void hashing(uint64_t *rng) {
    uint64_t seed[4], other[4];
    for (int i = 0; i < 4; i++) seed[i] = rng_next(rng), other[i] = rng_next(rng);
    /* Counting keys of any length fill 256 slots evenly, by low bits and by high ones. */
    for (uint32_t len = 4; len <= 40; len++) {
        uint32_t low[256] = {0}, high[256] = {0};
        uint8_t key[40] = {0};
        for (uint32_t i = 0; i < 256 * 32; i++) {
            memcpy(key + len - 4, &i, 4);
            uint64_t h = ioi_hash(seed, key, len);
            low[h & 255]++;
            high[h >> 56]++;
        }
        for (int i = 0; i < 256; i++) CHECK(low[i] > 5 && low[i] < 80 && high[i] > 5 && high[i] < 80); /* 32 +- 4.7 sigma */
    }
    /* Every bit of the key counts, and so do its length and the seed. */
    for (uint32_t len = 1; len <= 70; len++) {
        uint8_t key[70];
        for (uint32_t i = 0; i < len; i++) key[i] = (uint8_t)rng_next(rng);
        uint64_t h = ioi_hash(seed, key, len), flips = 0;
        CHECK(h == ioi_hash(seed, key, len) && h != ioi_hash(other, key, len));
        CHECK(h != ioi_hash(seed, key, len - 1));
        for (uint32_t bit = 0; bit < 8 * len; bit++) {
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
            uint64_t g = ioi_hash(seed, key, len);
            CHECK(g != h);
            flips += (uint64_t)__builtin_popcountll(g ^ h);
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        CHECK(flips > 8 * len * 24 && flips < 8 * len * 40);
    }
    uint8_t zeros[20] = {0};
    for (uint32_t a = 0; a < 20; a++)
        for (uint32_t b = 0; b < a; b++) CHECK(ioi_hash(seed, zeros, a) != ioi_hash(seed, zeros, b));
    CHECK(ioi_index_bits(0) >= 1 && ioi_index_bits(UINT64_MAX / 4) <= 32);
    for (uint64_t keys = 0; keys < 1 << 20; keys += 777) CHECK(ioi_index_bits(keys) <= ioi_index_bits(keys + 777));
}

void test_index(void) {
    uint64_t state = unit_seed, *rng = &state;
    for (int i = 0; i < 6; i++) interning(rng);
    hashing(rng);
}
