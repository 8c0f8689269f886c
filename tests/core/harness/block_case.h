/* One random block: what goes in, and by the oracle what must come out. A seed says everything. */
#ifndef TEST_BLOCK_CASE_H
#define TEST_BLOCK_CASE_H

#include "program.h"
#include "view.h"

enum { KEY_LEN_MAX = 40, BASE_VALUE_MAX = 40, ORACLE_MARKS_MAX = MARKS_MAX };

typedef struct case_value {
    bool present;
    uint32_t len;
    uint8_t *bytes; /* malloc'ed; NULL unless present */
} case_value;

typedef struct block_case {
    uint64_t seed;
    uint32_t n, keys;
    bool scans, faults, hints, end_block, ante;
    uint64_t hash_seed[4];
    ioi_limits limits;
    uint8_t key_bytes[KEYS_MAX][KEY_LEN_MAX]; /* ascending */
    uint32_t key_len[KEYS_MAX];
    case_value base[KEYS_MAX], overlay[KEYS_MAX];
    bool has_overlay[KEYS_MAX];
    uint8_t *txs; /* programs one after another; program n is end_block's */
    uint64_t *ends;
    /* expected */
    program_outcome *outcomes; /* [n + 1] */
    ioi_bytes *events;         /* of each, packed */
    bool faulted;
    uint32_t fault_tx;
    case_value final[KEYS_MAX];
    bool written[KEYS_MAX];
    uint64_t accesses; /* checksum of what was read and written, 0 before the first record: recorded.c */
} block_case;

/* Bounds of what may be generated. */
typedef struct case_sizes {
    uint32_t n, keys; /* most */
    uint32_t scan_percent, fault_percent, counting_percent;
} case_sizes;

block_case *block_case_new(uint64_t seed, const case_sizes *sizes);
void block_case_free(block_case *c);

const uint8_t *block_case_tx(const block_case *c, uint32_t tx, size_t *len);

/* Starts a transaction's accumulator; end_block's depends on the codes of all receipts. */
uint64_t block_case_salt(const block_case *c, uint32_t tx, uint32_t (*code)(void *, uint32_t tx), void *context);

/* Whether a receipt's events, and whether it was refused, are what the oracle says. */
bool case_tail_is(const block_case *c, uint32_t tx, const uint8_t *tail, size_t len);

/* Rank of a key, by its bytes; aborts if it is none of the case's. */
uint32_t block_case_rank(const block_case *c, const uint8_t *key, uint32_t len);

/* oracle.c: fill the expected part, one transaction after another over plain arrays. */
void oracle_run(block_case *c);

#endif
