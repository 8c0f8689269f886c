/* Things in the byte order of their keys. They are sorted by eight bytes of each key, behind what all of them begin with, byte by
 * byte from the last; then those that are alike in them by the whole key.
 */
#ifndef IOI_SORT_H
#define IOI_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ioi_sorted {
    uint64_t order; /* the eight bytes; ioi_sort sets it */
    const void *of;
    uint64_t word; /* whatever goes with it */
} ioi_sorted;

typedef const uint8_t *ioi_key_of(const void *of, uint32_t *len);

/* Sort the array, which is from malloc and may be given up for another one. Keys differ. False: no memory, and the array as it was. */
bool ioi_sort(ioi_sorted **items, size_t count, ioi_key_of *key_of);

#endif
