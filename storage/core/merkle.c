#include "merkle.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

enum { BATCH = 64, INNER_SIZE = 65 };

/* Hashes neighbours pairwise; an odd last one moves up as it is. Level by level this is the same tree as splitting at
 * the largest power of two. A pair like the one before it, as plain successes in a row make them, is not hashed again. */
static size_t reduce(uint8_t (*hashes)[SHA256_SIZE], size_t count) {
    uint8_t blocks[BATCH][SHA256_TWO_BLOCKS];
    uint8_t *out[BATCH];
    size_t pairs = count / 2;
    for (size_t i = 0; i < BATCH && i < pairs; i++) {
        blocks[i][0] = 0x01;
        sha256_pad(blocks[i], INNER_SIZE);
    }
    for (size_t first = 0, end; first < pairs; first = end) {
        size_t n = 0;
        for (end = first; end < pairs; end++) {
            const uint8_t *pair = hashes[2 * end];
            if (end > first && memcmp(blocks[n - 1] + 1, pair, 2 * SHA256_SIZE) == 0) continue;
            if (n == BATCH) break;
            memcpy(blocks[n] + 1, pair, 2 * SHA256_SIZE);
            out[n++] = hashes[end];
        }
        sha256_two_blocks((const uint8_t (*)[SHA256_TWO_BLOCKS])blocks, out, n); /* overwrites pairs that were read, no others */
        for (size_t i = 0; i < n; i++) {                                         /* to those that were left out */
            uint8_t (*upto)[SHA256_SIZE] = i + 1 < n ? (uint8_t (*)[SHA256_SIZE])out[i + 1] : hashes + end;
            for (uint8_t (*to)[SHA256_SIZE] = (uint8_t (*)[SHA256_SIZE])out[i] + 1; to < upto; to++)
                memcpy(*to, out[i], SHA256_SIZE);
        }
    }
    if (count % 2 != 0) memmove(hashes[pairs], hashes[count - 1], SHA256_SIZE);
    return pairs + count % 2;
}

static bool like_before(const uint8_t *blob, const uint64_t *ends, size_t i) {
    if (i == 0) return false;
    uint64_t before = i > 1 ? ends[i - 2] : 0, length = ends[i - 1] - before;
    return ends[i] - ends[i - 1] == length && (length == 0 || memcmp(blob + before, blob + ends[i - 1], (size_t)length) == 0);
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
    size_t differ = 0; /* from the leaf before them */
    begin = 0;
    for (size_t i = 0; i < count; begin = ends[i++]) {
        size_t length = (size_t)(ends[i] - begin);
        if (like_before(blob, ends, i)) continue;
        messages[differ++] = (struct sha256_message){at, length + 1, hashes[i]};
        *at++ = 0x00;
        if (length > 0) memcpy(at, blob + begin, length);
        at += length;
    }
    sha256_many(messages, differ);
    for (size_t i = 1; i < count; i++)
        if (like_before(blob, ends, i)) memcpy(hashes[i], hashes[i - 1], SHA256_SIZE);
    while (count > 1) count = reduce(hashes, count);
    memcpy(root, hashes[0], SHA256_SIZE);
    free(prefixed), free(hashes), free(messages);
    return MERKLE_OK;
}
