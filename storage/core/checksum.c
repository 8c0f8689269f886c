#include "checksum.h"

#include <string.h>

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian only");

static uint64_t rotate(uint64_t x, unsigned n) { return x << n | x >> (64 - n); }

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

static uint64_t round_in(uint64_t lane, uint64_t input) { return rotate(lane + input * P2, 31) * P1; }

static uint64_t merge(uint64_t hash, uint64_t lane) { return (hash ^ round_in(0, lane)) * P1 + P4; }

uint64_t checksum(const uint8_t *data, size_t size) {
    const uint8_t *p = data, *end = data + size;
    uint64_t hash = P5;
    if (size >= 32) {
        uint64_t a = P1 + P2, b = P2, c = 0, d = -P1;
        for (; end - p >= 32; p += 32) {
            a = round_in(a, load64(p));
            b = round_in(b, load64(p + 8));
            c = round_in(c, load64(p + 16));
            d = round_in(d, load64(p + 24));
        }
        hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
        hash = merge(merge(merge(merge(hash, a), b), c), d);
    }
    hash += size;
    for (; end - p >= 8; p += 8) hash = rotate(hash ^ round_in(0, load64(p)), 27) * P1 + P4;
    if (end - p >= 4) {
        hash = rotate(hash ^ load32(p) * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; p++) hash = rotate(hash ^ *p * P5, 11) * P1;
    hash = (hash ^ hash >> 33) * P2;
    hash = (hash ^ hash >> 29) * P3;
    return hash ^ hash >> 32;
}
