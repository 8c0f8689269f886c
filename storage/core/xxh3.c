/* XXH3-64, following doc/xxhash_spec.md: one way per range of sizes. Long data goes through eight lanes, here as four pairs
 * that have a vector each. */
#include "xxh3.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define P32_1 0x9E3779B1u
#define P32_2 0x85EBCA77u
#define P32_3 0xC2B2AE3Du
#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u
#define MX2 0x9FB21C651E98DF25u

enum { SECRET = 192, STRIPE = 64, PAIRS = 4, STRIPES_PER_BLOCK = (SECRET - STRIPE) / 8 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian only");

static const uint8_t default_secret[SECRET] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4, 0x6d, 0xe9,
    0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78,
    0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6,
    0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f,
    0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31,
    0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff,
    0xfa, 0x13, 0x63, 0xeb, 0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
    0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static uint64_t load64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint32_t load32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t rotate(uint64_t x, unsigned n) { return x << n | x >> (64 - n); }

static uint64_t multiply_fold(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t h) {
    h = (h ^ h >> 37) * 0x165667919E3779F9u;
    return h ^ h >> 32;
}

static uint64_t avalanche64(uint64_t h) {
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

static uint64_t up_to_16(const uint8_t *p, size_t size, uint64_t seed) {
    const uint8_t *s = default_secret;
    if (size > 8) {
        uint64_t low = load64(p) ^ ((load64(s + 24) ^ load64(s + 32)) + seed);
        uint64_t high = load64(p + size - 8) ^ ((load64(s + 40) ^ load64(s + 48)) - seed);
        return avalanche(size + __builtin_bswap64(low) + high + multiply_fold(low, high));
    }
    if (size >= 4) {
        seed ^= (uint64_t)__builtin_bswap32((uint32_t)seed) << 32;
        uint64_t both = load32(p + size - 4) + ((uint64_t)load32(p) << 32);
        uint64_t h = both ^ ((load64(s + 8) ^ load64(s + 16)) - seed);
        h ^= rotate(h, 49) ^ rotate(h, 24);
        h *= MX2;
        h ^= (h >> 35) + size;
        h *= MX2;
        return h ^ h >> 28;
    }
    if (size > 0) {
        uint32_t mixed = (uint32_t)p[0] << 16 | (uint32_t)p[size >> 1] << 24 | p[size - 1] | (uint32_t)size << 8;
        return avalanche64(mixed ^ ((load32(s) ^ load32(s + 4)) + seed));
    }
    return avalanche64(seed ^ load64(s + 56) ^ load64(s + 64));
}

static uint64_t mix16(const uint8_t *p, const uint8_t *s, uint64_t seed) {
    return multiply_fold(load64(p) ^ (load64(s) + seed), load64(p + 8) ^ (load64(s + 8) - seed));
}

static uint64_t up_to_128(const uint8_t *p, size_t size, uint64_t seed) {
    uint64_t acc = size * P1;
    for (size_t i = (size - 1) / 32 + 1; i-- > 0;) {
        acc += mix16(p + 16 * i, default_secret + 32 * i, seed);
        acc += mix16(p + size - 16 * (i + 1), default_secret + 32 * i + 16, seed);
    }
    return avalanche(acc);
}

static uint64_t up_to_240(const uint8_t *p, size_t size, uint64_t seed) {
    uint64_t acc = size * P1;
    for (size_t i = 0; i < 8; i++) acc += mix16(p + 16 * i, default_secret + 16 * i, seed);
    acc = avalanche(acc);
    for (size_t i = 8; i < size / 16; i++) acc += mix16(p + 16 * i, default_secret + 16 * (i - 8) + 3, seed);
    return avalanche(acc + mix16(p + size - 16, default_secret + 136 - 17, seed));
}

typedef uint64_t pair __attribute__((vector_size(16)));

static inline pair load_pair(const uint8_t *p) {
    pair x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* The product of the two halves of each lane. */
static inline pair multiply_halves(pair x) {
#ifdef __SSE2__
    return (pair)_mm_mul_epu32((__m128i)x, (__m128i)(x >> 32)); /* not what compilers make of the other line */
#else
    return (x & 0xffffffff) * (x >> 32);
#endif
}

static inline void accumulate(pair acc[PAIRS], const uint8_t *stripe, const uint8_t *secret) {
    for (unsigned i = 0; i < PAIRS; i++) {
        pair value = load_pair(stripe + 16 * i);
        acc[i] += (pair){value[1], value[0]} + multiply_halves(value ^ load_pair(secret + 16 * i));
    }
}

static void scramble(pair acc[PAIRS], const uint8_t *secret) {
    for (unsigned i = 0; i < PAIRS; i++) acc[i] = (acc[i] ^ acc[i] >> 47 ^ load_pair(secret + 16 * i)) * P32_1;
}

static uint64_t longer(const uint8_t *p, size_t size, uint64_t seed) {
    uint8_t seeded[SECRET];
    for (unsigned i = 0; seed != 0 && i < SECRET; i += 16) {
        uint64_t low = load64(default_secret + i) + seed, high = load64(default_secret + i + 8) - seed;
        memcpy(seeded + i, &low, 8);
        memcpy(seeded + i + 8, &high, 8);
    }
    const uint8_t *secret = seed != 0 ? seeded : default_secret;
    pair acc[PAIRS] = {{P32_3, P1}, {P2, P3}, {P4, P32_2}, {P5, P32_1}};
    size_t stripes = (size - 1) / STRIPE; /* the last, whole or not, is done apart */
    for (size_t i = 0; i < stripes; i++) {
        accumulate(acc, p + STRIPE * i, secret + 8 * (i % STRIPES_PER_BLOCK));
        if (i % STRIPES_PER_BLOCK == STRIPES_PER_BLOCK - 1) scramble(acc, secret + SECRET - STRIPE);
    }
    accumulate(acc, p + size - STRIPE, secret + SECRET - STRIPE - 7);
    uint64_t h = size * P1;
    for (unsigned i = 0; i < PAIRS; i++) {
        h += multiply_fold(acc[i][0] ^ load64(secret + 11 + 16 * i), acc[i][1] ^ load64(secret + 19 + 16 * i));
    }
    return avalanche(h);
}

uint64_t xxh3(const uint8_t *data, size_t size, uint64_t seed) {
    if (size <= 16) return up_to_16(data, size, seed);
    if (size <= 128) return up_to_128(data, size, seed);
    if (size <= 240) return up_to_240(data, size, seed);
    return longer(data, size, seed);
}
