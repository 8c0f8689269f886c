#include "merkle.h"

#include <stdlib.h>
#include <string.h>

#include "sha256.h"

enum { BATCH = 64, INNER_SIZE = 65 };

/* Hashes neighbours pairwise; an odd last one moves up as it is. Level by level this is the same tree as splitting at
 * the largest power of two. */
static size_t reduce(uint8_t (*hashes)[SHA256_SIZE], size_t count) {
    uint8_t blocks[BATCH][SHA256_TWO_BLOCKS];
    uint8_t *out[BATCH];
    size_t pairs = count / 2;
    for (size_t i = 0; i < BATCH && i < pairs; i++) {
        blocks[i][0] = 0x01;
        sha256_pad(blocks[i], INNER_SIZE);
    }
    for (size_t first = 0; first < pairs; first += BATCH) {
        size_t n = pairs - first < BATCH ? pairs - first : BATCH;
        for (size_t i = 0; i < n; i++) {
            memcpy(blocks[i] + 1, hashes[2 * (first + i)], 2 * SHA256_SIZE);
            out[i] = hashes[first + i];
        }
        sha256_two_blocks((const uint8_t (*)[SHA256_TWO_BLOCKS])blocks, out, n);
    }
    if (count % 2 != 0) memmove(hashes[pairs], hashes[count - 1], SHA256_SIZE);
    return pairs + count % 2;
}

enum merkle_result merkle_root(const uint8_t *blob, size_t size, const uint64_t *ends, size_t count, uint8_t root[32]) {
    uint64_t begin = 0;
    for (size_t i = 0; i < count; begin = ends[i++]) {
        if (ends[i] < begin || ends[i] > size) return MERKLE_BAD_ENDS;
    }
    if (begin != size) return MERKLE_BAD_ENDS;
    if (count == 0) {
        sha256(NULL, 0, root);
        return MERKLE_OK;
    }
    uint8_t *prefixed = malloc(size + count);
    uint8_t (*hashes)[SHA256_SIZE] = malloc(count * SHA256_SIZE);
    struct sha256_message *messages = malloc(count * sizeof *messages);
    if (prefixed == NULL || hashes == NULL || messages == NULL) {
        free(prefixed), free(hashes), free(messages);
        return MERKLE_MEMORY;
    }
    uint8_t *at = prefixed;
    begin = 0;
    for (size_t i = 0; i < count; begin = ends[i++]) {
        size_t length = (size_t)(ends[i] - begin);
        messages[i] = (struct sha256_message){at, length + 1, hashes[i]};
        *at++ = 0x00;
        if (length > 0) memcpy(at, blob + begin, length);
        at += length;
    }
    sha256_many(messages, count);
    while (count > 1) count = reduce(hashes, count);
    memcpy(root, hashes[0], SHA256_SIZE);
    free(prefixed), free(hashes), free(messages);
    return MERKLE_OK;
}
