#include "rounds.h"

#include <assert.h>
#include <string.h>

/* Tag and two hashes are 77 or 80 bytes: with padding, two SHA-256 blocks either way. */
enum { TAG_LEAF = 13, TAG_INNER = 16 };
static const char leaf_tag[] = "JMT::LeafNode", inner_tag[] = "JMT::IntrnalNode";

const uint8_t placeholder[SHA256_SIZE] = {
    'S', 'P', 'A', 'R', 'S', 'E', '_', 'M', 'E', 'R', 'K', 'L', 'E', '_', 'P', 'L',
    'A', 'C', 'E', 'H', 'O', 'L', 'D', 'E', 'R', '_', 'H', 'A', 'S', 'H', '_', '_',
};

struct job {
    struct job *next;
    const uint8_t *left, *right; /* of a leaf: right NULL, left has both */
    uint8_t *out;
};

void rounds_open(struct rounds *rounds) {
    memset(rounds, 0, offsetof(struct rounds, leaf));
    for (unsigned i = 0; i < ROUNDS_LANES; i++) {
        memcpy(rounds->leaf[i], leaf_tag, TAG_LEAF);
        sha256_pad(rounds->leaf[i], TAG_LEAF + 2 * SHA256_SIZE);
        memcpy(rounds->inner[i], inner_tag, TAG_INNER);
        sha256_pad(rounds->inner[i], TAG_INNER + 2 * SHA256_SIZE);
    }
}

void rounds_free(struct rounds *rounds) { pool_free(&rounds->pool); }

static const uint8_t *add(struct rounds *rounds, unsigned round, const uint8_t *left, const uint8_t *right, uint8_t *out) {
    assert(round >= 1 && round < ROUNDS);
    if (rounds->done) pool_clear(&rounds->pool), rounds->done = false;
    struct job *job = pool_take(&rounds->pool, sizeof *job + (out == NULL ? SHA256_SIZE : 0));
    if (job == NULL) {
        rounds->failed = true;
        return placeholder;
    }
    *job = (struct job){rounds->jobs[round], left, right, out != NULL ? out : (uint8_t *)(job + 1)};
    rounds->jobs[round] = job;
    if (round > rounds->last) rounds->last = round;
    return job->out;
}

struct digest rounds_leaf(struct rounds *rounds, const uint8_t *leaf, uint8_t *out) {
    return (struct digest){add(rounds, 1, leaf, NULL, out), 1, 1};
}

struct digest rounds_join(struct rounds *rounds, struct digest left, struct digest right, uint8_t *out) {
    if (left.keys + right.keys < 2) return left.keys > 0 ? left : right;
    unsigned round = 1 + (left.round > right.round ? left.round : right.round);
    return (struct digest){add(rounds, round, left.at, right.at, out), round, 2};
}

static void flush(uint8_t (*messages)[SHA256_TWO_BLOCKS], uint8_t *const *digests, unsigned count) {
    sha256_two_blocks((const uint8_t (*)[SHA256_TWO_BLOCKS])messages, digests, count);
}

static void run(struct rounds *rounds, const struct job *job) {
    uint8_t *leaf_out[ROUNDS_LANES], *inner_out[ROUNDS_LANES];
    unsigned leaves = 0, inners = 0;
    for (; job != NULL; job = job->next) {
        if (job->right == NULL) {
            memcpy(rounds->leaf[leaves] + TAG_LEAF, job->left, 2 * SHA256_SIZE);
            leaf_out[leaves++] = job->out;
            if (leaves == ROUNDS_LANES) flush(rounds->leaf, leaf_out, leaves), leaves = 0;
        } else {
            memcpy(rounds->inner[inners] + TAG_INNER, job->left, SHA256_SIZE);
            memcpy(rounds->inner[inners] + TAG_INNER + SHA256_SIZE, job->right, SHA256_SIZE);
            inner_out[inners++] = job->out;
            if (inners == ROUNDS_LANES) flush(rounds->inner, inner_out, inners), inners = 0;
        }
    }
    flush(rounds->leaf, leaf_out, leaves);
    flush(rounds->inner, inner_out, inners);
}

bool rounds_run(struct rounds *rounds) {
    bool ok = !rounds->failed;
    for (unsigned round = 1; round <= rounds->last; round++) {
        if (ok) run(rounds, rounds->jobs[round]);
        rounds->jobs[round] = NULL;
    }
    rounds->last = 0;
    rounds->failed = false;
    rounds->done = true;
    return ok;
}
