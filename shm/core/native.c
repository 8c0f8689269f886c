#include "native.h"

#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "forked.h"
#include "ordered.h"
#include "scan.h"
#include "transaction.h"
#include "wait.h"

const uint8_t *ioi_block_tx(const ioi_arena *arena, uint32_t tx, size_t *len) {
    const ioi_block *block = &arena->shared->block;
    const uint64_t *ends = ioi_at(arena, block->tx_ends);
    uint64_t from = tx ? ends[tx - 1] : 0;
    *len = ends[tx] - from;
    return (const uint8_t *)ioi_at(arena, block->tx_bytes) + from;
}

ioi_ctx ioi_block_ctx(const ioi_arena *arena, uint32_t tx) {
    const ioi_block *b = &arena->shared->block;
    return (ioi_ctx){
        .height = b->height,
        .time_ns = b->time_ns,
        .tx_index = tx,
        .proposer = ioi_at(arena, b->proposer),
        .extra = ioi_at(arena, b->extra),
        .parent_root = ioi_at(arena, b->parent_root),
        .proposer_len = b->proposer_len,
        .extra_len = b->extra_len,
        .parent_root_len = b->parent_root_len,
    };
}

/* The keys of a run, one transaction's behind the other's. */
typedef struct hinted {
    uint64_t hash;
    uint32_t at, len; /* of its bytes */
} hinted;

struct ioi_hints {
    hinted *keys;
    ioi_entry **entries; /* of as many of the first keys as there was room for in the arena */
    uint8_t *bytes;
    uint32_t count, found, keys_capacity, entries_capacity, used, bytes_capacity;
    uint32_t first[IOI_RUN_MAX + 1]; /* of each transaction, and behind the last */
};

void ioi_native_init(ioi_native *native, ioi_worker *worker, ioi_view *view, const ioi_vm *vm) {
    *native = (ioi_native){.worker = worker, .view = view, .vm = vm, .memory = ioi_vm_memory_new(vm)};
}

void ioi_native_free(ioi_native *native) {
    if (native->vm) ioi_vm_memory_free(native->vm, native->memory);
    ioi_decided_free(&native->decided);
    free(native->missing);
    ioi_hints *h = native->hints;
    if (!h) return;
    free(h->keys);
    free(h->entries);
    free(h->bytes);
    free(h);
}

void ioi_native_enter(ioi_native *native) {
    native->missing_count = 0;
    native->left_ns = 0;
    native->hinted_from = native->hinted_to = 0;
    native->pending = native->decided_read = false;
}

/* What the consensus decided, taken apart once a block. */
static const ioi_decided *decided_of(ioi_native *native) {
    if (native->decided_read) return &native->decided;
    const ioi_arena *arena = native->worker->arena;
    const ioi_block *block = &arena->shared->block;
    ioi_decided_free(&native->decided);
    native->decided_read = ioi_decided_read(&native->decided, ioi_at(arena, block->decided), block->decided_len);
    assert(native->decided_read);
    return &native->decided;
}

static ioi_ctx context_of(ioi_native *native, uint32_t tx) {
    ioi_ctx ctx = ioi_block_ctx(native->worker->arena, tx);
    ctx.memory = native->memory;
    ctx.chain_id = native->chain_id;
    ctx.chain_id_len = native->chain_id_len;
    ctx.random = native->random;
    ioi_decided_tell(decided_of(native), &ctx);
    return ctx;
}

/* ---- missing base values ------------------------------------------------------------------------------------- */

static void miss(ioi_native *native, ioi_entry *entry) {
    if (native->missing_count == native->missing_capacity) {
        native->missing_capacity = native->missing_capacity ? 2 * native->missing_capacity : 256;
        native->missing = realloc(native->missing, native->missing_capacity * sizeof *native->missing);
        assert(native->missing);
    }
    native->missing[native->missing_count++] = entry;
}

static ioi_hints *hints_of(ioi_native *native) {
    if (!native->hints) native->hints = calloc(1, sizeof *native->hints);
    assert(native->hints);
    return native->hints;
}

static void *grown(void *array, uint32_t *capacity, uint64_t needed, size_t size) {
    if (needed <= *capacity) return array;
    uint64_t c = *capacity ? *capacity : 256;
    while (c < needed) c *= 2;
    assert(c <= UINT32_MAX);
    array = realloc(array, c * size);
    assert(array);
    *capacity = (uint32_t)c;
    return array;
}

static void hint(void *context, const uint8_t *key, size_t len) {
    ioi_native *native = context;
    ioi_hints *h = native->hints;
    if (len == 0 || len > native->view->limits.key_bytes) return;
    const ioi_arena *arena = native->worker->arena;
    uint64_t hash = ioi_hash(arena->shared->seed, key, (uint32_t)len);
    ioi_index_prefetch(arena, hash, false);
    if (arena->cache) ioi_cache_prefetch(arena->cache, hash, false);
    h->keys = grown(h->keys, &h->keys_capacity, (uint64_t)h->count + 1, sizeof *h->keys);
    h->bytes = grown(h->bytes, &h->bytes_capacity, (uint64_t)h->used + len, 1);
    h->keys[h->count++] = (hinted){hash, h->used, (uint32_t)len};
    memcpy(h->bytes + h->used, key, len);
    h->used += (uint32_t)len;
}

/* Find the hinted keys: what each needs of memory was asked for while the others were dealt with. */
static void find_hinted(ioi_native *native) {
    ioi_hints *h = native->hints;
    ioi_worker *w = native->worker;
    for (uint32_t i = 0; i < h->count; i++) {
        ioi_index_prefetch(w->arena, h->keys[i].hash, true);
        if (w->arena->cache) ioi_cache_prefetch(w->arena->cache, h->keys[i].hash, true);
    }
    h->entries = grown(h->entries, &h->entries_capacity, h->count, sizeof *h->entries);
    for (h->found = 0; h->found < h->count; h->found++) {
        const hinted *k = &h->keys[h->found];
        ioi_entry *entry = ioi_index_intern(&w->alloc, k->hash, h->bytes + k->at, k->len);
        if (!entry) return; /* full: the execution will notice */
        h->entries[h->found] = entry;
        if (!ioi_mv_base(w->arena, entry)) miss(native, entry);
    }
}

/* What the transaction's keys were found to be, for its execution. */
static void tell_likely(const ioi_native *native) {
    if (native->tx < native->hinted_from || native->tx >= native->hinted_to) return;
    const ioi_hints *h = native->hints;
    uint32_t number = native->tx - native->hinted_from, from = h->first[number], to = h->first[number + 1];
    if (to > h->found) return;
    native->view->likely = h->entries + from;
    native->view->likely_left = to - from;
}

/* One look at all keys of a run, so that the base is read in one sorted batch. */
static bool hint_run(ioi_native *native) {
    ioi_worker *w = native->worker;
    uint32_t tx = native->tx;
    if (!ioi_vm_hints_any(native->vm) || (tx >= native->hinted_from && tx < native->hinted_to)) return false;
    native->hinted_from = tx;
    native->hinted_to = ioi_run_end(w, tx);
    ioi_view_begin(native->view, tx); /* what it recorded before is of another transaction, perhaps of another block */
    ioi_hints *h = hints_of(native);
    h->count = h->used = 0;
    for (uint32_t t = tx; t < native->hinted_to; t++) {
        h->first[t - tx] = h->count;
        size_t len;
        const uint8_t *bytes = ioi_block_tx(w->arena, t, &len);
        ioi_ctx ctx = context_of(native, t);
        ioi_vm_hint(native->vm, bytes, len, &ctx, hint, native);
    }
    h->first[native->hinted_to - tx] = h->count;
    find_hinted(native);
    if (native->missing_count == 0) return false;
    qsort(native->missing, native->missing_count, sizeof *native->missing, ioi_entry_compare);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < native->missing_count; i++)
        if (native->missing[i] != native->missing[kept - 1]) native->missing[kept++] = native->missing[i];
    native->missing_count = kept;
    return true;
}

/* ---- executing ----------------------------------------------------------------------------------------------- */

typedef struct block_results {
    ioi_results results; /* first */
    const ioi_worker *worker;
} block_results;

static const ioi_receipt *receipt_of(const ioi_results *results, uint64_t tx) {
    const ioi_worker *w = ((const block_results *)results)->worker;
    return ioi_incarnation_receipt(w->arena, ioi_finished(w, (uint32_t)tx));
}

static uint32_t result_code(const ioi_results *results, uint64_t tx) { return receipt_of(results, tx)->code; }

static const uint8_t *result_transaction(const ioi_results *results, uint64_t tx, size_t *len) {
    return ioi_block_tx(((const block_results *)results)->worker->arena, (uint32_t)tx, len);
}

static const uint8_t *result_output(const ioi_results *results, uint64_t tx, size_t *len) {
    const ioi_worker *w = ((const block_results *)results)->worker;
    const ioi_receipt *receipt = receipt_of(results, tx);
    *len = receipt->output_len;
    return *len ? ioi_deref(w->arena, receipt->output) : NULL;
}

static uint64_t result_gas_used(const ioi_results *results, uint64_t tx) { return receipt_of(results, tx)->gas_used; }

/* Whether the transaction in hand may be executed. */
static bool checked(ioi_native *native, const uint8_t *tx, size_t len, ioi_outcome *outcome) {
    if (!native->check) return true;
    ioi_arena *arena = native->worker->arena;
    a32 *word = (a32 *)ioi_at(arena, arena->shared->block.checked) + native->tx / 32;
    uint32_t bit = UINT32_C(1) << native->tx % 32;
    if (a32_load_relaxed(word) & bit) return true; /* of bytes that never change: whoever does not see it looks again */
    if (!native->check(native, tx, len, outcome)) return false;
    a32_or(word, bit);
    return true;
}

static size_t key_len(const ioi_state *state, ioi_key key) {
    return ((const ioi_entry *)ioi_at(((const ioi_view *)state)->worker->arena, key))->key_len;
}

static void hold(ioi_state *state) { ioi_view_hold((ioi_view *)state); }

static int execute(ioi_native *native, const ioi_ctx *ctx, ioi_outcome *outcome) {
    ioi_view *view = native->view;
    ioi_below below = {&view->state, &view->limits.gas, key_len, hold};
    bool refused;
    size_t len;
    const uint8_t *tx = ioi_block_tx(native->worker->arena, native->tx, &len);
    bool good = checked(native, tx, len, outcome);
    int result = ioi_transaction(native->vm, tx, len, ctx, &below, good, outcome, &refused);
    if (refused && !native->is_fault) ioi_view_note(view, IOI_TAIL_REFUSED, NULL, 0);
    return result;
}

static int run_hook(ioi_native *native, ioi_ctx *ctx, ioi_outcome *outcome) {
    ioi_worker *w = native->worker;
    ioi_hook hook = (ioi_hook)w->arena->shared->block.hook;
    block_results results = {{w->n, result_code, result_transaction, result_output, result_gas_used}, w};
    ctx->tx_index = ioi_vm_hook_index(hook, w->n);
    return ioi_vm_hook(native->vm, hook, &native->view->state, ctx, &results.results, outcome);
}

static int call_vm(ioi_native *native, ioi_outcome *outcome) {
    ioi_ctx ctx = context_of(native, native->tx);
    memset(outcome, 0, sizeof *outcome);
    native->is_fault = false;
    ioi_view_begin(native->view, native->tx);
    tell_likely(native);
    int result = native->task == IOI_TASK_END_BLOCK ? run_hook(native, &ctx, outcome) : execute(native, &ctx, outcome);
    ioi_forked_end();
    ioi_scans_end(native->view);
    return result;
}

/* Fetching is no part of what an execution costs: runs would get short, and so would the batches fetched. */
static bool leave_for_bases(ioi_native *native) {
    native->left_ns = ioi_now_ns();
    return true;
}

bool ioi_native_run(ioi_native *native) {
    ioi_worker *w = native->worker;
    ioi_view *view = native->view;
    w->recorder.contiguous = true;
    if (native->left_ns) {
        ioi_untimed(w, native->left_ns);
        uint64_t only = native->missing_count == 1 ? ioi_offset(w->arena, native->missing[0]) : 0;
        if (ioi_recording(w)) ioi_recorder_fetched(&w->recorder, native->left_ns, view->tx, view->incarnation, only);
    }
    native->missing_count = 0;
    native->left_ns = 0;
    for (;;) {
        if (native->pending) { /* it stopped midway, and perhaps so has the block: no room for a base value, say */
            if (!ioi_running(w)) return false;
        } else {
            native->task = ioi_next(w, &native->tx);
            if (native->task == IOI_TASK_LEAVE) return false;
            native->pending = true;
            if (native->task == IOI_TASK_EXECUTE && hint_run(native)) return leave_for_bases(native);
        }
        ioi_outcome outcome;
        int result = call_vm(native, &outcome);
        if (result == IOI_STOP || view->stop != IOI_STOP_NONE) { /* a VM may have swallowed it, and must not be believed */
            if (ioi_recording(w)) ioi_recorder_executed(&w->recorder, false);
            switch (view->stop) {
            case IOI_STOP_BASE: miss(native, view->missing); return leave_for_bases(native);
            case IOI_STOP_ESTIMATE:
                if (!ioi_wait_for(w, view->blocker)) return false;
                continue;
            case IOI_STOP_STALE: continue;
            case IOI_STOP_UNREADABLE: return leave_for_bases(native);
            case IOI_STOP_FULL: ioi_stop_block(w->arena, IOI_BLOCK_FULL); return false;
            case IOI_STOP_NONE: break;
            }
            assert(!"a VM returned IOI_STOP though no operation did");
        }
        native->pending = false;
        ioi_bound_outcome(&view->limits, &outcome);
        if (native->task == IOI_TASK_END_BLOCK) outcome.output_len = 0; /* no updates: ioi_exec/block/updates.py */
        bool fault = native->is_fault || (native->task == IOI_TASK_END_BLOCK && outcome.code != 0);
        if (!ioi_view_finish(view, &outcome, fault)) {
            ioi_stop_block(w->arena, IOI_BLOCK_FULL);
            return false;
        }
    }
}
