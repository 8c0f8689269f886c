/* Limits of one transaction; they can decide a receipt, so the engine and the sequential reference share them. */
#ifndef IOI_WRITE_LIMITS_H
#define IOI_WRITE_LIMITS_H

#include "bytes.h"
#include "gas.h"

typedef struct ioi_limits {
    uint32_t key_bytes, value_bytes;
    uint32_t tx_keys;        /* distinct keys written */
    uint64_t tx_write_bytes; /* sum of key and value lengths of its writes as they stand */
    uint32_t checkpoint_depth;
    uint32_t output_bytes;
    ioi_gas gas;
} ioi_limits;

enum { IOI_CODE_EXCEPTION = 2, IOI_ERROR_BYTES = 1024 };

/* Parts of a receipt's tail (block.h), each with so many bytes before it: its kind, and its length. */
typedef enum ioi_tail {
    IOI_TAIL_TRACEBACK = 1,
    IOI_TAIL_EVENTS, /* events.h */
    IOI_TAIL_REFUSED /* no bytes: `ante` did not let the transaction in */
} ioi_tail;

/* False: no memory. */
static inline bool ioi_tail_add(ioi_bytes *tail, ioi_tail kind, const uint8_t *bytes, size_t len) {
    uint8_t what = (uint8_t)kind;
    uint32_t length = (uint32_t)len;
    return ioi_bytes_add(tail, &what, 1) && ioi_bytes_add(tail, &length, sizeof length) && ioi_bytes_add(tail, bytes, len);
}

/* What a native VM returned, within the limits: an output too long fails the transaction, an error text is cut. */
static inline void ioi_bound_outcome(const ioi_limits *limits, ioi_outcome *outcome) {
    static const char too_long[] = "LimitExceeded";
    if (outcome->code != 0) outcome->output_len = 0;
    if (outcome->output_len > limits->output_bytes) {
        outcome->code = IOI_CODE_EXCEPTION;
        outcome->output_len = 0;
        outcome->error = too_long;
        outcome->error_len = sizeof too_long - 1;
    }
    if (outcome->error_len > IOI_ERROR_BYTES) outcome->error_len = IOI_ERROR_BYTES;
}

#endif
