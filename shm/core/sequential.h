/* The reference for native VMs: the same transactions one after another over a plain hash table. No versions, no
 * recording, no atomics; what the parallel engine must equal, and what its speed is measured against. */
#ifndef IOI_SEQUENTIAL_H
#define IOI_SEQUENTIAL_H

#include <stdbool.h>

#include "arena.h"
#include "base_range.h"
#include "write_limits.h"

typedef struct ioi_seq ioi_seq;

/* NULL: no memory. */
ioi_seq *ioi_seq_new(const ioi_vm *vm, const ioi_limits *limits, const ioi_ctx *ctx);
void ioi_seq_free(ioi_seq *seq);

/* Whether there was no memory for something: then no transaction succeeds any more, and nothing is brought. */
bool ioi_seq_starved(const ioi_seq *seq);

/* Whether an operation of the last execution said IOI_STOP for want of a committed value. */
bool ioi_seq_stopped(const ioi_seq *seq);

/* A committed value (NULL = absent). */
void ioi_seq_set_base(ioi_seq *seq, const uint8_t *key, size_t key_len, const uint8_t *value, size_t len);

/* How to get the value of a key that is read (ioi_seq_set_base), on the spot. Without it, or where it says false, the transaction
 * stops, and the key is among the missing. A key that is only written needs none. */
void ioi_seq_bring_with(ioi_seq *seq, bool (*bring)(void *context, const uint8_t *key, size_t len), void *context);

/* How scans walk over the committed state; without it there must be none. Where it says that cannot be read, the transaction stops. */
void ioi_seq_walk_with(ioi_seq *seq, const ioi_base_ranges *ranges);

/* Learn which keys transactions may touch; then the missing ones, distinct, in key order: index from 0 until false. */
void ioi_seq_hint(ioi_seq *seq, uint64_t tx_index, const uint8_t *tx, size_t len);
void ioi_seq_sort_missing(ioi_seq *seq);
bool ioi_seq_missing(const ioi_seq *seq, size_t i, const uint8_t **key, size_t *len);

/* Execute the next transaction. False: nothing happened yet, the missing keys are needed first; bring them, call again. */
bool ioi_seq_execute(ioi_seq *seq, const uint8_t *tx, size_t len, ioi_outcome *outcome);

/* The next transaction fails without being executed: *outcome says why. Likewise. */
bool ioi_seq_refuse(ioi_seq *seq, const uint8_t *tx, size_t len, ioi_outcome *outcome);

/* The same for a hook of the block: end_block over the transactions executed, or begin_block, where there are none. */
bool ioi_seq_hook(ioi_seq *seq, ioi_hook hook, const ioi_results *results, ioi_outcome *outcome);

/* The tail of the receipt of what was executed last (block.h), until something else is. */
const uint8_t *ioi_seq_tail(const ioi_seq *seq, size_t *len);

/* The last write of every key written, ascending by key: index from 0 until false. *value NULL = deleted. Sorting says false without memory. */
bool ioi_seq_sort_writes(ioi_seq *seq);
bool ioi_seq_write(const ioi_seq *seq, size_t i, const uint8_t **key, size_t *key_len, const uint8_t **value, size_t *len);

#endif
