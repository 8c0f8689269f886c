/* XXH3-64 (xxHash 0.8): finds accidents on the disk, resists nobody. Equal to XXH3_64bits_withSeed. */
#ifndef IOI_XXH3_H
#define IOI_XXH3_H

#include <stddef.h>
#include <stdint.h>

uint64_t xxh3(const uint8_t *data, size_t size, uint64_t seed);

#endif
