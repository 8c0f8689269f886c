/* A transaction's view of the state while it executes: reads are recorded and pinned, writes buffered, until the
 * incarnation ends and everything is published at once.
 *
 * Pinned: the first read of a key, or of the absence of keys in a scanned range, is what this incarnation sees from then
 * on (opacity per key: a VM never sees a key change under its hands). Own writes come first. Reads made inside an undone
 * checkpoint stay recorded: the decision to undo depended on them.
 *
 * A view is private to its worker and reused from transaction to transaction. Only what it records goes to the arena.
 */
#ifndef IOI_VIEW_H
#define IOI_VIEW_H

#include "counter.h"
#include "base_range.h"
#include "write_limits.h"
#include "scheduler.h"

/* Why a view could not go on. */
typedef enum ioi_stop {
    IOI_STOP_NONE,
    IOI_STOP_BASE,      /* view->missing has no base yet: bring it and go on or start again */
    IOI_STOP_ESTIMATE,  /* wait for transaction view->blocker, then go on or start again */
    IOI_STOP_FULL,      /* the arena is full: the block is abandoned */
    IOI_STOP_STALE,     /* what was read has been overtaken: start again */
    IOI_STOP_UNREADABLE /* the committed state cannot be walked over: whoever brings it knows why */
} ioi_stop;

/* Which limit an operation would have exceeded. */
typedef enum ioi_limit {
    IOI_LIMIT_KEY_BYTES,
    IOI_LIMIT_VALUE_BYTES,
    IOI_LIMIT_TX_KEYS,
    IOI_LIMIT_TX_WRITE_BYTES,
    IOI_LIMIT_CHECKPOINT_DEPTH
} ioi_limit;

typedef struct ioi_view ioi_view;
struct ioi_view {
    ioi_state state; /* first: native VMs get a pointer to this */
    ioi_worker *worker;
    ioi_limits limits;
    uint32_t tx, position, incarnation;
    ioi_stop stop;
    ioi_entry *missing;
    uint32_t blocker;
    bool kept;                       /* what stands written stays though the transaction failed: the rest is undone */
    uint64_t operations, next_check; /* of this incarnation: now and then it checks itself */
    ioi_limit limit;                 /* which one the last IOI_LIMIT was */
    ioi_entry *const *likely;        /* keys it will likely ask for, in this order: found without looking them up */
    uint32_t likely_left;            /* how many of them, from there on */
    struct ioi_view_store *store;    /* read set, write buffer, ranges: view_inside.h */
    /* Bring the base of a key that is read (ioi_mv_fetched), on the spot; NULL, or false: the operation stops, IOI_STOP_BASE. */
    bool (*bring)(ioi_view *view, ioi_entry *entry);
    void *bringing;                /* whose that is */
    const ioi_base_ranges *ranges; /* for scans; NULL: there are none */
    ioi_scan *scans;               /* those that have not ended, the newest first */
};

ioi_view *ioi_view_new(ioi_worker *worker);
void ioi_view_free(ioi_view *view);

/* Start the incarnation of `tx` (n for end_block) that the worker just got. */
void ioi_view_begin(ioi_view *view, uint32_t tx);

/* The operations of ioi_state, directly. IOI_STOP: see view->stop. */
int ioi_view_key(ioi_view *view, const uint8_t *bytes, size_t len, ioi_key *key);
int ioi_view_get(ioi_view *view, ioi_key key, const uint8_t **value, size_t *len);
int ioi_view_exists(ioi_view *view, ioi_key key);
int ioi_view_put(ioi_view *view, ioi_key key, const uint8_t *value, size_t len); /* value NULL deletes */
/* IOI_OK, IOI_REFUSED or IOI_LENGTH, then *found bytes are there; a limit is looked at last. */
int ioi_view_add(ioi_view *view, ioi_key key, const ioi_addition *addition, size_t *found);
int ioi_view_mark(ioi_view *view, uint64_t *mark);
/* Close the checkpoint that `mark` opened, and those inside it, keeping or undoing the writes made since. */
int ioi_view_close(ioi_view *view, uint64_t mark, bool undo);
bool ioi_view_innermost(const ioi_view *view, uint64_t mark);

/* Scans. A range is opened with its full bounds (NULL = unbounded; the end exclusive) and has looked at nothing yet;
 * as the scan moves on, ioi_view_range_reached says how far it looked: through `key`, or with NULL to its end.
 * The caller merges three ordered sources: the base, ioi_ordered_*, and ioi_view_own_*; it resolves each key
 * it meets with ioi_view_get before it says it has reached it, so that the range's keys are all in the read set. */
int ioi_view_range_open(ioi_view *view, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse,
                        uint32_t *range);
int ioi_view_range_reached(ioi_view *view, uint32_t range, const uint8_t *key, size_t len);

/* As ioi_view_get, but what the state holds below this transaction, own writes left aside. */
int ioi_view_get_below(ioi_view *view, ioi_key key, const uint8_t **value, size_t *len);

/* Own writes as they stand, in no order: i counts from 0 until false. *entry NULL = undone, *value NULL = deleted. The
 * bytes are valid until the next write. */
bool ioi_view_own(const ioi_view *view, uint32_t i, const ioi_entry **entry, const uint8_t **value, size_t *len);

/* Add an event, packed: undone as a write is. IOI_OK, or IOI_LIMIT beyond IOI_EVENTS_BYTES. The other packs it itself, if it is one. */
int ioi_view_emit(ioi_view *view, const uint8_t *bytes, size_t len);
int ioi_view_emit_native(ioi_view *view, const char *name, const ioi_attribute *attributes, size_t count);

/* What is written and emitted so far stays though the rest fails. Checkpoints that are open stay so, and cannot be closed any more. Once
 * in an incarnation. */
void ioi_view_hold(ioi_view *view);

/* Put a part into the tail of the receipt that comes (block.h). Between the incarnation's end and ioi_view_finish. */
void ioi_view_note(ioi_view *view, ioi_tail kind, const uint8_t *bytes, size_t len);

/* End the incarnation: publish (or drop writes and events when code != 0, unless `kept`) and tell the scheduler. `fault` marks an outcome
 * that is no receipt. False when the arena is full: the block is abandoned. */
bool ioi_view_finish(ioi_view *view, const ioi_outcome *outcome, bool fault);

#endif
