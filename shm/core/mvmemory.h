/* The multi-version memory (Block-STM, Gelashvili et al. 2023, algorithm 2): for every key the value each
 * transaction of the block last wrote, and below them the committed state ("base").
 *
 * A *word* says what stands somewhere, in 64 bits that are replaced by one atomic store:
 *
 *     record offset | ESTIMATE (4) | DELETED (2), VALUE (1) or ADDED (3);   0 = nothing (withdrawn, or not read yet)
 *
 * The record (length, incarnation, bytes) is complete before the word that names it is stored, never changes
 * and is not reused within the block. So a word without its ESTIMATE bit is also the version's identity: equal words, same
 * incarnation of the same transaction. A base word is made the same way when the committed value is first read; where the
 * cache has it (cache.h) it names the record there. Which of the two is in the offset itself: records of the arena lie at
 * multiples of 16, those of the cache 8 behind one (CACHED).
 *
 * ADDED: the transaction added to the key's counter (counter.h) without having read it. The record is what it added, modulo
 * 2^128; the value is that, and what others added, on top of the first version below that is none. A key has one counter in a
 * block, where who adds first says it is; whoever adds elsewhere in the value reads and writes it. Adds may be published in any
 * order, so nothing in between need be right: an add that was done, or refused, has learned that the counter below was within
 * some bounds, and that the value had the right length. This is what it keeps as its read and what is validated; the watermark
 * does so when all below is final, and then no sum is modulo anything.
 *
 * Where many add, whoever has summed up what is final keeps the value for those to come (ioi_known), and where many lie between the
 * watermark and who asks, the key gets sums over its positions (sums.h): O(log n) steps.
 *
 * A finished incarnation leaves one immutable ioi_incarnation: its receipt, what it read (and which words it
 * saw), the ranges it scanned, where it wrote. Validation takes that and compares with what stands now.
 * Everything here is a help to finish early except one thing: the validation at the watermark, when all lower
 * transactions are final. On that one rests correctness.
 */
#ifndef IOI_MVMEMORY_H
#define IOI_MVMEMORY_H

#include "counter.h"
#include "versions.h"

#define IOI_VALUE UINT64_C(1)
#define IOI_DELETED UINT64_C(2)
#define IOI_ADDED (IOI_VALUE | IOI_DELETED)
#define IOI_ESTIMATE UINT64_C(4)
#define IOI_TAGS UINT64_C(7)
#define IOI_CACHED UINT64_C(8)

typedef struct ioi_record {
    uint32_t len;
    uint32_t incarnation : 29;
    uint32_t deleted : 1; /* the key is: no bytes */
    uint32_t added : 1;   /* of an ADDED word: an ioi_u128 */
    uint32_t learned : 1; /* of a read alone: ioi_learned */
    uint8_t bytes[];
} ioi_record;
enum { IOI_RECORD_ALIGN = 2 * IOI_UNIT }; /* in the arena */

/* What adding to a counter has learned of it, and of the value it is in, which had the right length or was absent. */
typedef struct ioi_learned {
    uint64_t low[2], high[2]; /* it was not below, and not above: halves, the lower first, for a record is aligned for these */
} ioi_learned;

/* One read. */
typedef struct ioi_read {
    ioi_ref entry;  /* with IOI_PRESENCE where only that was asked for */
    ioi_ref record; /* of the word that was seen: ioi_seen_record, ioi_seen_word */
} ioi_read;
#define IOI_PRESENCE UINT32_C(1) /* entries lie at multiples of two units */

/* The entry's offset. */
static inline uint64_t ioi_read_entry(const ioi_read *read) { return (uint64_t)(read->entry & ~IOI_PRESENCE) * IOI_UNIT; }

typedef struct ioi_write {
    ioi_ref entry;
    ioi_ref version; /* its node; what it wrote is there */
} ioi_write;

/* A range as far as a scan looked: every key in it was seen, as a read or as absent.
 * From `low` (inclusive; low_len UINT32_MAX = from the first key) to `high` (UINT32_MAX = to the last key). */
typedef struct ioi_range {
    uint32_t low_len, high_len;
    uint32_t high_inclusive;
    ioi_ref low, high; /* of the bytes */
} ioi_range;
#define IOI_UNBOUNDED UINT32_MAX

/* The same with addresses instead of offsets. */
typedef struct ioi_bounds {
    const uint8_t *low, *high;
    uint32_t low_len, high_len;
    bool high_inclusive;
} ioi_bounds;

/* Does a key lie behind the upper bound? Between the two? */
bool ioi_beyond(const ioi_bounds *bounds, const uint8_t *key, uint32_t len);
bool ioi_within(const ioi_bounds *bounds, const uint8_t *key, uint32_t len);

ioi_bounds ioi_range_bounds(const ioi_arena *arena, const ioi_range *range);

/* What a transaction ends with (DESIGN: receipts). A fault is no receipt: if its incarnation is valid, the block stops. */
typedef struct ioi_receipt {
    uint32_t code;
    uint32_t fault; /* 1: `error` describes a machine fault */
    uint32_t output_len, error_len, tail_len;
    uint64_t gas_wanted, gas_used;
    ioi_ref output, error, tail; /* of the bytes; the tail is packed: block.h */
} ioi_receipt;

/* What few incarnations have. */
typedef struct ioi_more {
    ioi_receipt receipt;
    uint32_t ranges_count;
    ioi_ref ranges; /* ioi_range[ranges_count] */
} ioi_more;

typedef struct ioi_incarnation {
    uint32_t incarnation;
    uint32_t reads_count, writes_count;
    ioi_ref more;     /* 0: it scanned nothing and succeeded without output or gas */
    ioi_read reads[]; /* ioi_write[writes_count] behind them */
} ioi_incarnation;

static inline uint64_t ioi_incarnation_bytes(uint32_t reads_count, uint32_t writes_count) {
    return sizeof(ioi_incarnation) + reads_count * sizeof(ioi_read) + writes_count * sizeof(ioi_write);
}
static inline ioi_write *ioi_incarnation_writes(const ioi_incarnation *inc) {
    return (ioi_write *)(inc->reads + inc->reads_count);
}
static inline const ioi_more *ioi_incarnation_more(const ioi_arena *arena, const ioi_incarnation *inc) {
    static const ioi_more nothing;
    return inc->more ? ioi_deref(arena, inc->more) : &nothing;
}
static inline const ioi_receipt *ioi_incarnation_receipt(const ioi_arena *arena, const ioi_incarnation *inc) {
    return &ioi_incarnation_more(arena, inc)->receipt;
}

typedef enum ioi_seen {
    IOI_SEEN_VERSION,  /* *word is a version's */
    IOI_SEEN_BASE,     /* *word is the base's */
    IOI_SEEN_ESTIMATE, /* an aborted incarnation of *writer stands in the way */
    IOI_SEEN_NOTHING,  /* no version, and the base has not been read yet */
    IOI_SEEN_FULL      /* there is no room in the arena for what was summed up */
} ioi_seen;

/* What stands where a read, or the absence of a key, does not stand any more. */
typedef struct ioi_cause {
    uint64_t entry;       /* offset: which key */
    uint32_t position;    /* of the version that stands there now; 0: the base, an overlay, or nothing */
    uint32_t incarnation; /* which wrote that version */
    bool estimate;        /* and was aborted */
} ioi_cause;

/* The value of a key at a position up to which all is final. */
typedef struct ioi_known {
    uint32_t position;
    uint32_t unused;
    uint64_t word;
} ioi_known;

/* Is the key's counter there, or nobody's yet and so from now on? False also where the arena is full: *full. */
bool ioi_mv_counter(ioi_alloc *alloc, ioi_entry *entry, const ioi_field *field, bool *full);

/* Where the counter of a key is to which somebody has added. */
ioi_field ioi_mv_field(const ioi_arena *arena, const ioi_entry *entry);

/* The counter as the transaction at `position` sees it, aborted adds as they were: IOI_SEEN_VERSION. *word and *writer as
 * ioi_mv_read has them. *length of the value; where that is not the field's, there is no counter. */
ioi_seen ioi_mv_count(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, ioi_u128 *counter, uint32_t *length, uint64_t *word,
                      uint32_t *writer);

/* As told by what ioi_mv_read found. */
ioi_cause ioi_mv_cause(const ioi_arena *arena, uint64_t entry, uint32_t position, uint64_t word);

/* A complete record with its word (`state` IOI_VALUE or IOI_DELETED). 0 when the arena is full. */
uint64_t ioi_mv_record(ioi_alloc *alloc, uint64_t state, uint32_t incarnation, const uint8_t *bytes, uint32_t len);

/* Keep the committed value of a key for the block (bytes NULL = absent). The first to come wins. False when full. */
bool ioi_mv_set_base(ioi_alloc *alloc, ioi_entry *entry, const uint8_t *bytes, uint32_t len);

/* The same for a value that was read from the table of latest values: the coordinator may keep it for later blocks. */
typedef struct ioi_fetched {
    uint64_t next; /* list of ioi_slot.fetched */
    uint64_t entry;
    ioi_record record; /* what its base word names */
} ioi_fetched;
static_assert(offsetof(ioi_fetched, record) % IOI_RECORD_ALIGN == 0, "a record of the arena");
bool ioi_mv_fetched(ioi_alloc *alloc, ioi_slot *slot, ioi_entry *entry, const uint8_t *bytes, uint32_t len);

/* The base word of a key, as far as the block or the cache has it; 0: it must be brought. */
uint64_t ioi_mv_base(const ioi_arena *arena, ioi_entry *entry);

/* What the transaction at `position` sees of a key. An ADDED word says that there is a value, and ioi_mv_value which. */
ioi_seen ioi_mv_value(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t *word, uint32_t *writer);
ioi_seen ioi_mv_read(ioi_alloc *alloc, ioi_entry *entry, uint32_t position, uint64_t *word, uint32_t *writer);

/* Does every read of this incarnation still stand? Same word: yes, without looking at bytes; else, unless `by_version`, equal
 * values (or equal presence, where only that was asked). An ESTIMATE or an unread base counts as no. `scratch` is needed
 * for ranges: a process-private set, see below. If one does not, *cause (may be NULL) is what the first such met. */
typedef struct ioi_entry_set ioi_entry_set;
bool ioi_mv_validate(ioi_alloc *alloc, const ioi_incarnation *inc, uint32_t position, bool by_version, ioi_entry_set *scratch,
                     ioi_cause *cause);

/* The same for a single read; and for what adding learned of a key. */
bool ioi_mv_read_stands(ioi_alloc *alloc, const ioi_read *read, uint32_t position, bool by_version);
bool ioi_mv_learned_stands(ioi_alloc *alloc, ioi_entry *entry, const ioi_learned *learned, uint32_t position);

/* And for a range: no key in it has a live value now (`by_version`: nor a deletion) but those of which `seen(context, entry's
 * offset)`. Else *cause (may be NULL) is the first such. */
bool ioi_mv_range_stands(ioi_alloc *alloc, const ioi_bounds *bounds, uint32_t position, bool by_version,
                         bool (*seen)(const void *context, uint64_t entry), const void *context, ioi_cause *cause);

/* Whether a value is there, and its record. */
static inline bool ioi_word_present(uint64_t word) { return (word & IOI_VALUE) != 0; }
static inline bool ioi_word_added(uint64_t word) { return (word & IOI_ADDED) == IOI_ADDED; }
static inline const ioi_record *ioi_word_record(const ioi_arena *arena, uint64_t word) {
    uint64_t offset = word & ~IOI_TAGS;
    if (!(word & IOI_CACHED)) return ioi_at(arena, offset);
    assert(offset != 0 && offset < arena->cache_size);
    return (const ioi_record *)(arena->cache + offset);
}

/* A word as a read keeps it, and back. No ESTIMATE is ever read. */
static inline ioi_ref ioi_seen_record(uint64_t word) {
    static_assert((IOI_TAGS + 1) == IOI_UNIT, "the tags are what an offset in units leaves out");
    assert(!(word & IOI_ESTIMATE) && word < IOI_ARENA_MAX);
    return (ioi_ref)(word / IOI_UNIT);
}
static inline uint64_t ioi_seen_word(const ioi_arena *arena, ioi_ref record) {
    uint64_t word = (uint64_t)record * IOI_UNIT;
    const ioi_record *r = ioi_word_record(arena, word);
    return word | (r->deleted ? IOI_DELETED : r->added ? IOI_ADDED : IOI_VALUE);
}

/* Is this what adding to a counter has learned? */
static inline bool ioi_read_learned(const ioi_arena *arena, const ioi_read *read) {
    return ioi_word_record(arena, (uint64_t)read->record * IOI_UNIT)->learned;
}

/* One buffered write, on its way to be published. */
typedef struct ioi_put {
    ioi_entry *entry;
    const uint8_t *bytes; /* NULL = delete */
    uint32_t len;
    bool added; /* `bytes` are an ioi_u128 */
} ioi_put;

/* Publish the writes of an incarnation at `position` and withdraw what `previous` (or NULL) wrote and this one did
 * not. Fills writes[count]. *wrote_new is set if a key was written that `previous` had not written: only then can the
 * validity of higher transactions change beyond what ESTIMATEs, if there were any, already said. False when the arena is full. */
bool ioi_mv_publish(ioi_alloc *alloc, ioi_slot *slot, uint32_t position, uint32_t incarnation, const ioi_put *puts,
                    uint32_t count, const ioi_incarnation *previous, ioi_write *writes, bool *wrote_new);

/* Turn the writes of an aborted incarnation into ESTIMATEs. */
void ioi_mv_estimate(ioi_alloc *alloc, const ioi_incarnation *aborted);

/* The last write of every key written by a transaction of the block (position >= 1), in no order: calls `emit`
 * for each. For the coordinator, after the block is done. The value of an ADDED word: ioi_mv_sealed, of as many bytes as its field says. */
void ioi_mv_seal(ioi_arena *arena, uint32_t workers, void (*emit)(void *, const ioi_entry *, uint64_t word), void *context);

void ioi_mv_sealed(ioi_alloc *alloc, ioi_entry *entry, uint8_t *value);

/* A private set of entries (which belongs to one thread), emptied in O(1). */
ioi_entry_set *ioi_entry_set_new(void);
void ioi_entry_set_free(ioi_entry_set *set);

#endif
