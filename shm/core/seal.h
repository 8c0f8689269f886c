/* The write set of a block that is done: the last write of every key, ascending by key, packed one behind the other.
 *
 * Each write is its key, then its value. `ends` says where each of the two ends, by turns; bit 63 of a value's end says that the
 * key is deleted, and then the value is empty. The storage takes it as it is.
 */
#ifndef IOI_SEAL_H
#define IOI_SEAL_H

#include "mvmemory.h"
#include "sort.h"

#define IOI_SEAL_DELETED (UINT64_C(1) << 63)

typedef struct ioi_seal {
    ioi_sorted *writes; /* ascending by key; each an ioi_entry and its last word */
    size_t count;
    uint64_t bytes; /* of all keys and values */
} ioi_seal;

/* Take the writes out of the arena. The coordinator, after the block is done. False: no memory. */
bool ioi_seal_take(ioi_arena *arena, ioi_seal *seal);

/* Pack them into `blob` (seal->bytes) and `ends` (u64[2 * count]). */
void ioi_seal_pack(ioi_arena *arena, const ioi_seal *seal, uint8_t *blob, uint64_t *ends);

void ioi_seal_free(ioi_seal *seal);

/* One write behind others: `at` bytes are packed already. Returns how many then. value NULL = deleted; it may be in its place. */
uint64_t ioi_seal_put(uint8_t *blob, uint64_t at, uint64_t ends[2], const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t len);

#endif
