/* A block to simulate: its transactions, programs of the tool (native/program.h), and the state they begin from. */
#ifndef IOI_SIMULATION_BLOCK_H
#define IOI_SIMULATION_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioi_scheduler.h"
#include "ioi_vm.h"
#include "write_limits.h"

typedef struct sim_bytes {
    const uint8_t *at; /* NULL: absent */
    size_t len;
} sim_bytes;

typedef struct sim_block {
    uint32_t n;
    uint64_t *ends; /* of each transaction in `bytes` */
    uint8_t *bytes;
    size_t base_count;
    sim_bytes *keys, *values; /* base_count of each, ascending by key; what they point to is the caller's */
    ioi_limits limits;
    uint64_t oversleep_ns; /* what every sleep of a program takes longer than it says */
    /* Of the sequential reference. */
    uint64_t digest;
    ioi_sim_tx *txs;
    uint32_t *numbers; /* what txs point to */
    uint32_t distinct; /* keys */
    bool adds;         /* to counters: then the above does not say what was read and written */
} sim_block;

static inline sim_bytes sim_block_tx(const sim_block *b, uint32_t tx) {
    uint64_t from = tx ? b->ends[tx - 1] : 0;
    return (sim_bytes){b->bytes + from, b->ends[tx] - from};
}

/* The committed value of a key; at NULL if it has none. */
sim_bytes sim_block_base(const sim_block *b, const uint8_t *key, size_t len);

/* Whether a program in it scans, which the Program VM in C cannot. */
bool sim_block_scans(const sim_block *b);

/* Fill in what sequential execution says: digest, txs, distinct. `write` gets the last write of every key. */
void sim_block_reference(sim_block *b, void (*write)(void *context, sim_bytes key, sim_bytes value), void *context);

/* Of a final write, or a receipt. Their sum, which does not depend on their order, is the block's. */
uint64_t sim_digest(uint64_t kind, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

uint64_t sim_receipt_digest(uint32_t tx, const ioi_outcome *outcome);

void sim_block_free(sim_block *b);

#endif
