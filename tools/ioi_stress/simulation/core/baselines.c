#include "play.h"

#include "ioi_scheduler.h"

/* ---- one after another ----------------------------------------------------------------------------------------------- */

static uint64_t nothing(const ioi_sim *sim) {
    (void)sim;
    return 0;
}

static void one_by_one(const ioi_sim *sim, uint32_t id) {
    for (uint32_t tx = 0; id == 0 && tx < sim->n; tx++) sim->execute(tx);
}

const ioi_scheduler sim_sequential = {IOI_SCHEDULER_ABI, "sequential", nothing, one_by_one};

/* ---- all dependencies known beforehand -------------------------------------------------------------------------------- */

/* As BOHM (Faleiro and Abadi, VLDB 2015) has them before it executes anything. Transactions are taken in order, a run at a
 * time; who depends on one that is not done waits for it. Whoever is waited for is lower and somebody is at it, so the lowest
 * goes on. */
enum { TURNS = 200, RUN = 4, LINE_WORDS = 16 };

typedef struct oracle {
    uint32_t next, unused[LINE_WORDS - 1];
    uint32_t state[]; /* of each transaction */
} oracle;
enum { UNDONE, WAITED, DONE };

static uint64_t room(const ioi_sim *sim) { return sizeof(oracle) + (uint64_t)sim->n * sizeof(uint32_t); }

static void await(const ioi_sim *sim, uint32_t *state) {
    for (uint32_t turn = 0; sim->load(state) != DONE; turn++) {
        if (turn < TURNS) {
            sim->pause();
            continue;
        }
        uint32_t undone = UNDONE;
        sim->cas(state, &undone, WAITED);
        sim->wait(state, WAITED);
    }
}

static void in_order(const ioi_sim *sim, uint32_t id) {
    (void)id;
    oracle *o = sim->memory;
    for (;;) {
        uint32_t from = sim->add(&o->next, RUN), end = from + RUN < sim->n ? from + RUN : sim->n;
        if (from >= sim->n) return;
        for (uint32_t tx = from; tx < end; tx++) {
            const ioi_sim_tx *t = &sim->txs[tx];
            for (uint32_t i = 0; i < t->reads_count; i++)
                if (t->reads_from[i] != IOI_FROM_BASE) await(sim, &o->state[t->reads_from[i]]);
            sim->execute(tx);
            uint32_t before = UNDONE;
            if (!sim->cas(&o->state[tx], &before, DONE)) {
                sim->store(&o->state[tx], DONE);
                sim->wake(&o->state[tx], UINT32_MAX);
            }
        }
    }
}

const ioi_scheduler sim_oracle = {IOI_SCHEDULER_ABI, "oracle", room, in_order};
