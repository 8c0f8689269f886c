/* What executing each transaction took: a log per worker, made into rows only where somebody asks (ioi_exec/block/per_tx.py).
 *
 * A span is one execution, or several in a row that are too cheap to read the clock for each: a reading takes a fifth of a payment.
 * It is a log, not a row for each transaction, so that no line of memory is touched for a transaction that others touch too.
 * Entries are plain memory: their worker alone writes them, and the coordinator reads them when it has left the block; the
 * exchange by which it leaves (ioi_block_depart) is what orders the two.
 */
#ifndef IOI_SPANS_H
#define IOI_SPANS_H

#include "arena.h"

enum { IOI_SPAN_EACH_NS = 1000 }; /* dearer executions than this have a span of their own */

typedef struct ioi_span {
    uint32_t first; /* TxIndex */
    uint16_t count; /* transactions from there on, one execution each */
    uint16_t worker;
    uint32_t incarnation; /* of every one of them */
    uint32_t suspensions;
    uint64_t ns; /* of all, without the time they waited for other transactions */
} ioi_span;
static_assert(sizeof(ioi_span) == 24, "ioi_exec/block/per_tx.py reads them as they are");

/* A piece of a log; the newest hangs in its worker's slot. */
enum { IOI_SPANS_PIECE = 40 };
typedef struct ioi_spans {
    uint64_t older; /* offset of the piece before, 0 = none */
    uint64_t count;
    ioi_span spans[IOI_SPANS_PIECE];
} ioi_spans;

/* Another piece, empty, for the worker that `slot` and `alloc` belong to. NULL when the arena is full. */
ioi_spans *ioi_spans_grow(ioi_alloc *alloc, ioi_slot *slot);

/* Make room for one span in `*log`, the worker's newest piece (NULL at the start of a block). False when the arena is full. To be
 * done while the transaction is unfinished: when the last one is finished so is the block, and it is too late to abandon it as full. */
static inline bool ioi_span_reserve(ioi_alloc *alloc, ioi_slot *slot, ioi_spans **log) {
    if (*log && (*log)->count < IOI_SPANS_PIECE) return true;
    ioi_spans *made = ioi_spans_grow(alloc, slot);
    if (made) *log = made;
    return made != NULL;
}

/* Append, where there is room. */
static inline void ioi_span_add(ioi_spans *log, const ioi_span *span) {
    if (log && log->count < IOI_SPANS_PIECE) log->spans[log->count++] = *span;
}

/* All workers' spans, those of one worker newest first: how many, or copied to `out` if that is not NULL. After the block. */
uint64_t ioi_spans_all(const ioi_arena *arena, ioi_span *out);

#endif
