#include "calibrate.h"

#include <assert.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 41, PINGS = 2000, WAKES = 200, SLEEPS = 31 };

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* As it is when nothing else runs: what takes longer was disturbed. */
static uint64_t undisturbed(uint64_t *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 10];
}

/* The first two cores this process may use; one: only one of them. */
static int two_cores(int cores[2]) {
    cpu_set_t allowed;
    int found = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
    for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
        if (CPU_ISSET(i, &allowed)) cores[found++] = i;
    return found;
}

static void pin(int core) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    pthread_setaffinity_np(pthread_self(), sizeof only, &only);
}

typedef struct pair {
    _Alignas(64) _Atomic uint32_t word;
    _Alignas(64) _Atomic uint64_t at; /* when the sleeper ran */
    int core;
} pair;

static void pass(_Atomic uint32_t *word, uint32_t from, uint32_t to) {
    while (atomic_load_explicit(word, memory_order_acquire) != from) continue;
    atomic_store_explicit(word, to, memory_order_release);
}

static void *answer(void *context) {
    pair *p = context;
    pin(p->core);
    for (int i = 0; i < ROUNDS * PINGS; i++) pass(&p->word, 1, 0);
    return NULL;
}

/* The calling thread goes on as it was: what is pinned is a thread of its own. */
typedef struct measurement {
    int cores[2];
    uint64_t call, latency;
} measurement;

static void *play_line(void *context) {
    measurement *m = context;
    pair p = {.core = m->cores[1]};
    pthread_t other;
    uint64_t times[ROUNDS];
    pin(m->cores[0]);
    atomic_store(&p.word, 0);
    if (pthread_create(&other, NULL, answer, &p) != 0) return NULL;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t from = now();
        for (int i = 0; i < PINGS; i++) pass(&p.word, 0, 1);
        times[round] = (now() - from) / (2 * PINGS);
    }
    pthread_join(other, NULL);
    m->call = undisturbed(times, ROUNDS);
    return NULL;
}

static void *sleeper(void *context) {
    pair *p = context;
    pin(p->core);
    for (uint32_t i = 0; i < WAKES; i++) {
        while (atomic_load(&p->word) == i) syscall(SYS_futex, (uint32_t *)&p->word, FUTEX_WAIT, i, NULL, NULL, 0);
        atomic_store(&p->at, now());
    }
    return NULL;
}

static void *play_wake(void *context) {
    measurement *m = context;
    pair p = {.core = m->cores[1]};
    pthread_t other;
    uint64_t calls[WAKES], latencies[WAKES];
    pin(m->cores[0]);
    if (pthread_create(&other, NULL, sleeper, &p) != 0) return NULL;
    for (uint32_t i = 0; i < WAKES; i++) {
        nanosleep(&(struct timespec){0, 500000}, NULL); /* it is asleep by now */
        atomic_store(&p.at, 0);
        uint64_t from = now(), ran;
        atomic_store(&p.word, i + 1);
        syscall(SYS_futex, (uint32_t *)&p.word, FUTEX_WAKE, 1, NULL, NULL, 0);
        calls[i] = now() - from;
        while ((ran = atomic_load(&p.at)) == 0) sched_yield();
        latencies[i] = ran > from ? ran - from : 0;
    }
    pthread_join(other, NULL);
    m->call = undisturbed(calls, WAKES);
    m->latency = undisturbed(latencies, WAKES);
    return NULL;
}

static void measure(void *(*play)(void *), measurement *m) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, play, m) == 0) pthread_join(thread, NULL);
}

uint64_t sim_measure_line(void) {
    measurement m = {0};
    if (two_cores(m.cores) == 2) measure(play_line, &m);
    return m.call;
}

void sim_measure_wake(uint64_t *call, uint64_t *latency) {
    measurement m = {0};
    int found = two_cores(m.cores);
    if (found < 2) m.cores[1] = m.cores[0];
    if (found) measure(play_wake, &m);
    *call = m.call;
    *latency = m.latency > m.call ? m.latency - m.call : m.latency;
}

uint64_t sim_measure_oversleep(void) {
    uint64_t times[SLEEPS];
    for (int i = 0; i < SLEEPS; i++) {
        uint64_t from = now();
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        times[i] = now() - from;
    }
    uint64_t took = undisturbed(times, SLEEPS);
    return took > 1000000 ? took - 1000000 : 0;
}
