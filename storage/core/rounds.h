/* Hashes of the tree that build on each other, computed in rounds so that the hardware always has several to interleave.
 *
 *   no key: the placeholder; one key: H("JMT::LeafNode" | key hash | value hash); else H("JMT::IntrnalNode" | left | right)
 *
 * Round 1 has the leaves, round n + 1 what needs a digest of round n. Add all hashes of some independent nodes, run.
 */
#ifndef IOI_ROUNDS_H
#define IOI_ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"
#include "sha256.h"

extern const uint8_t placeholder[SHA256_SIZE]; /* the hash of no keys */

/* A hash that is there now (round 0) or after a round. */
struct digest {
    const uint8_t *at;
    unsigned round;
    unsigned keys; /* it covers: 0, 1, or 2 for more */
};

enum { ROUNDS = 8 * SHA256_SIZE + 2, ROUNDS_LANES = 32 };

struct job;

struct rounds {
    struct pool pool;
    struct job *jobs[ROUNDS];
    unsigned last;                                                                         /* round with jobs */
    bool failed;                                                                           /* no memory */
    bool done;                                                                             /* and not added to since */
    uint8_t leaf[ROUNDS_LANES][SHA256_TWO_BLOCKS], inner[ROUNDS_LANES][SHA256_TWO_BLOCKS]; /* tags and padding stay */
};

void rounds_open(struct rounds *rounds);
void rounds_free(struct rounds *rounds);

static inline struct digest rounds_nothing(void) { return (struct digest){placeholder, 0, 0}; }

/* H(leaf): `leaf` is two hashes. `out` NULL: somewhere until the next run has ended; so are all digests from there. */
struct digest rounds_leaf(struct rounds *rounds, const uint8_t *leaf, uint8_t *out);

/* The hash of two halves; no hash at all if they hold one key or none between them. */
struct digest rounds_join(struct rounds *rounds, struct digest left, struct digest right, uint8_t *out);

/* Computes all that was added. False if memory ran out since the last run: then nothing of it can be used. The pieces
 * that `out` NULL asked for are given back with the next call that adds. */
bool rounds_run(struct rounds *rounds);

#endif
