#include "unit.h"
#include "versions.h"

enum { MODEL_MAX = 100003 };

/* What a key's versions should be: by position, the cell or 0. */
typedef struct model {
    uint64_t cell[MODEL_MAX + 1];
    uint32_t top;
} model;

static uint32_t model_below(const model *m, uint32_t position) {
    for (uint32_t p = position; p-- > 0;)
        if (m->cell[p]) return p;
    return UINT32_MAX;
}

static void compare(fixture *f, ioi_entry *e, const model *m, uint32_t position) {
    uint64_t cell = 0;
    ioi_version *v = ioi_versions_below(&f->alloc, e, position, &cell);
    uint32_t expected = model_below(m, position);
    CHECK((v == NULL) == (expected == UINT32_MAX));
    if (v) CHECK(v->position == expected && cell == m->cell[expected]);
}

static void set(fixture *f, ioi_alloc *alloc, ioi_entry *e, uint32_t position, uint64_t cell, uint32_t *firsts) {
    ioi_made made;
    ioi_version *v = ioi_versions_node(alloc, e, position, 0, &made);
    CHECK(v && v->position == position);
    if (firsts) *firsts += made == IOI_MADE_FIRST;
    ioi_versions_set(&f->arena, e, v, cell);
}

/* Random writes and withdrawals of a block of n transactions, against the model. */
static void against_model(uint32_t n, uint32_t writes, uint32_t withdrawn_percent, uint32_t spread, uint64_t *rng) {
    fixture f;
    fixture_block(&f, n, 1, 256 << 20);
    ioi_entry *e = intern(&f, &f.alloc, "hot");
    model *m = calloc(1, sizeof *m);
    m->top = n + 1;
    uint32_t firsts = 0, live = 0;
    for (uint32_t i = 0; i < writes; i++) {
        uint32_t position = spread >= n ? rng_below(rng, n + 2) : (i % (n + 2) + rng_below(rng, spread)) % (n + 2);
        uint64_t cell = rng_chance(rng, withdrawn_percent) ? 0 : (1 + rng_next(rng) % 1000) * 8;
        live += cell != 0;
        set(&f, &f.alloc, e, position, cell, &firsts);
        m->cell[position] = cell;
        if (n < 5000 || i % 64 == 0) compare(&f, e, m, rng_below(rng, 4) ? rng_below(rng, n + 3) : position + 1);
    }
    CHECK(firsts == (writes ? 1 : 0));
    for (uint32_t p = 0; p <= n + 2; p += n < 5000 ? 1 : 97) compare(&f, e, m, p);
    free(m);
    fixture_free(&f);
}

/* In front of stretches that were all withdrawn, in a trie of every number of levels. */
static void withdrawn_stretches(uint32_t n) {
    fixture f;
    fixture_block(&f, n, 1, 256 << 20);
    ioi_entry *e = intern(&f, &f.alloc, "hot");
    for (uint32_t p = 0; p <= n + 1; p++) set(&f, &f.alloc, e, p, 8, NULL);
    for (uint32_t p = 1; p <= n + 1; p++) set(&f, &f.alloc, e, p, 0, NULL);
    uint64_t cell;
    ioi_version *v = ioi_versions_below(&f.alloc, e, n + 2, &cell);
    CHECK(v && v->position == 0 && cell == 8);
    set(&f, &f.alloc, e, 0, 0, NULL);
    CHECK(!ioi_versions_below(&f.alloc, e, n + 2, &cell));
    CHECK(!ioi_versions_below(&f.alloc, e, 0, &cell));
    for (uint32_t p = 0; p <= n + 1; p++) { /* and back again, one at a time */
        set(&f, &f.alloc, e, p, 16, NULL);
        v = ioi_versions_below(&f.alloc, e, n + 2, &cell);
        CHECK(v && v->position == p && cell == 16);
    }
    fixture_free(&f);
}

/* ---- concurrent: promotion races inserters --------------------------------------------------------------------------- */

enum { STEP = 5, WRITERS = 4 };

typedef struct race {
    fixture *f;
    ioi_entry *e;
    uint32_t n;
    a32 firsts;
    uint64_t *final; /* [n + 2] */
} race;

/* Positions are dealt out by their remainder; those of thread 0 come first in the block's order of things: whoever reads
 * them after they were written must see them for ever. */
static void race_run(void *context, uint32_t thread) {
    race *r = context;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &r->f->arena);
    uint64_t rng = unit_seed * 64 + thread;
    if (thread == WRITERS) { /* reader: the fixed ones, positions 0 mod STEP, were all there before the race */
        for (uint32_t i = 0; i < 40 * r->n; i++) {
            uint32_t position = 1 + rng_below(&rng, r->n + 1), fixed = (position - 1) / STEP * STEP;
            uint64_t cell;
            ioi_version *v = ioi_versions_below(&alloc, r->e, position, &cell);
            CHECK(v && v->position < position && v->position >= fixed && cell);
        }
        return;
    }
    for (uint32_t turn = 0; turn < 3; turn++)
        for (uint32_t i = 0; i < r->n / STEP; i++) {
            uint32_t position = rng_below(&rng, r->n / STEP) * STEP + 1 + thread;
            uint64_t cell = rng_chance(&rng, 40) ? 0 : (1 + rng_next(&rng) % 1000) * 8;
            uint32_t firsts = 0;
            set(r->f, &alloc, r->e, position, cell, &firsts);
            if (firsts) a32_add(&r->firsts, 1);
            r->final[position] = cell;
            uint64_t now; /* one's own are seen at once */
            ioi_version *v = ioi_versions_below(&alloc, r->e, position + 1, &now);
            CHECK(v && (cell ? v->position == position && now == cell : v->position < position));
        }
}

static void racing(uint32_t n) {
    fixture f;
    fixture_block(&f, n, 1, 64 << 20);
    race r = {.f = &f, .e = intern(&f, &f.alloc, "hot"), .n = n, .final = calloc(n + STEP + 2, sizeof(uint64_t))};
    for (uint32_t p = 0; p <= n; p += STEP) {
        uint32_t firsts = 0;
        set(&f, &f.alloc, r.e, p, 8, &firsts);
        CHECK(firsts == (p == 0));
        r.final[p] = 8;
    }
    on_threads(WRITERS + 1, race_run, &r);
    CHECK(a32_load(&r.firsts) == 0);
    for (uint32_t p = 1; p <= n + 1; p++) {
        uint32_t expected = p - 1;
        while (!r.final[expected]) expected--;
        uint64_t cell;
        ioi_version *v = ioi_versions_below(&f.alloc, r.e, p, &cell);
        CHECK(v && v->position == expected && cell == r.final[expected]);
    }
    free(r.final);
    fixture_free(&f);
}

void test_versions(void) {
    uint64_t state = unit_seed, *rng = &state;
    static const uint32_t sizes[] = {0, 1, 3, 30, 61, 62, 63, 64, 65, 500, 4093, 4094, 4095, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int k = 0; k < 4; k++) against_model(sizes[i], 3 * sizes[i] + 10, rng_below(rng, 100), k < 2 ? UINT32_MAX : 8, rng);
    against_model(100000, 200000, 20, 16, rng);
    against_model(100000, 100000, 50, UINT32_MAX, rng);
    withdrawn_stretches(10);
    withdrawn_stretches(60);
    withdrawn_stretches(4000);
    withdrawn_stretches(5000);
    for (int i = 0; i < 300; i++) racing(20 + rng_below(rng, 300));
    for (int i = 0; i < 3; i++) racing(5000);
}
