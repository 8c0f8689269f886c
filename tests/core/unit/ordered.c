#include "unit.h"

#include "versions.h"

enum { KEYS = 1200, THREADS = 4, KEY_MAX = 12 };

typedef struct index {
    fixture *f;
    char key[KEYS][KEY_MAX + 1];
    uint32_t len[KEYS];
    uint32_t count;
    a32 started, done;
} index_test;

static int compare(const void *a, const void *b) { return strcmp(a, b); }

static void make_keys(index_test *t, uint64_t *rng) {
    t->count = KEYS;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t len = 1 + rng_below(rng, KEY_MAX);
        memset(t->key[i], 0, sizeof t->key[i]);
        for (uint32_t k = 0; k < len; k++) t->key[i][k] = (char)('a' + rng_below(rng, 3));
    }
    qsort(t->key, KEYS, sizeof t->key[0], compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        if (kept == 0 || strcmp(t->key[kept - 1], t->key[i]) != 0) memmove(t->key[kept++], t->key[i], sizeof t->key[0]);
    t->count = kept;
    for (uint32_t i = 0; i < kept; i++) t->len[i] = (uint32_t)strlen(t->key[i]);
}

static void write_key(fixture *f, ioi_alloc *alloc, const char *key, uint32_t position) {
    ioi_entry *e = intern(f, alloc, key);
    ioi_put put = {e, (const uint8_t *)"v", 1, false};
    ioi_write write;
    bool wrote_new;
    CHECK(ioi_mv_publish(alloc, &f->arena.shared->slots[position % 4], position, 0, &put, 1, NULL, &write, &wrote_new));
    CHECK(wrote_new);
}

static bool is(const ioi_entry *e, const index_test *t, uint32_t i) {
    return e && e->key_len == t->len[i] && memcmp(e->key, t->key[i], t->len[i]) == 0;
}

static void check_walks(fixture *f, const index_test *t) {
    const ioi_arena *arena = &f->arena;
    ioi_entry *e = ioi_ordered_forward(arena, NULL, 0, false);
    for (uint32_t i = 0; i < t->count; i++, e = ioi_ordered_next(arena, e)) CHECK(is(e, t, i));
    CHECK(!e);
    CHECK(is(ioi_ordered_backward(arena, NULL, 0), t, t->count - 1));
    for (uint32_t i = 0; i < t->count; i++) {
        const uint8_t *key = (const uint8_t *)t->key[i];
        CHECK(is(ioi_ordered_forward(arena, key, t->len[i], false), t, i));
        e = ioi_ordered_forward(arena, key, t->len[i], true);
        CHECK(i + 1 < t->count ? is(e, t, i + 1) : !e);
        e = ioi_ordered_backward(arena, key, t->len[i]);
        CHECK(i ? is(e, t, i - 1) : !e);
        uint8_t after[KEY_MAX + 1]; /* a bound that is no key */
        memcpy(after, key, t->len[i]);
        after[t->len[i]] = 0;
        e = ioi_ordered_forward(arena, after, t->len[i] + 1, false);
        CHECK(i + 1 < t->count ? is(e, t, i + 1) : !e);
        CHECK(is(ioi_ordered_backward(arena, after, t->len[i] + 1), t, i));
    }
}

/* Two threads write the keys, each its half and both the middle; one switches on in between; one walks. */
static void race(void *context, uint32_t thread) {
    index_test *t = context;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &t->f->arena);
    uint64_t rng = unit_seed + thread;
    if (thread < 2) {
        for (uint32_t i = 0; i < t->count; i++) {
            uint32_t k = (i * 7919 + thread * 31) % t->count;
            bool both = k % 3 == 0;
            if (!both && k % 2 != thread) continue;
            bool on = a32_load_sc(&t->f->arena.shared->sched.ordered_on);
            write_key(t->f, &alloc, t->key[k], 1 + thread);
            if (!on) continue; /* then the walk links it, sooner or later */
            /* It was on: a key is in before its value shows. */
            CHECK(is(ioi_ordered_forward(&t->f->arena, (const uint8_t *)t->key[k], t->len[k], false), t, k));
        }
        a32_add(&t->done, 1);
        return;
    }
    uint64_t from = rng_below(&rng, 200000);
    for (volatile uint64_t i = 0; i < from; i++) {}
    CHECK(ioi_ordered_switch_on(&alloc));
    do {
        uint32_t walked = 0;
        const ioi_entry *last = NULL;
        for (ioi_entry *e = ioi_ordered_forward(&t->f->arena, NULL, 0, false); e; walked++) {
            if (last) CHECK(ioi_key_compare(last->key, last->key_len, e->key, e->key_len) < 0);
            last = e;
            e = rng_chance(&rng, 50) ? ioi_ordered_next(&t->f->arena, e)
                                     : ioi_ordered_forward(&t->f->arena, e->key, e->key_len, true);
            if (e && rng_chance(&rng, 20)) {
                ioi_entry *before = ioi_ordered_backward(&t->f->arena, e->key, e->key_len);
                CHECK(before && ioi_key_compare(before->key, before->key_len, last->key, last->key_len) >= 0);
            }
        }
        CHECK(walked <= t->count);
    } while (a32_load(&t->done) < 2);
}

void test_ordered(void) {
    uint64_t state = unit_seed, *rng = &state;
    index_test *t = calloc(1, sizeof *t);
    for (int turn = 0; turn < 4; turn++) { /* one thread, switched on early, late or in the middle */
        make_keys(t, rng);
        fixture f;
        fixture_block(&f, 4, 4, 16 << 20);
        for (uint32_t i = 0; i < t->count; i++) {
            if (i == t->count * (uint32_t)turn / 3) CHECK(ioi_ordered_switch_on(&f.alloc));
            write_key(&f, &f.alloc, t->key[(i * 7919) % t->count], 1);
            intern(&f, &f.alloc, "never written");
        }
        CHECK(ioi_ordered_switch_on(&f.alloc));
        bool prime = t->count % 7919 != 0;
        if (prime) check_walks(&f, t);
        fixture_free(&f);
    }
    for (int turn = 0; turn < 40; turn++) {
        make_keys(t, rng);
        fixture f;
        fixture_block(&f, 4, 4, 16 << 20);
        t->f = &f;
        a32_store(&t->done, 0);
        on_threads(THREADS, race, t);
        check_walks(&f, t);
        fixture_free(&f);
    }
    free(t);
    uint8_t a[] = {1, 2}, b[] = {1, 2, 0}, c[] = {1, 255};
    CHECK(ioi_key_compare(a, 2, b, 3) < 0 && ioi_key_compare(b, 3, a, 2) > 0 && ioi_key_compare(a, 2, a, 2) == 0);
    CHECK(ioi_key_compare(b, 3, c, 2) < 0 && ioi_key_compare(a, 0, a, 2) < 0 && ioi_key_compare(a, 0, c, 0) == 0);
}
