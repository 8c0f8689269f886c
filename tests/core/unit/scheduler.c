#include <time.h>

#include "readers.h"

#include "unit.h"

/* Two workers driven by hand on one thread: what helps speed only, and so no comparison of results would miss. */
typedef struct pair {
    fixture f;
    ioi_worker w[2];
    ioi_view *v[2];
} pair;

static void open_two_of(pair *p, uint32_t workers, ioi_policy policy, uint32_t n, uint64_t cost_ns) {
    ioi_block_input input = {.n = n, .workers = workers, .keys = 1, .policy = policy};
    fixture_block_of(&p->f, &input, 8 << 20);
    for (uint32_t i = 0; i < 2; i++) {
        ioi_worker_init(&p->w[i], &p->f.arena, i);
        ioi_worker_enter(&p->w[i]);
        p->w[i].cost_ns = cost_ns;
        p->v[i] = ioi_view_new(&p->w[i]);
        p->v[i]->limits = (ioi_limits){16, 64, 8, 200, 3, 1 << 20, {0}};
    }
}

static void open_pair_under(pair *p, ioi_policy policy, uint32_t n, uint64_t cost_ns) { open_two_of(p, 2, policy, n, cost_ns); }

static void open_pair(pair *p, uint32_t n, uint64_t cost_ns) { open_pair_under(p, (ioi_policy){0}, n, cost_ns); }

static void close_pair(pair *p) {
    for (uint32_t i = 0; i < 2; i++) {
        ioi_view_free(p->v[i]);
        ioi_worker_free(&p->w[i]);
    }
    fixture_free(&p->f);
}

static void expect_task(pair *p, uint32_t i, uint32_t expected) {
    uint32_t tx;
    CHECK(ioi_next(&p->w[i], &tx) == IOI_TASK_EXECUTE && tx == expected);
    ioi_view_begin(p->v[i], tx);
}

static void read_key(pair *p, uint32_t i, const char *name) {
    ioi_key k;
    const uint8_t *value;
    size_t len;
    CHECK(ioi_view_key(p->v[i], (const uint8_t *)name, strlen(name), &k) == IOI_OK);
    CHECK(ioi_mv_set_base(&p->w[i].alloc, ioi_at(&p->f.arena, k), NULL, 0));
    CHECK(ioi_view_get(p->v[i], k, &value, &len) != IOI_STOP);
}

static void write_key(pair *p, uint32_t i, const char *name) {
    ioi_key k;
    CHECK(ioi_view_key(p->v[i], (const uint8_t *)name, strlen(name), &k) == IOI_OK);
    CHECK(ioi_view_put(p->v[i], k, (const uint8_t *)"v", 1) == IOI_OK);
}

static void finish(pair *p, uint32_t i) {
    ioi_outcome outcome = {0};
    CHECK(ioi_view_finish(p->v[i], &outcome, false));
}

static uint32_t state_of(const pair *p, uint32_t tx) { return ioi_status_state(a32_load(&p->w[0].status[tx])); }

static void executed(pair *p, uint32_t i, uint32_t tx, const char *reads, const char *writes) {
    expect_task(p, i, tx);
    if (reads) read_key(p, i, reads);
    if (writes) write_key(p, i, writes);
    finish(p, i);
}

static uint64_t validations(const pair *p) { return a64_load(&p->w[0].slot->validations) + a64_load(&p->w[1].slot->validations); }

static bool is_suspect(const pair *p, uint32_t tx) { return (a64_load(&p->w[0].readers[tx]) & IOI_SUSPECT) != 0; }

/* An abort leaves ESTIMATEs and an incarnation in the hands of who aborted; readers of it have something to wait for. */
static void an_abort_marks_estimates(void) {
    pair p;
    open_pair_under(&p, (ioi_policy){.by_version = true}, 3, 50000); /* found at the watermark */
    expect_task(&p, 0, 0);
    expect_task(&p, 1, 1);
    read_key(&p, 1, "a");
    write_key(&p, 1, "b");
    finish(&p, 1); /* too early: transaction 0 writes a */
    write_key(&p, 0, "a");
    finish(&p, 0);
    uint64_t word;
    uint32_t writer;
    ioi_entry *b = intern(&p.f, &p.f.alloc, "b");
    CHECK(ioi_mv_read(&p.f.alloc, b, 3, &word, &writer) == IOI_SEEN_VERSION && writer == 2);
    expect_task(&p, 0, 1); /* 0 is final, 1 failed at the watermark and runs again at once */
    CHECK(state_of(&p, 0) == IOI_FINAL && state_of(&p, 1) == IOI_EXECUTING && p.v[0]->incarnation == 1);
    CHECK(ioi_mv_read(&p.f.alloc, b, 3, &word, &writer) == IOI_SEEN_ESTIMATE && writer == 2);
    read_key(&p, 0, "a");
    finish(&p, 0); /* does not write b any more */
    CHECK(ioi_mv_set_base(&p.f.alloc, b, NULL, 0));
    CHECK(ioi_mv_read(&p.f.alloc, b, 3, &word, &writer) == IOI_SEEN_BASE);
    close_pair(&p);
}

/* Dear transactions are claimed one at a time, cheap ones in runs; a worker that waits gives its run back, and says so. */
static void a_waiting_worker_gives_its_run_back(void) {
    pair p;
    open_pair(&p, 64, 500);
    expect_task(&p, 0, 0);
    uint32_t end = p.w[0].run_end;
    CHECK(p.w[0].run_next == 1 && end > 2);
    expect_task(&p, 1, end);
    a32_add(&p.w[0].sched->sleepers, 1); /* as if a third one slept */
    uint32_t seq = a32_load(&p.w[0].sched->work_seq);
    CHECK(ioi_wait_for(&p.w[0], 63)); /* nobody is at it, so the wait ends at once */
    CHECK(p.w[0].run_next >= p.w[0].run_end && a32_load(&p.w[0].sched->execution_idx) == 1);
    CHECK(a32_load(&p.w[0].sched->work_seq) == seq + 1);
    a32_add(&p.w[0].sched->sleepers, UINT32_MAX);
    CHECK(ioi_wait_for(&p.w[0], 63) && a32_load(&p.w[0].sched->work_seq) == seq + 1); /* nothing to give, nobody to wake */
    close_pair(&p);
    open_pair(&p, 64, 50000);
    expect_task(&p, 0, 0);
    expect_task(&p, 1, 1);
    CHECK(p.w[0].run_next >= p.w[0].run_end);
    close_pair(&p);
}

/* Where validation sweeps and an abort is found, it goes back to behind it: what read its writes while they looked good is then found by
 * all workers at once, not by the watermark alone, one by one. */
static void every_abort_takes_a_sweep_back(void) {
    for (int at_watermark = 0; at_watermark < 2; at_watermark++) {
        pair p;
        open_pair_under(&p, (ioi_policy){.by_version = true}, 8, 50000);
        expect_task(&p, 0, 0);
        expect_task(&p, 1, 1);
        read_key(&p, 1, "a");
        if (at_watermark) finish(&p, 1); /* too early: transaction 0 writes a */
        write_key(&p, 0, "a");
        finish(&p, 0);
        a32_store(&p.w[0].sched->validation_idx, 5); /* has passed by, and saw nothing wrong */
        if (at_watermark) expect_task(&p, 0, 1);
        else {
            finish(&p, 1); /* looks at itself, and fails */
            expect_task(&p, 1, 1);
        }
        CHECK(ioi_incarnation_of(&p.w[0], 1) == 1 && a32_load(&p.w[0].sched->validation_idx) == 2);
        close_pair(&p);
    }
}

/* Who changes something validates those above that may have read it, and nobody else. Of those that fail the first is its own; those
 * that read what that one wrote are left to whoever looks next. */
static void who_read_what_changed_is_validated(void) {
    static const char *const others[] = {"k", "l", "m", "n", "o", "p", "q", "r"};
    pair p;
    open_pair(&p, 20, 50000);
    expect_task(&p, 0, 0); /* takes long */
    executed(&p, 1, 1, "a", "b");
    executed(&p, 1, 2, "b", "c");
    executed(&p, 1, 3, "c", NULL);
    for (uint32_t i = 0; i < 8; i++) executed(&p, 1, 4 + i, others[i], NULL);
    uint64_t before = validations(&p);
    write_key(&p, 0, "a");
    p.w[0].cost_ns = p.w[1].cost_ns = 50000;
    finish(&p, 0);
    CHECK(p.w[0].owned == 1 && state_of(&p, 1) == IOI_EXECUTING);
    CHECK(validations(&p) - before <= 2); /* of eleven: keys that share their bits with others are few */
    CHECK(is_suspect(&p, 2) && !is_suspect(&p, 3) && a32_load(&p.w[0].sched->validation_idx) == 2);
    expect_task(&p, 1, 2); /* 0 becomes final; then what was suspected fails, and suspects in turn */
    CHECK(p.v[1]->incarnation == 1 && is_suspect(&p, 3) && !is_suspect(&p, 2));
    CHECK(a32_load(&p.w[0].sched->validation_idx) == 3);
    expect_task(&p, 0, 1);
    CHECK(p.v[0]->incarnation == 1);
    finish(&p, 0);
    finish(&p, 1);
    expect_task(&p, 1, 3);
    CHECK(p.v[1]->incarnation == 1);
    close_pair(&p);
}

/* Who executes something dear is suspected meanwhile by who changes what it has read, and looks at itself in the end; who is not, does
 * not. Whatever reads cheaply does always. */
static void who_executes_is_suspected(void) {
    for (int cheap = 0; cheap < 2; cheap++)
        for (int conflict = 0; conflict < 2; conflict++) {
            pair p;
            open_pair(&p, 8, cheap ? 5000 : 50000);
            a32_store(&p.w[0].sched->execution_idx, 1); /* transaction 0 is still to be executed */
            expect_task(&p, 0, 1);
            expect_task(&p, 1, 2);
            read_key(&p, 1, "a");
            read_key(&p, 1, "b");
            write_key(&p, 0, conflict ? "a" : "c");
            finish(&p, 0);
            CHECK(is_suspect(&p, 2) == (conflict && !cheap) && state_of(&p, 2) == IOI_EXECUTING);
            a32_store(&p.w[0].sched->validation_idx, 1); /* as if another one were suspected too */
            expect_task(&p, 0, 3);
            CHECK(is_suspect(&p, 2) == (conflict && !cheap)); /* that is for who executes it */
            uint64_t before = validations(&p);
            finish(&p, 1);
            CHECK(validations(&p) == before + (cheap || conflict) && !is_suspect(&p, 2));
            CHECK((p.w[1].owned == 2) == conflict);
            close_pair(&p);
        }
}

/* Who starts again, whether as another incarnation or after waiting, has read nothing yet. */
static void who_starts_again_reads_anew(void) {
    pair p;
    open_pair(&p, 8, 50000);
    expect_task(&p, 0, 0);
    expect_task(&p, 1, 1);
    read_key(&p, 1, "a");
    const a64 *word = &p.w[1].readers[1];
    CHECK(a64_load(word) == ioi_key_bits(ioi_ref_of(&p.f.arena, intern(&p.f, &p.f.alloc, "a"))));
    ioi_view_begin(p.v[1], 1);
    read_key(&p, 1, "b");
    CHECK(a64_load(word) == ioi_key_bits(ioi_ref_of(&p.f.arena, intern(&p.f, &p.f.alloc, "b"))));
    close_pair(&p);
}

/* So is who asked only whether the key is there; and who has scanned, whichever keys it met. Cheap ones say so in the end. */
static void looks_and_scans_are_reads(void) {
    for (int way = 0; way < 4; way++) {
        bool scans = way & 1;
        pair p;
        open_pair(&p, 4, way & 2 ? 5000 : 50000);
        expect_task(&p, 0, 0);
        expect_task(&p, 1, 1);
        if (scans) {
            uint32_t range;
            CHECK(ioi_view_range_open(p.v[1], (const uint8_t *)"a", 1, (const uint8_t *)"x", 1, false, &range) == IOI_OK);
            CHECK(ioi_view_range_reached(p.v[1], range, NULL, 0) == IOI_OK);
        } else {
            ioi_key k;
            CHECK(ioi_view_key(p.v[1], (const uint8_t *)"g", 1, &k) == IOI_OK);
            CHECK(ioi_mv_set_base(&p.w[1].alloc, ioi_at(&p.f.arena, k), NULL, 0) && ioi_view_exists(p.v[1], k) == IOI_ABSENT);
        }
        finish(&p, 1);
        write_key(&p, 0, "g");
        p.w[0].cost_ns = 50000;
        finish(&p, 0);
        CHECK(p.w[0].owned == 1 && state_of(&p, 1) == IOI_EXECUTING);
        close_pair(&p);
    }
}

/* Early validation finds what was overtaken before the watermark gets there. */
static void early_validation_aborts_above_the_watermark(void) {
    pair p;
    open_pair(&p, 4, 10000);
    expect_task(&p, 0, 0); /* takes long */
    expect_task(&p, 1, 1);
    ioi_worker *w = &p.w[1];
    write_key(&p, 1, "other");
    finish(&p, 1);
    expect_task(&p, 1, 2);
    w->cost_ns = 10000; /* whatever the clock says: dear enough to be validated, too cheap to note what it reads */
    w->noting = false;
    read_key(&p, 1, "a");
    ioi_view *late = p.v[1];
    /* Transaction 1 runs again in the meantime and writes a: as another worker would, by hand. */
    ioi_put put = {intern(&p.f, &p.f.alloc, "a"), (const uint8_t *)"v", 1, false};
    ioi_write write;
    bool wrote_new;
    CHECK(ioi_mv_publish(&p.f.alloc, p.w[0].slot, 2, 0, &put, 1, NULL, &write, &wrote_new));
    ioi_outcome outcome = {0};
    CHECK(ioi_view_finish(late, &outcome, false));
    uint32_t tx;
    CHECK(ioi_next(w, &tx) == IOI_TASK_EXECUTE && tx == 2); /* not 3: transaction 2 failed early */
    CHECK(ioi_incarnation_of(w, 2) == 1 && a32_load(&w->sched->commit_idx) == 0);
    close_pair(&p);
}

/* A worker that aborts in the middle of its run executes that first: its next transaction could meet the ESTIMATEs it left
 * itself, and would wait for ever. */
static void what_is_owned_comes_before_the_run(void) {
    pair p;
    open_pair(&p, 64, 2000);
    expect_task(&p, 1, 0); /* and stays at it */
    p.w[0].cost_ns = 2000;
    uint32_t from = p.w[1].run_end;
    expect_task(&p, 0, from);
    CHECK(p.w[0].run_next == from + 1 && p.w[0].run_end > from + 1);
    read_key(&p, 0, "a");
    ioi_put put = {intern(&p.f, &p.f.alloc, "a"), (const uint8_t *)"v", 1, false};
    ioi_write write;
    bool wrote_new;
    CHECK(ioi_mv_publish(&p.f.alloc, p.w[1].slot, 1, 0, &put, 1, NULL, &write, &wrote_new));
    a32_store(&p.w[0].sched->validation_idx, from + 1); /* validation has passed by: it is up to who finishes */
    finish(&p, 0);
    expect_task(&p, 0, from);
    CHECK(p.v[0]->incarnation == 1 && p.w[0].run_next == from + 1);
    close_pair(&p);
}

/* Without ESTIMATEs the writes of an aborted incarnation stay readable until the next one replaces them; and when it does, those
 * above are validated again, though it wrote no new key. */
static void without_estimates_an_abort_leaves_values(void) {
    pair p;
    open_pair_under(&p, (ioi_policy){.no_estimates = true}, 4, 50000);
    expect_task(&p, 0, 0);
    expect_task(&p, 1, 1);
    read_key(&p, 1, "a");
    write_key(&p, 1, "b");
    finish(&p, 1); /* too early: transaction 0 writes a */
    write_key(&p, 0, "a");
    finish(&p, 0);
    uint64_t word, before;
    uint32_t writer;
    ioi_entry *b = intern(&p.f, &p.f.alloc, "b");
    CHECK(ioi_mv_read(&p.f.alloc, b, 3, &before, &writer) == IOI_SEEN_VERSION);
    expect_task(&p, 0, 1);
    CHECK(state_of(&p, 1) == IOI_EXECUTING && p.v[0]->incarnation == 1);
    CHECK(ioi_mv_read(&p.f.alloc, b, 3, &word, &writer) == IOI_SEEN_VERSION && word == before && writer == 2);
    expect_task(&p, 1, 2);
    read_key(&p, 1, "b"); /* does not wait */
    finish(&p, 1);
    write_key(&p, 0, "b");
    p.w[0].cost_ns = 50000;
    uint64_t validated = validations(&p);
    finish(&p, 0);
    CHECK(validations(&p) == validated + 1); /* that one: an equal value stands */
    CHECK(ioi_mv_read(&p.f.alloc, b, 3, &word, &writer) == IOI_SEEN_VERSION && word != before);
    close_pair(&p);
}

/* An equal value written again stands by value, and does not by version. */
static void a_rewritten_value_stands_by_value_alone(void) {
    for (int by_version = 0; by_version < 2; by_version++) {
        pair p;
        open_pair_under(&p, (ioi_policy){.by_version = by_version}, 3, 50000);
        expect_task(&p, 0, 0);
        expect_task(&p, 1, 1);
        ioi_put put = {intern(&p.f, &p.f.alloc, "a"), (const uint8_t *)"v", 1, false};
        ioi_write write;
        bool wrote_new;
        CHECK(ioi_mv_publish(&p.f.alloc, p.w[0].slot, 1, 0, &put, 1, NULL, &write, &wrote_new)); /* as of transaction 0 */
        read_key(&p, 1, "a");
        finish(&p, 1);
        write_key(&p, 0, "a"); /* the same value, another version */
        finish(&p, 0);
        expect_task(&p, 0, by_version ? 1 : 2);
        CHECK(state_of(&p, 1) == (by_version ? IOI_EXECUTING : IOI_FINAL));
        close_pair(&p);
    }
}

/* A fixed run is what is claimed, whatever it costs; a fixed window what may be claimed, and no more. */
static void runs_and_windows_can_be_fixed(void) {
    pair p;
    open_pair_under(&p, (ioi_policy){.run = 5}, 64, 50000);
    expect_task(&p, 0, 0);
    CHECK(p.w[0].run_next == 1 && p.w[0].run_end == 5);
    close_pair(&p);
    open_pair_under(&p, (ioi_policy){.run = 1}, 64, 100);
    expect_task(&p, 0, 0);
    expect_task(&p, 1, 1);
    CHECK(p.w[0].run_next >= p.w[0].run_end);
    close_pair(&p);
    open_pair_under(&p, (ioi_policy){.window = 3}, 64, 50000);
    expect_task(&p, 0, 0);
    for (uint32_t tx = 1; tx < 3; tx++) {
        expect_task(&p, 1, tx);
        finish(&p, 1);
    }
    CHECK(a32_load(&p.w[0].sched->execution_idx) == 3);
    finish(&p, 0);
    expect_task(&p, 1, 3); /* the watermark rose to 3: up to 6 now */
    expect_task(&p, 0, 4);
    close_pair(&p);
}

/* Fewer workers are at a block where most of it was aborted, and more again where little is; those that parked meanwhile are called.
 * Not with a window of its own, as in the paper, nor when the block has stopped. */
static void conflicts_limit_how_many_are_active(void) {
    for (uint32_t window = 0; window < 2; window++) {
        pair p;
        open_two_of(&p, 8, (ioi_policy){.no_solo = true, .run = 1, .window = window * IOI_WINDOW_OPEN}, 300, 50000);
        ioi_sched *sched = p.w[0].sched;
        CHECK(a32_load(&sched->active) == 8);
        a32_store(&sched->parked, 7); /* as if all the others had */
        static const uint32_t aborts[] = {200, 200, 200, 32, 0, 0, 0}, expected[] = {4, 2, 2, 2, 4, 8, 8};
        for (uint32_t look = 0, tx = 0; look < sizeof aborts / sizeof *aborts; look++) {
            uint32_t seq = a32_load(&sched->park_seq), before = a32_load(&sched->active);
            sched->tuned_aborts = aborts[look];
            for (uint32_t end = 32 * look + 33; tx < end; tx++) {
                expect_task(&p, 0, tx);
                finish(&p, 0);
            }
            uint32_t now = a32_load(&sched->active);
            CHECK(now == (window ? 8 : expected[look]));
            CHECK((a32_load(&sched->park_seq) != seq) == (now > before));
        }
        ioi_stop_block(&p.f.arena, IOI_BLOCK_ABANDONED);
        CHECK(a32_load(&sched->active) == UINT32_MAX);
        close_pair(&p);
    }
}

static void one_parks_the_other_looks(void *context, uint32_t thread) {
    pair *p = context;
    ioi_sched *sched = p->w[0].sched;
    if (thread == 0) {
        uint32_t tx;
        CHECK(ioi_next(&p->w[0], &tx) == IOI_TASK_LEAVE);
        return;
    }
    struct timespec moment = {.tv_nsec = 1000000};
    for (uint32_t i = 0; a32_load_sc(&sched->work_seq) == 0 && i < 10000; i++) nanosleep(&moment, NULL);
    CHECK(a32_load(&sched->work_seq) == 1 && a32_load(&sched->parked) == 1);
    ioi_stop_block(&p->f.arena, IOI_BLOCK_ABANDONED);
}

/* A worker that parks leaves what there is to do to one that sleeps, and tells it so; a block that stops calls it back. */
static void who_parks_wakes_one_that_sleeps(void) {
    pair p;
    open_pair(&p, 4, 50000);
    a32_store(&p.w[0].sched->active, 1);
    a32_store(&p.w[0].sched->sleepers, 1); /* as if it did */
    on_threads(2, one_parks_the_other_looks, &p);
    CHECK(a32_load(&p.w[0].sched->parked) == 0);
    close_pair(&p);
}

/* A block for one of two workers: the other is not called, and does not mistake the next block for it. */
static void who_does_not_take_part_is_not_called(void) {
    fixture f;
    fixture_block(&f, 1, 1, 8 << 20);
    uint32_t seen[2] = {0, 0};
    CHECK(ioi_block_await(&f.arena, 0, &seen[0], 0) && seen[0] == 1);
    CHECK(a32_load(&f.arena.shared->calls[1].seq) == 0 && a32_load(&f.arena.shared->active) == 1);
    ioi_block_depart(&f.arena);
    CHECK(ioi_block_wait(&f.arena, 0));
    ioi_block_input input = {.n = 2, .workers = 2, .keys = 1};
    uint64_t *ends;
    uint8_t *bytes;
    CHECK(ioi_block_begin(&f.arena, &input, &ends, &bytes));
    ioi_block_start(&f.arena);
    CHECK(ioi_block_await(&f.arena, 1, &seen[1], 0) && seen[1] == 1 && ioi_block_await(&f.arena, 0, &seen[0], 0) && seen[0] == 2);
    CHECK(a32_load(&f.arena.shared->active) == 2);
    ioi_block_shutdown(&f.arena, 2);
    CHECK(!ioi_block_await(&f.arena, 0, &seen[0], 0) && !ioi_block_await(&f.arena, 1, &seen[1], 0));
    fixture_free(&f);
}

/* Whoever runs alone executes at the watermark and nowhere else: what it finds overtaken is for others. Above it there may be ESTIMATEs,
 * and who waits for one must not hold the token. */
static void who_runs_alone_takes_nothing_from_above(void) {
    pair p;
    open_pair_under(&p, (ioi_policy){.run = 1}, 8, 50000);
    ioi_sched *sched = p.w[0].sched;
    a32_store(&sched->execution_idx, 1); /* transaction 0 is still to be executed */
    expect_task(&p, 1, 1);
    executed(&p, 0, 2, "c", "b");
    executed(&p, 0, 3, "a", NULL);
    write_key(&p, 1, "c");
    finish(&p, 1); /* overtakes 2, which it aborts */
    expect_task(&p, 1, 2);
    CHECK(state_of(&p, 2) == IOI_EXECUTING && p.v[1]->incarnation == 1);
    p.w[0].token = true;
    a32_store(&sched->token, 1);
    a32_store(&sched->solo_until, 8);
    expect_task(&p, 0, 0);
    write_key(&p, 0, "a");
    finish(&p, 0); /* overtakes 3 */
    CHECK(state_of(&p, 3) == IOI_EXECUTED && is_suspect(&p, 3));
    close_pair(&p);
}

void test_scheduler(void) {
    who_runs_alone_takes_nothing_from_above();
    without_estimates_an_abort_leaves_values();
    a_rewritten_value_stands_by_value_alone();
    runs_and_windows_can_be_fixed();
    who_does_not_take_part_is_not_called();
    what_is_owned_comes_before_the_run();
    conflicts_limit_how_many_are_active();
    who_parks_wakes_one_that_sleeps();
    an_abort_marks_estimates();
    every_abort_takes_a_sweep_back();
    who_read_what_changed_is_validated();
    who_executes_is_suspected();
    who_starts_again_reads_anew();
    looks_and_scans_are_reads();
    a_waiting_worker_gives_its_run_back();
    early_validation_aborts_above_the_watermark();
}
