/* Programs as bytes: one operation at a time, every length checked. Pure; points into the transaction. */
#ifndef IOI_STRESS_PARSE_H
#define IOI_STRESS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROGRAM_HEAD = 9, /* version, id */
    PROGRAM_DEPTH = 16,
    PROGRAM_KEY_MAX = 255,
};

typedef enum program_code {
    PROGRAM_READ = 1,
    PROGRAM_EXISTS,
    PROGRAM_WRITE,
    PROGRAM_DELETE,
    PROGRAM_SCAN,
    PROGRAM_WHEN,
    PROGRAM_UNDO,
    PROGRAM_REVERT,
    PROGRAM_BURN,
    PROGRAM_SLEEP,
    PROGRAM_ADD,
} program_code;

typedef struct program_bytes {
    const uint8_t *at, *end;
} program_bytes;

typedef struct program_key {
    const uint8_t *name;
    uint8_t length;
    uint32_t numbers; /* 0: the name is all of it */
} program_key;

typedef struct program_op {
    program_code code;
    program_key key;
    uint64_t number; /* size, nanoseconds, or the code of a REVERT */
    int64_t delta;
    uint8_t mask, bits;
    program_bytes body;
} program_op;

/* What a transaction is. */
typedef enum program_kind { PROGRAM_MALFORMED, PROGRAM_PLAIN, PROGRAM_SCANS } program_kind;

/* Looks at all of it. *body: its operations, if it is not malformed; `program_next` then never fails on them. */
program_kind program_check(const uint8_t *tx, size_t len, program_bytes *body);

/* The next operation; false if the bytes are none. rest->at < rest->end. */
bool program_next(program_bytes *rest, program_op *op);

#endif
