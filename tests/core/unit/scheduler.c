#include "unit.h"

/* Two workers driven by hand on one thread: what helps speed only, and so no comparison of results would miss. */
typedef struct pair {
    fixture f;
    ioi_worker w[2];
    ioi_view *v[2];
} pair;

static void open_pair(pair *p, uint32_t n, uint64_t cost_ns) {
    fixture_block(&p->f, n, 2, 8 << 20);
    for (uint32_t i = 0; i < 2; i++) {
        ioi_worker_init(&p->w[i], &p->f.arena, i);
        ioi_worker_enter(&p->w[i]);
        p->w[i].cost_ns = cost_ns;
        p->v[i] = ioi_view_new(&p->w[i]);
        p->v[i]->limits = (ioi_limits){16, 64, 8, 200, 3, 1 << 20};
    }
}

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

/* An abort leaves ESTIMATEs and an incarnation in the hands of who aborted; readers of it have something to wait for. */
static void an_abort_marks_estimates(void) {
    pair p;
    open_pair(&p, 3, 50000);
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

/* Early validation finds what was overtaken before the watermark gets there. */
static void early_validation_aborts_above_the_watermark(void) {
    pair p;
    open_pair(&p, 4, 50000);
    expect_task(&p, 0, 0); /* takes long */
    expect_task(&p, 1, 1);
    ioi_worker *w = &p.w[1];
    write_key(&p, 1, "other");
    finish(&p, 1);
    expect_task(&p, 1, 2);
    read_key(&p, 1, "a");
    ioi_view *late = p.v[1];
    /* Transaction 1 runs again in the meantime and writes a: as another worker would, by hand. */
    ioi_put put = {intern(&p.f, &p.f.alloc, "a"), (const uint8_t *)"v", 1};
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
    ioi_put put = {intern(&p.f, &p.f.alloc, "a"), (const uint8_t *)"v", 1};
    ioi_write write;
    bool wrote_new;
    CHECK(ioi_mv_publish(&p.f.alloc, p.w[1].slot, 1, 0, &put, 1, NULL, &write, &wrote_new));
    a32_store(&p.w[0].sched->validation_idx, from + 1); /* validation has passed by: it is up to who finishes */
    finish(&p, 0);
    expect_task(&p, 0, from);
    CHECK(p.v[0]->incarnation == 1 && p.w[0].run_next == from + 1);
    close_pair(&p);
}

void test_scheduler(void) {
    what_is_owned_comes_before_the_run();
    an_abort_marks_estimates();
    a_waiting_worker_gives_its_run_back();
    early_validation_aborts_above_the_watermark();
}
