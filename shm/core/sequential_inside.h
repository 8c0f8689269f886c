/* What the parts of sequential.c share. */
#ifndef IOI_SEQUENTIAL_INSIDE_H
#define IOI_SEQUENTIAL_INSIDE_H

#include "sequential.h"
#include "transaction.h"

enum { SMALL = 32 };

/* Small values lie inside: a reference that allocates for each write would flatter the engine. */
typedef struct value {
    size_t len;
    bool present;
    union {
        uint8_t small[SMALL];
        uint8_t *big;
    };
} value;

static inline const uint8_t *bytes_of(const value *v) { return !v->present ? NULL : v->len <= SMALL ? v->small : v->big; }

typedef struct cell {
    uint8_t *key;
    size_t key_len;
    value now;
    bool known;   /* the base was brought, or something was written */
    bool asked;   /* is among the missing */
    bool written; /* by a transaction that succeeded */
    size_t first; /* of the transaction that wrote it last, while it runs: its first change, which replaced what the block has */
    size_t noted; /* and its newest, + 1 */
    uint64_t stamp; /* the transaction that wrote it last */
} cell;

/* What a key was when the innermost checkpoint then open, or the transaction, began; noted once for each. */
typedef struct change {
    size_t cell;  /* NOWHERE: of the events; before.len is how long they were */
    size_t noted; /* what cell.noted was; 0: this is the transaction's first */
    value before;
    bool known; /* the cell was: else the base is below, still to be brought */
    uint64_t stamp;
} change;

struct ioi_seq {
    ioi_state state; /* first */
    const ioi_vm *vm;
    ioi_limits limits;
    ioi_ctx ctx;
    cell *cells;
    size_t count, capacity;
    uint64_t *table; /* hash << 32 | cell index + 1, from `hash`; at least twice as many slots as cells */
    size_t table_size;
    change *changes;
    size_t changes_count, changes_capacity;
    size_t *missing, missing_count, missing_capacity;
    size_t *writes, writes_count;
    size_t *ordered, ordered_count, ordered_capacity, sorted_count; /* cells with `written`; the first ones in key order */
    const ioi_base_ranges *ranges;
    ioi_scan *scans; /* the newest first */
    uint64_t stamp, tx_index;
    bool starved; /* there was no memory for something: no transaction succeeds any more */
    uint32_t tx_keys, depth;
    size_t *begins, begins_capacity; /* of each open checkpoint: how many changes there were when it began */
    size_t events_noted;             /* as cell.noted */
    uint32_t floor;   /* so many of `depth` are closed no more: those below what holds, and that; 0: nothing does */
    ioi_bytes events; /* of this transaction, packed */
    ioi_bytes tail;   /* of its receipt */
    uint64_t tx_bytes;
    bool stopped; /* an operation of this transaction said so, whatever the VM made of it */
    bool (*bring)(void *context, const uint8_t *key, size_t len);
    void *bringing;
};

#define NOWHERE SIZE_MAX /* instead of a cell */

/* Room for one more in the array of a field. False: no memory, and the array as it was. */
bool ioi_seq_room(void *field, size_t *capacity, size_t count, size_t size);

/* sequential_scan.c: the operations of ioi_state. */
int ioi_seq_scan(ioi_state *state, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, int reverse,
                 ioi_scan **scan);
int ioi_seq_next(ioi_state *state, ioi_scan *scan, const uint8_t **key, size_t *key_len, const uint8_t **value, size_t *len);
void ioi_seq_end(ioi_state *state, ioi_scan *scan);

#endif
