/* Random blocks under simulated schedules.
 *
 *     simulate [--seed N] [--seconds S] [--count N] [--workers N] [--counting PERCENT of cases]
 *
 * Every seed is one block and SCHEDULES schedules of it: the first at random, then PCT of depth 1 to 4 and more random
 * ones, some with a store buffer, some with a worker killed at a random step. A killed worker never runs again; then the
 * coordinator abandons the block, all others must leave it, what was final must be right, and the block must come out
 * right in a fresh arena. Beside each block PARTS schedules of single parts (parts.h). `--seed N --count 1` plays a failure again, step for step.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "parts.h"
#include "scheduler.h"
#include "sim.h"
#include "wait.h"

enum { ARENA_BYTES = 64 << 20, SCHEDULES = 12, PARTS = 24, BLOCKS_MAX = 2 };

static uint64_t current_seed;
static uint32_t current_schedule;

void complain(const char *message) {
    fprintf(stderr, "simulate: %s\nsimulate: failing case: --seed %lu --count 1 (schedule %u of it)\n", message,
            (unsigned long)current_seed, current_schedule);
    sim_print_schedule();
    _exit(1);
}

static void fail(engine *e, const char *message) {
    (void)e;
    complain(message);
}

/* glibc's, replaced: an assertion of the core is a finding with a seed. */
void __assert_fail(const char *what, const char *file, unsigned int line, const char *function) {
    char text[400];
    snprintf(text, sizeof text, "%s:%u: %s: assertion failed: %s", file, line, function, what);
    complain(text);
    abort();
}

static void on_signal(int number) {
    complain(number == SIGALRM ? "a schedule takes too long: a loop without atomics" : "a memory fault");
}

/* ---- coroutines ------------------------------------------------------------------------------------------------------------ */

typedef struct schedule {
    engine engine;
    block_case *const *blocks;
    uint32_t count;
    uint64_t abandon_at;
    uint32_t ambush; /* kill when this many waits have begun; 0: at a random step */
    uint32_t turns;  /* from there to abandoning */
} schedule;

typedef struct worker {
    engine *engine;
    uint32_t id;
} worker;

static void run_worker(void *context) {
    const worker *w = context;
    engine_worker(w->engine, w->id);
}

static void run_coordinator(void *context) {
    schedule *s = context;
    for (uint32_t i = 0; i < s->count; i++) engine_play(&s->engine, s->blocks[i], UINT64_MAX / 2);
    ioi_block_shutdown(&s->engine.arena, s->engine.workers);
}

static uint64_t waits_begun(const schedule *s) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->engine.workers; i++)
        sum += atomic_load_explicit(&s->engine.arena.shared->slots[i].suspensions, memory_order_relaxed);
    return sum;
}

/* Just when somebody begins to wait, the worker at the lowest transaction dies, and right after that the block is given up: the
 * waiter may be anywhere between looking at the word and sleeping on it. */
static void run_ambush(void *context) {
    schedule *s = context;
    const a32 *state = &s->engine.arena.shared->sched.state;
    while (atomic_load_explicit(state, memory_order_relaxed) == IOI_BLOCK_RUNNING && sim_steps() < s->abandon_at &&
           waits_begun(s) < s->ambush) {
        sim_step();
        sim_yield();
    }
    uint32_t victim = UINT32_MAX, lowest = UINT32_MAX;
    for (uint32_t i = 0; i < s->engine.workers; i++) {
        uint32_t tx = atomic_load_explicit(&s->engine.arena.shared->slots[i].current_tx, memory_order_relaxed);
        if (tx && tx < lowest) {
            lowest = tx;
            victim = i;
        }
    }
    if (victim != UINT32_MAX) sim_kill(victim);
    for (uint32_t i = 0; i < s->turns; i++) sim_yield();
    ioi_stop_block(&s->engine.arena, IOI_BLOCK_ABANDONED);
    ioi_block_shutdown(&s->engine.arena, s->engine.workers);
}

static void run_abandoner(void *context) {
    schedule *s = context;
    while (sim_steps() < s->abandon_at) {
        sim_step();
        sim_yield();
    }
    ioi_stop_block(&s->engine.arena, IOI_BLOCK_ABANDONED);
    ioi_block_shutdown(&s->engine.arena, s->engine.workers);
}

/* ---- one schedule ------------------------------------------------------------------------------------------------------------ */

typedef struct totals {
    uint64_t cases, schedules, parts, kills, steps, executions, aborts, suspensions, solo, fulls, events, sums;
} totals;

static void expect_all_done(sim_end end) {
    if (end == SIM_ALL_ASLEEP) complain("everybody sleeps: a lost wake-up or a deadlock");
    if (end == SIM_TOO_MANY_STEPS) complain("the step bound is passed: a livelock");
}

static void set_up(schedule *s, uint8_t *base, uint64_t *rng, uint32_t workers, uint64_t room) {
    static const uint64_t costs[] = {0, 100, 500, 1000, 2000, 3000, 50000};
    engine *e = &s->engine;
    *e = (engine){0};
    e->workers = workers;
    e->spins = rng_chance(rng, 70) ? 0 : 1 + rng_below(rng, 3);
    e->resume_mask = rng_chance(rng, 40) ? 0 : rng_chance(rng, 50) ? ~0u : (uint32_t)rng_next(rng);
    e->forced_cost = costs[rng_below(rng, 7)];
    e->growth = 30 + rng_below(rng, 300);
    e->policy = policy_random(rng);
    e->small_block = rng_chance(rng, 20) ? rng_below(rng, 12) : 0;
    e->record = current_schedule & 1;
    e->fail = fail;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->blocks[i]->faults) e->resume_mask = ~0u;
    engine_init(e, base, ARENA_BYTES, room, s->blocks[0]->hash_seed);
}

static sim_end run_to_the_end(schedule *s, worker *workers) {
    for (uint32_t i = 0; i < s->engine.workers; i++) {
        workers[i] = (worker){&s->engine, i};
        sim_spawn(run_worker, &workers[i]);
    }
    sim_spawn(run_coordinator, s);
    return sim_run();
}

static void tally(totals *t, const engine *e) {
    t->schedules++;
    t->steps += sim_steps();
    t->executions += e->executions;
    t->aborts += e->aborts;
    t->suspensions += e->suspensions;
    t->solo += e->solo;
    t->fulls += e->fulls;
    t->events += e->events;
    t->sums += e->sums;
}

static uint64_t plain_schedule(schedule *s, uint8_t *base, sim_options options, uint64_t *rng, uint32_t workers, uint64_t room,
                               totals *t) {
    worker contexts[ENGINE_WORKERS_MAX];
    set_up(s, base, rng, workers, room);
    sim_reset(&options);
    expect_all_done(run_to_the_end(s, contexts));
    tally(t, &s->engine);
    return sim_steps();
}

static void killing_schedule(schedule *s, uint8_t *base, sim_options options, uint64_t *rng, uint32_t workers, uint64_t steps,
                             totals *t) {
    worker contexts[ENGINE_WORKERS_MAX];
    set_up(s, base, rng, workers, 1 << 20);
    /* Mostly dear transactions: they are validated early, aborted, waited for, which is where a death hurts. */
    if (rng_chance(rng, 60)) s->engine.forced_cost = rng_chance(rng, 50) ? 3000 : 50000;
    options.victim = rng_below(rng, workers);
    options.kill_at = 1 + rng_next(rng) % steps;
    s->abandon_at = options.kill_at + rng_next(rng) % (2 * steps);
    s->ambush = rng_chance(rng, 50) ? 1 + rng_below(rng, 3) : 0;
    s->turns = rng_below(rng, 6);
    if (s->ambush) {
        options.kill_at = 0;
        s->abandon_at = 4 * steps;
    }
    sim_reset(&options);
    for (uint32_t i = 0; i < workers; i++) {
        contexts[i] = (worker){&s->engine, i};
        sim_spawn(run_worker, &contexts[i]);
    }
    engine_begin(&s->engine, s->blocks[0]);
    sim_spawn(s->ambush ? run_ambush : run_abandoner, s);
    expect_all_done(sim_run());
    uint32_t state = a32_load(&s->engine.arena.shared->sched.state);
    if (state == IOI_BLOCK_RUNNING) complain("an abandoned block still runs");
    if (state == IOI_BLOCK_DONE || state == IOI_BLOCK_FAULT) engine_check_end(&s->engine);
    else engine_check_prefix(&s->engine);
    tally(t, &s->engine);
    t->kills += sim_killed();
    options.kill_at = 0;
    plain_schedule(s, base, options, rng, workers, 1 << 20, t); /* never repaired: the block runs again afresh */
}

static sim_options random_options(uint64_t *rng, bool plain) {
    return (sim_options){
        .seed = rng_next(rng),
        .pct_depth = plain || rng_chance(rng, 50) ? 0 : 1 + rng_below(rng, 4),
        .switch_percent = rng_chance(rng, 50) ? 1 + rng_below(rng, 20) : 50,
        .drain_percent = rng_chance(rng, 40) ? 100 : 1 + rng_below(rng, 60),
        .clock_step = rng_chance(rng, 50) ? 1 : 1 + rng_below(rng, 1000),
        .at_exchanges = !plain && rng_chance(rng, 50),
        .step_bound = 2000000,
    };
}

static void play_parts(uint8_t *base, uint64_t *rng, totals *t) {
    for (current_schedule = SCHEDULES; current_schedule < SCHEDULES + PARTS; current_schedule++) {
        sim_options options = random_options(rng, false);
        if (current_schedule % 3 == 0) parts_sums(base, 1 << 20, options, rng);
        else (current_schedule % 2 ? parts_versions : parts_ordered)(base, 1 << 20, options, rng);
        t->parts++;
        t->steps += sim_steps();
    }
}

static void play_case(uint64_t seed, uint8_t *base, uint32_t workers_wanted, uint32_t counting, totals *t) {
    uint64_t state = mix64(seed ^ 0x73696d756c617465), *rng = &state;
    current_seed = seed;
    alarm(60);
    const case_sizes small = {10, 6, 40, 8, counting}, big = {60, 12, 25, 8, counting};
    const case_sizes *sizes = rng_chance(rng, 85) ? &small : &big;
    block_case *blocks[BLOCKS_MAX];
    schedule s = {.blocks = blocks, .count = rng_chance(rng, 20) ? 2 : 1};
    for (uint32_t i = 0; i < s.count; i++) blocks[i] = block_case_new(seed * BLOCKS_MAX + i, sizes);
    uint64_t steps = 1000, exchanges = 200;
    for (current_schedule = 0; current_schedule < SCHEDULES; current_schedule++) {
        uint32_t k = current_schedule;
        sim_options options = random_options(rng, k == 0);
        options.step_bound = 100 * steps + 2000000;
        options.steps_guess = options.at_exchanges ? exchanges : steps;
        uint32_t workers = workers_wanted ? workers_wanted : 1 + rng_below(rng, 4) % 4 + (k < 6);
        if (workers > ENGINE_WORKERS_MAX) workers = ENGINE_WORKERS_MAX;
        if (k >= 9) killing_schedule(&s, base, options, rng, workers, steps, t);
        else {
            uint64_t room = rng_chance(rng, 80) ? 1 << 20 : rng_below(rng, 1 << 15);
            uint64_t took = plain_schedule(&s, base, options, rng, workers, room, t);
            if (k == 0) {
                steps = took;
                exchanges = sim_exchanges();
            }
        }
    }
    for (uint32_t i = 0; i < s.count; i++) block_case_free(blocks[i]);
    play_parts(base, rng, t);
    t->cases++;
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    uint64_t seed = 1, count = UINT64_MAX;
    double seconds = 10;
    uint32_t workers = 0, counting = 20;
    bool counted = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--count") == 0) count = strtoull(argv[i + 1], NULL, 0), counted = true;
        else if (strcmp(argv[i], "--seconds") == 0) seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--workers") == 0) workers = (uint32_t)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--counting") == 0) counting = (uint32_t)atoi(argv[i + 1]);
        else
            return fprintf(stderr, "usage: simulate [--seed N] [--seconds S] [--count N] [--workers N] [--counting PERCENT]\n"),
                   2;
    }
    static uint8_t signal_stack[64 << 10]; /* a coroutine may have run out of its own */
    sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    uint8_t *base = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return perror("mmap"), 3;
    totals t = {0};
    double from = seconds_now();
    for (; t.cases < count && (counted || seconds_now() - from < seconds); seed++) play_case(seed, base, workers, counting, &t);
    double took = seconds_now() - from;
    printf("simulate: ok: %lu cases, %lu schedules (%.0f/s), %lu parts, %lu kills, %lu steps (%.1f M/s), %lu executions, %lu "
           "aborts, %lu suspensions, "
           "%lu solo, %lu times full, %lu events, %lu sums\n",
           (unsigned long)t.cases, (unsigned long)t.schedules, (double)t.schedules / took, (unsigned long)t.parts,
           (unsigned long)t.kills, (unsigned long)t.steps, (double)t.steps / took / 1e6, (unsigned long)t.executions,
           (unsigned long)t.aborts, (unsigned long)t.suspensions, (unsigned long)t.solo, (unsigned long)t.fulls,
           (unsigned long)t.events, (unsigned long)t.sums);
    return 0;
}
