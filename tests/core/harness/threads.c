/* Random blocks on threads over one mapping: what runs under AddressSanitizer, UBSan and ThreadSanitizer, which see
 * nothing across processes.
 *
 *     threads [--seed N] [--seconds S] [--count N]
 *
 * Plays cases from `seed` on until the time or the count is over. A failure prints the case's seed and ends with
 * status 1; `--seed N --count 1` plays it again (with luck: threads are not scheduled by the seed).
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "wait.h"

enum { ARENA_BYTES = 256 << 20, BLOCKS_MAX = 3 };
static const uint64_t HANG_NS = 20u * UINT64_C(1000000000);

static uint64_t current_seed;
static _Thread_local uint64_t shake_state;
static uint32_t shake_rate; /* of the current case: 0 = never */

static void say_seed(void) {
    char text[80];
    int len = snprintf(text, sizeof text, "threads: failing case: --seed %lu --count 1\n", (unsigned long)current_seed);
    if (write(STDERR_FILENO, text, (size_t)len) < 0) _exit(3);
}

static void on_signal(int number) {
    say_seed();
    signal(number, SIG_DFL);
    raise(number);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "halt_on_error=1:second_deadlock_stack=1"; }
#endif

static void fail(engine *e, const char *message) {
    (void)e;
    fprintf(stderr, "threads: %s\n", message);
    say_seed();
    _exit(1);
}

static void shake(engine *e) {
    (void)e;
    if (!shake_rate) return;
    uint64_t r = rng_next(&shake_state) % (64 * shake_rate);
    if (r < 64) sched_yield();
    else if (r == 64) usleep(1);
}

static void spin(engine *e, uint32_t turns) {
    (void)e;
    for (uint32_t i = 0; i < turns; i++) ioi_pause();
}

typedef struct start {
    engine *engine;
    uint32_t id;
} start;

static void *thread(void *context) {
    const start *s = context;
    shake_state = mix64(current_seed * 16 + s->id);
    engine_worker(s->engine, s->id);
    return NULL;
}

typedef struct totals {
    uint64_t cases, blocks, transactions, executions, aborts, suspensions, solo, fulls, events, sums, references;
} totals;

static void play_case(uint64_t seed, uint8_t *base, totals *t) {
    static const uint64_t costs[] = {0, 100, 500, 1000, 2000, 3000, 50000};
    static const uint32_t spins[] = {0, 0, 3, 100};
    static const case_sizes sizes = {400, KEYS_MAX, 40, 5, 20};
    uint64_t state = mix64(seed ^ 0x7468726561647321), *rng = &state;
    current_seed = seed;
    engine e = {0};
    e.workers = 1 + rng_below(rng, ENGINE_WORKERS_MAX);
    e.spins = spins[rng_below(rng, 4)];
    e.resume_mask = rng_chance(rng, 40) ? 0 : rng_chance(rng, 50) ? ~0u : (uint32_t)rng_next(rng);
    e.forced_cost = costs[rng_below(rng, 7)];
    e.growth = 10 + rng_below(rng, 400);
    e.policy = policy_random(rng);
    e.small_block = rng_chance(rng, 20) ? rng_below(rng, 400) : 0;
    e.record = seed & 1;
    e.shake = shake;
    e.spin = spin;
    e.fail = fail;
    shake_rate = rng_chance(rng, 30) ? 0 : 16u << rng_below(rng, 6);
    uint64_t room = rng_chance(rng, 50) ? rng_below(rng, 1 << 16) : 8 << 20;
    block_case *blocks[BLOCKS_MAX];
    uint32_t count = 1 + rng_below(rng, BLOCKS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        blocks[i] = block_case_new(seed * BLOCKS_MAX + i, &sizes);
        if (blocks[i]->faults) e.resume_mask = ~0u; /* a native VM has no machine faults */
    }
    engine_init(&e, base, ARENA_BYTES, room, blocks[0]->hash_seed);

    pthread_t threads[ENGINE_WORKERS_MAX];
    start starts[ENGINE_WORKERS_MAX];
    for (uint32_t i = 0; i < e.workers; i++) {
        starts[i] = (start){&e, i};
        if (pthread_create(&threads[i], NULL, thread, &starts[i])) fail(&e, "pthread_create");
    }
    for (uint32_t i = 0; i < count; i++) {
        engine_play(&e, blocks[i], HANG_NS);
        if (e.record) engine_play(&e, blocks[i], HANG_NS); /* what was read and written must be the same */
        t->references += reference_check(&e, blocks[i]);
        t->transactions += blocks[i]->n;
    }
    ioi_block_shutdown(&e.arena, e.workers);
    for (uint32_t i = 0; i < e.workers; i++) pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < count; i++) block_case_free(blocks[i]);
    t->cases++;
    t->blocks += count;
    t->executions += e.executions;
    t->aborts += e.aborts;
    t->suspensions += e.suspensions;
    t->solo += e.solo;
    t->fulls += e.fulls;
    t->events += e.events;
    t->sums += e.sums;
}

int main(int argc, char **argv) {
    uint64_t seed = 1, count = UINT64_MAX;
    double seconds = 10;
    bool counted = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--count") == 0) count = strtoull(argv[i + 1], NULL, 0), counted = true;
        else if (strcmp(argv[i], "--seconds") == 0) seconds = atof(argv[i + 1]);
        else return fprintf(stderr, "usage: threads [--seed N] [--seconds S] [--count N]\n"), 2;
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    __sanitizer_set_death_callback(say_seed);
#else
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
#endif
    signal(SIGABRT, on_signal);
    uint8_t *base = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return perror("mmap"), 3;
    totals t = {0};
    uint64_t until = ioi_now_ns() + (uint64_t)(seconds * 1e9);
    for (; t.cases < count && (counted || ioi_now_ns() < until); seed++) play_case(seed, base, &t);
    printf("threads: ok: %lu cases, %lu blocks, %lu transactions (%lu against sequential.c too), %lu executions, %lu aborts, %lu "
           "suspensions, "
           "%lu solo, %lu times full, %lu events, %lu sums\n",
           (unsigned long)t.cases, (unsigned long)t.blocks, (unsigned long)t.transactions, (unsigned long)t.references,
           (unsigned long)t.executions, (unsigned long)t.aborts, (unsigned long)t.suspensions, (unsigned long)t.solo,
           (unsigned long)t.fulls, (unsigned long)t.events, (unsigned long)t.sums);
    return 0;
}
