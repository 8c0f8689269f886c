#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../../native/program.h"
#include "block.h"
#include "machine.h"
#include "native.h"
#include "play.h"
#include "sequential.h"
#include "vm.h"
#include "wait.h"

enum { WARM_UP_MOST = 2000, OUTPUT_MOST = 32 };
static const uint64_t ARENA_BYTES = UINT64_C(1) << 33; /* mapped, not used */
static const uint64_t BETWEEN_NS = 10000000;           /* blocks: whoever waits has gone to sleep by then */

typedef struct play {
    const sim_block *b;
    const sim_plan *plan;
    ioi_arena arena;
    ioi_vm vm;
    uint64_t *last_ns; /* the last whole execution of each transaction */
    uint64_t executed;
    uint8_t outputs[SIM_CORES_MAX][OUTPUT_MOST];
    sim_result *result;
    const char *wrong;
} play;

static play *playing; /* one at a time: the VM's functions have no context */

/* ---- a worker ------------------------------------------------------------------------------------------------------- */

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm;
    uint64_t from = sim_machine_now();
    sim_machine_work(playing->plan->costs.work);
    int result = ioi_program.execute(&ioi_program, tx, len, state, ctx, outcome);
    uint64_t took = sim_machine_now() - from;
    playing->executed += took;
    if (result == IOI_STOP) return result;
    playing->last_ns[ctx->tx_index] = took;
    /* Workers are no threads here, and the next one overwrites what the VM keeps for each of them. */
    uint8_t *kept = playing->outputs[((ioi_view *)state)->worker->id];
    assert(outcome->output_len <= OUTPUT_MOST);
    if (outcome->output_len) outcome->output = memcpy(kept, outcome->output, outcome->output_len);
    return result;
}

static bool bring(play *p, ioi_alloc *alloc, ioi_entry *entry) {
    sim_bytes value = sim_block_base(p->b, entry->key, entry->key_len);
    return ioi_mv_set_base(alloc, entry, value.at, (uint32_t)value.len);
}

typedef struct taker {
    ioi_worker w;
    ioi_view *view;
    ioi_native native;
} taker;

static void taker_init(taker *t, play *p, uint32_t id) {
    ioi_worker_init(&t->w, &p->arena, id);
    t->view = ioi_view_new(&t->w);
    t->view->limits = p->b->limits;
    ioi_native_init(&t->native, &t->w, t->view, &p->vm);
}

static void taker_free(taker *t) {
    ioi_native_free(&t->native);
    ioi_view_free(t->view);
    ioi_worker_free(&t->w);
}

static void take_part(taker *t, play *p) {
    ioi_worker_enter(&t->w);
    ioi_native_enter(&t->native);
    while (ioi_native_run(&t->native))
        for (uint32_t i = 0; i < t->native.missing_count; i++)
            if (!bring(p, &t->w.alloc, t->native.missing[i])) ioi_stop_block(&p->arena, IOI_BLOCK_FULL);
    ioi_worker_leave(&t->w);
    ioi_block_depart(&p->arena);
}

static void run_worker(void *context) {
    play *p = playing;
    uint32_t id = (uint32_t)(uintptr_t)context, seen = 0;
    taker t;
    taker_init(&t, p, id);
    while (ioi_block_await(&p->arena, id, &seen, p->plan->spin_ns)) take_part(&t, p);
    taker_free(&t);
}

/* ---- the coordinator ------------------------------------------------------------------------------------------------ */

typedef struct hinting {
    play *p;
    ioi_alloc *alloc;
    bool full;
} hinting;

static void hint(void *context, const uint8_t *key, size_t len) {
    hinting *h = context;
    if (len == 0 || len > h->p->b->limits.key_bytes) return;
    ioi_entry *entry = ioi_index_intern(h->alloc, ioi_hash(h->p->arena.shared->seed, key, (uint32_t)len), key, (uint32_t)len);
    h->full |= !entry || !bring(h->p, h->alloc, entry);
}

/* The first `n` transactions, their base values there already: reading the store is not the scheduler's. */
static bool lay_out(play *p, uint32_t n) {
    const sim_block *b = p->b;
    uint64_t bytes_len = n ? b->ends[n - 1] : 0;
    ioi_block_input input = {.n = n,
                             .workers = p->plan->workers,
                             .spins = p->plan->spins,
                             .policy = p->plan->policy,
                             .tx_bytes = bytes_len,
                             .keys = b->distinct + 1};
    uint64_t *ends;
    uint8_t *bytes;
    if (!ioi_block_begin(&p->arena, &input, &ends, &bytes)) return false;
    memcpy(ends, b->ends, n * sizeof *ends);
    memcpy(bytes, b->bytes, bytes_len);
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &p->arena);
    hinting h = {p, &alloc, false};
    for (uint32_t tx = 0; tx < n && !h.full; tx++) {
        sim_bytes t = sim_block_tx(b, tx);
        p->vm.keys(&p->vm, t.at, t.len, hint, &h);
    }
    return !h.full;
}

typedef struct sealing {
    const ioi_arena *arena;
    uint32_t n;
    uint64_t digest;
} sealing;

static void seal(void *context, const ioi_entry *entry, uint64_t word) {
    sealing *s = context;
    const ioi_record *record = ioi_word_record(s->arena, word);
    bool present = ioi_word_present(word);
    s->digest += sim_digest(s->n + present, entry->key, entry->key_len, record->bytes, present ? record->len : 0);
}

static const char *check(play *p) {
    uint32_t n = p->b->n, state = a32_load(&p->arena.shared->sched.state);
    if (state == IOI_BLOCK_FULL) return "the block has no room in the simulated arena: simulate a smaller one";
    if (state != IOI_BLOCK_DONE) return "the simulated block did not end as done";
    sealing s = {&p->arena, n, 0};
    ioi_mv_seal(&p->arena, p->plan->workers, seal, &s);
    const a32 *incarnations = ioi_at(&p->arena, p->arena.shared->block.incarnations);
    for (uint32_t tx = 0; tx < n; tx++) {
        const ioi_receipt *r = ioi_incarnation_receipt(&p->arena, ioi_deref(&p->arena, a32_load(&incarnations[tx])));
        ioi_outcome o = {.code = r->code, .output_len = r->output_len};
        if (r->output_len) o.output = ioi_deref(&p->arena, r->output);
        s.digest += sim_receipt_digest(tx, &o);
    }
    return s.digest == p->b->digest ? NULL
                                    : "the simulated block ended otherwise than sequential execution: the core has a fault";
}

static void collect(play *p, uint64_t began, uint64_t ended) {
    sim_result *r = p->result;
    uint64_t inside = 0;
    *r = (sim_result){.elapsed = ended - began, .executed = p->executed, .moving = sim_lines_moving()};
    for (uint32_t tx = 0; tx < p->b->n; tx++) r->useful += p->last_ns[tx];
    for (uint32_t i = 0; i < p->plan->workers; i++) {
        const ioi_slot *s = &p->arena.shared->slots[i];
        r->executions += a64_load(&s->executions);
        r->validations += a64_load(&s->validations);
        r->aborts += a64_load(&s->aborts);
        r->suspensions += a64_load(&s->suspensions);
        r->solo += a64_load(&s->solo);
        r->waiting += a64_load(&s->wait_ns);
        inside += a64_load(&s->wait_ns) + a64_load(&s->busy_ns);
    }
    uint64_t all = p->plan->workers * r->elapsed;
    r->waiting += all > inside ? all - inside : 0; /* those not woken yet, and those that have left */
}

static void play_one(play *p, uint32_t n, bool counts) {
    sim_machine_free(true);
    bool room = lay_out(p, n);
    if (!room) p->wrong = "the block has no room in the simulated arena: simulate a smaller one";
    memset(p->last_ns, 0, (p->b->n + 1) * sizeof *p->last_ns);
    p->executed = 0;
    sim_machine_free(false);
    if (!room) return;
    sim_machine_spend(BETWEEN_NS);
    uint64_t began = sim_machine_now();
    ioi_block_start(&p->arena);
    ioi_block_wait(&p->arena, UINT64_MAX / 2);
    if (!counts) return;
    sim_machine_free(true);
    collect(p, began, sim_machine_now());
    p->wrong = check(p);
    sim_machine_free(false);
}

/* First a block of the same kind: workers know what transactions cost from the one before. */
static void run_coordinator(void *context) {
    play *p = context;
    sim_machine_spend(BETWEEN_NS);
    play_one(p, p->b->n < WARM_UP_MOST ? p->b->n : WARM_UP_MOST, false);
    if (!p->wrong) play_one(p, p->b->n, true);
    ioi_block_shutdown(&p->arena, p->plan->workers);
}

static bool open_play(play *p, const sim_block *block, const sim_plan *plan) {
    static uint8_t *base;
    if (!base) {
        void *mapped = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) return false;
        base = mapped;
    }
    memset(p, 0, sizeof *p);
    p->b = block;
    p->plan = plan;
    p->vm = ioi_program;
    p->vm.execute = execute;
    p->last_ns = calloc(block->n + 1, sizeof *p->last_ns);
    assert(p->last_ns);
    uint64_t hashed[4] = {plan->seed * 2 + 1, plan->seed ^ 0x9e3779b97f4a7c15, 0xd1342543de82ef95, plan->seed + 7};
    ioi_arena_init(&p->arena, base, ARENA_BYTES, ARENA_BYTES, hashed);
    sim_vm_oversleep(block->oversleep_ns);
    playing = p;
    return true;
}

static void close_play(play *p) { free(p->last_ns); }

const char *sim_play_core(const sim_block *block, const sim_plan *plan, sim_result *result) {
    play p;
    if (!open_play(&p, block, plan)) return "there is no address space for the simulated arena";
    p.result = result;
    ioi_sched *sched = &p.arena.shared->sched;
    sim_machine_reset(&(sim_machine_options){.costs = &plan->costs,
                                             .seed = plan->seed,
                                             .base = p.arena.base,
                                             .bytes = ARENA_BYTES,
                                             .hot = sched,
                                             .hot_end = sched + 1});
    for (uintptr_t i = 0; i < plan->workers; i++) sim_machine_add(run_worker, (void *)i);
    sim_machine_add(run_coordinator, &p);
    if (!sim_machine_run()) p.wrong = "the simulated workers all sleep before the block is done: the core has a fault";
    close_play(&p);
    return p.wrong;
}

/* ---- real time ------------------------------------------------------------------------------------------------------ */

/* Of this thread: what else the machine does is not in it. */
static uint64_t real_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Outside the machine operations are what they are: the core at work, alone. */
uint64_t sim_measure_core(const sim_block *block) {
    sim_plan plan = {.workers = 1};
    play p;
    if (!open_play(&p, block, &plan) || !lay_out(&p, block->n)) return 0;
    taker t;
    taker_init(&t, &p, 0);
    ioi_block_start(&p.arena);
    uint64_t from = real_now();
    take_part(&t, &p);
    uint64_t took = real_now() - from;
    taker_free(&t);
    close_play(&p);
    return block->n ? took / block->n : 0;
}

uint64_t sim_measure_sequential(const sim_block *block) {
    ioi_ctx ctx = {0};
    ioi_seq *seq = ioi_seq_new(&ioi_program, &block->limits, &ctx);
    for (size_t i = 0; i < block->base_count; i++)
        ioi_seq_set_base(seq, block->keys[i].at, block->keys[i].len, block->values[i].at, block->values[i].len);
    uint64_t from = real_now();
    for (uint32_t tx = 0; tx < block->n; tx++) {
        sim_bytes bytes = sim_block_tx(block, tx);
        ioi_outcome outcome;
        ioi_seq_hint(seq, tx, bytes.at, bytes.len);
        ioi_seq_execute(seq, bytes.at, bytes.len, &outcome);
    }
    uint64_t took = real_now() - from;
    ioi_seq_free(seq);
    return block->n ? took / block->n : 0;
}

/* ---- bounds --------------------------------------------------------------------------------------------------------- */

uint64_t sim_sequential_ns(const sim_block *block, const sim_costs *costs) {
    uint64_t sum = 0;
    for (uint32_t tx = 0; tx < block->n; tx++) sum += block->txs[tx].cost_ns + costs->sequential;
    return sum;
}

uint64_t sim_critical_path_ns(const sim_block *block, const sim_costs *costs) {
    uint64_t *ends = calloc(block->n + 1, sizeof *ends), longest = 0;
    assert(ends);
    for (uint32_t tx = 0; tx < block->n; tx++) {
        const ioi_sim_tx *t = &block->txs[tx];
        for (uint32_t i = 0; i < t->reads_count; i++) {
            uint32_t from = t->reads_from[i];
            if (from != IOI_FROM_BASE && ends[from] > ends[tx]) ends[tx] = ends[from];
        }
        ends[tx] += t->cost_ns + costs->work;
        if (ends[tx] > longest) longest = ends[tx];
    }
    free(ends);
    return longest;
}
