#include "machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "atomics.h"
#include "stack.h"
#include "wait.h"

enum { STACK_BYTES = 256 << 10 };
#define OUTSIDE UINT32_MAX

typedef struct core {
    sim_context context;
    uint8_t *stack;
    void (*run)(void *);
    void *argument;
    uint64_t clock, turn; /* turn: of those with the same clock, who came first */
    uint64_t stored;      /* when the last of its plain stores is out */
    enum { READY, ASLEEP, DONE } state;
    const void *futex;
} core;

static struct {
    sim_machine_options options;
    uint64_t rng, turns;
    core cores[SIM_CORES_MAX];
    uint32_t count, current;
    uint32_t heap[SIM_CORES_MAX], waiting; /* those that could run but the one that does, the earliest on top */
    sim_context outside;
    bool free;
} machine = {.current = OUTSIDE};

static uint64_t random_below(uint64_t bound) {
    uint64_t x = machine.rng += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return bound ? (x ^ x >> 31) % bound : 0;
}

/* ---- who is next --------------------------------------------------------------------------------------------------- */

static bool before(uint32_t a, uint32_t b) {
    const core *x = &machine.cores[a], *y = &machine.cores[b];
    return x->clock != y->clock ? x->clock < y->clock : x->turn < y->turn;
}

static void push(uint32_t which) {
    machine.cores[which].turn = ++machine.turns;
    uint32_t i = machine.waiting++;
    for (; i && before(which, machine.heap[(i - 1) / 2]); i = (i - 1) / 2) machine.heap[i] = machine.heap[(i - 1) / 2];
    machine.heap[i] = which;
}

static uint32_t pop(void) {
    if (machine.waiting == 0) return OUTSIDE;
    uint32_t top = machine.heap[0], last = machine.heap[--machine.waiting], i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= machine.waiting) break;
        if (child + 1 < machine.waiting && before(machine.heap[child + 1], machine.heap[child])) child++;
        if (!before(machine.heap[child], last)) break;
        machine.heap[i] = machine.heap[child];
        i = child;
    }
    machine.heap[i] = last;
    return top;
}

static void go_to(uint32_t next) {
    uint32_t from = machine.current;
    if (next == from) return;
    machine.current = next;
    sim_context_switch(from == OUTSIDE ? &machine.outside : &machine.cores[from].context,
                       next == OUTSIDE ? &machine.outside : &machine.cores[next].context);
}

static bool apart(void) { return machine.current == OUTSIDE || machine.free; }

static core *self(void) { return &machine.cores[machine.current]; }

/* Whoever is earlier goes first. */
static void take_turn(void) {
    if (machine.waiting == 0 || machine.cores[machine.heap[0]].clock >= self()->clock) return;
    push(machine.current);
    go_to(pop());
}

static void wait_until(uint64_t when) {
    self()->clock = when;
    take_turn();
}

static void line_free(const void *at, bool exclusively) {
    take_turn();
    for (uint64_t free; (free = sim_line_free(at, machine.current, self()->clock, exclusively)) > self()->clock;) {
        self()->clock = free;
        push(machine.current); /* behind those that wait for the same line already */
        go_to(pop());
    }
}

/* ---- the machine --------------------------------------------------------------------------------------------------- */

void sim_machine_reset(const sim_machine_options *options) {
    assert(machine.current == OUTSIDE);
    machine.options = *options;
    machine.rng = options->seed * UINT64_C(0xd1342543de82ef95) + 1;
    machine.count = machine.waiting = 0;
    machine.turns = 0;
    machine.free = false;
    sim_lines_reset(options->base, options->bytes, options->hot, options->hot_end);
}

static void entry(void) {
    core *c = self();
    c->run(c->argument);
    c->state = DONE;
    go_to(pop());
    abort(); /* one that was done went on */
}

uint32_t sim_machine_add(void (*run)(void *), void *context) {
    assert(machine.count < SIM_CORES_MAX);
    core *c = &machine.cores[machine.count];
    uint8_t *stack = c->stack;
    if (!stack) stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(stack != MAP_FAILED);
    *c = (core){.stack = stack, .run = run, .argument = context};
    sim_context_make(&c->context, stack, STACK_BYTES, entry);
    push(machine.count);
    return machine.count++;
}

bool sim_machine_run(void) {
    go_to(pop());
    for (uint32_t i = 0; i < machine.count; i++)
        if (machine.cores[i].state != DONE) return false;
    return true;
}

uint32_t sim_machine_core(void) { return machine.current; }
uint64_t sim_machine_now(void) { return machine.current == OUTSIDE ? 0 : self()->clock; }

void sim_machine_spend(uint64_t ns) {
    if (!apart()) self()->clock += ns;
}

uint64_t sim_machine_work(uint64_t ns) {
    if (apart()) return 0;
    uint64_t most = ns * machine.options.costs->jitter / 1000;
    ns = ns - most + random_below(2 * most + 1);
    self()->clock += ns;
    return ns;
}

void sim_machine_free(bool free) {
    machine.free = free;
    if (!free) sim_lines_reset(machine.options.base, machine.options.bytes, machine.options.hot, machine.options.hot_end);
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

uint64_t ioi_sim_load(const void *word, uint32_t size) {
    if (!apart()) {
        line_free(word, false);
        wait_until(self()->clock + sim_line_load(word, machine.current, self()->clock, machine.options.costs));
    }
    return size == 4 ? atomic_load_explicit((a32 *)word, memory_order_relaxed)
                     : atomic_load_explicit((a64 *)word, memory_order_relaxed);
}

/* A plain store goes into the store buffer: its line comes while the core goes on. */
static void buffer_store(const void *word) {
    core *c = self();
    uint64_t free = sim_line_free(word, machine.current, c->clock, true);
    uint64_t there = free + sim_line_own(word, machine.current, free, machine.options.costs);
    if (there > c->stored) c->stored = there;
    c->clock += SIM_HIT;
}

void ioi_sim_store(void *word, uint64_t value, uint32_t size) {
    if (!apart()) {
        take_turn();
        buffer_store(word);
    }
    if (size == 4) atomic_store_explicit((a32 *)word, (uint32_t)value, memory_order_relaxed);
    else atomic_store_explicit((a64 *)word, value, memory_order_relaxed);
}

void ioi_sim_exchange(const void *word) {
    if (apart()) return;
    core *c = self();
    if (c->stored > c->clock) wait_until(c->stored);
    line_free(word, true);
    wait_until(c->clock + SIM_EXCHANGE + sim_line_own(word, machine.current, c->clock, machine.options.costs));
}

void sim_machine_touch(const void *bytes, uint64_t len, bool store) {
    if (apart() || len == 0) return;
    take_turn();
    const uint8_t *from = (const uint8_t *)((uintptr_t)bytes & ~(uintptr_t)63), *end = (const uint8_t *)bytes + len;
    for (; from < end; from += 64) {
        if (store) buffer_store(from);
        else self()->clock += sim_line_load(from, machine.current, self()->clock, machine.options.costs);
    }
}

void ioi_sim_touch(const void *bytes, uint64_t len, bool store) { sim_machine_touch(bytes, len, store); }

/* ---- what wait.h promises ------------------------------------------------------------------------------------------- */

bool ioi_futex_wait(a32 *word, uint32_t expected, uint64_t timeout_ns) {
    (void)timeout_ns; /* only the coordinator's patience has one */
    assert(!apart());
    sim_machine_spend(machine.options.costs->call);
    if (a32_load_sc(word) != expected) return true;
    self()->state = ASLEEP;
    self()->futex = word;
    go_to(pop());
    return true;
}

void ioi_futex_wake(a32 *word, uint32_t count) {
    const sim_costs *costs = machine.options.costs;
    if (apart()) return;
    take_turn();
    uint64_t latest = self()->clock += costs->call;
    uint32_t start = (uint32_t)random_below(machine.count); /* which ones, the kernel does not promise */
    for (uint32_t k = 0; k < machine.count && count; k++) {
        uint32_t which = (start + k) % machine.count;
        core *c = &machine.cores[which];
        if (c->state != ASLEEP || c->futex != word) continue;
        latest += costs->wake;
        c->state = READY;
        c->clock = latest + costs->latency / 2 + random_below(costs->latency + 1);
        push(which);
        count--;
    }
    wait_until(latest);
}

void ioi_pause(void) { sim_machine_spend(machine.options.costs->pause); }

uint64_t ioi_now_ns(void) { return sim_machine_now(); }
