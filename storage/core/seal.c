#include "seal.h"

#include <stdlib.h>
#include <string.h>

#include "xxh3.h"

bool seal_write(const uint8_t *key, size_t key_size, const uint8_t *body, size_t size, uint8_t seal[SEAL_SIZE]) {
    uint8_t small[1024], *both = small;
    if (key_size + size > sizeof small && key_size > 0 && (both = malloc(key_size + size)) == NULL) return false;
    if (key_size > 0) {
        memcpy(both, key, key_size);
        memcpy(both + key_size, body, size);
    }
    uint64_t hash = __builtin_bswap64(xxh3(key_size > 0 ? both : body, key_size + size, key_size));
    memcpy(seal, &hash, SEAL_SIZE);
    if (both != small) free(both);
    return true;
}

enum seal_result seal_check(const uint8_t *key, size_t key_size, const uint8_t *row, size_t size) {
    uint8_t seal[SEAL_SIZE];
    if (size < SEAL_SIZE) return SEAL_BAD;
    if (!seal_write(key, key_size, row, size - SEAL_SIZE, seal)) return SEAL_MEMORY;
    return memcmp(seal, row + size - SEAL_SIZE, SEAL_SIZE) == 0 ? SEAL_GOOD : SEAL_BAD;
}
