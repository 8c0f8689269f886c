/* SHA-256 with the x86-64 SHA extensions, up to four messages interleaved. */
#include "sha256.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define NI __attribute__((target("sha,sse4.1,ssse3")))

/* The instructions want the state as (ABEF, CDGH) instead of (ABCD, EFGH). */
struct lane {
    __m128i abef, cdgh, w[4];
};

NI static inline void load_state(struct lane *lane, const uint32_t state[8]) {
    __m128i dcba = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    lane->abef = _mm_alignr_epi8(dcba, hgfe, 8);
    lane->cdgh = _mm_blend_epi16(hgfe, dcba, 0xf0);
}

NI static inline void store_state(const struct lane *lane, uint32_t state[8]) {
    __m128i feba = _mm_shuffle_epi32(lane->abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(lane->cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds; `i` is a constant after unrolling, so that w[] lives in registers. */
NI static inline __attribute__((always_inline)) void four_rounds(struct lane *l, const uint8_t *block, unsigned i) {
    __m128i *w = l->w;
    if (i < 4) {
        const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), big_endian);
    } else {
        __m128i next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
        w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
    }
    __m128i k = _mm_loadu_si128((const __m128i *)(sha256_constants + 4 * i));
    __m128i m = _mm_add_epi32(w[i & 3], k);
    l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, m);
    l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(m, 0x0e));
}

/* `lanes` is a constant wherever this is called, so that the loops over it unroll. */
NI static inline __attribute__((always_inline)) void interleave(unsigned lanes, uint32_t (*states)[8],
                                                                const uint8_t *const *blocks, size_t count) {
    struct lane l[SHA256_LANES];
    __m128i abef[SHA256_LANES], cdgh[SHA256_LANES];
    for (unsigned j = 0; j < lanes; j++) load_state(&l[j], states[j]);
    for (size_t block = 0; block < count; block++) {
        for (unsigned j = 0; j < lanes; j++) abef[j] = l[j].abef, cdgh[j] = l[j].cdgh;
#pragma GCC unroll 16
        for (unsigned i = 0; i < 16; i++) {
#pragma GCC unroll 4
            for (unsigned j = 0; j < lanes; j++) four_rounds(&l[j], blocks[j] + block * SHA256_BLOCK, i);
        }
        for (unsigned j = 0; j < lanes; j++) {
            l[j].abef = _mm_add_epi32(l[j].abef, abef[j]);
            l[j].cdgh = _mm_add_epi32(l[j].cdgh, cdgh[j]);
        }
    }
    for (unsigned j = 0; j < lanes; j++) store_state(&l[j], states[j]);
}

NI static void ni_run(unsigned lanes, uint32_t (*states)[8], const uint8_t *const *blocks, size_t count) {
    switch (lanes) {
    case 1: interleave(1, states, blocks, count); break;
    case 2: interleave(2, states, blocks, count); break;
    case 3: interleave(3, states, blocks, count); break;
    default: interleave(4, states, blocks, count);
    }
}

static const struct sha256_ops ni = {"sha-ni", ni_run};

#include <cpuid.h>

const struct sha256_ops *sha256_ni(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_SHA)) return NULL;
    return __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3") ? &ni : NULL;
}

#else

const struct sha256_ops *sha256_ni(void) { return NULL; }

#endif
