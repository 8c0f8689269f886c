/* The Merkle tree of RFC 6962 section 2.1 over SHA-256: leaf = H(0x00 | data), inner = H(0x01 | left | right), split at
 * the largest power of two below the number of leaves; no leaves = H(""). CometBFT's last_results_hash is this tree.
 */
#ifndef IOI_MERKLE_H
#define IOI_MERKLE_H

#include <stddef.h>
#include <stdint.h>

enum merkle_result { MERKLE_OK, MERKLE_BAD_ENDS, MERKLE_MEMORY };

/* root of `count` leaves; leaf i = blob[ends[i-1] .. ends[i]), ends[-1] = 0. MERKLE_BAD_ENDS if the ends descend or the
 * last is not `size`. */
enum merkle_result merkle_root(const uint8_t *blob, size_t size, const uint64_t *ends, size_t count, uint8_t root[32]);

#endif
