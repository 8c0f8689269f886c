/* Prints digests for test_storage_core_c.py to compare with hashlib.
 *
 * argv[1]: the back end; exit status 3 if this CPU lacks it. For each size 0..300 and 1..8 messages at once: one line
 * "size index digest" a message, through sha256_many; sizes of neighbours differ by index % 3 * 40 so that lanes of
 * different lengths meet. Sizes 56..119 go through sha256_two_blocks as well and must agree. Then calls of up to MOST
 * messages of any sizes. With argv[2] it prints the digest of its standard input instead.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

static uint8_t *message(size_t size, unsigned index) {
    uint8_t *bytes = malloc(size > 0 ? size : 1); /* its own block, so that a read past its end is seen */
    assert(bytes != NULL);
    for (size_t j = 0; j < size; j++) bytes[j] = (uint8_t)(index * 31 + j * 7 + size);
    return bytes;
}

static void check_two_blocks(const struct sha256_message *messages, unsigned count) {
    uint8_t blocks[8][SHA256_TWO_BLOCKS], digests[8][SHA256_SIZE];
    uint8_t *out[8];
    for (unsigned i = 0; i < count; i++) {
        if (messages[i].size < 56 || messages[i].size > 119) return;
        memcpy(blocks[i], messages[i].data, messages[i].size);
        sha256_pad(blocks[i], messages[i].size);
        out[i] = digests[i];
    }
    sha256_two_blocks((const uint8_t (*)[SHA256_TWO_BLOCKS])blocks, out, count);
    for (unsigned i = 0; i < count; i++) assert(memcmp(digests[i], messages[i].digest, SHA256_SIZE) == 0);
}

static void print_digest(const uint8_t digest[SHA256_SIZE]) {
    for (unsigned j = 0; j < SHA256_SIZE; j++) printf("%02x", digest[j]);
    printf("\n");
}

enum { MOST = 40, INPUT = 1 << 20 };

/* Lanes end at different blocks and take the next message. */
static void many(uint32_t seed) {
    struct sha256_message messages[MOST];
    uint8_t digests[MOST][SHA256_SIZE];
    unsigned count = 1 + seed % MOST;
    for (unsigned i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t size = (seed >> 16) % (seed % 3 == 0 ? 1500 : 130);
        messages[i] = (struct sha256_message){message(size, i), size, digests[i]};
    }
    sha256_many(messages, count);
    for (unsigned i = 0; i < count; i++) {
        printf("%zu %u ", messages[i].size, i);
        print_digest(digests[i]);
        free((void *)messages[i].data);
    }
}

static void hash_input(void) {
    uint8_t *bytes = malloc(INPUT), digest[SHA256_SIZE];
    assert(bytes != NULL);
    sha256(bytes, fread(bytes, 1, INPUT, stdin), digest);
    print_digest(digest);
    free(bytes);
}

int main(int argc, char **argv) {
    assert(argc == 2 || argc == 3);
    if (!sha256_choose(argv[1])) return 3;
    assert(strcmp(sha256_backend(), argv[1]) == 0);
    if (argc == 3) {
        hash_input();
        return 0;
    }
    for (size_t size = 0; size <= 300; size++) {
        for (unsigned count = 1; count <= 8; count++) {
            struct sha256_message messages[8];
            uint8_t digests[8][SHA256_SIZE];
            for (unsigned i = 0; i < count; i++) {
                size_t own = count > 4 ? size + i % 3 * 40 : size;
                messages[i] = (struct sha256_message){message(own, i), own, digests[i]};
            }
            sha256_many(messages, count);
            check_two_blocks(messages, count);
            for (unsigned i = 0; i < count; i++) {
                printf("%zu %u ", messages[i].size, i);
                print_digest(digests[i]);
                free((void *)messages[i].data);
            }
        }
    }
    for (uint32_t seed = 0; seed < 400; seed++) many(seed);
    return 0;
}
