/* Committed values that outlive their block, in a mapping of their own beside the arena: what a block reads again is
 * found here by C, without LMDB and without the interpreter.
 *
 *   0         ioi_cache_head: what state the values are of, and how the room is used
 *   table     buckets of one line, eight words each; a word says where a record is, and 16 bits of its key's hash
 *   records   of 64, 128, 256 or 512 bytes; a key and value that fit none are not kept
 *
 * Why reading it takes no lock: nobody writes while anybody reads. The coordinator alone writes, and only while no worker
 * is in a block; the call that lets workers in (block.h) comes after all it wrote, their departure before it writes again.
 * So within a block a record never changes nor moves, and a base word may name it in place (mvmemory.h). Workers map it
 * read-only: one that dies has damaged nothing, so it outlives them.
 *
 * What it holds: for some keys the value, or the absence, of one committed state, which is *stamped* on it. Any write
 * takes the stamp away first; whoever has written puts the next one on when all of it is there. A block that reads
 * here was laid out for that stamp, and its workers look that it is still the same.
 *
 * Never let go what the table of latest values lacks. That table lags behind: it holds all writes up to a version `flat`,
 * and a key that is missed here is read there. So a record of a later version stays; where there is no room for such a
 * one, the caller hears it, and lays the write under the block (ioi_block_overlay). Without this rule all would be right
 * until the day the cache is full.
 */
#ifndef IOI_CACHE_H
#define IOI_CACHE_H

#include "mvmemory.h"

enum {
    IOI_STAMP = 64,       /* bytes that say which committed state */
    IOI_CACHE_SIZES = 4,  /* of records: 64 << 0..3 bytes */
    IOI_CACHE_HEAD = 512, /* bytes before the first table */
};

/* One key's value or absence. The record is as those of the arena are; the key follows its bytes. Lies at a multiple of a line. */
typedef struct ioi_cached {
    uint64_t hash;    /* by the seed that all arenas of the process have */
    uint64_t version; /* that wrote it; 0: it was read from the table, which therefore has it. In a free one: the next free */
    uint32_t key_len;
    uint32_t unused;
    ioi_record record; /* deleted: the key is absent */
} ioi_cached;
static_assert((offsetof(ioi_cached, record) & (IOI_TAGS | IOI_CACHED)) == IOI_CACHED, "a word tells where its record is");

typedef struct ioi_cache_head {
    uint64_t magic;
    uint64_t seed[4];  /* of its hashes: that of the process's arenas */
    uint64_t size;     /* bytes it may ever take */
    uint64_t reserved; /* bytes that have pages, the first ones */
    uint64_t used;     /* bytes given out, the first ones */
    uint64_t table;    /* offset of the buckets */
    uint64_t bits;     /* there are 2^bits of them */
    uint64_t count;    /* records that are in the table */
    uint64_t hand;     /* the bucket where the search for one to let go goes on */
    uint64_t stamped;  /* whether the stamp counts */
    uint64_t free[IOI_CACHE_SIZES];
    uint8_t stamp[IOI_STAMP];
} ioi_cache_head;

typedef enum ioi_cache_result {
    IOI_CACHE_KEPT,
    IOI_CACHE_NO_ROOM, /* it is not there now, and nothing older of its key either */
    IOI_CACHE_MORE     /* reserve more, or lower the size to what is reserved; then once more */
} ioi_cache_result;

enum { IOI_CACHE_LEAST = IOI_CACHE_HEAD + 1024 }; /* bytes: the head and the first table */

/* Make it, empty and without a stamp. `base` is writable, its first `reserved` bytes have pages. False if it is too small, or larger
 * than an ioi_ref reaches (IOI_ARENA_MAX). */
bool ioi_cache_init(uint8_t *base, uint64_t size, uint64_t reserved, const uint64_t seed[4]);

/* Whether another process has made one here, of at most so many bytes. */
bool ioi_cache_attach(const uint8_t *base, uint64_t size);

/* Forget all records, and the stamp. */
void ioi_cache_clear(uint8_t *base);

/* A version that is committed wrote this (bytes NULL = deleted), as the key's newest. `flat`: see above. */
ioi_cache_result ioi_cache_write(uint8_t *base, uint64_t hash, const uint8_t *key, uint32_t key_len, const uint8_t *bytes,
                                 uint32_t len, uint64_t version, uint64_t flat);

/* The same for what was read from the table of latest values. What is here already stays. */
ioi_cache_result ioi_cache_promote(uint8_t *base, uint64_t hash, const uint8_t *key, uint32_t key_len, const uint8_t *bytes,
                                   uint32_t len, uint64_t flat);

/* Now it is wholly of this state. */
void ioi_cache_stamp(uint8_t *base, const uint8_t stamp[IOI_STAMP]);

/* Whether it is. */
bool ioi_cache_is_of(const uint8_t *base, const uint8_t *stamp, size_t len);

/* Ask for the memory that a key of this hash will need: its bucket, or, when that is there, its record. */
void ioi_cache_prefetch(const uint8_t *base, uint64_t hash, bool record);

/* The record of a key, or NULL. */
const ioi_cached *ioi_cache_find(const uint8_t *base, uint64_t hash, const uint8_t *key, uint32_t len);

#endif
