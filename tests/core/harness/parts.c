#include "parts.h"

#include <string.h>

#include "block.h"
#include "ordered.h"
#include "program.h"
#include "scheduler.h"

enum { WORKERS_MAX = 4, POSITIONS = 80, KEYS = 8 };

#define EXPECT(condition)                                                                                                        \
    do {                                                                                                                         \
        if (!(condition)) complain("parts: not so: " #condition);                                                                \
    } while (0)

typedef struct part {
    ioi_arena arena;
    uint32_t n, workers, operations;
    ioi_entry *entry;
    bool fixed[POSITIONS + 2];     /* written before the race, never withdrawn */
    uint64_t cells[POSITIONS + 2]; /* what the race leaves; each written by its position's owner */
    ioi_version *nodes[POSITIONS + 2];
    ioi_entry *keys[KEYS];
    bool written[KEYS]; /* at least one write is through */
} part;

typedef struct part_worker {
    part *part;
    uint32_t id;
    uint64_t rng;
} part_worker;

static void lay_out(part *p, uint8_t *base, uint64_t size, uint64_t *rng) {
    uint64_t seed[4];
    for (int i = 0; i < 4; i++) seed[i] = rng_next(rng);
    *p = (part){.n = 4 + rng_below(rng, POSITIONS - 4),
                .workers = 2 + rng_below(rng, WORKERS_MAX - 1),
                .operations = 1 + rng_below(rng, 8)};
    ioi_arena_init(&p->arena, base, size, size, seed);
    ioi_block_input input = {.n = p->n, .workers = WORKERS_MAX, .keys = 1};
    uint64_t *ends;
    uint8_t *bytes;
    EXPECT(ioi_block_begin(&p->arena, &input, &ends, &bytes));
    ioi_block_start(&p->arena);
}

static void race(part *p, sim_options *options, void (*run)(void *), uint64_t *rng) {
    part_worker workers[WORKERS_MAX];
    options->steps_guess = options->at_exchanges ? 20 * p->workers : 80 * p->workers;
    sim_reset(options);
    for (uint32_t i = 0; i < p->workers; i++) {
        workers[i] = (part_worker){p, i, rng_next(rng)};
        sim_spawn(run, &workers[i]);
    }
    if (sim_run() != SIM_ALL_DONE) complain("parts: they cannot go on");
}

/* ---- versions ------------------------------------------------------------------------------------------------------------ */

static void write_version(part *p, ioi_alloc *alloc, uint32_t position, uint64_t cell) {
    ioi_made made;
    ioi_version *v = ioi_versions_node(alloc, p->entry, position, 0, &made);
    EXPECT(v && v->position == position);
    EXPECT(!p->nodes[position] || p->nodes[position] == v); /* one node for ever, whatever is promoted meanwhile */
    p->nodes[position] = v;
    ioi_versions_set(&p->arena, p->entry, v, cell);
    p->cells[position] = cell;
}

static void run_versions(void *context) {
    part_worker *w = context;
    part *p = w->part;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &p->arena);
    uint64_t rng = w->rng, cell;
    bool reader = w->id == 0;
    uint32_t mine = 0;
    for (uint32_t i = 0; i < p->operations; i++) {
        if (reader || rng_chance(&rng, 20)) {
            uint32_t position = 1 + rng_below(&rng, p->n + 1), least = position - 1;
            while (least && !p->fixed[least]) least--;
            ioi_version *v = ioi_versions_below(&alloc, p->entry, position, &cell);
            if (p->fixed[least]) EXPECT(v && v->position >= least);
            if (v) EXPECT(v->position < position && cell);
            continue;
        }
        /* Mostly the same position again: other incarnations of one transaction. */
        if (mine == 0 || rng_chance(&rng, 40)) mine = 1 + rng_below(&rng, p->n);
        uint32_t position = mine - mine % p->workers + w->id;
        if (position == 0 || position > p->n || p->fixed[position]) continue;
        uint64_t word = rng_chance(&rng, 30) ? 0 : 8 * (1 + rng_below(&rng, 1000));
        write_version(p, &alloc, position, word);
        ioi_version *v = ioi_versions_below(&alloc, p->entry, position + 1, &cell);
        EXPECT(word ? v && v->position == position && cell == word : !v || v->position < position);
    }
}

void parts_versions(uint8_t *base, uint64_t size, sim_options options, uint64_t *rng) {
    part p;
    lay_out(&p, base, size, rng);
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &p.arena);
    p.entry = ioi_index_intern(&alloc, 1, (const uint8_t *)"hot", 3);
    for (uint32_t i = rng_below(rng, 6); i > 0; i--) {
        uint32_t position = rng_below(rng, p.n + 1);
        write_version(&p, &alloc, position, 8);
        /* Half of them belong to writers of the race: they come back to a node made before the promotion. */
        p.fixed[position] = rng_chance(rng, 50);
    }
    race(&p, &options, run_versions, rng);
    for (uint32_t position = 0; position <= p.n + 1; position++) {
        uint64_t cell;
        ioi_version *v = ioi_versions_below(&alloc, p.entry, position, &cell);
        uint32_t expected = position;
        while (expected && !p.cells[expected - 1]) expected--;
        EXPECT(expected ? v && v->position == expected - 1 && cell == p.cells[expected - 1] : !v);
    }
}

/* ---- the ordered index ------------------------------------------------------------------------------------------------------ */

static void write_key(part *p, ioi_alloc *alloc, uint32_t key, uint32_t worker) {
    ioi_put put = {p->keys[key], (const uint8_t *)"v", 1, false};
    ioi_write write;
    bool wrote_new;
    EXPECT(ioi_mv_publish(alloc, &p->arena.shared->slots[worker], 1 + worker, 0, &put, 1, NULL, &write, &wrote_new));
    p->written[key] = true;
}

static void walk(const part *p) {
    bool due[KEYS], met[KEYS] = {false};
    memcpy(due, p->written, sizeof due);
    const ioi_entry *last = NULL;
    for (ioi_entry *e = ioi_ordered_forward(&p->arena, NULL, 0, false); e; e = ioi_ordered_next(&p->arena, e)) {
        if (last) EXPECT(ioi_key_compare(last->key, last->key_len, e->key, e->key_len) < 0);
        met[e->key[0] - 'a'] = true;
        last = e;
    }
    for (uint32_t k = 0; k < KEYS; k++)
        if (due[k]) EXPECT(met[k]);
}

static void look_around(const part *p, uint32_t key) {
    const ioi_entry *at = p->keys[key];
    bool due = p->written[key];
    ioi_entry *e = ioi_ordered_forward(&p->arena, at->key, at->key_len, false);
    if (due) EXPECT(e == at);
    e = ioi_ordered_forward(&p->arena, at->key, at->key_len, true);
    if (e) EXPECT(e->key[0] > at->key[0]);
    e = ioi_ordered_backward(&p->arena, at->key, at->key_len);
    if (e) EXPECT(e->key[0] < at->key[0]);
}

static void run_ordered(void *context) {
    part_worker *w = context;
    part *p = w->part;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &p->arena);
    uint64_t rng = w->rng;
    if (w->id == 0 || (w->id == 1 && p->workers > 2 && rng_chance(&rng, 50))) {
        EXPECT(ioi_ordered_switch_on(&alloc));
        walk(p);
        for (uint32_t i = 0; i < 3; i++) look_around(p, rng_below(&rng, KEYS));
        walk(p);
        return;
    }
    bool mine[KEYS] = {false};
    for (uint32_t i = 0; i < p->operations; i++) {
        uint32_t key = rng_below(&rng, KEYS);
        if (!mine[key]) write_key(p, &alloc, key, w->id);
        mine[key] = true;
    }
}

void parts_ordered(uint8_t *base, uint64_t size, sim_options options, uint64_t *rng) {
    part p;
    lay_out(&p, base, size, rng);
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &p.arena);
    for (uint32_t k = 0; k < KEYS; k++) {
        uint8_t name = (uint8_t)('a' + k);
        p.keys[k] = ioi_index_intern(&alloc, rng_next(rng), &name, 1);
    }
    race(&p, &options, run_ordered, rng);
    walk(&p);
    for (uint32_t k = 0; k < KEYS; k++) look_around(&p, k);
}

/* ---- sums ------------------------------------------------------------------------------------------------------------------- */

typedef enum did { DID_NOTHING, DID_ADD, DID_PUT, DID_DELETE } did;

/* What the owner of a position did there last, and whether it will do no more. */
typedef struct done {
    did what;
    ioi_u128 amount;
    a32 finished;
} done;

static const ioi_field counter_field = {0, 16, 16};
static const uint8_t put_seven[16] = {[15] = 7};
static done all_done[POSITIONS + 2];

static ioi_u128 expected_sum(uint32_t position) {
    ioi_u128 sum = 0;
    while (position-- > 0) {
        const done *d = &all_done[position];
        if (d->what == DID_ADD) sum += d->amount;
        else if (d->what != DID_NOTHING) return sum + (d->what == DID_PUT ? 7 : 0);
    }
    return sum + 7; /* the base */
}

static void expect_sum(const part *p, ioi_alloc *alloc, uint32_t position) {
    ioi_u128 counter;
    uint64_t word;
    uint32_t writer, length;
    EXPECT(ioi_mv_count(alloc, p->entry, position, &counter, &length, &word, &writer) == IOI_SEEN_VERSION);
    EXPECT(length == 16 && counter == expected_sum(position));
}

static const ioi_incarnation *publish(const part *p, ioi_alloc *alloc, uint32_t worker, uint32_t position, const done *d,
                                      const ioi_incarnation *before) {
    uint32_t count = d->what != DID_NOTHING;
    ioi_incarnation *inc = ioi_alloc_bytes(alloc, ioi_incarnation_bytes(0, count), 8);
    *inc = (ioi_incarnation){.incarnation = before ? before->incarnation + 1 : 0, .writes_count = count};
    ioi_put put = {p->entry, d->what == DID_DELETE ? NULL : put_seven, sizeof put_seven, false};
    if (d->what == DID_ADD) put = (ioi_put){p->entry, (const uint8_t *)&d->amount, sizeof d->amount, true};
    bool wrote_new;
    EXPECT(ioi_mv_publish(alloc, &p->arena.shared->slots[worker], position, inc->incarnation, &put, count, before,
                          ioi_incarnation_writes(inc), &wrote_new));
    return inc;
}

static done anything(uint64_t *rng) {
    done d = {.what = rng_chance(rng, 80) ? DID_ADD : (did)rng_below(rng, 4), .amount = 1 + rng_below(rng, 100)};
    if (rng_chance(rng, 30)) d.amount = -d.amount; /* halves wrap */
    if (rng_chance(rng, 10)) d.amount <<= 60 + rng_below(rng, 60);
    return d;
}

/* A position through a few incarnations. */
static void live(part *p, ioi_alloc *alloc, uint32_t worker, uint32_t position, uint64_t *rng) {
    const ioi_incarnation *inc = NULL;
    done *mine = &all_done[position];
    for (uint32_t times = 1 + rng_below(rng, 3); times > 0; times--) {
        if (inc && rng_chance(rng, 70)) ioi_mv_estimate(alloc, inc);
        done d = anything(rng);
        inc = publish(p, alloc, worker, position, &d, inc);
        mine->what = d.what;
        mine->amount = d.amount;
    }
    a32_xchg(&mine->finished, 1);
}

static void run_sums(void *context) {
    part_worker *w = context;
    part *p = w->part;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &p->arena);
    a32 *watermark = &p->arena.shared->sched.commit_idx;
    uint64_t rng = w->rng, word;
    uint32_t next = 1 + w->id, length, writer;
    for (uint32_t i = 0; i < 3 * p->operations; i++) {
        if (next <= p->n && rng_chance(&rng, 70)) {
            live(p, &alloc, w->id, next, &rng);
            next += p->workers;
            continue;
        }
        ioi_u128 counter;
        ioi_mv_count(&alloc, p->entry, 1 + rng_below(&rng, p->n + 1), &counter, &length, &word, &writer);
        if (rng_chance(&rng, 50)) continue;
        uint32_t before = a32_load_sc(watermark), final = before;
        while (final < p->n && a32_load(&all_done[final + 1].finished)) final++;
        if (final > before) a32_cas(watermark, &before, final);
        expect_sum(p, &alloc, 1 + (rng_chance(&rng, 50) ? final : rng_below(&rng, final + 1)));
    }
}

void parts_sums(uint8_t *base, uint64_t size, sim_options options, uint64_t *rng) {
    part p;
    lay_out(&p, base, size, rng);
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &p.arena);
    p.entry = ioi_index_intern(&alloc, 1, (const uint8_t *)"hot", 3);
    bool full;
    EXPECT(ioi_mv_counter(&alloc, p.entry, &counter_field, &full) && ioi_mv_set_base(&alloc, p.entry, put_seven, 16));
    memset((void *)all_done, 0, sizeof all_done);
    if (rng_chance(rng, 30)) { /* the block before left something */
        all_done[0].what = DID_PUT;
        publish(&p, &alloc, 0, 0, &all_done[0], NULL);
    }
    race(&p, &options, run_sums, rng);
    for (uint32_t position = 1; position <= p.n + 1; position++) expect_sum(&p, &alloc, position);
}
