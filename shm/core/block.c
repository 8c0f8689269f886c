#include "block.h"

#include <string.h>

#include "ordered.h"
#include "scheduler.h"
#include "wait.h"

static uint64_t rounded(uint64_t bytes) { return (bytes + IOI_LINE - 1) & ~(uint64_t)(IOI_LINE - 1); }

static uint64_t root_bytes(const ioi_block_input *in) { return (UINT64_C(1) << ioi_index_bits(in->keys)) * sizeof(a32); }

static uint64_t checked_bytes(uint64_t n) { return (n / 32 + 1) * sizeof(a32); }

/* Whether it is noted who read what: others validate nothing early, or everything. */
static bool looks(const ioi_block_input *in) { return in->workers > 1 && !in->policy.by_version; }

uint64_t ioi_block_room(const ioi_block_input *in) {
    uint64_t n = (uint64_t)in->n + 1;
    return IOI_BLOCK_AT + rounded(n * sizeof(uint64_t)) + rounded(in->tx_bytes + 1) + rounded(n * sizeof(a32)) +
           rounded(n * sizeof(a32)) + rounded(checked_bytes(n)) + rounded(root_bytes(in)) +
           (looks(in) ? rounded(n * sizeof(a64)) : 0) +
           rounded(in->base_len + in->proposer_len + in->extra_len + in->parent_root_len + in->decided_len + 1) + 2 * IOI_CHUNK;
}

static uint32_t trie_levels(uint32_t n) {
    uint32_t levels = 1;
    for (uint64_t capacity = 64; capacity < (uint64_t)n + 3; capacity *= 64) levels++;
    return levels;
}

/* A piece that must not come out of a chunk: laid out once, in order. */
static uint64_t piece(ioi_alloc *alloc, uint64_t bytes, bool zeroed) {
    void *at = ioi_alloc_bytes(alloc, bytes ? bytes : 1, IOI_LINE);
    if (!at) return 0;
    if (zeroed) memset(at, 0, bytes);
    return ioi_offset(alloc->arena, at);
}

static bool copy_in(ioi_alloc *alloc, const uint8_t *bytes, size_t len, uint64_t *at, uint64_t *at_len) {
    *at_len = len;
    if (!(*at = piece(alloc, len, false))) return false;
    if (len) memcpy(ioi_at(alloc->arena, *at), bytes, len);
    return true;
}

bool ioi_block_begin(ioi_arena *arena, const ioi_block_input *in, uint64_t **ends, uint8_t **bytes) {
    ioi_shared *shared = arena->shared;
    assert(a32_load(&shared->active) == 0 && "no worker is in a block");
    assert(in->workers >= 1 && in->workers <= IOI_WORKERS_MAX && in->n <= IOI_TRANSACTIONS_MAX);
    ioi_arena_reset(arena);
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, arena);

    ioi_block *block = &shared->block;
    memset(block, 0, sizeof *block);
    block->n = in->n;
    block->workers = in->workers;
    block->spins = in->spins;
    block->hook = in->hook;
    block->policy = in->policy;
    block->record = in->record;
    block->cached = in->cached;
    block->trie_levels = trie_levels(in->n);
    block->root_bits = ioi_index_bits(in->keys);
    block->setup = in->setup;
    block->height = in->height;
    block->time_ns = in->time_ns;
    uint64_t n = (uint64_t)in->n + 1; /* its hook is transaction n */
    if (!(block->tx_ends = piece(&alloc, n * sizeof(uint64_t), false)) ||
        !(block->tx_bytes = piece(&alloc, in->tx_bytes, false)) || !(block->status = piece(&alloc, n * sizeof(a32), true)) ||
        !(block->incarnations = piece(&alloc, n * sizeof(a32), true)) || !(block->root = piece(&alloc, root_bytes(in), true)) ||
        (looks(in) && !(block->readers = piece(&alloc, n * sizeof(a64), true))) ||
        !(block->checked = piece(&alloc, checked_bytes(n), true)) ||
        !copy_in(&alloc, in->base, in->base_len, &block->base, &block->base_len) ||
        !copy_in(&alloc, in->proposer, in->proposer_len, &block->proposer, &block->proposer_len) ||
        !copy_in(&alloc, in->extra, in->extra_len, &block->extra, &block->extra_len) ||
        !copy_in(&alloc, in->parent_root, in->parent_root_len, &block->parent_root, &block->parent_root_len) ||
        !copy_in(&alloc, in->decided, in->decided_len, &block->decided, &block->decided_len) ||
        !(block->ordered = ioi_ordered_create(&alloc)))
        return false;

    a32_store(&shared->sched.state, IOI_BLOCK_IDLE);
    a32_store(&shared->sched.commit_idx, 0);
    a32_store(&shared->sched.ordered_on, 0);
    memset((void *)shared->slots, 0, in->workers * sizeof *shared->slots);
    *ends = ioi_at(arena, block->tx_ends);
    *bytes = ioi_at(arena, block->tx_bytes);
    return true;
}

bool ioi_block_overlay(ioi_alloc *alloc, const uint8_t *key, uint32_t key_len, const uint8_t *bytes, uint32_t len) {
    ioi_arena *arena = alloc->arena;
    ioi_entry *entry = ioi_index_intern(alloc, ioi_hash(arena->shared->seed, key, key_len), key, key_len);
    if (!entry) return false;
    ioi_put put = {entry, bytes, len, false};
    ioi_write write;
    bool wrote_new;
    if (!ioi_mv_publish(alloc, &arena->shared->slots[0], 0, 0, &put, 1, NULL, &write, &wrote_new)) return false;
    a64_store(&entry->base, a64_load(&((ioi_version *)ioi_deref(arena, write.version))->cell));
    return true;
}

/* A wake-up takes its caller longer than an execution may: the coordinator wakes the first few, and each of them as many more. */
enum { WAKES = 4 };

static void wake(ioi_arena *arena, uint32_t id) {
    ioi_call *c = &arena->shared->calls[id];
    if (a32_load_sc(&c->asleep)) ioi_futex_wake(&c->seq, 1);
}

static void wake_some(ioi_arena *arena, uint32_t from) {
    uint32_t workers = arena->shared->block.workers;
    for (uint32_t id = from; id < workers && id - from < WAKES; id++) wake(arena, id);
}

/* A word for each: a worker that is not called sees nothing of the block, and so cannot mistake the next one for it. */
static void call(ioi_arena *arena, uint32_t id) { a32_add(&arena->shared->calls[id].seq, 1); }

void ioi_block_start(ioi_arena *arena) {
    ioi_shared *shared = arena->shared;
    uint32_t workers = shared->block.workers;
    shared->block.began_ns = ioi_now_ns();
    ioi_scheduler_start(arena);
    a32_store(&shared->active, workers);
    /* The highest first: who sees that it was called finds those called whom it wakes. */
    for (uint32_t id = workers; id-- > 0;) call(arena, id);
    wake_some(arena, 0);
}

bool ioi_block_wait(ioi_arena *arena, uint64_t timeout_ns) {
    a32 *active = &arena->shared->active;
    uint64_t deadline = ioi_now_ns() + timeout_ns;
    for (;;) {
        uint32_t inside = a32_load(active);
        if (inside == 0) return true;
        uint64_t now = ioi_now_ns();
        if (now >= deadline) return false;
        ioi_futex_wait(active, inside, deadline - now);
    }
}

bool ioi_block_await(ioi_arena *arena, uint32_t id, uint32_t *seen, uint64_t spin_ns) {
    enum { PAUSES_PER_LOOK = 16 };
    ioi_call *c = &arena->shared->calls[id];
    for (uint64_t until = ioi_now_ns() + spin_ns; spin_ns && a32_load(&c->seq) == *seen && ioi_now_ns() < until;)
        for (int i = 0; i < PAUSES_PER_LOOK; i++) ioi_pause();
    if (a32_load(&c->seq) == *seen) {
        a32_xchg(&c->asleep, 1); /* announced before the last look: wait.h */
        while (a32_load_sc(&c->seq) == *seen) ioi_futex_wait(&c->seq, *seen, 0);
        a32_store(&c->asleep, 0);
    }
    *seen = a32_load(&c->seq);
    if (a32_load(&arena->shared->shutdown)) return false;
    wake_some(arena, (id + 1) * WAKES);
    return true;
}

void ioi_block_depart(ioi_arena *arena) {
    uint32_t inside = a32_add(&arena->shared->active, UINT32_MAX);
    assert(inside > 0);
    if (inside == 1) ioi_futex_wake(&arena->shared->active, UINT32_MAX);
}

void ioi_block_shutdown(ioi_arena *arena, uint32_t workers) {
    a32_store(&arena->shared->shutdown, 1);
    for (uint32_t id = 0; id < workers; id++) {
        call(arena, id);
        wake(arena, id);
    }
}

/* ---- receipts ------------------------------------------------------------------------------------------------ */

static const ioi_receipt *receipt_of(const ioi_arena *arena, uint32_t tx) {
    const a32 *incarnations = ioi_at(arena, arena->shared->block.incarnations);
    return ioi_incarnation_receipt(arena, ioi_deref(arena, a32_load(&incarnations[tx])));
}

uint64_t ioi_receipts_size(const ioi_arena *arena, uint32_t from, uint32_t to) {
    uint64_t size = 0;
    for (uint32_t tx = from; tx < to; tx++) {
        const ioi_receipt *r = receipt_of(arena, tx);
        size += IOI_RECEIPT_HEAD + (uint64_t)r->output_len + r->error_len + r->tail_len;
    }
    return size;
}

static uint8_t *put_bytes(uint8_t *out, const void *bytes, size_t len) {
    if (len) memcpy(out, bytes, len);
    return out + len;
}

uint8_t *ioi_receipt_pack(uint8_t *out, const ioi_outcome *o, const uint8_t *tail, size_t tail_len) {
    uint32_t head[4] = {o->code, (uint32_t)o->output_len, (uint32_t)o->error_len, (uint32_t)tail_len};
    uint64_t gas[2] = {o->gas_wanted, o->gas_used};
    static_assert(sizeof head + sizeof gas == IOI_RECEIPT_HEAD, "the packed head");
    out = put_bytes(out, head, sizeof head); /* both supported machines are little endian */
    out = put_bytes(out, gas, sizeof gas);
    out = put_bytes(out, o->output, o->output_len);
    out = put_bytes(out, o->error, o->error_len);
    return put_bytes(out, tail, tail_len);
}

void ioi_receipts_pack(const ioi_arena *arena, uint32_t from, uint32_t to, uint8_t *out, uint64_t *ends) {
    uint8_t *start = out;
    for (uint32_t tx = from; tx < to; tx++) {
        const ioi_receipt *r = receipt_of(arena, tx);
        ioi_outcome outcome = {
            .code = r->code,
            .gas_wanted = r->gas_wanted,
            .gas_used = r->gas_used,
            .output = r->output_len ? ioi_deref(arena, r->output) : NULL,
            .error = r->error_len ? ioi_deref(arena, r->error) : NULL,
            .output_len = r->output_len,
            .error_len = r->error_len,
        };
        out = ioi_receipt_pack(out, &outcome, r->tail_len ? ioi_deref(arena, r->tail) : NULL, r->tail_len);
        ends[tx - from] = (uint64_t)(out - start);
    }
}

static uint64_t put_varint(uint8_t **out, uint64_t value) {
    uint64_t length = 0;
    do {
        uint8_t byte = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        if (*out) *(*out)++ = byte;
        value >>= 7;
        length++;
    } while (value);
    return length;
}

static uint64_t put_field(uint8_t **out, uint8_t field, uint64_t value) {
    if (value == 0) return 0;
    if (*out) *(*out)++ = (uint8_t)(field << 3); /* wire type 0: varint */
    return 1 + put_varint(out, value);
}

uint64_t ioi_receipt_leaf(const uint8_t *packed, uint8_t *out) {
    uint32_t head[4];
    uint64_t gas[2];
    memcpy(head, packed, sizeof head);
    memcpy(gas, packed + sizeof head, sizeof gas);
    uint64_t length = put_field(&out, 1, head[0]);
    if (head[1]) {
        if (out) *out++ = 2 << 3 | 2; /* wire type 2: bytes */
        length += 1 + put_varint(&out, head[1]) + head[1];
        if (out) out = put_bytes(out, packed + IOI_RECEIPT_HEAD, head[1]);
    }
    length += put_field(&out, 5, gas[0]);
    length += put_field(&out, 6, gas[1]);
    return length;
}
