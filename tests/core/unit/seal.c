#include "seal.h"
#include "unit.h"

static int compared(const ioi_entry *a, const ioi_entry *b) { return ioi_key_compare(a->key, a->key_len, b->key, b->key_len); }

/* Keys of all lengths, with much and with nothing in common, written by several workers, at several positions. */
static void one_block(uint64_t *rng, uint32_t writes, uint32_t common) {
    fixture f;
    fixture_block(&f, writes + 1, 3, 8 << 20);
    uint32_t deleted = 0;
    for (uint32_t i = 0; i < writes; i++) {
        uint8_t key[80], value[40];
        uint32_t len = common + 1 + (uint32_t)rng_below(rng, 12), value_len = (uint32_t)rng_below(rng, sizeof value);
        for (uint32_t b = 0; b < len; b++) key[b] = b < common ? 'c' : (uint8_t)rng_below(rng, rng_below(rng, 2) ? 2 : 256);
        for (uint32_t b = 0; b < value_len; b++) value[b] = (uint8_t)rng_next(rng);
        ioi_entry *e = ioi_index_intern(&f.alloc, ioi_hash(f.arena.shared->seed, key, len), key, len);
        bool deletes = rng_below(rng, 4) == 0;
        ioi_put put = {e, deletes ? NULL : value, deletes ? 0 : value_len, false};
        ioi_write write;
        bool wrote_new;
        CHECK(ioi_mv_publish(&f.alloc, &f.arena.shared->slots[i % 3], i + 1, 0, &put, 1, NULL, &write, &wrote_new));
        deleted += deletes;
    }
    ioi_seal seal;
    CHECK(ioi_seal_take(&f.arena, &seal) && seal.count <= writes);
    uint8_t *blob = malloc(seal.bytes + 1);
    uint64_t *ends = malloc((2 * seal.count + 1) * sizeof *ends);
    ioi_seal_pack(&f.arena, &seal, blob, ends);
    uint64_t at = 0;
    for (size_t i = 0; i < seal.count; i++) {
        const ioi_entry *e = seal.writes[i].of;
        CHECK(i == 0 || compared(seal.writes[i - 1].of, e) < 0);
        uint64_t word;
        CHECK(ioi_versions_below(&f.alloc, (ioi_entry *)(uintptr_t)e, writes + 2, &word) && word == seal.writes[i].word);
        CHECK(ends[2 * i] == at + e->key_len && memcmp(blob + at, e->key, e->key_len) == 0);
        at = ends[2 * i];
        bool gone = ends[2 * i + 1] & IOI_SEAL_DELETED;
        uint64_t end = ends[2 * i + 1] & ~IOI_SEAL_DELETED;
        CHECK(gone == !ioi_word_present(word));
        const ioi_record *r = ioi_word_record(&f.arena, word);
        CHECK(gone ? end == at : end == at + r->len && memcmp(blob + at, r->bytes, r->len) == 0);
        at = end;
    }
    CHECK(at == seal.bytes && (writes < 50 || (deleted && seal.count > 1)));
    free(blob);
    free(ends);
    ioi_seal_free(&seal);
    fixture_free(&f);
}

/* Sums that were kept nowhere are made while sealing: all of them in a chunk or two. */
static void sums(void) {
    enum { KEYS = 100, ADDS = 20 };
    fixture f;
    fixture_block(&f, ADDS, 1, 8 << 20);
    const ioi_field field = {0, 8, 8};
    const ioi_u128 one = 1;
    for (uint32_t k = 0; k < KEYS; k++) {
        char key[8];
        snprintf(key, sizeof key, "%03u", k);
        ioi_put put = {intern(&f, &f.alloc, key), (const uint8_t *)&one, sizeof one, true};
        bool full, wrote_new;
        ioi_write write;
        CHECK(ioi_mv_counter(&f.alloc, put.entry, &field, &full) && ioi_mv_set_base(&f.alloc, put.entry, NULL, 0));
        for (uint32_t i = 0; i < ADDS; i++)
            CHECK(ioi_mv_publish(&f.alloc, f.arena.shared->slots, i + 1, 0, &put, 1, NULL, &write, &wrote_new));
    }
    a32_store(&f.arena.shared->sched.commit_idx, ADDS);
    uint64_t before = a64_load(&f.arena.shared->bump);
    ioi_seal seal;
    CHECK(ioi_seal_take(&f.arena, &seal) && seal.count == KEYS);
    uint8_t *blob = malloc(seal.bytes);
    uint64_t *ends = malloc(2 * seal.count * sizeof *ends);
    ioi_seal_pack(&f.arena, &seal, blob, ends);
    for (size_t i = 0; i < seal.count; i++) CHECK(ends[2 * i + 1] == 11 * (i + 1) && blob[11 * i + 10] == ADDS);
    CHECK(a64_load(&f.arena.shared->bump) - before <= 2 * IOI_CHUNK);
    free(blob);
    free(ends);
    ioi_seal_free(&seal);
    fixture_free(&f);
}

void test_seal(void) {
    sums();
    uint64_t state = unit_seed, *rng = &state;
    static const uint32_t counts[] = {0, 1, 2, 32, 50, 3000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (uint32_t common = 0; common < 40; common += 13) one_block(rng, counts[i], common);
}
