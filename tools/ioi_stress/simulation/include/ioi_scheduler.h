/* Schedulers of one's own for `ioi-stress simulate --scheduler`: the whole contract.
 *
 * A scheduler is a shared library with one constant, `const ioi_scheduler scheduler`. Its `worker` is called once for
 * every worker, each a core of the simulated machine with a clock of its own, and returns when there is nothing more to
 * do. What workers share is `memory`; they must go at it through the operations below alone, which cost what they would
 * on the machine: a word that another core has changed comes over in a cache line's time, and queues where many want it.
 *
 * The transactions are given as what each reads, writes and costs; a scheduler may look at all of it, or find out as it
 * goes. It may execute a transaction several times; the last time counts. The block is as sequential execution would have
 * left it if that time began when the last execution of every transaction it reads from (`reads_from`) had ended: this is
 * what the simulation checks. Values are taken to be multi-versioned, so that nothing else orders two transactions.
 *
 * Compile: cc -shared -fPIC -O2 -I "$(python -c 'import ioi_stress; print(ioi_stress.include())')" mine.c -o mine.so
 */
#ifndef IOI_SCHEDULER_ABI
#define IOI_SCHEDULER_ABI 1u

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOI_FROM_BASE UINT32_MAX

/* keys are numbers from 0 to ioi_sim.keys - 1. reads_from[i]: the transaction that wrote what reads[i] gives in the end, or
 * IOI_FROM_BASE. */
typedef struct ioi_sim_tx {
    uint64_t cost_ns;
    uint32_t reads_count, writes_count;
    const uint32_t *reads, *reads_from, *writes;
} ioi_sim_tx;

typedef struct ioi_sim ioi_sim;
struct ioi_sim {
    uint32_t n, workers, keys;
    const ioi_sim_tx *txs;
    void *memory; /* ioi_scheduler.memory bytes, zeroed, at the start of a cache line of 64 bytes */

    /* Words of `memory`, aligned. All of them are sequentially consistent. */
    uint32_t (*load)(const uint32_t *word);
    void (*store)(uint32_t *word, uint32_t value);
    uint32_t (*add)(uint32_t *word, uint32_t value); /* returns what was there before */
    bool (*cas)(uint32_t *word, uint32_t *expected, uint32_t value);

    /* Sleep while *word == expected (may return early); wake up to `count` of those. A turn of a spin loop. */
    void (*wait)(uint32_t *word, uint32_t expected);
    void (*wake)(uint32_t *word, uint32_t count);
    void (*pause)(void);

    /* The calling worker executes the transaction: takes its cost, and loads the values it reads from their writers' cores. */
    void (*execute)(uint32_t tx);
    uint64_t (*now_ns)(void);
};

typedef struct ioi_scheduler {
    uint32_t abi; /* IOI_SCHEDULER_ABI */
    const char *name;
    uint64_t (*memory)(const ioi_sim *sim); /* how much of it, bytes */
    void (*worker)(const ioi_sim *sim, uint32_t id);
} ioi_scheduler;

#endif
