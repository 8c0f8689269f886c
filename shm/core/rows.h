/* The record of a block that is done, taken out of the arena by the coordinator: what happened (recorder.h), and what the final
 * incarnations read and wrote.
 *
 * Accesses are the same however the block was scheduled: those of executing it one transaction after another. Every read of a
 * key, with the highest transaction below whose write it saw. A scan reads the keys of its range, as far as it looked, that the
 * block builds on or that a lower transaction wrote, deleted ones included; other absent keys that a scan met or that lie
 * in a scanned range are left out, for which of them a scan meets depends on the schedule.
 *
 * An add to a counter is a read and a write that say so. What it read is within which bounds the counter was: `writer` is one whose
 * write makes it so, the last put or delete (none: the committed state, -1) if that is enough, else an add. A read whose writer
 * added needs all that was added up to there, down to the last put or delete. Which adds are some at all depends on the schedule
 * in one case: where transactions add at several places of one value, who came first has the counter (mvmemory.h).
 *
 * Rows are as NumPy takes them (ioi_exec/block/record.py): little endian, unaligned, in order of `tx` and then key (events: by
 * worker, in order of their ends). Keys are numbered in byte order, those that some row names.
 */
#ifndef IOI_ROWS_H
#define IOI_ROWS_H

#include "mvmemory.h"

typedef struct __attribute__((packed)) ioi_event_row {
    uint64_t start, end; /* ns since the block started */
    uint32_t tx, incarnation;
    int32_t other, key; /* -1 = none */
    uint32_t other_incarnation;
    uint16_t worker;
    uint8_t kind, result;
} ioi_event_row;

typedef struct __attribute__((packed)) ioi_read_row {
    uint32_t tx, key;
    int32_t writer; /* TxIndex, -1 = the state the block builds on */
    uint8_t added;  /* it only added to the key */
} ioi_read_row;

typedef struct __attribute__((packed)) ioi_write_row {
    uint32_t tx, key;
    uint8_t deleted, added;
} ioi_write_row;

/* Rows of one kind, on the heap. */
typedef struct ioi_rows {
    uint8_t *bytes;
    uint64_t count, capacity;
    size_t size; /* of a row */
} ioi_rows;

typedef struct ioi_taken {
    ioi_rows events, reads, writes;
    const ioi_entry **keys;
    uint32_t keys_count;
} ioi_taken;

/* Was there no room for some of the record? Then the block must run again with more. */
bool ioi_record_lost(const ioi_arena *arena);

/* Take the record out of a block that is done and was recorded. False when there is no memory for it. The arena is only read.
 * ioi_taken_free in either case. */
bool ioi_record_take(ioi_arena *arena, ioi_taken *out);
void ioi_taken_free(ioi_taken *taken);

#endif
