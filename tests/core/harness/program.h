/* Random transactions: tiny byte-coded programs over a few keys, and the one interpreter that runs them.
 *
 * The interpreter reaches the state through a `world`, of which there are two: the engine's view (engine.c) and plain
 * arrays (oracle.c). A program keeps an accumulator into which everything it reads is folded, branches on it, writes what
 * it makes of it and may compute keys from it: one wrong read changes all that follows. It also checks opacity: a key
 * read again, or met again in a scan, must show what it showed before.
 */
#ifndef TEST_PROGRAM_H
#define TEST_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioi_vm.h"

enum { KEYS_MAX = 100, MARKS_MAX = 6, VALUE_MAX = 12000, OUTPUT_MAX = 24 };

/* ---- random numbers: splitmix64 ---------------------------------------------------------------------------------- */

static inline uint64_t mix64(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}
static inline uint64_t rng_next(uint64_t *state) { return mix64(*state += UINT64_C(0x9e3779b97f4a7c15)); }
static inline uint32_t rng_below(uint64_t *state, uint32_t limit) { return (uint32_t)(rng_next(state) % limit); }
static inline bool rng_chance(uint64_t *state, uint32_t percent) { return rng_below(state, 100) < percent; }

uint64_t hash_bytes(const uint8_t *bytes, size_t len);

/* ---- programs ------------------------------------------------------------------------------------------------------ */

typedef enum op_code {
    OP_GET,
    OP_EXISTS,
    OP_PUT,
    OP_REMOVE,
    OP_BRANCH, /* skip `imm` operations if (acc & mask) == 0 */
    OP_MARK,
    OP_KEEP, /* close a checkpoint, keeping its writes: the `imm`-th open one from the inside */
    OP_UNDO,
    OP_FAIL,  /* end with a code if (acc & mask) == 0 */
    OP_FAULT, /* a machine fault if (acc & mask) == 0 */
    OP_SCAN,
    OP_SPIN, /* take longer, by `imm` turns, and pay for it */
    OP_ADD,
    OP_EMIT,
    OP_ANTE, /* at the very beginning: the next `imm` operations are what pays, a program of their own */
} op_code;

enum {
    FLAG_DYNAMIC = 1,  /* the key depends on the accumulator */
    FLAG_FEW = 2,      /* PUT: one of two values, so that equal ones are common */
    FLAG_CONSTANT = 4, /* PUT: a value that depends on nothing read */
    FLAG_BIG = 8,      /* PUT: thousands of bytes */
    FLAG_EMPTY = 16,   /* PUT: no bytes */
    FLAG_LARGE = 2,    /* ADD: much at once */
    FLAG_AWAY = 8,     /* ADD: not where most do */
    FLAG_BOUND = 16,   /* ADD: within narrow bounds */
    FLAG_NO_LOW = 2,   /* SCAN */
    FLAG_NO_HIGH = 4,
    FLAG_REVERSE = 8,
    FLAG_PEEK = 16, /* SCAN: read another key at every key met */
    FLAG_POKE = 32, /* SCAN: overwrite every key met */
};

typedef struct op {
    uint8_t code, key, mask, flags;
    uint32_t imm;
} op;

/* A bound of a range as 2 * rank of a key, plus 1 for the place right after it (the key with a zero byte appended). */
typedef struct key_bounds {
    uint32_t low, high; /* inclusive, exclusive */
    bool no_low, no_high, reverse;
    uint32_t limit; /* 0 = none */
} key_bounds;

static inline bool within(const key_bounds *b, uint32_t key) {
    return (b->no_low || 2 * key >= b->low) && (b->no_high || 2 * key < b->high);
}

typedef struct world world;
typedef int scan_visit(void *context, uint32_t key, const uint8_t *value, size_t len);
struct world { /* results as in ioi_vm.h; keys by rank */
    int (*get)(world *, uint32_t key, const uint8_t **value, size_t *len);
    int (*exists)(world *, uint32_t key);
    int (*put)(world *, uint32_t key, const uint8_t *value, size_t len);
    int (*remove)(world *, uint32_t key);
    int (*add)(world *, uint32_t key, const ioi_addition *, size_t *found);
    int (*emit)(world *, const ioi_attribute *); /* an event "e" with one attribute */
    int (*mark)(world *, uint64_t *mark);
    int (*close)(world *, uint64_t mark, int undo);
    /* Visit in order until the limit; *complete unless the limit ended it. IOI_STOP from `visit` is passed on. */
    int (*scan)(world *, const key_bounds *, scan_visit *, void *context, bool *complete);
    void (*spin)(world *, uint32_t turns); /* may be NULL */
    int (*charge)(world *, uint64_t amount);
    void (*opacity)(world *, const char *what, uint32_t key);
};

typedef struct program_outcome {
    uint32_t code;
    bool fault, refused;
    uint64_t gas_wanted, gas_used;
    uint8_t output[OUTPUT_MAX];
    size_t output_len;
    char error[24];
    size_t error_len;
} program_outcome;

/* The gas that a program asks for. */
uint64_t program_gas_limit(const uint8_t *bytes, size_t len);

/* IOI_OK with *out filled, or IOI_STOP as soon as the world says so. `salt` starts the accumulator. */
int program_run(const uint8_t *bytes, size_t len, uint64_t salt, uint32_t keys, world *w, program_outcome *out);

/* Where the operations of `ante` begin and end, and the others begin. */
void program_ante(const uint8_t *bytes, size_t len, size_t *from, size_t *to);

/* What kind of programs a block holds; percentages unless said otherwise. */
typedef struct program_profile {
    uint32_t keys, operations;                                            /* most of them, per transaction */
    uint32_t hot;                                                         /* how often key 0 is meant */
    uint32_t reads, writes, removes, branches, checkpoints, fails, scans; /* weights */
    uint32_t dynamic, few, constant, big, faults, spin;
    uint32_t adds, emits; /* weights */
    uint32_t antes;       /* how many programs have one */
} program_profile;

program_profile profile_random(uint64_t *rng, uint32_t keys, bool scans, bool faults);

/* The same, but most of what is done are adds, to few keys. */
void profile_counting(uint64_t *rng, program_profile *profile);

/* Append one random program to `bytes` (room for PROGRAM_BYTES_MAX); returns its length. */
enum { PROGRAM_OPS_MAX = 16, PROGRAM_BYTES_MAX = PROGRAM_OPS_MAX * sizeof(op) };
size_t program_generate(uint64_t *rng, const program_profile *profile, uint8_t *bytes);

/* The ranks a program names outright, for hints: calls emit for each. */
void program_keys(const uint8_t *bytes, size_t len, uint32_t keys, void (*emit)(void *, uint32_t key), void *context);

#endif
