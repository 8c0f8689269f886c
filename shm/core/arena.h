/* The shared-memory arena: one mapping, the same bytes in every process, at a different address in each.
 *
 *   0            ioi_shared: identity, allocation, the block, the scheduler, a slot for every worker
 *   IOI_BLOCK_AT the block: inputs, per-transaction arrays and the index's root table, laid out by
 *                ioi_block_begin; behind them whatever workers allocate
 *   reserved     end of the bytes that have pages (grown by the coordinator between blocks, never shrunk)
 *   size         end of the mapping: sparse, fixed when the memfd is made
 *
 * Addresses differ between processes, so every link is an offset from the base; 0 means none (the header lives
 * there, so no allocation does). What there is much of is linked by ioi_ref, an offset in 32 bits: hence IOI_ARENA_MAX. Allocation only goes up: each worker takes chunks from one shared counter and
 * bumps a pointer inside its own; nothing is freed within a block, everything is dropped when the next begins.
 * When there is no room the block is abandoned as a whole (IOI_BLOCK_FULL); fullness never decides a receipt.
 */
#ifndef IOI_ARENA_H
#define IOI_ARENA_H

#include <stdalign.h>
#include <stddef.h>

#include "atomics.h"

enum {
    IOI_LINE = 64,         /* bytes: what two cores fight over */
    IOI_WORKERS_MAX = 256, /* a slot each in the header */
    IOI_CHUNK = 32 * 1024, /* bytes a worker takes at once: small enough that many workers waste little */
};
#define IOI_MAGIC UINT64_C(0x494f49415245414e) /* "IOIAREAN" */
#define IOI_LAYOUT UINT64_C(10)                /* raised when a shared structure changes */

/* How a block stands. Anything but RUNNING sends every worker home. */
typedef enum ioi_block_state {
    IOI_BLOCK_IDLE = 0,
    IOI_BLOCK_RUNNING,
    IOI_BLOCK_DONE,     /* every transaction final, its hook included */
    IOI_BLOCK_FULL,     /* no room in the arena: reserve more, run again */
    IOI_BLOCK_FAULT,    /* a valid incarnation hit a machine fault: fault_tx names it */
    IOI_BLOCK_ABANDONED /* the coordinator gave up on this attempt */
} ioi_block_state;

/* What a worker shows of itself; written by that worker only, read by the coordinator. A slot has its own lines. */
typedef struct ioi_slot {
    alignas(IOI_LINE) a32 current_tx; /* TxIndex + 1 while a transaction runs, else 0: whom a death counts against */
    a32 in_block;                     /* 1 from waking for a block to leaving it */
    a64 executions, validations, aborts, suspensions;
    a64 busy_ns;     /* from waking to leaving, waits excluded */
    a64 wait_ns;     /* idle or suspended */
    a64 written;     /* ioi_ref of the newest entry this worker was first to write (list through ioi_entry.next_written) */
    a64 fetched;     /* newest base value this worker brought (list through ioi_fetched.next) */
    a64 solo;        /* transactions run alone at the watermark */
    a64 spans;       /* newest piece of its log: spans.h */
    a64 events;      /* newest chunk of what this worker recorded: recorder.h */
    a32 record_lost; /* there was no room for some of it */
} ioi_slot;

/* Where a worker is called to a block; a line of its own, so that those who are not called are not disturbed. */
typedef struct ioi_call {
    alignas(IOI_LINE) a32 seq; /* counts the blocks it was called to; its futex between blocks. The coordinator's to write */
    a32 asleep;                /* whether it sleeps on it, or is about to */
} ioi_call;

/* How the scheduler goes about a block: speed alone depends on it. All zero is the default. */
typedef struct ioi_policy {
    uint32_t window;   /* how far execution may run ahead of the watermark, IOI_WINDOW_OPEN at most; 0: as conflicts demand */
    uint32_t run;      /* consecutive transactions claimed at once, IOI_RUN_MAX at most; 0: as their cost demands */
    bool no_estimates; /* leave the writes of an aborted incarnation as they are: readers take them, at their own risk */
    bool
        by_version; /* a read stands if it would see the same incarnation's write, not just an equal value; and what changes has all
                          above validated, not just those that read it: as in the paper */
    bool no_solo;   /* never one worker alone at the watermark */
} ioi_policy;
#define IOI_WINDOW_OPEN ((uint32_t)INT32_MAX) /* no limit */
enum { IOI_RUN_MAX = 64 };                    /* longest run: more makes the tail of a block uneven */

/* What the VM runs for the block rather than for a transaction of it. Those that come before the transactions are blocks without
 * any, whose writes lie under the block to come: ioi_exec/execution/hooks.py. */
typedef enum ioi_hook { IOI_NO_HOOK, IOI_END_BLOCK, IOI_BEGIN_BLOCK, IOI_MIGRATE } ioi_hook;

/* The block as its workers see it: written before the block starts, constant while it runs. */
typedef struct ioi_block {
    uint32_t n;           /* transactions */
    uint32_t workers;     /* how many take part: those with the lowest ids */
    uint32_t hook;        /* ioi_hook: run the VM once more after the last transaction */
    uint32_t trie_levels; /* 64-ary levels that number n + 2 positions */
    uint32_t root_bits;   /* the key index's root table has 2^root_bits slots */
    uint32_t spins;       /* turns to spin before sleeping; 0 when workers outnumber cores */
    ioi_policy policy;
    uint64_t setup; /* which VM and state the workers need: a number the coordinator told them before */
    uint64_t height, time_ns;
    uint64_t base, base_len; /* which committed state workers must read, in words of whoever keeps it */
    uint64_t checked; /* a32[n / 32 + 1]: a bit for each transaction that a worker has looked at and found good (native.h) */
    uint64_t tx_ends; /* u64[n]: end of each transaction behind tx_bytes */
    uint64_t tx_bytes;
    uint64_t proposer, proposer_len;
    uint64_t extra, extra_len;
    uint64_t parent_root, parent_root_len;
    uint64_t decided, decided_len;
    uint64_t status;       /* a32[n + 1]: scheduler.h */
    uint64_t incarnations; /* a32[n + 1]: ioi_ref of the latest finished incarnation of each, mvmemory.h */
    uint64_t readers;      /* a64[n + 1]: roughly, which keys each has read: readers.h. 0 where nobody looks */
    uint64_t root;         /* a32[2^root_bits]: index.h */
    uint64_t ordered;      /* head of the ordered index: ordered.h */
    uint64_t began_ns;     /* ioi_now_ns when the block started */
    uint32_t record;       /* workers note what they do: recorder.h */
    uint32_t cached;       /* workers read the cache (cache.h): the block was laid out for what it has */
} ioi_block;

/* The scheduler's words (scheduler.h). Those that change all the time are on one line: they are read together, and one line moves
 * faster than four. */
typedef struct ioi_sched {
    alignas(IOI_LINE) a32 execution_idx;
    a32 validation_idx; /* above it some are to be validated */
    a32 commit_idx;     /* the watermark: transactions below are final */
    a32 token;          /* who may move the watermark: 0, or worker id + 1 */
    a32 work_seq;       /* futex of idle workers */
    a32 sleepers;       /* how many sleep on it */
    /* On another, what everybody looks at and that seldom changes: workers that wait would take the first from those that work. */
    alignas(IOI_LINE) a32 state; /* ioi_block_state */
    a32 solo_until;              /* below this watermark one worker runs alone */
    a32 active;                  /* so many workers may be at the block; the others park */
    a32 parked;                  /* how many do */
    a32 park_seq;                /* their futex */
    a32 fault_tx;                /* TxIndex of the fault that stopped the block (n: end_block) */
    /* How the block goes, as of the last look; the token's holder alone touches these. */
    alignas(IOI_LINE) uint32_t tuned_at, tuned_aborts, solo_length;
    uint64_t tuned_ns;
    /* On a line of its own: every write looks at it, and it changes twice a block at most. */
    alignas(IOI_LINE) a32 ordered_on; /* the block scans: written keys go into the ordered index */
} ioi_sched;

typedef struct ioi_shared {
    uint64_t magic, layout;
    uint64_t size;    /* bytes mapped */
    uint64_t seed[4]; /* of the key index and the cache, random per process; no result depends on it */
    alignas(IOI_LINE) a64 reserved;
    alignas(IOI_LINE) a64 bump;
    alignas(IOI_LINE) a32 shutdown;
    alignas(IOI_LINE) a32 active; /* workers still in the block; futex of the coordinator */
    alignas(IOI_LINE) ioi_block block;
    ioi_sched sched;
    ioi_call calls[IOI_WORKERS_MAX];
    ioi_slot slots[IOI_WORKERS_MAX];
} ioi_shared;

#define IOI_BLOCK_AT ((sizeof(ioi_shared) + 4095) & ~(size_t)4095)

/* One process's view of the arena. */
typedef struct ioi_arena {
    uint8_t *base;
    uint64_t size;
    ioi_shared *shared;   /* == base */
    const uint8_t *cache; /* committed values beside it, while a block reads them (cache.h); else NULL */
    uint64_t cache_size;
} ioi_arena;

/* An allocator over the arena; each worker has its own, and so has the coordinator while it lays out a block. */
typedef struct ioi_alloc {
    ioi_arena *arena;
    uint64_t next, end;
} ioi_alloc;

/* Address of an offset. An offset outside the mapping means a corrupt arena: abort, the coordinator starts afresh. */
static inline void *ioi_at(const ioi_arena *arena, uint64_t offset) {
    assert(offset != 0 && offset < arena->size);
    return arena->base + offset;
}

static inline uint64_t ioi_offset(const ioi_arena *arena, const void *address) {
    return (uint64_t)((const uint8_t *)address - arena->base);
}

/* A link of half the size: the offset of something that lies at a multiple of IOI_UNIT, in that unit; 0 = none. No arena is
 * larger than such a link reaches, so none can wrap. */
typedef uint32_t ioi_ref;
enum { IOI_UNIT = 8 };
#define IOI_ARENA_MAX ((uint64_t)IOI_UNIT << 32)

static inline void *ioi_deref(const ioi_arena *arena, ioi_ref ref) { return ioi_at(arena, (uint64_t)ref * IOI_UNIT); }

static inline ioi_ref ioi_ref_of(const ioi_arena *arena, const void *address) {
    uint64_t offset = ioi_offset(arena, address);
    assert(offset % IOI_UNIT == 0 && offset < IOI_ARENA_MAX);
    return (ioi_ref)(offset / IOI_UNIT);
}

/* Make a fresh arena of `base`, `size` bytes mapped (IOI_ARENA_MAX at most), the first `reserved` of them backed by pages. */
void ioi_arena_init(ioi_arena *arena, uint8_t *base, uint64_t size, uint64_t reserved, const uint64_t seed[4]);

/* Attach to an arena another process made. False if these bytes are no arena of this layout and size. */
bool ioi_arena_attach(ioi_arena *arena, uint8_t *base, uint64_t size);

/* Drop everything allocated. The coordinator only, with no worker in a block. */
void ioi_arena_reset(ioi_arena *arena);

/* Start allocating with nothing in hand. */
void ioi_alloc_init(ioi_alloc *alloc, ioi_arena *arena);

/* `bytes` of uninitialised memory aligned to `align` (a power of two, at most IOI_LINE). NULL when the arena is full. */
void *ioi_alloc_bytes(ioi_alloc *alloc, uint64_t bytes, uint64_t align);

/* Give back the newest allocation, if nothing came after it. */
void ioi_alloc_undo(ioi_alloc *alloc, void *newest, uint64_t bytes);

#endif
