#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "atomics.h"
#include "machine.h"
#include "play.h"
#include "wait.h"

/* What an execution of it was. */
typedef struct execution {
    uint64_t began, ended, count;
} execution;

typedef struct play {
    const sim_plan *plan;
    const ioi_scheduler *scheduler;
    ioi_sim sim;
    uint8_t *lines; /* a cache line for each key */
    execution *executions;
    uint64_t executed, waiting;
    a32 *begin;                  /* what workers wait for before they begin: 1 when they may */
    uint64_t called, last, ends; /* ends: sum of all workers' */
} play;

static play *playing; /* one at a time */

/* ---- the operations of ioi_sim ----------------------------------------------------------------------------------------- */

static uint32_t op_load(const uint32_t *word) { return a32_load_sc((const a32 *)word); }
static void op_store(uint32_t *word, uint32_t value) { a32_xchg((a32 *)word, value); }
static uint32_t op_add(uint32_t *word, uint32_t value) { return a32_add((a32 *)word, value); }
static bool op_cas(uint32_t *word, uint32_t *expected, uint32_t value) { return a32_cas((a32 *)word, expected, value); }
static void op_wake(uint32_t *word, uint32_t count) { ioi_futex_wake((a32 *)word, count); }

static void op_wait(uint32_t *word, uint32_t expected) {
    uint64_t from = sim_machine_now();
    ioi_futex_wait((a32 *)word, expected, 0);
    playing->waiting += sim_machine_now() - from;
}

static void op_pause(void) {
    uint64_t from = sim_machine_now();
    ioi_pause();
    playing->waiting += sim_machine_now() - from;
}

static void op_execute(uint32_t tx) {
    play *p = playing;
    assert(tx < p->sim.n);
    const ioi_sim_tx *t = &p->sim.txs[tx];
    execution *x = &p->executions[tx];
    uint64_t began = sim_machine_now();
    for (uint32_t i = 0; i < t->reads_count; i++) sim_machine_touch(p->lines + 64 * (uint64_t)t->reads[i], 1, false);
    sim_machine_work(t->cost_ns + p->plan->costs.work);
    for (uint32_t i = 0; i < t->writes_count; i++) sim_machine_touch(p->lines + 64 * (uint64_t)t->writes[i], 1, true);
    *x = (execution){began, sim_machine_now(), x->count + 1};
    p->executed += x->ended - began;
}

/* ---- the play ------------------------------------------------------------------------------------------------------------ */

static void run_worker(void *context) {
    play *p = playing;
    while (a32_load_sc(p->begin) == 0) ioi_futex_wait(p->begin, 0, 0);
    p->waiting += sim_machine_now() - p->called;
    p->scheduler->worker(&p->sim, (uint32_t)(uintptr_t)context);
    p->ends += sim_machine_now();
    if (sim_machine_now() > p->last) p->last = sim_machine_now();
}

static void run_coordinator(void *context) {
    play *p = context;
    sim_machine_spend(10000000);
    p->called = sim_machine_now();
    a32_xchg(p->begin, 1);
    ioi_futex_wake(p->begin, UINT32_MAX);
}

static const char *check(const play *p) {
    for (uint32_t tx = 0; tx < p->sim.n; tx++) {
        const ioi_sim_tx *t = &p->sim.txs[tx];
        if (p->executions[tx].count == 0) return "the scheduler ended before it had executed every transaction";
        for (uint32_t i = 0; i < t->reads_count; i++)
            if (t->reads_from[i] != IOI_FROM_BASE && p->executions[t->reads_from[i]].ended > p->executions[tx].began)
                return "the scheduler executed a transaction before another that it reads from had ended";
    }
    return NULL;
}

const char *sim_play_own(const sim_block *block, const ioi_scheduler *scheduler, const sim_plan *plan, sim_result *result) {
    play p = {.plan = plan,
              .scheduler = scheduler,
              .sim = {.n = block->n,
                      .workers = plan->workers,
                      .keys = block->distinct,
                      .txs = block->txs,
                      .load = op_load,
                      .store = op_store,
                      .add = op_add,
                      .cas = op_cas,
                      .wait = op_wait,
                      .wake = op_wake,
                      .pause = op_pause,
                      .execute = op_execute,
                      .now_ns = sim_machine_now}};
    uint64_t memory = (scheduler->memory(&p.sim) + 127) & ~UINT64_C(63), bytes = 64 + memory + 64 * (uint64_t)block->distinct;
    uint8_t *shared = aligned_alloc(64, bytes);
    if (!shared) return "there is no memory for what the scheduler asks for";
    memset(shared, 0, bytes);
    p.begin = (a32 *)shared;
    p.sim.memory = shared + 64;
    p.lines = shared + 64 + memory;
    p.executions = calloc(block->n + 1, sizeof *p.executions);
    assert(p.executions);
    playing = &p;
    sim_machine_reset(&(sim_machine_options){
        .costs = &plan->costs, .seed = plan->seed, .base = shared, .bytes = bytes, .hot = p.sim.memory, .hot_end = shared + 128});
    for (uintptr_t i = 0; i < plan->workers; i++) sim_machine_add(run_worker, (void *)i);
    sim_machine_add(run_coordinator, &p);
    bool ended = sim_machine_run();
    const char *wrong = ended ? check(&p) : "all workers of the scheduler sleep before they are done";
    *result = (sim_result){.elapsed = p.last - p.called,
                           .executed = p.executed,
                           .waiting = p.waiting + plan->workers * p.last - p.ends,
                           .moving = sim_lines_moving()};
    for (uint32_t tx = 0; tx < block->n; tx++) {
        result->useful += p.executions[tx].ended - p.executions[tx].began;
        result->executions += p.executions[tx].count;
    }
    free(p.executions);
    free(shared);
    return wrong;
}
