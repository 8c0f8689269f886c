/* A block's life in the arena, seen by the coordinator: lay it out, start it, wait for it, take the results out. */
#ifndef IOI_BLOCK_H
#define IOI_BLOCK_H

#include "../ioi_shm/include/ioi_vm.h"
#include "mvmemory.h"

enum { IOI_TRANSACTIONS_MAX = 1 << 28 }; /* of a block; positions have 32 bits, the version tries 5 levels */

typedef struct ioi_block_input {
    uint32_t n, workers, spins; /* workers: how many take part, of all there are */
    ioi_hook hook;
    bool record, cached;
    ioi_policy policy;
    uint64_t tx_bytes; /* sum of their lengths */
    uint64_t keys;     /* about how many keys it will touch: sizes the index, wrong guesses only cost speed */
    uint64_t setup, height, time_ns;
    const uint8_t *base, *proposer, *extra, *parent_root;
    const uint8_t *decided; /* votes and misbehaviour, packed: decided.h */
    size_t base_len, proposer_len, extra_len, parent_root_len, decided_len;
} ioi_block_input;

/* Drop the last block and lay out a new one. The caller then fills *ends (u64[n]) and *bytes. False when the arena
 * has not enough room reserved. No worker may be in a block. */
bool ioi_block_begin(ioi_arena *arena, const ioi_block_input *input, uint64_t **ends, uint8_t **bytes);

/* Bytes of arena a block needs before any transaction runs; what they write comes on top. */
uint64_t ioi_block_room(const ioi_block_input *input);

/* Put a write under the block, at position 0 (bytes NULL = deleted): the state the block builds on, where it is newer than the
 * base that workers read. Each key once. Between begin and start. False when the arena is full.
 * It is the key's base word too: what workers would read there is older, and must not be kept as the newest (ioi_mv_fetched). */
bool ioi_block_overlay(ioi_alloc *alloc, const uint8_t *key, uint32_t key_len, const uint8_t *bytes, uint32_t len);

/* Let those workers in that take part. The others sleep on. */
void ioi_block_start(ioi_arena *arena);

/* Sleep until no worker is in the block, at most timeout_ns. True when so. */
bool ioi_block_wait(ioi_arena *arena, uint64_t timeout_ns);

/* Worker side: sleep until this worker is called to a block again (*seen: calls so far; true) or the pool shuts down (false). A
 * worker that was just in a block spins for a while first: blocks come in rows, and waking a process takes longer than a small
 * block. */
bool ioi_block_await(ioi_arena *arena, uint32_t id, uint32_t *seen, uint64_t spin_ns);

/* Worker side: out of the block. The last one wakes the coordinator. */
void ioi_block_depart(ioi_arena *arena);

/* Tell all `workers` to end. */
void ioi_block_shutdown(ioi_arena *arena, uint32_t workers);

/* Receipts of transactions [from, to), all below the watermark, packed one after another, little endian:
 *     u32 code, u32 output_len, u32 error_len, u32 tail_len, u64 gas_wanted, u64 gas_used, output, error, tail
 * The tail has what few receipts have, one part after another: u8 ioi_tail, u32 length, and so many bytes.
 * ioi_receipts_size says how many bytes; ioi_receipts_pack fills them and ends[to - from], offsets of their ends. */
enum { IOI_RECEIPT_OUTPUT_LEN = 4, IOI_RECEIPT_GAS_USED = 24, IOI_RECEIPT_HEAD = 32 };
uint8_t *ioi_receipt_pack(uint8_t *out, const ioi_outcome *outcome, const uint8_t *tail, size_t tail_len); /* one; its end */
uint64_t ioi_receipts_size(const ioi_arena *arena, uint32_t from, uint32_t to);
void ioi_receipts_pack(const ioi_arena *arena, uint32_t from, uint32_t to, uint8_t *out, uint64_t *ends);

/* One packed receipt as CometBFT's deterministic ExecTxResult (code = 1, data = 2, gas_wanted = 5, gas_used = 6; proto3, zero
 * fields left out): what the receipts root hashes. Returns its length, at most IOI_LEAF_HEAD + output_len;
 * out NULL only measures. */
enum { IOI_LEAF_HEAD = 6 + 6 + 11 + 11 };
uint64_t ioi_receipt_leaf(const uint8_t *packed, uint8_t *out);

#endif
