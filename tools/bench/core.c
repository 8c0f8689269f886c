/* Payments through the C core alone: ns per transaction of one and more workers against the sequential reference.
 *
 *   core [TRANSACTIONS [ROUNDS [CASE]]]
 *
 * Workers are processes over one mapping, pinned to cores, as in the engine, but their loop is all C and every base value is
 * in place before the clock starts: what is timed is scheduling, multi-version memory and the VM. Variants alternate
 * within a round; the medians over all rounds are printed as JSON lines, beside the round trip of a cache line between
 * the first two cores, which these figures follow. Every parallel round must end in the sequential state, or this exits 1.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "../../shm/core/block.h"
#include "../../shm/core/native.h"
#include "../../shm/core/payments.h"
#include "../../shm/core/sequential.h"
#include "../../shm/core/wait.h"

enum { TRANSFER = 104, KEY = 37, ACCOUNT = 24, WORKERS = 2 };

static uint64_t random_state = 88172645463325252u;
static uint64_t rnd(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static uint32_t accounts, n;
static uint8_t (*addresses)[32];
static uint8_t *txs;

static void put_u64(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (56 - 8 * i));
}

typedef enum { UNIFORM, HOT, CHAIN } pattern;

static void make_block(pattern which) {
    free(addresses);
    addresses = malloc(accounts * sizeof *addresses);
    for (uint32_t i = 0; i < accounts; i++)
        for (int b = 0; b < 32; b += 8) put_u64(addresses[i] + b, rnd());
    uint64_t *nonces = calloc(accounts, sizeof *nonces);
    memset(txs, 0, (size_t)n * TRANSFER);
    for (uint32_t t = 0; t < n; t++) {
        uint32_t from = which == CHAIN ? t % accounts : rnd() % accounts;
        uint32_t to = which == CHAIN ? (t + 1) % accounts : which == HOT ? 0 : rnd() % accounts;
        uint8_t *tx = txs + (size_t)t * TRANSFER;
        memcpy(tx, addresses[from], 32);
        memcpy(tx + 32, addresses[to], 32);
        put_u64(tx + 72, rnd() % 100);
        put_u64(tx + 88, nonces[from]++);
    }
    free(nonces);
}

static void account_key(uint8_t key[KEY], uint32_t i) {
    memcpy(key, "acct/", 5);
    memcpy(key + 5, addresses[i], 32);
}

static void base_value(uint8_t value[ACCOUNT]) {
    memset(value, 0, ACCOUNT);
    put_u64(value + 8, 1000000000);
}

static const ioi_limits LIMITS = {256, 1 << 20, 1 << 16, 16 << 20, 64, 1 << 20, {0}};

/* ---- sequential ------------------------------------------------------------------------------------------------ */

static uint64_t digest(const uint8_t *key, size_t key_len, const uint8_t *value, size_t len) {
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < key_len; i++) h = (h ^ key[i]) * 1099511628211u;
    for (size_t i = 0; i < len; i++) h = (h ^ value[i]) * 1099511628211u;
    return h ^ (h >> 31);
}

static double run_sequential(uint64_t *result) {
    ioi_ctx ctx = {.height = 1};
    ioi_seq *seq = ioi_seq_new(&ioi_payments.vm, &LIMITS, &ctx);
    uint8_t key[KEY], value[ACCOUNT];
    base_value(value);
    for (uint32_t i = 0; i < accounts; i++) {
        account_key(key, i);
        ioi_seq_set_base(seq, key, KEY, value, ACCOUNT);
    }
    uint64_t from = ioi_now_ns();
    for (uint32_t t = 0; t < n; t++) {
        ioi_outcome outcome;
        if (!ioi_seq_execute(seq, txs + (size_t)t * TRANSFER, TRANSFER, &outcome) || outcome.code) abort();
    }
    uint64_t to = ioi_now_ns();
    ioi_seq_sort_writes(seq);
    const uint8_t *k, *v;
    size_t k_len, v_len;
    *result = 0;
    for (size_t i = 0; ioi_seq_write(seq, i, &k, &k_len, &v, &v_len); i++) *result += digest(k, k_len, v, v_len);
    ioi_seq_free(seq);
    return (double)(to - from) / n;
}

/* ---- parallel -------------------------------------------------------------------------------------------------- */

typedef struct stats {
    uint64_t executions, validations, aborts, suspensions, solo;
} stats;

typedef struct digests {
    const ioi_arena *arena;
    uint64_t sum;
} digests;

static void add_digest(void *context, const ioi_entry *entry, uint64_t word) {
    digests *d = context;
    const ioi_record *r = ioi_word_record(d->arena, word);
    d->sum += digest(entry->key, entry->key_len, r->bytes, r->len);
}

static void worker_process(ioi_arena *arena, uint32_t id) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(id, &cores);
    sched_setaffinity(0, sizeof cores, &cores);
    ioi_worker worker;
    ioi_worker_init(&worker, arena, id);
    ioi_view *view = ioi_view_new(&worker);
    view->limits = LIMITS;
    ioi_native native;
    ioi_native_init(&native, &worker, view, &ioi_payments.vm);
    for (uint32_t seen = 0; ioi_block_await(arena, id, &seen, 0);) {
        ioi_worker_enter(&worker);
        ioi_native_enter(&native);
        if (ioi_native_run(&native)) abort();
        ioi_worker_leave(&worker);
        ioi_block_depart(arena);
    }
    _exit(0);
}

static double run_parallel(ioi_arena *arena, uint32_t workers, uint64_t *result, stats *s) {
    ioi_block_input input = {
        .n = n, .workers = workers, .spins = 1000, .tx_bytes = (uint64_t)n * TRANSFER, .keys = 2ull * n, .height = 1};
    uint64_t *ends;
    uint8_t *bytes;
    if (!ioi_block_begin(arena, &input, &ends, &bytes)) abort();
    memcpy(bytes, txs, (size_t)n * TRANSFER);
    for (uint32_t t = 0; t < n; t++) ends[t] = (uint64_t)(t + 1) * TRANSFER;
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, arena);
    uint8_t key[KEY], value[ACCOUNT];
    base_value(value);
    for (uint32_t i = 0; i < accounts; i++) {
        account_key(key, i);
        ioi_entry *entry = ioi_index_intern(&alloc, ioi_hash(arena->shared->seed, key, KEY), key, KEY);
        if (!entry || !ioi_mv_set_base(&alloc, entry, value, ACCOUNT)) abort();
    }
    uint64_t from = ioi_now_ns();
    ioi_block_start(arena);
    while (!ioi_block_wait(arena, 1000000000)) {}
    uint64_t to = ioi_now_ns();
    if (a32_load(&arena->shared->sched.state) != IOI_BLOCK_DONE) abort();
    digests d = {arena, 0};
    ioi_mv_seal(arena, workers, add_digest, &d);
    *result = d.sum;
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < workers; i++) {
        const ioi_slot *slot = &arena->shared->slots[i];
        s->executions += a64_load(&slot->executions);
        s->validations += a64_load(&slot->validations);
        s->aborts += a64_load(&slot->aborts);
        s->suspensions += a64_load(&slot->suspensions);
        s->solo += a64_load(&slot->solo);
    }
    return (double)(to - from) / n;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

int main(int argc, char **argv) {
    n = argc > 1 ? (uint32_t)atoi(argv[1]) : 10000;
    int rounds = argc > 2 ? atoi(argv[2]) : 15;
    txs = malloc((size_t)n * TRANSFER);
    uint64_t size = 2ull << 30, seed[4] = {rnd(), rnd(), rnd(), rnd()};
    ioi_arena arenas[WORKERS]; /* one for each number of workers, as each pool has its own */
    for (uint32_t w = 0; w < WORKERS; w++) {
        uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) abort();
        ioi_arena_init(&arenas[w], base, size, size, seed);
        for (uint32_t id = 0; id <= w; id++)
            if (fork() == 0) worker_process(&arenas[w], id);
    }

    static const struct {
        const char *name;
        uint32_t accounts;
        pattern which;
    } cases[] = {{"2", 2, UNIFORM},          {"10", 10, UNIFORM},          {"100", 100, UNIFORM},        {"1,000", 1000, UNIFORM},
                 {"10,000", 10000, UNIFORM}, {"100,000", 100000, UNIFORM}, {"hot receiver", 10000, HOT}, {"chain", 10000, CHAIN}};
    bool good = true;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        if (argc > 3 && strcmp(argv[3], cases[c].name) != 0) continue;
        accounts = cases[c].accounts;
        make_block(cases[c].which);
        double *times = calloc(3 * (size_t)rounds, sizeof *times);
        stats s = {0};
        for (int r = 0; r < rounds; r++) {
            uint64_t expected, found;
            times[r] = run_sequential(&expected);
            for (uint32_t workers = 1; workers <= WORKERS; workers++) {
                times[workers * (uint32_t)rounds + (uint32_t)r] = run_parallel(&arenas[workers - 1], workers, &found, &s);
                good &= found == expected;
            }
        }
        double one = median(times + rounds, rounds), two = median(times + 2 * rounds, rounds), seq = median(times, rounds);
        printf("{\"accounts\": \"%s\", \"transactions\": %u, \"sequential_ns\": %.1f, \"one_worker_ns\": %.1f, "
               "\"two_workers_ns\": %.1f, "
               "\"executions\": %.2f, \"validations\": %.2f, \"suspensions\": %.2f, \"solo\": %.2f}\n",
               cases[c].name, n, seq, one, two, (double)s.executions / n, (double)s.validations / n, (double)s.suspensions / n,
               (double)s.solo / n);
        fflush(stdout);
        free(times);
    }
    for (uint32_t w = 0; w < WORKERS; w++) ioi_block_shutdown(&arenas[w], w + 1);
    while (wait(NULL) > 0) {}
    if (!good) fprintf(stderr, "a parallel round ended in another state than the sequential one\n");
    return good ? 0 : 1;
}
