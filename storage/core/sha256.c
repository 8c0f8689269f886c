/* SHA-256: the portable back end, padding, and the interleaving of messages. */
#include "sha256.h"

#include <assert.h>
#include <string.h>

const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint32_t load_be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static void store_be32(uint8_t *p, uint32_t x) {
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

static void portable_one(uint32_t state[8], const uint8_t *blocks, size_t count) {
    for (; count > 0; count--, blocks += SHA256_BLOCK) {
        uint32_t w[64];
        for (unsigned t = 0; t < 16; t++) w[t] = load_be32(blocks + 4 * t);
        for (unsigned t = 16; t < 64; t++) {
            uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
            uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
            w[t] = w[t - 16] + s0 + w[t - 7] + s1;
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (unsigned t = 0; t < 64; t++) {
            uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
            uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + sha256_constants[t] + w[t];
            uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
            uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
        state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
}

static void portable_run(unsigned lanes, uint32_t (*states)[8], const uint8_t *const *blocks, size_t count) {
    for (unsigned i = 0; i < lanes; i++) portable_one(states[i], blocks[i], count);
}

static const struct sha256_ops portable = {"portable", portable_run};
static const struct sha256_ops *chosen;

static const struct sha256_ops *fastest(void) {
    const struct sha256_ops *ni = sha256_ni(), *arm = sha256_arm();
    return ni != NULL ? ni : arm != NULL ? arm : &portable;
}

static const struct sha256_ops *ops(void) {
    /* Threads that race here store the same pointer. */
    const struct sha256_ops *now = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (now == NULL) {
        now = fastest();
        __atomic_store_n(&chosen, now, __ATOMIC_RELAXED);
    }
    return now;
}

const char *sha256_backend(void) { return ops()->name; }

bool sha256_choose(const char *name) {
    const struct sha256_ops *all[] = {sha256_ni(), sha256_arm(), &portable};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] == NULL || strcmp(name, all[i]->name) != 0) continue;
        chosen = all[i];
        return true;
    }
    return false;
}

static void write_digest(const uint32_t state[8], uint8_t digest[SHA256_SIZE]) {
    for (unsigned i = 0; i < 8; i++) store_be32(digest + 4 * i, state[i]);
}

/* A message in progress: whole blocks straight from the data, then a tail of one or two blocks with the padding. */
struct running {
    const uint8_t *body;
    size_t body_blocks, blocks; /* blocks: with the tail */
    size_t at;                  /* the next one */
    uint8_t *digest;
    uint8_t tail[SHA256_TWO_BLOCKS];
};

static void start(struct running *r, const struct sha256_message *m) {
    size_t rest = m->size % SHA256_BLOCK, tail = rest < 56 ? SHA256_BLOCK : SHA256_TWO_BLOCKS;
    r->body = m->data;
    r->body_blocks = m->size / SHA256_BLOCK;
    r->blocks = r->body_blocks + tail / SHA256_BLOCK;
    r->at = 0;
    r->digest = m->digest;
    memset(r->tail, 0, tail);
    if (rest > 0) memcpy(r->tail, m->data + (m->size - rest), rest);
    r->tail[rest] = 0x80;
    store_be32(r->tail + tail - 8, (uint32_t)((uint64_t)m->size >> 29));
    store_be32(r->tail + tail - 4, (uint32_t)((uint64_t)m->size << 3));
}

/* The blocks that come next and lie together; returns how many. */
static size_t next_blocks(const struct running *r, const uint8_t **blocks) {
    if (r->at < r->body_blocks) {
        *blocks = r->body + r->at * SHA256_BLOCK;
        return r->body_blocks - r->at;
    }
    *blocks = r->tail + (r->at - r->body_blocks) * SHA256_BLOCK;
    return r->blocks - r->at;
}

enum { AHEAD = 8 }; /* messages that lie all over memory are asked for so early */

void sha256_many(const struct sha256_message *messages, size_t count) {
    const struct sha256_ops *use = ops();
    struct running running[SHA256_LANES];
    uint32_t states[SHA256_LANES][8];
    unsigned lanes = 0;
    for (size_t next = 0; next < count || lanes > 0;) {
        for (; next < count && lanes < SHA256_LANES; next++, lanes++) {
            if (next + AHEAD < count) __builtin_prefetch(messages[next + AHEAD].data);
            start(&running[lanes], &messages[next]);
            memcpy(states[lanes], initial_state, sizeof initial_state);
        }
        const uint8_t *blocks[SHA256_LANES];
        size_t together = SIZE_MAX;
        for (unsigned i = 0; i < lanes; i++) {
            size_t there = next_blocks(&running[i], &blocks[i]);
            if (there < together) together = there;
        }
        use->run(lanes, states, blocks, together);
        for (unsigned i = lanes; i-- > 0;) {
            running[i].at += together;
            if (running[i].at < running[i].blocks) continue;
            write_digest(states[i], running[i].digest);
            if (i < --lanes) { /* the last lane moves into this one */
                running[i] = running[lanes];
                memcpy(states[i], states[lanes], sizeof states[i]);
            }
        }
    }
}

void sha256(const uint8_t *data, size_t size, uint8_t digest[SHA256_SIZE]) {
    struct sha256_message message = {data, size, digest};
    sha256_many(&message, 1);
}

void sha256_two_blocks(const uint8_t (*blocks)[SHA256_TWO_BLOCKS], uint8_t *const *digests, size_t count) {
    const struct sha256_ops *use = ops();
    for (size_t first = 0; first < count; first += SHA256_LANES) {
        unsigned lanes = count - first < SHA256_LANES ? (unsigned)(count - first) : SHA256_LANES;
        uint32_t states[SHA256_LANES][8];
        const uint8_t *lane_blocks[SHA256_LANES];
        for (unsigned i = 0; i < lanes; i++) {
            memcpy(states[i], initial_state, sizeof initial_state);
            lane_blocks[i] = blocks[first + i];
        }
        use->run(lanes, states, lane_blocks, 2);
        for (unsigned i = 0; i < lanes; i++) write_digest(states[i], digests[first + i]);
    }
}

void sha256_pad(uint8_t blocks[SHA256_TWO_BLOCKS], size_t size) {
    assert(size > 55 && size < 120);
    memset(blocks + size, 0, SHA256_TWO_BLOCKS - size);
    blocks[size] = 0x80;
    blocks[126] = (uint8_t)(size >> 5);
    blocks[127] = (uint8_t)(size << 3);
}
