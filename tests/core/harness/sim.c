#include "sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "program.h"
#include "stack.h"
#include "wait.h"

enum { STACK_BYTES = 256 << 10, BUFFERED_MAX = 8, CHANGES_MAX = 8, HISTORY = 4096 };
#define NOBODY UINT32_MAX

/* ---- state -------------------------------------------------------------------------------------------------------------- */

typedef struct buffered {
    void *word;
    uint64_t value;
    uint32_t size;
} buffered;

typedef struct coroutine {
    sim_context context;
    uint8_t *stack;
    void (*run)(void *);
    void *argument;
    enum { RUNNABLE, ASLEEP, DONE, KILLED } state;
    a32 *futex;
    uint64_t priority;
    buffered stores[BUFFERED_MAX];
    uint32_t stores_count;
} coroutine;

static struct {
    sim_options options;
    uint64_t rng, steps, exchanges, clock, lowest;
    coroutine all[SIM_COROUTINES_MAX];
    uint32_t count, current;
    sim_context outside;
    uint64_t changes[CHANGES_MAX];
    bool killed, over, woken;
    struct {
        uint32_t who;
        uint64_t step;
    } history[HISTORY];
    uint64_t switches;
} sim = {.current = NOBODY};

void sim_reset(const sim_options *options) {
    sim.options = *options;
    sim.rng = mix64(options->seed ^ 0x73696d);
    sim.steps = sim.exchanges = sim.clock = sim.switches = 0;
    sim.lowest = 1000;
    sim.count = 0;
    sim.current = NOBODY;
    sim.killed = sim.over = sim.woken = false;
    for (uint32_t i = 0; i < CHANGES_MAX; i++)
        sim.changes[i] = i + 1 < options->pct_depth ? 1 + rng_next(&sim.rng) % options->steps_guess : 0;
}

uint64_t sim_steps(void) { return sim.steps; }
uint64_t sim_exchanges(void) { return sim.exchanges; }
bool sim_killed(void) { return sim.killed; }

static void drain_all(coroutine *c);

static void entry(void) {
    coroutine *c = &sim.all[sim.current];
    c->run(c->argument);
    drain_all(c);
    c->state = DONE;
    sim_yield();
    abort(); /* a coroutine that is done was run again */
}

uint32_t sim_spawn(void (*run)(void *), void *argument) {
    assert(sim.count < SIM_COROUTINES_MAX);
    coroutine *c = &sim.all[sim.count];
    if (!c->stack) {
        c->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert(c->stack != MAP_FAILED);
    }
    sim_context_make(&c->context, c->stack, STACK_BYTES, entry);
    c->run = run;
    c->argument = argument;
    c->state = RUNNABLE;
    c->stores_count = 0;
    c->priority = 1000000 + rng_next(&sim.rng) % 1000000;
    return sim.count++;
}

/* ---- the store buffer --------------------------------------------------------------------------------------------------- */

static void write_word(const buffered *b) {
    if (b->size == 4) atomic_store_explicit((a32 *)b->word, (uint32_t)b->value, memory_order_relaxed);
    else atomic_store_explicit((a64 *)b->word, b->value, memory_order_relaxed);
}

static void drain_oldest(coroutine *c) {
    write_word(&c->stores[0]);
    memmove(c->stores, c->stores + 1, --c->stores_count * sizeof *c->stores);
}

static void drain_all(coroutine *c) {
    while (c->stores_count) drain_oldest(c);
}

void ioi_sim_store(void *word, uint64_t value, uint32_t size) {
    sim_step();
    buffered b = {word, value, size};
    if (sim.current == NOBODY || sim.options.drain_percent >= 100) {
        write_word(&b);
        return;
    }
    coroutine *c = &sim.all[sim.current];
    if (c->stores_count == BUFFERED_MAX) drain_oldest(c);
    c->stores[c->stores_count++] = b;
}

static uint64_t read_word(const void *word, uint32_t size) {
    if (sim.current != NOBODY) {
        const coroutine *c = &sim.all[sim.current];
        for (uint32_t i = c->stores_count; i-- > 0;)
            if (c->stores[i].word == word) return c->stores[i].value;
    }
    return size == 4 ? atomic_load_explicit((a32 *)word, memory_order_relaxed)
                     : atomic_load_explicit((a64 *)word, memory_order_relaxed);
}

uint64_t ioi_sim_load(const void *word, uint32_t size) {
    sim_step();
    return read_word(word, size);
}

/* ---- who goes on -------------------------------------------------------------------------------------------------------- */

static uint32_t choose(void) {
    uint32_t runnable[SIM_COROUTINES_MAX], count = 0, best = NOBODY;
    for (uint32_t i = 0; i < sim.count; i++) {
        if (sim.all[i].state != RUNNABLE) continue;
        runnable[count++] = i;
        if (best == NOBODY || sim.all[i].priority > sim.all[best].priority) best = i;
    }
    if (count == 0) return NOBODY;
    return sim.options.pct_depth ? best : runnable[rng_below(&sim.rng, count)];
}

static void go_to(uint32_t next) {
    uint32_t from = sim.current;
    if (next == from) return;
    sim.history[sim.switches % HISTORY].who = next;
    sim.history[sim.switches % HISTORY].step = sim.steps;
    sim.switches++;
    sim.current = next;
    sim_context_switch(from == NOBODY ? &sim.outside : &sim.all[from].context,
                       next == NOBODY ? &sim.outside : &sim.all[next].context);
}

void sim_yield(void) {
    if (sim.current == NOBODY) return;
    if (sim.options.pct_depth) sim.all[sim.current].priority = --sim.lowest;
    go_to(choose());
}

void sim_kill(uint32_t number) {
    coroutine *victim = &sim.all[number];
    if (victim->state == DONE) return;
    drain_all(victim); /* what it had stored reaches memory: the processor drains its buffer though the process is gone */
    victim->state = KILLED;
    sim.killed = true;
}

static void consider_switching(uint64_t moment, bool here) {
    coroutine *c = &sim.all[sim.current];
    if (sim.options.pct_depth) {
        bool change = false;
        for (uint32_t i = 0; here && i + 1 < sim.options.pct_depth && i < CHANGES_MAX; i++) change |= sim.changes[i] == moment;
        if (change) c->priority = --sim.lowest;
        if (change || sim.woken || c->state == KILLED) {
            sim.woken = false; /* who was woken may have the higher priority */
            go_to(choose());
        }
    } else if (c->state == KILLED || (here && rng_below(&sim.rng, 100) < sim.options.switch_percent)) {
        go_to(choose());
    }
}

void sim_step(void) {
    if (sim.current == NOBODY) return;
    sim.steps++;
    sim.clock += sim.options.clock_step;
    coroutine *c = &sim.all[sim.current];
    if (sim.steps == sim.options.kill_at) sim_kill(sim.options.victim);
    if (sim.steps > sim.options.step_bound) {
        sim.over = true;
        go_to(NOBODY);
    }
    if (c->stores_count && rng_below(&sim.rng, 100) < sim.options.drain_percent) drain_oldest(c);
    consider_switching(sim.steps, !sim.options.at_exchanges);
}

/* Right before an exchange, or a system call. */
static void exchange(void) {
    sim_step();
    if (sim.current == NOBODY) return;
    sim.exchanges++;
    if (sim.options.at_exchanges) consider_switching(sim.exchanges, true);
    drain_all(&sim.all[sim.current]);
}

void ioi_sim_exchange(const void *word) {
    (void)word;
    exchange();
}

void ioi_sim_touch(const void *bytes, uint64_t len, bool store) { (void)bytes, (void)len, (void)store; }

sim_end sim_run(void) {
    go_to(choose());
    if (sim.over) return SIM_TOO_MANY_STEPS;
    for (uint32_t i = 0; i < sim.count; i++)
        if (sim.all[i].state == ASLEEP) return SIM_ALL_ASLEEP;
    return SIM_ALL_DONE;
}

void sim_print_schedule(void) {
    fprintf(stderr,
            "schedule (coroutine@step, the last %d of %lu switches):", HISTORY < sim.switches ? HISTORY : (int)sim.switches,
            (unsigned long)sim.switches);
    uint64_t from = sim.switches > HISTORY ? sim.switches - HISTORY : 0;
    for (uint64_t i = from; i < sim.switches; i++) {
        uint32_t who = sim.history[i % HISTORY].who;
        if (who == NOBODY) fprintf(stderr, " -@%lu", (unsigned long)sim.history[i % HISTORY].step);
        else fprintf(stderr, " %u@%lu", who, (unsigned long)sim.history[i % HISTORY].step);
    }
    fprintf(stderr, "\n");
}

/* ---- what wait.h promises, in simulated time ----------------------------------------------------------------------------- */

bool ioi_futex_wait(a32 *word, uint32_t expected, uint64_t timeout_ns) {
    (void)timeout_ns;
    exchange();
    if (sim.current == NOBODY || read_word(word, 4) != expected) return true;
    sim.all[sim.current].state = ASLEEP;
    sim.all[sim.current].futex = word;
    go_to(choose());
    return true;
}

void ioi_futex_wake(a32 *word, uint32_t count) {
    exchange();
    uint32_t start = sim.count ? rng_below(&sim.rng, sim.count) : 0; /* which ones, the kernel does not promise */
    for (uint32_t k = 0; k < sim.count && count; k++) {
        coroutine *c = &sim.all[(start + k) % sim.count];
        if (c->state != ASLEEP || c->futex != word) continue;
        c->state = RUNNABLE;
        sim.woken = true;
        count--;
    }
}

void ioi_pause(void) {
    sim_step();
    for (uint32_t i = 0; i < sim.count; i++) /* what others stored becomes visible in the end */
        if (sim.all[i].stores_count) {
            if (i == sim.current || sim.all[i].state != KILLED) drain_oldest(&sim.all[i]);
        }
    sim_yield();
}

uint64_t ioi_now_ns(void) { return ++sim.clock; }
