/* SHA-256 with the SHA2 instructions of ARMv8, up to four messages interleaved. */
#include "sha256.h"

#if defined(__aarch64__)

#include <arm_neon.h>
#include <sys/auxv.h>

#define SHA2 __attribute__((target("+crypto")))
#define HWCAP_SHA2_BIT (1ul << 6) /* asm/hwcap.h */

struct lane {
    uint32x4_t abcd, efgh, w[4];
};

/* Four rounds; `i` is a constant after unrolling, so that w[] lives in registers. */
SHA2 static inline __attribute__((always_inline)) void four_rounds(struct lane *l, const uint8_t *block, unsigned i) {
    uint32x4_t *w = l->w;
    if (i < 4) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + 16 * i)));
    else w[i & 3] = vsha256su1q_u32(vsha256su0q_u32(w[i & 3], w[(i + 1) & 3]), w[(i + 2) & 3], w[(i + 3) & 3]);
    uint32x4_t m = vaddq_u32(w[i & 3], vld1q_u32(sha256_constants + 4 * i)), abcd = l->abcd;
    l->abcd = vsha256hq_u32(abcd, l->efgh, m);
    l->efgh = vsha256h2q_u32(l->efgh, abcd, m);
}

/* `lanes` is a constant wherever this is called, so that the loops over it unroll. */
SHA2 static inline __attribute__((always_inline)) void interleave(unsigned lanes, uint32_t (*states)[8],
                                                                  const uint8_t *const *blocks, size_t count) {
    struct lane l[SHA256_LANES];
    uint32x4_t abcd[SHA256_LANES], efgh[SHA256_LANES];
    for (unsigned j = 0; j < lanes; j++) l[j].abcd = vld1q_u32(states[j]), l[j].efgh = vld1q_u32(states[j] + 4);
    for (size_t block = 0; block < count; block++) {
        for (unsigned j = 0; j < lanes; j++) abcd[j] = l[j].abcd, efgh[j] = l[j].efgh;
#pragma GCC unroll 16
        for (unsigned i = 0; i < 16; i++) {
#pragma GCC unroll 4
            for (unsigned j = 0; j < lanes; j++) four_rounds(&l[j], blocks[j] + block * SHA256_BLOCK, i);
        }
        for (unsigned j = 0; j < lanes; j++) {
            l[j].abcd = vaddq_u32(l[j].abcd, abcd[j]);
            l[j].efgh = vaddq_u32(l[j].efgh, efgh[j]);
        }
    }
    for (unsigned j = 0; j < lanes; j++) vst1q_u32(states[j], l[j].abcd), vst1q_u32(states[j] + 4, l[j].efgh);
}

SHA2 static void arm_run(unsigned lanes, uint32_t (*states)[8], const uint8_t *const *blocks, size_t count) {
    switch (lanes) {
    case 1: interleave(1, states, blocks, count); break;
    case 2: interleave(2, states, blocks, count); break;
    case 3: interleave(3, states, blocks, count); break;
    default: interleave(4, states, blocks, count);
    }
}

static const struct sha256_ops arm = {"armv8", arm_run};

const struct sha256_ops *sha256_arm(void) { return getauxval(AT_HWCAP) & HWCAP_SHA2_BIT ? &arm : NULL; }

#else

const struct sha256_ops *sha256_arm(void) { return NULL; }

#endif
