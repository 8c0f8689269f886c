/* What one worker did and when, noted while the block runs (ioi_block.record): spans and instants, in chunks of the arena that
 * the coordinator reads when the block is done (rows.h).
 *
 * Off, nothing of it is touched: whoever has something to note looks at ioi_worker.recording first. On, an event takes 48 bytes
 * and mostly one reading of the clock: `now`, the last one, ends one span and begins the next.
 *
 * What passed is not what the thread computed: another thread may have had its core. Between two readings of the clock that are
 * IOI_PREEMPTED_NS apart, both are compared, and what is missing is an event of its own, IOI_EVENT_PREEMPTED, unless the thread
 * itself gave the core away (slept, or waited for a lock or a disk). It ends with the span it lies in; where in it, is not known.
 *
 * Spans of one worker follow each other or lie inside each other; an event is noted at its end. When the arena is full the
 * record is lost: the worker says so in its slot, notes nothing more, and the block must run again with more room.
 */
#ifndef IOI_RECORDER_H
#define IOI_RECORDER_H

#include "mvmemory.h"

typedef enum ioi_event_kind { /* ioi_exec/block/record.py says what each tells */
                              IOI_EVENT_EXECUTE = 1,
                              IOI_EVENT_VALIDATE,
                              IOI_EVENT_ABORT,
                              IOI_EVENT_SUSPEND,
                              IOI_EVENT_FETCH,
                              IOI_EVENT_IDLE,
                              IOI_EVENT_COMMIT,
                              IOI_EVENT_SOLO,
                              IOI_EVENT_PREEMPTED
} ioi_event_kind;

enum { IOI_PREEMPTED_NS = 50000 }; /* less is not looked for: asking what the thread computed is a system call */

typedef struct ioi_event {
    uint64_t start, end; /* of ioi_now_ns */
    uint64_t entry;      /* the key's; 0 = none */
    uint32_t tx, incarnation;
    int32_t other; /* TxIndex; -1 = none */
    uint32_t other_incarnation;
    uint8_t kind, result;
} ioi_event;

enum { IOI_EVENTS = 84 }; /* a chunk is about a page */

typedef struct ioi_events {
    uint64_t older; /* offset of the chunk before; 0 = none */
    uint32_t count, unused;
    ioi_event events[IOI_EVENTS];
} ioi_events;

/* A worker's private side. */
typedef struct ioi_recorder {
    ioi_alloc *alloc;
    ioi_slot *slot;
    ioi_events *chunk; /* the newest; NULL = none yet */
    uint64_t now;      /* the clock, as last read */
    uint64_t compared; /* when what passed was last compared with */
    uint64_t computed; /* what the thread had computed then, ns */
    uint64_t given;    /* and how often it had given its core away */
    uint64_t count;    /* events noted */
    bool contiguous;   /* no interpreter between one transaction and the next: `now` is when the next begins */
    bool executing;    /* an execution is open */
    bool lost;
    bool solo;                /* a stretch alone is open */
    uint32_t tx, incarnation; /* the execution open, or the last one */
    uint64_t execute_from;
    uint64_t idle_from; /* 0 = not idle */
    uint64_t solo_from, solo_count;
    uint32_t solo_tx;
    ioi_cause cause; /* of the last failed validation, or of the ESTIMATE last met */
} ioi_recorder;

/* A block begins, at `now`. */
void ioi_recorder_enter(ioi_recorder *r, ioi_alloc *alloc, ioi_slot *slot, uint64_t now);

/* Read the clock: what comes next begins now. */
uint64_t ioi_recorder_look(ioi_recorder *r);

/* An incarnation begins; it ends `finished` or cut short. False when the record is lost: stop the block (IOI_BLOCK_FULL). */
void ioi_recorder_execute(ioi_recorder *r, uint32_t tx, uint32_t incarnation);
bool ioi_recorder_executed(ioi_recorder *r, bool finished);

/* When a validation begins; then its end. If it failed, r->cause says why. */
uint64_t ioi_recorder_start(ioi_recorder *r);
void ioi_recorder_validated(ioi_recorder *r, uint64_t start, uint32_t tx, uint32_t incarnation, bool stands);

/* The incarnation is given up, for r->cause. */
void ioi_recorder_aborted(ioi_recorder *r, uint32_t tx, uint32_t incarnation);

/* The incarnation in hand has waited since `start` for the transaction of r->cause. */
void ioi_recorder_suspended(ioi_recorder *r, uint64_t start);

/* Committed values were fetched since `start`; `entry` if it was a single one, else 0. */
void ioi_recorder_fetched(ioi_recorder *r, uint64_t start, uint32_t tx, uint32_t incarnation, uint64_t entry);

/* Nothing to do, from the last reading of the clock on; and a task was found, or the block is over. */
void ioi_recorder_idle(ioi_recorder *r);
void ioi_recorder_busy(ioi_recorder *r);

/* The watermark is about to rise to here. The caller holds the token, so these come in order of time on all workers. */
void ioi_recorder_commit(ioi_recorder *r, uint32_t watermark);

/* This worker runs alone from this watermark on (idempotent); and no more. A stretch in which it did nothing is not noted. */
void ioi_recorder_solo(ioi_recorder *r, uint32_t watermark);
void ioi_recorder_solo_ends(ioi_recorder *r, uint32_t watermark);

#endif
