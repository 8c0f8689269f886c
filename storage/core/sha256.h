/* SHA-256 (FIPS 180-4), made for many short messages.
 *
 * Three back ends compute the same thing: `portable` (plain C), `sha-ni` (x86-64) and `armv8` (aarch64), where up to four
 * messages are interleaved, because one alone leaves the unit idle for half of its latency. The fastest one the CPU has
 * is chosen when first needed. All functions are pure and thread safe; none allocates.
 */
#ifndef IOI_SHA256_H
#define IOI_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_BLOCK = 64, SHA256_TWO_BLOCKS = 128 };

struct sha256_message {
    const uint8_t *data; /* may be NULL if size is 0 */
    size_t size;         /* bytes */
    uint8_t *digest;     /* 32 bytes, may lie inside no message of the same call */
};

/* digest = SHA-256(data[0..size)). */
void sha256(const uint8_t *data, size_t size, uint8_t digest[SHA256_SIZE]);

/* The digests of `count` messages of any sizes. */
void sha256_many(const struct sha256_message *messages, size_t count);

/* The digests of `count` messages of exactly two blocks, padding included (see sha256_pad). digests[i] may alias
 * nothing in `blocks`. */
void sha256_two_blocks(const uint8_t (*blocks)[SHA256_TWO_BLOCKS], uint8_t *const *digests, size_t count);

/* Writes the padding of a message of `size` bytes (55 < size < 120) into the two blocks that hold it. */
void sha256_pad(uint8_t blocks[SHA256_TWO_BLOCKS], size_t size);

/* The name of the back end in use. */
const char *sha256_backend(void);

/* Chooses a back end by name; false if this CPU has no such one. Not thread safe: for tests and measurements. */
bool sha256_choose(const char *name);

/* Internal: one back end. */
enum { SHA256_LANES = 4 };

struct sha256_ops {
    const char *name;
    /* Runs `count` blocks into each of `lanes` states, which are at most SHA256_LANES: those from blocks[i] on into
     * states[i]. */
    void (*run)(unsigned lanes, uint32_t (*states)[8], const uint8_t *const *blocks, size_t count);
};

extern const uint32_t sha256_constants[64];

/* The back ends that use a CPU's own instructions, or NULL if this CPU (or architecture) lacks them. */
const struct sha256_ops *sha256_ni(void);
const struct sha256_ops *sha256_arm(void);

#endif
