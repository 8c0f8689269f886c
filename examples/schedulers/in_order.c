/* A scheduler of one's own for ioi-stress simulate (docs/schedulers.md): workers take the transactions in order, and whoever has
 * one that reads from another waits for that.
 *
 *     cc -shared -fPIC -O2 -I "$(python -c 'import ioi_stress; print(ioi_stress.include())')" in_order.c -o in_order.so
 *     ioi-stress simulate zipf --scheduler ./in_order.so
 *
 * No deadlock: the lowest transaction that is not done waits for nobody. */
#include "ioi_scheduler.h"

enum { UNDONE, WAITED, DONE };
enum { TURNS = 200, LINE_WORDS = 16 };

/* The counter has a cache line to itself: all workers fight over it. */
typedef struct shared {
    uint32_t next, unused[LINE_WORDS - 1];
    uint32_t state[]; /* of each transaction */
} shared;

static uint64_t memory(const ioi_sim *sim) { return sizeof(shared) + (uint64_t)sim->n * sizeof(uint32_t); }

static void wait_for(const ioi_sim *sim, uint32_t *state) {
    for (uint32_t turn = 0; sim->load(state) != DONE; turn++) {
        if (turn < TURNS) {
            sim->pause();
            continue;
        }
        uint32_t undone = UNDONE;
        sim->cas(state, &undone, WAITED); /* so that whoever is at it knows that somebody sleeps */
        sim->wait(state, WAITED);
    }
}

static void worker(const ioi_sim *sim, uint32_t id) {
    (void)id;
    shared *s = sim->memory;
    for (uint32_t tx; (tx = sim->add(&s->next, 1)) < sim->n;) {
        const ioi_sim_tx *t = &sim->txs[tx];
        for (uint32_t i = 0; i < t->reads_count; i++)
            if (t->reads_from[i] != IOI_FROM_BASE) wait_for(sim, &s->state[t->reads_from[i]]);
        sim->execute(tx);
        uint32_t undone = UNDONE;
        if (!sim->cas(&s->state[tx], &undone, DONE)) { /* WAITED */
            sim->store(&s->state[tx], DONE);
            sim->wake(&s->state[tx], UINT32_MAX);
        }
    }
}

const ioi_scheduler scheduler = {IOI_SCHEDULER_ABI, "in order", memory, worker};
