/* The collaborative scheduler: who executes, validates or finishes which transaction next.
 *
 * Every transaction has one status word, and whoever changes it by compare-and-swap owns what follows:
 *
 *     incarnation << 4 | WAITED (8) | state
 *
 *     READY --claim--> EXECUTING --finish--> EXECUTED --watermark--> FINAL
 *                          ^                     |
 *                          +------ ABORTING <----+   (marks its writes ESTIMATE, then incarnation + 1 is EXECUTING)
 *
 * Three differences from the paper (algorithms 4 and 5), both learnt from its re-implementations:
 *
 * Finality. There is no counting of active tasks and no double collect to find out that all is done. `commit_idx`
 * is the watermark: the holder of the token validates the transaction at it once more, now that all lower ones are
 * final, and moves on. So `execution_idx` and `validation_idx` are hints: they may be lowered, raised or skip as
 * is fast, and only the status words and the watermark decide.
 *
 * Runs. A shared counter is touched once per run of consecutive transactions; a run is a suggestion too, each
 * transaction in it is claimed by its status word. Its length follows what a transaction costs.
 *
 * Readers. What changes does not have everything above validated again, but those that may have read it: readers.h. Each worker that
 * finished an execution looks whether it still stands, and then who above read what it changed; so both find what falls between.
 *
 * Policy (ioi_policy) turns what only costs or saves time: on none of it rests correctness, which is the watermark's.
 *
 * An aborted transaction goes straight to EXECUTING in the hands of the worker that aborted it. Hence an ESTIMATE
 * always belongs to a transaction some worker is at, waits point from higher to lower transactions only, the
 * lowest unfinished one meets no ESTIMATE, and so somebody always makes progress. A worker that waits runs nothing
 * else meanwhile; it gives the rest of its run back first.
 */
#ifndef IOI_SCHEDULER_H
#define IOI_SCHEDULER_H

#include "readers.h"
#include "recorder.h"
#include "spans.h"

enum {
    IOI_READY = 0,
    IOI_EXECUTING = 1,
    IOI_EXECUTED = 2,
    IOI_ABORTING = 3,
    IOI_FINAL = 4,
    IOI_STATE = 7,  /* mask */
    IOI_WAITED = 8, /* somebody sleeps on this word */
    IOI_STATUS_BITS = 4,
};
#define IOI_INCARNATION_MAX ((UINT32_MAX >> IOI_STATUS_BITS) - 1)
#define IOI_NO_TX UINT32_MAX

typedef enum ioi_task {
    IOI_TASK_EXECUTE,   /* run transaction *tx */
    IOI_TASK_END_BLOCK, /* all are final: run the VM's end_block as transaction n */
    IOI_TASK_LEAVE      /* the block is over, one way or another */
} ioi_task;

/* A worker's private side. */
typedef struct ioi_worker {
    ioi_arena *arena;
    ioi_sched *sched;
    ioi_slot *slot;
    a32 *status;
    a32 *incarnations;
    a64 *readers;
    ioi_entry_set *scratch;
    ioi_alloc alloc;
    ioi_policy policy; /* of the block */
    uint32_t id, n, workers, spins, window;
    uint32_t run_next, run_end; /* what is left of the run in hand */
    uint32_t owned;             /* aborted by us and EXECUTING in our name, or IOI_NO_TX */
    uint32_t fresh;             /* started with all lower ones final: valid without looking */
    bool token;                 /* kept while running solo, and at the end */
    bool noting;                /* what the execution in hand reads is noted, for those that change it */
    uint64_t noted;             /* what was */
    bool recording;             /* what this worker does goes to `recorder` */
    uint64_t cost_ns;           /* running mean of one execution; kept across blocks, speed depends on it alone */
    uint64_t solo_ns;           /* one step of the watermark, the last time this worker ran solo; kept likewise */
    uint64_t timed_from;        /* clock at the start of the executions in hand */
    ioi_span span;              /* what they are; count 0: none */
    ioi_spans *log;             /* where that goes */
    uint64_t entered_ns, waited_ns;
    ioi_recorder recorder;
} ioi_worker;

static inline uint32_t ioi_status_state(uint32_t status) { return status & IOI_STATE; }
static inline uint32_t ioi_status_incarnation(uint32_t status) { return status >> IOI_STATUS_BITS; }

/* A fresh scheduler for the block that was just laid out; workers may enter when this is done. */
void ioi_scheduler_start(ioi_arena *arena);

/* Once per process; then once per block, before the first task. */
void ioi_worker_init(ioi_worker *w, ioi_arena *arena, uint32_t id);
void ioi_worker_free(ioi_worker *w);
void ioi_worker_enter(ioi_worker *w);
void ioi_worker_leave(ioi_worker *w);

/* The next thing to do; validates, moves the watermark and waits on the way. */
ioi_task ioi_next(ioi_worker *w, uint32_t *tx);

/* Where the transactions end that this worker will likely execute after `tx`, which it just got. */
uint32_t ioi_run_end(const ioi_worker *w, uint32_t tx);

/* The incarnation number of the transaction this worker is executing. */
uint32_t ioi_incarnation_of(const ioi_worker *w, uint32_t tx);

/* Its latest finished incarnation, or NULL. */
ioi_incarnation *ioi_finished(const ioi_worker *w, uint32_t tx);

/* The incarnation is done: its writes are published, `inc` is complete. */
void ioi_finish(ioi_worker *w, uint32_t tx, ioi_incarnation *inc, bool wrote_new);

/* end_block is done: so is the block. */
void ioi_finish_block(ioi_worker *w, ioi_incarnation *inc);

/* What the worker did since then was waiting: no part of what executions cost. */
void ioi_untimed(ioi_worker *w, uint64_t since_ns);

/* Suspend until the aborted transaction `tx` has run again. False if the block stopped instead. */
bool ioi_wait_for(ioi_worker *w, uint32_t tx);

/* Where `noting`: the transaction in hand is about to look at what stands of these keys (readers.h). */
static inline void ioi_will_read(ioi_worker *w, uint32_t tx, uint64_t keys) {
    if (!(keys & ~w->noted)) return;
    a64 *word = &w->readers[tx];
    if (w->noted) a64_or(word, keys);
    else a64_xchg(word, keys); /* in place of what an incarnation before has read */
    w->noted |= keys;
}

/* Stop the block (DONE, FULL, FAULT, ABANDONED) and wake everybody; the first to stop it says why. */
void ioi_stop_block(ioi_arena *arena, ioi_block_state state);

/* All that recording costs where it is off. */
static inline bool ioi_recording(const ioi_worker *w) { return __builtin_expect(w->recording, false); }

static inline bool ioi_running(const ioi_worker *w) { return a32_load_sc(&w->sched->state) == IOI_BLOCK_RUNNING; }

#endif
