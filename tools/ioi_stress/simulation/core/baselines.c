#include <assert.h>
#include <stdlib.h>

#include "play.h"

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

/* Whoever has executed a transaction tells those that read from it, and queues them that wait for nothing else; workers take
 * tickets, each of which is one place of the queue. Such a schedule is within twice the best (Graham, 1966). The dependencies
 * themselves cost nothing here: BOHM (Faleiro and Abadi, VLDB 2015) finds them in a pass of its own before it executes. */
enum { TURNS = 200, LINE_WORDS = 16, ASLEEP = 1, QUEUED = 2 };

typedef struct oracle {
    uint32_t head, unused[LINE_WORDS - 1];
    uint32_t tail, unused_too[LINE_WORDS - 1];
    uint32_t words[]; /* the queue: 0, ASLEEP (somebody waits for it), or QUEUED + transaction; then what each has been told */
} oracle;

static uint64_t room(const ioi_sim *sim) { return sizeof(oracle) + 2 * (uint64_t)sim->n * sizeof(uint32_t); }

/* Who reads from whom, the other way round. */
typedef struct readers {
    uint32_t *from, *list, *waits_for; /* readers of tx: list[from[tx]] to list[from[tx + 1]] */
    uint32_t *first, firsts;           /* those that read from nobody */
} readers;

static void *array(uint64_t count) {
    void *made = calloc(count + 1, sizeof(uint32_t));
    assert(made);
    return made;
}

static readers readers_of(const ioi_sim *sim) {
    readers r = {array(sim->n + 1), NULL, array(sim->n), array(sim->n), 0};
    for (uint32_t tx = 0; tx < sim->n; tx++) {
        const ioi_sim_tx *t = &sim->txs[tx];
        for (uint32_t i = 0; i < t->reads_count; i++)
            if (t->reads_from[i] != IOI_FROM_BASE) {
                r.from[t->reads_from[i] + 1]++;
                r.waits_for[tx]++;
            }
        if (r.waits_for[tx] == 0) r.first[r.firsts++] = tx;
    }
    for (uint32_t tx = 0; tx < sim->n; tx++) r.from[tx + 1] += r.from[tx];
    r.list = array(r.from[sim->n]);
    uint32_t *at = array(sim->n);
    for (uint32_t tx = 0; tx < sim->n; tx++)
        for (uint32_t i = 0; i < sim->txs[tx].reads_count; i++) {
            uint32_t from = sim->txs[tx].reads_from[i];
            if (from != IOI_FROM_BASE) r.list[r.from[from] + at[from]++] = tx;
        }
    free(at);
    return r;
}

static void readers_free(readers *r) {
    free(r->from);
    free(r->list);
    free(r->waits_for);
    free(r->first);
}

static void tell(const ioi_sim *sim, oracle *o, const readers *r, uint32_t tx) {
    for (uint32_t i = r->from[tx]; i < r->from[tx + 1]; i++) {
        uint32_t reader = r->list[i];
        if (sim->add(&o->words[sim->n + reader], 1) + 1 < r->waits_for[reader]) continue;
        uint32_t *place = &o->words[r->firsts + sim->add(&o->tail, 1)], before = 0;
        if (sim->cas(place, &before, QUEUED + reader)) continue;
        sim->store(place, QUEUED + reader);
        sim->wake(place, 1);
    }
}

static uint32_t take(const ioi_sim *sim, uint32_t *place) {
    uint32_t seen;
    for (uint32_t turn = 0; (seen = sim->load(place)) < QUEUED; turn++) {
        if (turn < TURNS) {
            sim->pause();
            continue;
        }
        uint32_t empty = 0;
        sim->cas(place, &empty, ASLEEP);
        sim->wait(place, ASLEEP);
    }
    return seen - QUEUED;
}

static void all_known(const ioi_sim *sim, uint32_t id) {
    (void)id;
    oracle *o = sim->memory;
    readers r = readers_of(sim);
    for (uint32_t ticket; (ticket = sim->add(&o->head, 1)) < sim->n;) {
        uint32_t tx = ticket < r.firsts ? r.first[ticket] : take(sim, &o->words[ticket]);
        sim->execute(tx);
        tell(sim, o, &r, tx);
    }
    readers_free(&r);
}

const ioi_scheduler sim_oracle = {IOI_SCHEDULER_ABI, "oracle", room, all_known};
