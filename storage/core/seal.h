/* The seal of a row: XXH3-64 of its key and body, so that a damaged row, and a row under a wrong key, are found. */
#ifndef IOI_SEAL_H
#define IOI_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEAL_SIZE = 8 };

/* Writes the seal, big endian. The size of the key is the seed, so that no byte moves between key and body unnoticed.
 * False if there is no memory. */
bool seal_write(const uint8_t *key, size_t key_size, const uint8_t *body, size_t size, uint8_t seal[SEAL_SIZE]);

enum seal_result { SEAL_GOOD, SEAL_BAD, SEAL_MEMORY };

/* Checks a row, body and seal. */
enum seal_result seal_check(const uint8_t *key, size_t key_size, const uint8_t *row, size_t size);

#endif
