#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sums.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

void engine_fail(engine *e, const char *format, ...) {
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    e->fail(e, message);
    abort();
}

/* ---- the programs as a native VM ---------------------------------------------------------------------------------------- */

static uint32_t result_code(void *context, uint32_t tx) {
    const ioi_results *results = *(const ioi_results **)context;
    return results->code(results, tx);
}

static int finish(state_world *x, int status, ioi_outcome *outcome) {
    const program_outcome *out = &x->outcome;
    *outcome = (ioi_outcome){out->code,  out->gas_wanted, out->gas_used, out->output_len ? out->output : NULL,
                             out->error, out->output_len, out->error_len};
    return status;
}

/* What goes on inside operations is not metered here: the front of VMs in Python does that, above them. */
static bool resumes(const engine *e, uint32_t id) { return (e->resume_mask >> id & 1) && !e->c->limits.gas.on; }

/* view: what is behind the state, which may be metered. */
static state_world *world_of(engine *e, ioi_state *state, ioi_view *view) {
    state_world *x = &e->worlds[view->worker->id];
    state_world_init(x, e, e->c, state, view, resumes(e, view->worker->id));
    if (e->forced_cost) view->worker->cost_ns = e->forced_cost;
    return x;
}

/* A program's `ante`, or the rest of it. */
static int run_part(const engine *e, state_world *x, const uint8_t *tx, size_t len, uint64_t salt, bool pays) {
    size_t from, to;
    program_ante(tx, len, &from, &to);
    return pays ? program_run(tx + from, to - from, ~salt, e->c->keys, &x->world, &x->outcome)
                : program_run(tx + to, len - to, salt, e->c->keys, &x->world, &x->outcome);
}

static uint64_t vm_gas_limit(const ioi_vm *vm, const uint8_t *tx, size_t len) {
    (void)vm;
    return program_gas_limit(tx, len);
}

static int vm_execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx,
                      ioi_outcome *outcome) {
    engine *e = ((const test_vm *)vm)->engine;
    state_world *x = world_of(e, state, (ioi_view *)(e->c->limits.gas.on ? ((ioi_metered *)state)->inner : state));
    if (ctx->height != e->c->seed) engine_fail(e, "the context is another block's");
    return finish(x, run_part(e, x, tx, len, ctx->tx_index, false), outcome);
}

static int vm_ante(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    engine *e = ((const test_vm *)vm)->engine;
    state_world *x = world_of(e, state, (ioi_view *)(e->c->limits.gas.on ? ((ioi_metered *)state)->inner : state));
    return finish(x, run_part(e, x, tx, len, ctx->tx_index, true), outcome);
}

static int vm_end_block(const ioi_vm *vm, ioi_state *state, const ioi_ctx *ctx, const ioi_results *results,
                        ioi_outcome *outcome) {
    engine *e = ((const test_vm *)vm)->engine;
    state_world *x = world_of(e, state, (ioi_view *)state);
    uint64_t salt = block_case_salt(e->c, (uint32_t)ctx->tx_index, result_code, &results);
    size_t len;
    const uint8_t *tx = block_case_tx(e->c, e->c->n, &len);
    return finish(x, run_part(e, x, tx, len, salt, false), outcome);
}

typedef struct hints {
    const block_case *c;
    void (*emit)(void *, const uint8_t *, size_t);
    void *context;
} hints;

static void hint_key(void *context, uint32_t key) {
    const hints *h = context;
    h->emit(h->context, h->c->key_bytes[key], h->c->key_len[key]);
}

static void vm_keys(const ioi_vm *vm, const uint8_t *tx, size_t len, void (*emit)(void *, const uint8_t *, size_t),
                    void *context) {
    const engine *e = ((const test_vm *)vm)->engine;
    hints h = {e->c, emit, context};
    program_keys(tx, len, e->c->keys, hint_key, &h);
}

/* ---- a worker ---------------------------------------------------------------------------------------------------------------- */

static void play_native(engine *e, ioi_native *native) {
    ioi_worker *w = native->worker;
    ioi_native_enter(native);
    while (ioi_native_run(native))
        for (uint32_t i = 0; i < native->missing_count; i++) {
            ioi_entry *entry = native->missing[i];
            const case_value *v = &e->c->base[block_case_rank(e->c, entry->key, entry->key_len)];
            if (!ioi_mv_set_base(&w->alloc, entry, v->bytes, v->len)) {
                ioi_stop_block(w->arena, IOI_BLOCK_FULL);
                break;
            }
        }
}

static uint32_t finished_code(void *context, uint32_t tx) {
    const ioi_worker *w = context;
    return ioi_incarnation_receipt(w->arena, ioi_finished(w, tx))->code;
}

/* The way of ioi_exec/execution/workers/part.py: operations go on where they stopped, an incarnation cut short starts again. */
static void play_resuming(engine *e, ioi_worker *w, ioi_view *view) {
    uint32_t tx;
    for (;;) {
        ioi_task task = ioi_next(w, &tx);
        if (task == IOI_TASK_LEAVE) return;
        do {
            ioi_view_begin(view, tx);
            state_world *x = world_of(e, &view->state, view);
            uint64_t salt = block_case_salt(e->c, tx, finished_code, w);
            size_t len;
            const uint8_t *bytes = block_case_tx(e->c, tx, &len);
            bool pays = e->c->ante && task == IOI_TASK_EXECUTE, refused = false;
            if (pays) {
                if (run_part(e, x, bytes, len, salt, true) == IOI_STOP) continue;
                refused = x->outcome.code != 0;
                if (refused) ioi_view_note(view, IOI_TAIL_REFUSED, NULL, 0);
                else ioi_view_hold(view);
            }
            if (!refused && run_part(e, x, bytes, len, salt, false) == IOI_STOP) continue;
            ioi_outcome outcome;
            finish(x, IOI_OK, &outcome);
            ioi_bound_outcome(&view->limits, &outcome); /* as the receipts of VMs in Python are */
            bool fault = x->outcome.fault || (task == IOI_TASK_END_BLOCK && outcome.code);
            if (!ioi_view_finish(view, &outcome, fault)) ioi_stop_block(w->arena, IOI_BLOCK_FULL);
            break;
        } while (ioi_running(w));
    }
}

void engine_worker(engine *e, uint32_t id) {
    ioi_arena arena;
    if (!ioi_arena_attach(&arena, e->arena.base, e->arena.size)) engine_fail(e, "worker %u cannot attach", id);
    ioi_worker w;
    ioi_worker_init(&w, &arena, id);
    ioi_view *view = ioi_view_new(&w);
    ioi_native native;
    ioi_native_init(&native, &w, view, &e->vm.vm);
    case_walks walks;
    view->ranges = &walks.ranges;
    uint32_t seen = 0;
    while (ioi_block_await(&arena, id, &seen, e->spins)) {
        view->limits = e->c->limits;
        case_walks_init(&walks, e->c, false);
        ioi_worker_enter(&w);
        if (e->forced_cost) w.cost_ns = e->forced_cost;
        if (resumes(e, id)) play_resuming(e, &w, view);
        else play_native(e, &native);
        ioi_worker_leave(&w);
        ioi_block_depart(&arena);
    }
    ioi_native_free(&native);
    ioi_view_free(view);
    ioi_worker_free(&w);
}

/* ---- the coordinator --------------------------------------------------------------------------------------------------------- */

static void reserve(engine *e, uint64_t bytes) {
    if (bytes > e->arena.size) engine_fail(e, "the block needs more than %lu bytes of arena", (unsigned long)e->arena.size);
    ASAN_POISON_MEMORY_REGION(e->arena.base + bytes, e->arena.size - bytes);
    ASAN_UNPOISON_MEMORY_REGION(e->arena.base, bytes);
    a64_store(&e->arena.shared->reserved, bytes);
}

void engine_init(engine *e, uint8_t *base, uint64_t size, uint64_t room, const uint64_t hash_seed[4]) {
    uint64_t reserved = IOI_BLOCK_AT + room;
    ASAN_UNPOISON_MEMORY_REGION(base, size);
    ioi_arena_init(&e->arena, base, size, reserved, hash_seed);
    reserve(e, reserved);
    e->vm = (test_vm){{.abi = IOI_VM_ABI,
                       .version = 1,
                       .name = "programs",
                       .execute = vm_execute,
                       .end_block = vm_end_block,
                       .gas_limit = vm_gas_limit},
                      e};
}

ioi_policy policy_random(uint64_t *rng) {
    static const uint32_t windows[] = {0, 0, IOI_WINDOW_OPEN, 1, 2, 5, 40}, runs[] = {0, 0, 1, 3, IOI_RUN_MAX};
    if (rng_chance(rng, 50)) return (ioi_policy){0};
    return (ioi_policy){windows[rng_below(rng, 7)], runs[rng_below(rng, 5)], rng_chance(rng, 40), rng_chance(rng, 40),
                        rng_chance(rng, 40)};
}

static void grow(engine *e) {
    uint64_t room = a64_load(&e->arena.shared->reserved) - IOI_BLOCK_AT;
    reserve(e, IOI_BLOCK_AT + room + room * e->growth / 100 + 512);
    e->fulls++;
}

static bool lay_out(engine *e, const block_case *c) {
    ioi_block_input input = {
        .n = c->n,
        .workers = c->n <= e->small_block ? 1 : e->workers,
        .policy = e->policy,
        .spins = e->spins,
        .hook = c->end_block ? IOI_END_BLOCK : IOI_NO_HOOK,
        .record = e->record,
        .tx_bytes = c->ends[c->n],
        .keys = c->keys,
        .height = c->seed,
        .proposer = (const uint8_t *)"proposer",
        .proposer_len = 8,
    };
    uint64_t *ends;
    uint8_t *bytes;
    if (!ioi_block_begin(&e->arena, &input, &ends, &bytes)) return false;
    memcpy(ends, c->ends, (c->n + 1) * sizeof *ends);
    memcpy(bytes, c->txs, c->ends[c->n]);
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &e->arena);
    for (uint32_t k = 0; k < c->keys; k++)
        if (c->has_overlay[k] &&
            !ioi_block_overlay(&alloc, c->key_bytes[k], c->key_len[k], c->overlay[k].bytes, c->overlay[k].len))
            return false;
    return true;
}

void engine_begin(engine *e, const block_case *c) {
    e->c = c;
    e->vm.vm.keys = c->hints ? vm_keys : NULL;
    e->vm.vm.ante = c->ante ? vm_ante : NULL;
    while (!lay_out(e, c)) grow(e);
    ioi_block_start(&e->arena);
}

typedef struct sealing {
    engine *e;
    bool met[KEYS_MAX];
    uint32_t count;
} sealing;

static void emit(void *context, const ioi_entry *entry, uint64_t word) {
    sealing *s = context;
    engine *e = s->e;
    uint32_t key = block_case_rank(e->c, entry->key, entry->key_len);
    if (s->met[key]) engine_fail(e, "key %u is sealed twice", key);
    s->met[key] = true;
    s->count++;
    if (!e->c->written[key]) engine_fail(e, "key %u is sealed though nothing wrote it", key);
    const case_value *v = &e->c->final[key];
    if (v->present != ioi_word_present(word)) engine_fail(e, "key %u: present %d, expected %d", key, !v->present, v->present);
    e->sums += ioi_sums_of(&e->arena, entry) != NULL;
    if (ioi_word_added(word)) {
        uint8_t sum[16]; /* programs add to no larger values */
        uint32_t size = ioi_mv_field(&e->arena, entry).size;
        ioi_alloc alloc;
        ioi_alloc_init(&alloc, &e->arena);
        ioi_mv_sealed(&alloc, (ioi_entry *)entry, sum);
        if (size != v->len || memcmp(sum, v->bytes, size) != 0) engine_fail(e, "key %u: another final sum", key);
        return;
    }
    const ioi_record *record = ioi_word_record(&e->arena, word);
    if (v->present && (record->len != v->len || memcmp(record->bytes, v->bytes, v->len) != 0))
        engine_fail(e, "key %u: another final value (%u bytes, expected %u)", key, record->len, v->len);
}

static void check_receipts(engine *e, uint32_t to) {
    const block_case *c = e->c;
    uint64_t size = ioi_receipts_size(&e->arena, 0, to);
    uint8_t *packed = malloc(size + 1);
    uint64_t *ends = malloc((to + 1) * sizeof *ends);
    ioi_receipts_pack(&e->arena, 0, to, packed, ends);
    for (uint32_t tx = 0; tx < to; tx++) {
        const uint8_t *at = packed + (tx ? ends[tx - 1] : 0);
        const program_outcome *x = &c->outcomes[tx];
        uint32_t head[4];
        uint64_t gas[2];
        memcpy(head, at, sizeof head);
        memcpy(gas, at + sizeof head, sizeof gas);
        if (head[0] != x->code || head[1] != x->output_len || head[2] != x->error_len ||
            !case_tail_is(c, tx, at + IOI_RECEIPT_HEAD + x->output_len + x->error_len, head[3]) || gas[0] != x->gas_wanted ||
            gas[1] != x->gas_used || memcmp(at + IOI_RECEIPT_HEAD, x->output, x->output_len) != 0 ||
            memcmp(at + IOI_RECEIPT_HEAD + x->output_len, x->error, x->error_len) != 0 ||
            ends[tx] != (uint64_t)(at - packed) + IOI_RECEIPT_HEAD + head[1] + head[2] + head[3])
            engine_fail(e, "receipt %u of %u: code %u, expected %u", tx, c->n, head[0], x->code);
    }
    if (to && size != ends[to - 1]) engine_fail(e, "receipts: %lu bytes announced", (unsigned long)size);
    free(packed);
    free(ends);
}

void engine_check_prefix(engine *e) {
    uint32_t watermark = a32_load(&e->arena.shared->sched.commit_idx);
    uint32_t limit = e->c->faulted ? e->c->fault_tx : e->c->n;
    if (watermark > limit) engine_fail(e, "the watermark is at %u, at most %u can be final", watermark, limit);
    check_receipts(e, watermark);
}

/* Every incarnation of every transaction stands in one span, every wait in one. */
static void check_spans(engine *e) {
    const ioi_shared *shared = e->arena.shared;
    const a32 *status = ioi_at(&e->arena, shared->block.status);
    uint64_t count = ioi_spans_all(&e->arena, NULL), suspensions = 0, counted = 0;
    ioi_span *spans = malloc((count + 1) * sizeof *spans);
    uint32_t *met = calloc(e->c->n + 1, sizeof *met);
    ioi_spans_all(&e->arena, spans);
    for (uint64_t i = 0; i < count; i++) {
        const ioi_span *s = &spans[i];
        suspensions += s->suspensions;
        if (s->count == 0 || s->first + s->count > e->c->n || s->worker >= shared->block.workers)
            engine_fail(e, "a span of %u transactions from %u on by worker %u", s->count, s->first, s->worker);
        for (uint32_t tx = s->first; tx < s->first + s->count; tx++) {
            if (s->incarnation > ioi_status_incarnation(a32_load(&status[tx])))
                engine_fail(e, "a span of an incarnation never run");
            met[tx] += s->suspensions == 0;
        }
    }
    for (uint32_t i = 0; i < shared->block.workers; i++) counted += a64_load(&shared->slots[i].suspensions);
    if (suspensions != counted)
        engine_fail(e, "%lu waits in spans, %lu counted", (unsigned long)suspensions, (unsigned long)counted);
    for (uint32_t tx = 0; tx < e->c->n; tx++)
        if (met[tx] != ioi_status_incarnation(a32_load(&status[tx])) + 1)
            engine_fail(e, "transaction %u stands in %u spans", tx, met[tx]);
    free(spans);
    free(met);
}

void engine_check_end(engine *e) {
    const block_case *c = e->c;
    ioi_shared *shared = e->arena.shared;
    uint32_t state = a32_load(&shared->sched.state);
    if (a64_load(&shared->bump) > a64_load(&shared->reserved)) engine_fail(e, "allocated beyond what is reserved");
    engine_check_prefix(e);
    if (c->faulted) {
        uint32_t tx = a32_load(&shared->sched.fault_tx);
        if (state != IOI_BLOCK_FAULT || tx != c->fault_tx)
            engine_fail(e, "state %u at transaction %u, expected a fault of %u", state, tx, c->fault_tx);
        return;
    }
    if (state != IOI_BLOCK_DONE) engine_fail(e, "the block ended in state %u", state);
    const a32 *status = ioi_at(&e->arena, shared->block.status);
    for (uint32_t tx = 0; tx < c->n; tx++)
        if (ioi_status_state(a32_load(&status[tx])) != IOI_FINAL) engine_fail(e, "transaction %u is not final", tx);
    if (a32_load(&shared->sched.commit_idx) != c->n) engine_fail(e, "done, but the watermark is not at the end");
    if (a32_load(&shared->active) == 0) check_spans(e); /* else one died, perhaps before it had noted its last ones */
    sealing s = {.e = e};
    ioi_mv_seal(&e->arena, shared->block.workers, emit, &s);
    for (uint32_t k = 0; k < c->keys; k++)
        if (c->written[k] && !s.met[k]) engine_fail(e, "key %u was written, but is not sealed", k);
    if (e->record && a32_load(&shared->active) == 0) engine_check_record(e); /* else a worker died, and with it its record */
}

static void tally(engine *e) {
    for (uint32_t i = 0; i < e->arena.shared->block.workers; i++) {
        const ioi_slot *slot = &e->arena.shared->slots[i];
        e->executions += a64_load(&slot->executions);
        e->aborts += a64_load(&slot->aborts);
        e->suspensions += a64_load(&slot->suspensions);
        e->solo += a64_load(&slot->solo);
    }
}

void engine_play(engine *e, const block_case *c, uint64_t timeout_ns) {
    for (e->attempts = 1;; e->attempts++) {
        engine_begin(e, c);
        if (!ioi_block_wait(&e->arena, timeout_ns)) engine_fail(e, "the block hangs");
        tally(e);
        if (a32_load(&e->arena.shared->sched.state) != IOI_BLOCK_FULL && !ioi_record_lost(&e->arena)) break;
        engine_check_prefix(e);
        grow(e);
    }
    engine_check_end(e);
}
