/* Walking over the committed state in key order, which whoever runs the core brings: it is in a database. */
#ifndef IOI_BASE_RANGE_H
#define IOI_BASE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ioi_pair {
    const uint8_t *key, *value;
    size_t key_len, len;
} ioi_pair;

typedef struct ioi_base_ranges {
    void *context;
    /* A walk from low to below high (NULL = open), or from the far end. NULL: that cannot be read. */
    void *(*open)(void *context, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse);
    /* 1 with the next pair, whose bytes are valid until the next call; 0 at the end; -1: that cannot be read. */
    int (*next)(void *context, void *walk, ioi_pair *pair);
    void (*close)(void *context, void *walk);
} ioi_base_ranges;

#endif
