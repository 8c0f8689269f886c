#include "sums.h"
#include "unit.h"

typedef enum did { DID_NOTHING, DID_ADD, DID_PUT, DID_DELETE } did;

/* What the owner of a position did there last. */
typedef struct place {
    did what;
    bool aborted;
    ioi_u128 amount;
    ioi_incarnation *inc;
} place;

static const ioi_field sixteen = {0, 16, 16};
static const uint8_t seven[16] = {[15] = 7};

static void publish(fixture *f, ioi_alloc *alloc, ioi_entry *e, uint32_t position, place *p) {
    uint32_t count = p->what != DID_NOTHING;
    ioi_incarnation *inc = ioi_alloc_bytes(alloc, ioi_incarnation_bytes(0, count), 8);
    CHECK(inc != NULL);
    *inc = (ioi_incarnation){.incarnation = p->inc ? p->inc->incarnation + 1 : 0, .writes_count = count};
    ioi_put put = {e, p->what == DID_DELETE ? NULL : seven, sizeof seven, false};
    if (p->what == DID_ADD) put = (ioi_put){e, (const uint8_t *)&p->amount, sizeof p->amount, true};
    bool wrote_new;
    CHECK(ioi_mv_publish(alloc, &f->arena.shared->slots[0], position, inc->incarnation, &put, count, p->inc,
                         ioi_incarnation_writes(inc), &wrote_new));
    p->inc = inc;
    p->aborted = false;
}

static void anything(place *p, uint64_t *rng) {
    p->what = rng_chance(rng, 95) ? DID_ADD : (did)rng_below(rng, 4);
    p->amount = 1 + rng_below(rng, 1000);
    if (rng_chance(rng, 30)) p->amount = -p->amount; /* halves wrap */
    if (rng_chance(rng, 20)) p->amount <<= 50 + rng_below(rng, 70);
}

/* The same as ioi_sums_up, one after another. */
static bool walked(const place *places, uint32_t from, uint32_t to, ioi_sum *sum) {
    while (to-- > from) {
        const place *p = &places[to];
        if (p->what == DID_NOTHING) continue;
        if (p->what != DID_ADD) {
            sum->position = to;
            return true;
        }
        sum->added += p->amount;
        if (p->aborted && !sum->aborted) sum->aborted = to;
    }
    return false;
}

static void compare(fixture *f, ioi_entry *e, const place *places, uint32_t from, uint32_t to) {
    const ioi_sums *sums = ioi_sums_of(&f->arena, e);
    CHECK(sums && ioi_sums_whole(sums, from));
    ioi_sum is = {0}, should = {0};
    bool ends = ioi_sums_up(&f->alloc, e, sums, from, to, &is);
    CHECK(ends == walked(places, from, to, &should));
    CHECK(is.added == should.added && is.position == should.position && is.aborted == should.aborted);
    CHECK(ends == (is.word != 0) && !ioi_word_added(is.word) && (is.aborted != 0) == (is.aborted_word != 0));
}

/* Random adds, values, deletions, aborts and withdrawals; the sums come in the middle. */
static void against_model(uint32_t n, uint32_t times, uint64_t *rng) {
    fixture f;
    fixture_block(&f, n, 1, 256 << 20);
    ioi_entry *e = intern(&f, &f.alloc, "hot");
    bool full;
    CHECK(ioi_mv_counter(&f.alloc, e, &sixteen, &full) && ioi_mv_set_base(&f.alloc, e, seven, sizeof seven));
    place *places = calloc(n + 3, sizeof *places);
    uint32_t from = rng_chance(rng, 30) ? rng_below(rng, n + 1) : 0, made = rng_below(rng, times);
    for (uint32_t i = 0; i < times; i++) {
        uint32_t position = rng_below(rng, n + 2);
        place *p = &places[position];
        if (i < made || position >= from) {                                  /* below that all is final when they are made */
            if (position && p->what != DID_NOTHING && rng_chance(rng, 30)) { /* 0 is the overlay, which nobody aborts */
                ioi_mv_estimate(&f.alloc, p->inc);
                p->aborted = true;
            } else {
                anything(p, rng);
                publish(&f, &f.alloc, e, position, p);
            }
        }
        if (i == made) {
            ioi_sums_make(&f.alloc, e, from);
            const ioi_sums *sums = ioi_sums_of(&f.arena, e);
            CHECK(sums && ioi_sums_whole(sums, from) && (!from || !ioi_sums_whole(sums, from - 1)));
        }
        if (i < made || (n > 1000 && i % 64)) continue;
        uint32_t low = from + rng_below(rng, n + 2 - from), high = low + rng_below(rng, n + 3 - low);
        compare(&f, e, places, low, high);
        compare(&f, e, places, from, n + 2);
    }
    free(places);
    fixture_free(&f);
}

/* However many are not final: a few steps. */
static void many(uint32_t n, uint32_t most) {
    fixture f;
    fixture_block(&f, n, 1, 256 << 20);
    ioi_entry *e = intern(&f, &f.alloc, "hot");
    bool full;
    CHECK(ioi_mv_counter(&f.alloc, e, &sixteen, &full) && ioi_mv_set_base(&f.alloc, e, seven, sizeof seven));
    ioi_u128 counter;
    uint64_t word;
    uint32_t length, writer;
    for (uint32_t position = 1; position <= n; position++) {
        place p = {.what = DID_ADD, .amount = position};
        publish(&f, &f.alloc, e, position, &p);
        if (position % 100 && position < n - 100) continue;
        CHECK(ioi_mv_count(&f.alloc, e, position + 1, &counter, &length, &word, &writer) == IOI_SEEN_VERSION);
        CHECK(counter == 7 + (ioi_u128)position * (position + 1) / 2);
        const ioi_sums *sums = ioi_sums_of(&f.arena, e);
        CHECK(sums && ioi_sums_whole(sums, 0)); /* whoever counted made them */
        ioi_sum sum = {0};
        CHECK(!ioi_sums_up(&f.alloc, e, sums, 0, position + 1, &sum) && sum.steps <= most);
    }
    /* One was aborted: who adds goes on, who reads waits for it. */
    place p = {.what = DID_ADD, .amount = 5};
    publish(&f, &f.alloc, e, n + 1, &p);
    ioi_mv_estimate(&f.alloc, p.inc);
    CHECK(ioi_mv_count(&f.alloc, e, n + 2, &counter, &length, &word, &writer) == IOI_SEEN_VERSION);
    CHECK(ioi_mv_value(&f.alloc, e, n + 2, &word, &writer) == IOI_SEEN_ESTIMATE && writer == n + 1);
    /* What is final is kept, and asked no more. */
    a32_store(&f.arena.shared->sched.commit_idx, n);
    CHECK(ioi_mv_count(&f.alloc, e, n + 2, &counter, &length, &word, &writer) == IOI_SEEN_VERSION);
    const ioi_known *known = ioi_deref(&f.arena, a32_load(&ioi_deep_of(&f.arena, e)->known));
    CHECK(known->position == n + 1 && counter == 12 + (ioi_u128)n * (n + 1) / 2);
    fixture_free(&f);
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 400, COUNTING = THREADS * EACH };

typedef struct counting {
    fixture f;
    ioi_entry *e;
    place places[COUNTING + 1];
} counting;

static void add_and_count(void *context, uint32_t thread) {
    counting *c = context;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &c->f.arena);
    uint64_t rng = unit_seed + thread, word;
    uint32_t length, writer;
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t position = 1 + i * THREADS + thread;
        place *p = &c->places[position];
        for (uint32_t times = 1 + rng_below(&rng, 2); times > 0; times--) {
            if (p->inc) ioi_mv_estimate(&alloc, p->inc);
            *p = (place){.what = DID_ADD, .amount = 1 + rng_below(&rng, 1000), .inc = p->inc};
            publish(&c->f, &alloc, c->e, position, p);
        }
        ioi_u128 counter;
        CHECK(ioi_mv_count(&alloc, c->e, position, &counter, &length, &word, &writer) == IOI_SEEN_VERSION);
    }
}

static void racing(void) {
    counting *c = calloc(1, sizeof *c);
    fixture_block(&c->f, COUNTING, THREADS, 16 << 20);
    c->e = intern(&c->f, &c->f.alloc, "hot");
    bool full;
    CHECK(ioi_mv_counter(&c->f.alloc, c->e, &sixteen, &full) && ioi_mv_set_base(&c->f.alloc, c->e, seven, sizeof seven));
    on_threads(THREADS, add_and_count, c);
    for (uint32_t to = 1; to <= COUNTING + 1; to++) compare(&c->f, c->e, c->places, 0, to);
    fixture_free(&c->f);
    free(c);
}

void test_sums(void) {
    uint64_t state = unit_seed, *rng = &state;
    static const uint32_t sizes[] = {1, 13, 14, 253, 254, 1000, 4093, 4094, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int k = 0; k < 4; k++) against_model(sizes[i], 2 * sizes[i] + 10, rng);
    against_model(70000, 70000, rng);
    many(200, 2 * 15);
    many(5000, 4 * 15);
    many(70000, 5 * 15);
    for (int i = 0; i < 20; i++) racing();
}
