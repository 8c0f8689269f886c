#include "scheduler.h"

#include <string.h>

#include "idle.h"
#include "readers.h"
#include "wait.h"

enum {
    RUN_NS = 4000,   /* a run should cost about this much: then the shared counter is noise */
    RUN_FIRST = 4,   /* before anything was measured */
    EARLY_NS = 2000, /* transactions cheaper than this are not validated before the watermark reaches them */
    NOTE_NS = 20000, /* what dearer ones read is noted before they do, two lines that move; cheaper ones are validated instead */
    OVERTAKE_NS = 10000, /* dearer than this, validation may pass unexecuted ones: checks are cheap beside them */
    OVERTAKE_MANY = 8, /* workers: from so many on cheaper ones too, for what is found late is run again by one while all wait */
    VALIDATION_BATCH = 8,
    VALIDATION_REACH = 64, /* transactions, of which most are not executed yet: little is found there, so go far at once */
    ACTIVE_LEAST = 2,      /* workers that conflicts leave at the block */
    SOLO_ABORTS = 8,       /* one in so many steps aborted: it may be faster alone */
    SOLO_FIRST = 128,      /* transactions of a first stretch alone: enough to see how fast that is */
    SOLO_MAX = 4096,
    PUBLISH_EVERY = 16,   /* steps of the watermark per shared store */
    TUNE_EVERY = 32,      /* steps of the watermark per look at how the block goes */
    SOLO_TURNS = 256,     /* pauses to let another worker's cheap transaction end */
    SPIN_PAUSES_MAX = 64, /* pauses between two looks of an idle worker, at most */
};

#define NONE_SUSPECT UINT32_MAX /* as validation_idx */

void ioi_scheduler_start(ioi_arena *arena) {
    ioi_sched *sched = &arena->shared->sched;
    memset((void *)sched, 0, sizeof *sched);
    sched->solo_length = SOLO_FIRST;
    sched->tuned_ns = ioi_now_ns();
    if (!arena->shared->block.policy.by_version) a32_store(&sched->validation_idx, NONE_SUSPECT);
    a32_store(&sched->active, arena->shared->block.workers);
    a32_store(&sched->state, IOI_BLOCK_RUNNING);
}

/* ---- worker ------------------------------------------------------------------------------------------------- */

void ioi_worker_init(ioi_worker *w, ioi_arena *arena, uint32_t id) {
    assert(id < IOI_WORKERS_MAX);
    memset(w, 0, sizeof *w);
    w->arena = arena;
    w->sched = &arena->shared->sched;
    w->slot = &arena->shared->slots[id];
    w->id = id;
    w->scratch = ioi_entry_set_new();
}

void ioi_worker_free(ioi_worker *w) { ioi_entry_set_free(w->scratch); }

void ioi_worker_enter(ioi_worker *w) {
    const ioi_block *block = &w->arena->shared->block;
    ioi_alloc_init(&w->alloc, w->arena);
    w->status = ioi_at(w->arena, block->status);
    w->incarnations = ioi_at(w->arena, block->incarnations);
    w->readers = block->readers ? ioi_at(w->arena, block->readers) : NULL;
    w->policy = block->policy;
    w->window = block->policy.window ? block->policy.window : IOI_WINDOW_OPEN;
    w->n = block->n;
    w->workers = block->workers;
    w->spins = block->spins;
    w->run_next = w->run_end = 0;
    w->owned = w->fresh = IOI_NO_TX;
    w->token = w->noting = false;
    w->span.count = 0;
    w->log = NULL;
    w->waited_ns = 0;
    w->entered_ns = ioi_now_ns();
    w->timed_from = w->entered_ns;
    w->recording = block->record;
    if (ioi_recording(w)) ioi_recorder_enter(&w->recorder, &w->alloc, w->slot, w->entered_ns);
    a32_store(&w->slot->in_block, 1);
}

static void count(a64 *counter, uint64_t by) { a64_store_relaxed(counter, a64_load_relaxed(counter) + by); }

void ioi_worker_leave(ioi_worker *w) {
    uint64_t inside = ioi_now_ns() - w->entered_ns;
    count(&w->slot->wait_ns, w->waited_ns);
    count(&w->slot->busy_ns, inside > w->waited_ns ? inside - w->waited_ns : 0);
    a32_store(&w->slot->current_tx, 0);
    a32_store(&w->slot->in_block, 0);
}

uint32_t ioi_incarnation_of(const ioi_worker *w, uint32_t tx) { return ioi_status_incarnation(a32_load_relaxed(&w->status[tx])); }

ioi_incarnation *ioi_finished(const ioi_worker *w, uint32_t tx) {
    ioi_ref at = a32_load(&w->incarnations[tx]);
    return at ? ioi_deref(w->arena, at) : NULL;
}

/* ---- stopping ----------------------------------------------------------------------------------------------------- */

void ioi_stop_block(ioi_arena *arena, ioi_block_state state) {
    ioi_sched *sched = &arena->shared->sched;
    uint32_t running = IOI_BLOCK_RUNNING;
    if (!a32_cas(&sched->state, &running, state) && running == IOI_BLOCK_IDLE) return;
    /* Also when it was stopped already: whoever did may have died before waking anybody. */
    ioi_notify(sched, UINT32_MAX);
    ioi_unpark(sched);
    if (state == IOI_BLOCK_DONE) return; /* nobody waits for a final transaction */
    a32 *status = ioi_at(arena, arena->shared->block.status);
    for (uint32_t tx = 0; tx < arena->shared->block.n; tx++) {
        bool waited = a32_load_sc(&status[tx]) & IOI_WAITED;
        /* Taking the bit away changes the word, so a waiter just about to sleep on it does not. */
        if (waited) a32_and(&status[tx], ~(uint32_t)IOI_WAITED);
        /* After a death all are woken: it may have come between taking a bit away and waking. */
        if (waited || state == IOI_BLOCK_ABANDONED) ioi_futex_wake(&status[tx], UINT32_MAX);
    }
}

static void give_back_run(ioi_worker *w) {
    if (w->run_next >= w->run_end) return;
    uint32_t from = w->run_next;
    w->run_next = w->run_end = 0;
    a32_min(&w->sched->execution_idx, from);
    ioi_notify(w->sched, 1);
}

void ioi_untimed(ioi_worker *w, uint64_t since) {
    uint64_t duration = ioi_now_ns() - since;
    w->waited_ns += duration;
    w->timed_from += duration;
}

static void reserve_span(ioi_worker *w) {
    if (!ioi_span_reserve(&w->alloc, w->slot, &w->log)) ioi_stop_block(w->arena, IOI_BLOCK_FULL);
}

static void log_suspension(ioi_worker *w) {
    uint32_t waiting = a32_load_relaxed(&w->slot->current_tx);
    assert(waiting && "only a transaction that runs can wait");
    ioi_span span = {waiting - 1, 1, (uint16_t)w->id, ioi_incarnation_of(w, waiting - 1), 1, 0};
    ioi_span_add(w->log, &span);
    reserve_span(w); /* that room was its execution's */
}

bool ioi_wait_for(ioi_worker *w, uint32_t tx) {
    assert(!w->token && "whoever runs at the watermark meets no ESTIMATE");
    give_back_run(w);
    count(&w->slot->suspensions, 1);
    log_suspension(w);
    uint64_t from = ioi_now_ns();
    bool running;
    for (uint32_t turn = 0; (running = ioi_running(w)); turn++) {
        uint32_t s = a32_load(&w->status[tx]);
        if (ioi_status_state(s) != IOI_EXECUTING && ioi_status_state(s) != IOI_ABORTING) break;
        if (turn < w->spins) {
            ioi_pause();
            continue;
        }
        if (!(s & IOI_WAITED)) {
            if (!a32_cas(&w->status[tx], &s, s | IOI_WAITED)) continue;
            s |= IOI_WAITED;
        }
        if (!ioi_running(w)) continue; /* stopped between the look above and raising the bit */
        ioi_futex_wait(&w->status[tx], s, 0);
    }
    ioi_untimed(w, from);
    if (ioi_recording(w)) ioi_recorder_suspended(&w->recorder, from);
    return running;
}

/* ---- aborting ------------------------------------------------------------------------------------------------ */

/* Whether validation goes ahead of the watermark. */
static bool early(const ioi_worker *w) { return w->workers > 1 && w->cost_ns >= EARLY_NS; }

static __attribute__((noinline)) bool validate_recorded(ioi_worker *w, uint32_t tx, const ioi_incarnation *inc) {
    uint64_t start = ioi_recorder_start(&w->recorder);
    bool stands = ioi_mv_validate(&w->alloc, inc, tx + 1, w->policy.by_version, w->scratch, &w->recorder.cause);
    ioi_recorder_validated(&w->recorder, start, tx, inc->incarnation, stands);
    return stands;
}

static bool validate(ioi_worker *w, uint32_t tx) {
    count(&w->slot->validations, 1);
    const ioi_incarnation *inc = ioi_finished(w, tx);
    ioi_touched(inc, sizeof *inc + inc->reads_count * sizeof *inc->reads, false);
    if (ioi_recording(w)) return validate_recorded(w, tx, inc);
    return ioi_mv_validate(&w->alloc, inc, tx + 1, w->policy.by_version, w->scratch, NULL);
}

/* ---- who read what changed ----------------------------------------------------------------------------------------- */

static bool abort_incarnation(ioi_worker *w, uint32_t tx, uint32_t s);

/* What `inc` of `tx` wrote stands there since now, or does not stand any more: look at those above that may have read it. Of those that
 * are executed the first that fails is this worker's; the others are suspected, for whoever looks next. So are all where this worker
 * runs alone: it executes at the watermark only, for it must wait for nobody. Who is being executed is suspected too, if what it reads
 * is noted already, and looks at itself in the end.
 *
 * Between the change and this look lies an exchange of tx's status (finish, abort); between a reader's note and its look at what
 * stands, an exchange too (ioi_will_read), or its own status's (finish): so one of the two finds it. Likewise a suspicion is raised before
 * the look at whether that execution has ended, and looked for after it has. Only ever a help: the watermark validates. */
static void look_above(ioi_worker *w, uint32_t tx, const ioi_incarnation *inc) {
    ioi_sched *sched = w->sched;
    if (w->policy.by_version) {
        a32_min(&sched->validation_idx, tx + 1);
        return;
    }
    const ioi_keys written = ioi_keys_written(inc);
    uint32_t limit = a32_load(&sched->execution_idx);
    if (limit > w->n) limit = w->n;
    for (uint32_t at = tx + 1; at < limit; at++) {
        a64 *reader = &w->readers[at];
        if (!ioi_keys_meet(&written, a64_load_sc(reader))) continue;
        uint32_t s = a32_load_sc(&w->status[at]);
        if (ioi_status_state(s) == IOI_EXECUTING) {
            a64_or(reader, IOI_SUSPECT);
            s = a32_load_sc(&w->status[at]);
        }
        if (ioi_status_state(s) != IOI_EXECUTED) continue;
        if (w->owned == IOI_NO_TX && !w->token) {
            if (!validate(w, at)) abort_incarnation(w, at, s);
        } else {
            a64_or(reader, IOI_SUSPECT);
            a32_min(&sched->validation_idx, at);
        }
    }
}

/* Abort the incarnation `s` was read from, unless someone else did or it became final. The worker that succeeds
 * owns the next incarnation. */
static bool abort_incarnation(ioi_worker *w, uint32_t tx, uint32_t s) {
    assert(ioi_status_state(s) == IOI_EXECUTED && w->owned == IOI_NO_TX);
    assert(ioi_status_incarnation(s) < IOI_INCARNATION_MAX);
    /* Exact compare, incarnation included: a validator that was slow may have judged an older one. */
    if (!a32_cas(&w->status[tx], &s, s - IOI_EXECUTED + IOI_ABORTING)) return false;
    /* First the ESTIMATEs, then the new incarnation: whoever sees it EXECUTING can rely on them. */
    if (!w->policy.no_estimates) ioi_mv_estimate(&w->alloc, ioi_finished(w, tx));
    /* An addition keeps the WAITED bit that a reader of an ESTIMATE may raise meanwhile. */
    a32_add(&w->status[tx], (1u << IOI_STATUS_BITS) + IOI_EXECUTING - IOI_ABORTING);
    count(&w->slot->aborts, 1);
    if (ioi_recording(w)) ioi_recorder_aborted(&w->recorder, tx, ioi_status_incarnation(s));
    w->owned = tx;
    /* Whoever read its writes before they were ESTIMATEs is found now, in parallel, and not one by one at the watermark. */
    if (early(w)) look_above(w, tx, ioi_finished(w, tx));
    return true;
}

/* ---- the watermark ------------------------------------------------------------------------------------------- */

/* Where transactions conflict, more workers than find work take cache lines from those that have some, and throw more away. Half of
 * them are enough where most transactions are aborted; one in two is as it should be where conflicts are many. */
static void limit_active(const ioi_worker *w, uint32_t aborts, uint32_t steps) {
    uint32_t active = a32_load(&w->sched->active), limit = active;
    if (2 * aborts > 3 * steps) limit = active / 2;
    else if (aborts < steps / 2 && active < w->workers) limit = 2 * active;
    if (limit < ACTIVE_LEAST) limit = ACTIVE_LEAST;
    ioi_set_active(w->sched, w->workers, limit < w->workers ? limit : w->workers);
}

/* How the block goes is looked at every few steps of the watermark, by the holder of the token: how long they took, and how many
 * incarnations of what became final had been aborted. Returns whether to run solo.
 *
 * Solo: where transactions conflict, one worker alone may be faster than several that fight over cache lines, wake each
 * other and throw work away. Whether it is, is measured: a step of the watermark now against a step alone. */
static bool tune(ioi_worker *w, uint32_t watermark) {
    ioi_sched *sched = w->sched;
    uint32_t steps = watermark - sched->tuned_at;
    if (steps < TUNE_EVERY) return false;
    uint64_t now = ioi_now_ns(), elapsed = now - sched->tuned_ns;
    uint32_t aborts = sched->tuned_aborts;
    sched->tuned_at = watermark;
    sched->tuned_aborts = 0;
    sched->tuned_ns = now;
    if (w->policy.window == 0) limit_active(w, aborts, steps);
    if (w->policy.no_solo) return false;
    /* What a step takes alone: as it was the last time, and no more than an execution costs now. */
    uint64_t alone = w->solo_ns && w->solo_ns < w->cost_ns ? w->solo_ns : w->cost_ns;
    if (w->workers > 1 && SOLO_ABORTS * aborts > steps && alone && steps * alone < elapsed + elapsed / 16) return true;
    sched->solo_length = SOLO_FIRST;
    return false;
}

/* From here to solo_until only the holder of the token executes, at the watermark. */
static void start_solo(ioi_worker *w, uint32_t watermark) {
    ioi_sched *sched = w->sched;
    uint32_t length = sched->solo_length, until = w->n - watermark < length ? w->n : watermark + length;
    if (length < SOLO_MAX) sched->solo_length = 4 * length; /* conflicts that last are looked at less and less often */
    if (w->policy.window == 0) ioi_set_active(sched, w->workers, ACTIVE_LEAST); /* and then by few */
    w->run_next = w->run_end = 0; /* the rest of the run is met at the watermark again */
    a32_min(&sched->execution_idx, watermark);
    a32_store(&sched->solo_until, until);
    if (ioi_recording(w)) ioi_recorder_solo(&w->recorder, watermark);
}

static void end_solo(ioi_worker *w, uint32_t watermark) {
    ioi_sched *sched = w->sched;
    uint64_t now = ioi_now_ns();
    /* tune() noted where and when it began. */
    w->solo_ns = (now - sched->tuned_ns) / (watermark - sched->tuned_at) + 1;
    sched->tuned_at = watermark;
    sched->tuned_ns = now;
    a32_xchg(&sched->solo_until, 0);
    ioi_notify(sched, UINT32_MAX);
    if (ioi_recording(w)) ioi_recorder_solo_ends(&w->recorder, watermark);
}

static void publish_watermark(ioi_worker *w, uint32_t watermark) {
    uint32_t before = a32_load_relaxed(&w->sched->commit_idx);
    if (watermark == before) return;
    assert(watermark > before && "the watermark only rises");
    if (ioi_recording(w)) ioi_recorder_commit(&w->recorder, watermark);
    a32_xchg(&w->sched->commit_idx, watermark);
    /* A limited window may just have opened for somebody; while one runs solo, for nobody. */
    if (w->window != IOI_WINDOW_OPEN && watermark < w->n && watermark >= a32_load_relaxed(&w->sched->solo_until))
        ioi_notify(w->sched, watermark - before);
}

/* One step of the watermark at `h`: true if it moved. */
static bool finalize(ioi_worker *w, uint32_t h, uint32_t s, bool solo) {
    if (w->fresh != h && !validate(w, h)) {
        abort_incarnation(w, h, s);
        return false;
    }
    /* Fails only if an early validator judged on stale ground and aborts it: then it runs again. */
    if (!a32_cas(&w->status[h], &s, s - IOI_EXECUTED + IOI_FINAL)) return false;
    if (ioi_incarnation_receipt(w->arena, ioi_finished(w, h))->fault) {
        a32_store(&w->sched->fault_tx, h);
        ioi_stop_block(w->arena, IOI_BLOCK_FAULT);
        return false;
    }
    w->sched->tuned_aborts += ioi_status_incarnation(s);
    if (solo) count(&w->slot->solo, 1);
    return true;
}

/* Move the watermark over all that is executed and valid. Afterwards the worker may own a transaction to execute. */
static void advance_watermark(ioi_worker *w) {
    ioi_sched *sched = w->sched;
    for (;;) {
        uint32_t h = a32_load_sc(&sched->commit_idx);
        if (!w->token) {
            if (h == w->n) {
                if (w->n != 0) return; /* whoever moved it there keeps the token and ends the block */
            } else if (ioi_status_state(a32_load_sc(&w->status[h])) != IOI_EXECUTED) {
                return;
            }
            uint32_t nobody = 0;
            /* The holder looks again after letting go. Looking first: who compares and swaps in vain takes the line all the same. */
            if (a32_load_sc(&sched->token) != nobody) return;
            if (!a32_cas(&sched->token, &nobody, w->id + 1)) return;
            h = a32_load_sc(&sched->commit_idx);
        }
        bool solo = h < a32_load_relaxed(&sched->solo_until), moving = true;
        if (solo && ioi_recording(w)) ioi_recorder_solo(&w->recorder, h);
        uint32_t turns = 0;
        while (h < w->n && moving) {
            uint32_t s = a32_load_sc(&w->status[h]);
            uint32_t state = ioi_status_state(s);
            if (state == IOI_EXECUTED) {
                moving = finalize(w, h, s, solo);
                if (moving && ++h % PUBLISH_EVERY == 0) publish_watermark(w, h);
            } else if (state == IOI_READY && solo) {
                if (a32_cas(&w->status[h], &s, s + IOI_EXECUTING)) w->owned = h;
                moving = false;
            } else {
                /* Running solo, the rest of another worker's run may still be in the way: often it is cheap. */
                moving = solo && state != IOI_READY && turns++ < SOLO_TURNS;
                if (moving) ioi_pause();
                if (ioi_recording(w)) ioi_recorder_look(&w->recorder);
            }
            if (solo && h >= a32_load_relaxed(&sched->solo_until)) {
                end_solo(w, h);
                solo = false;
            } else if (!solo && moving && h < w->n && tune(w, h)) { /* moving: the head was not left to anybody */
                start_solo(w, h);
                solo = true;
            }
        }
        publish_watermark(w, h);
        /* At the end there is nothing left to finish but the block. Running solo, the next look is after this execution. */
        if (h == w->n || !ioi_running(w) || (solo && w->owned != IOI_NO_TX)) {
            w->token = true;
            return;
        }
        if (ioi_recording(w)) ioi_recorder_solo_ends(&w->recorder, h);
        /* Solo goes on with whoever executes the head now: nobody else claims anything. */
        w->token = false;
        a32_xchg(&sched->token, 0);
        if (w->owned != IOI_NO_TX) return;
        /* Somebody may have finished the head after our last look and found the token taken: look once more. */
        if (ioi_status_state(a32_load_sc(&w->status[h])) != IOI_EXECUTED) return;
    }
}

/* ---- early validation ---------------------------------------------------------------------------------------- */

static bool suspected(const ioi_worker *w, uint32_t tx) {
    return (a64_load(&w->readers[tx]) & IOI_SUSPECT) && ioi_status_state(a32_load(&w->status[tx])) == IOI_EXECUTED;
}

/* Those that were left to whoever looks next: one after another, until one of them fails. */
static bool validate_suspects(ioi_worker *w, uint32_t from, uint32_t limit) {
    ioi_sched *sched = w->sched;
    uint32_t watermark = a32_load(&sched->commit_idx), at = from > watermark ? from : watermark;
    while (at < limit && !suspected(w, at)) at++;
    if (!a32_cas(&sched->validation_idx, &from, at < limit ? at + 1 : NONE_SUSPECT) || at >= limit) return false;
    a64_and(&w->readers[at], ~IOI_SUSPECT);
    uint32_t s = a32_load(&w->status[at]);
    if (ioi_status_state(s) == IOI_EXECUTED && !validate(w, at)) abort_incarnation(w, at, s);
    return true;
}

static bool overtaking(const ioi_worker *w) {
    uint64_t many = w->workers > OVERTAKE_MANY ? w->workers : OVERTAKE_MANY;
    return w->cost_ns * many >= (uint64_t)OVERTAKE_NS * OVERTAKE_MANY;
}

/* Check a few executed transactions above the watermark, so that those overtaken run again in parallel instead of
 * one by one at the watermark. Only ever a help; skipping one is harmless. */
static bool validate_some(ioi_worker *w) {
    ioi_sched *sched = w->sched;
    uint32_t from = a32_load(&sched->validation_idx), limit = a32_load(&sched->execution_idx);
    if (limit > w->n) limit = w->n;
    if (from >= limit) return false;
    if (!w->policy.by_version) return validate_suspects(w, from, limit);
    uint32_t watermark = a32_load(&sched->commit_idx), at = from > watermark ? from : watermark;
    uint32_t end = at;
    bool overtake = overtaking(w);
    for (uint32_t found = 0; end < limit && found < VALIDATION_BATCH && end - at < VALIDATION_REACH; end++) {
        uint32_t state = ioi_status_state(a32_load(&w->status[end]));
        if (state == IOI_EXECUTED) found++;
        else if (state != IOI_FINAL && !overtake) break;
    }
    if (end == at) return false;
    /* Changed meanwhile: another worker checks these. Many that compare and swap in vain keep the line from those that work. */
    if (a32_load(&sched->validation_idx) != from || !a32_cas(&sched->validation_idx, &from, end)) return false;
    for (; at < end; at++) {
        uint32_t s = a32_load(&w->status[at]);
        if (ioi_status_state(s) != IOI_EXECUTED || validate(w, at)) continue;
        if (abort_incarnation(w, at, s)) break;
    }
    return true;
}

/* ---- executing ----------------------------------------------------------------------------------------------- */

static bool claim(ioi_worker *w, uint32_t tx) {
    uint32_t s = a32_load(&w->status[tx]);
    return ioi_status_state(s) == IOI_READY && a32_cas(&w->status[tx], &s, s + IOI_EXECUTING);
}

static uint32_t run_length(const ioi_worker *w, uint32_t left) {
    if (w->policy.run) return w->policy.run;
    uint64_t length = w->cost_ns ? RUN_NS / w->cost_ns : RUN_FIRST;
    uint32_t share = left / (2 * w->workers); /* the end of a block is dealt out finer */
    if (length > IOI_RUN_MAX) length = IOI_RUN_MAX;
    if (length > share) length = share;
    return length ? (uint32_t)length : 1;
}

/* Learn what the executions in hand cost, waits and validations left out as far as possible. */
static void close_timing(ioi_worker *w, uint64_t now) {
    ioi_span *span = &w->span;
    if (span->count == 0) return;
    span->ns = now - w->timed_from;
    uint64_t mean = span->ns / span->count;
    w->cost_ns = w->cost_ns ? (7 * w->cost_ns + mean) / 8 + 1 : mean + 1;
    ioi_span_add(w->log, span);
    span->count = 0;
}

static void restart_timing(ioi_worker *w) {
    uint64_t now = ioi_now_ns();
    close_timing(w, now);
    w->timed_from = now;
}

/* The next transaction of a run goes into the span of those before it, unless it is dear (or nobody knows yet), or another worker
 * took one in between. */
static bool own_span(const ioi_worker *w, uint32_t tx) {
    return w->span.count && (w->cost_ns == 0 || w->cost_ns >= IOI_SPAN_EACH_NS || tx != w->span.first + w->span.count);
}

static bool claim_run(ioi_worker *w) {
    ioi_sched *sched = w->sched;
    /* seq_cst: this is also the last look before sleeping. */
    uint32_t seen = a32_load_sc(&sched->execution_idx), watermark = a32_load_sc(&sched->commit_idx);
    uint32_t limit = w->window < w->n - watermark ? watermark + w->window : w->n;
    for (;;) {
        uint32_t from = seen > watermark ? seen : watermark; /* below the watermark nothing is left to claim */
        if (from >= limit) return false;
        uint32_t length = run_length(w, w->n - from);
        uint32_t end = limit - from < length ? limit : from + length;
        /* Beaten to it: at once again. Going round by all that is looked at first, many workers lose again and again. */
        if (!a32_cas(&sched->execution_idx, &seen, end)) continue;
        w->run_next = from;
        w->run_end = end;
        w->timed_from = ioi_now_ns();
        return true;
    }
}

uint32_t ioi_run_end(const ioi_worker *w, uint32_t tx) {
    if (w->token) { /* solo */
        uint32_t until = a32_load_relaxed(&w->sched->solo_until);
        return until < tx + IOI_RUN_MAX ? (until > tx ? until : tx + 1) : tx + IOI_RUN_MAX;
    }
    return w->run_next == tx + 1 && w->run_end > tx ? w->run_end : tx + 1;
}

static __attribute__((noinline)) void open_span(ioi_worker *w, uint32_t tx) {
    reserve_span(w);
    w->span = (ioi_span){tx, 1, (uint16_t)w->id, ioi_incarnation_of(w, tx), 0, 0};
}

static ioi_task execute(ioi_worker *w, uint32_t *tx, uint32_t which, bool at_watermark) {
    *tx = which;
    w->fresh = at_watermark ? which : IOI_NO_TX;
    w->noting = w->readers && !at_watermark && w->cost_ns >= NOTE_NS;
    a32_store_relaxed(&w->slot->current_tx, which + 1);
    count(&w->slot->executions, 1);
    if (w->span.count == 0) open_span(w, which);
    else w->span.count++;
    return IOI_TASK_EXECUTE;
}

ioi_task ioi_next(ioi_worker *w, uint32_t *tx) {
    ioi_sched *sched = w->sched;
    uint32_t idle = 0;
    uint64_t idle_from = 0;
    bool armed = false; /* counted as a sleeper: one last look before sleeping */
    uint32_t seq = 0;
    ioi_task task = IOI_TASK_LEAVE;
    for (;;) {
        /* What this worker aborted comes first: others may be waiting for it, and it must not meet its own ESTIMATE. */
        if (w->owned != IOI_NO_TX) {
            uint32_t which = w->owned;
            w->owned = IOI_NO_TX;
            restart_timing(w);
            task = execute(w, tx, which, which == a32_load_sc(&sched->commit_idx));
            break;
        }
        /* Inside a run nothing shared is looked at but the status words. */
        bool claimed = false;
        while (w->run_next < w->run_end && !(claimed = claim(w, w->run_next))) w->run_next++;
        if (claimed) {
            if (own_span(w, w->run_next)) restart_timing(w);
            task = execute(w, tx, w->run_next++, false);
            break;
        }
        if (w->span.count) close_timing(w, ioi_now_ns());
        if (ioi_recording(w)) ioi_recorder_look(&w->recorder);
        if (!ioi_running(w)) break;
        advance_watermark(w);
        if (w->owned != IOI_NO_TX) continue;
        if (!ioi_running(w)) break;
        uint32_t watermark = a32_load_sc(&sched->commit_idx);
        if (watermark == w->n && w->token) {
            a32_store_relaxed(&w->slot->current_tx, w->n + 1);
            if (w->arena->shared->block.hook != IOI_NO_HOOK) {
                *tx = w->n;
                task = IOI_TASK_END_BLOCK;
                break;
            }
            ioi_stop_block(w->arena, IOI_BLOCK_DONE);
            break;
        }
        bool others_solo = !w->token && watermark < a32_load(&sched->solo_until);
        bool spare = !w->token && ioi_too_many(sched, w->workers);
        if (!others_solo && !w->token && !spare) {
            bool found = early(w) && validate_some(w);
            if (w->owned == IOI_NO_TX) found |= claim_run(w);
            /* Whatever the hints say, a ready transaction at the watermark is work. */
            if (!found && watermark < w->n && claim(w, watermark)) w->owned = watermark;
            if (found || w->owned != IOI_NO_TX) {
                idle = 0;
                continue;
            }
        }
        if (idle_from == 0) idle_from = ioi_now_ns();
        if (ioi_recording(w)) ioi_recorder_idle(&w->recorder);
        /* Each look at the shared words takes their lines away from whoever works: look less and less often, and not at
         * all while another runs solo. */
        if (spare) {
            ioi_park(sched, w->workers);
        } else if (idle < w->spins && !others_solo) {
            uint32_t pauses = idle < SPIN_PAUSES_MAX ? ++idle : SPIN_PAUSES_MAX;
            for (uint32_t i = 0; i < pauses; i++) ioi_pause();
            idle += pauses;
        } else if (!armed) {
            a32_add(&sched->sleepers, 1);
            seq = a32_load_sc(&sched->work_seq);
            armed = true; /* and one last look around */
        } else {
            ioi_futex_wait(&sched->work_seq, seq, 0);
            a32_add(&sched->sleepers, UINT32_MAX);
            armed = false;
        }
    }
    if (armed) a32_add(&sched->sleepers, UINT32_MAX);
    if (idle_from) w->waited_ns += ioi_now_ns() - idle_from;
    if (ioi_recording(w)) ioi_recorder_busy(&w->recorder);
    return task;
}

/* Whether what was just executed may have read what has changed since. */
static bool doubtful(const ioi_worker *w, uint32_t tx) {
    /* Not at the watermark: this worker validates it there next. */
    if (w->fresh == tx || tx <= a32_load(&w->sched->commit_idx)) return false;
    if (!w->noting) return true;
    a64 *reader = &w->readers[tx];
    if (!w->noted || !(a64_load_sc(reader) & IOI_SUSPECT)) return false;
    a64_and(reader, ~IOI_SUSPECT);
    return true;
}

void ioi_finish(ioi_worker *w, uint32_t tx, ioi_incarnation *inc, bool wrote_new) {
    ioi_touched(inc, sizeof *inc + inc->reads_count * sizeof *inc->reads, true);
    a32_store(&w->incarnations[tx], ioi_ref_of(w->arena, inc));
    uint32_t executing = a32_load_relaxed(&w->status[tx]);
    assert(ioi_status_state(executing) == IOI_EXECUTING && ioi_status_incarnation(executing) == inc->incarnation);
    /* Before anybody can see and abort it. */
    if (ioi_recording(w) && !ioi_recorder_executed(&w->recorder, true)) ioi_stop_block(w->arena, IOI_BLOCK_FULL);
    if (w->noting) assert(!(ioi_keys_read(w->arena, inc) & ~w->noted) && "all that was read was noted before");
    else if (w->readers && early(w)) a64_store(&w->readers[tx], ioi_keys_read(w->arena, inc));
    /* An exchange: before this worker looks at the token or goes idle, everybody can see the transaction is done. */
    uint32_t before = a32_xchg(&w->status[tx], inc->incarnation << IOI_STATUS_BITS | IOI_EXECUTED);
    if (before & IOI_WAITED) ioi_futex_wake(&w->status[tx], UINT32_MAX);
    a32_store_relaxed(&w->slot->current_tx, 0);
    if (!early(w) || (w->policy.by_version && a32_load(&w->sched->validation_idx) <= tx)) return;
    /* New keys may overtake anything above; otherwise only this one is unchecked: what read its old writes met their ESTIMATEs. Without
     * these, whatever a further incarnation wrote or withdrew may overtake as well. */
    bool overtakes = wrote_new || (w->policy.no_estimates && inc->incarnation > 0);
    if (overtakes && w->policy.by_version) {
        a32_min(&w->sched->validation_idx, tx);
        return;
    }
    if (doubtful(w, tx)) {
        uint32_t s = inc->incarnation << IOI_STATUS_BITS | IOI_EXECUTED;
        if (a32_load(&w->status[tx]) == s && !validate(w, tx) && abort_incarnation(w, tx, s)) return;
    }
    if (overtakes) look_above(w, tx, inc);
}

void ioi_finish_block(ioi_worker *w, ioi_incarnation *inc) {
    a32_store(&w->incarnations[w->n], ioi_ref_of(w->arena, inc));
    if (ioi_recording(w) && !ioi_recorder_executed(&w->recorder, true)) ioi_stop_block(w->arena, IOI_BLOCK_FULL);
    if (ioi_incarnation_receipt(w->arena, inc)->fault) {
        a32_store(&w->sched->fault_tx, w->n);
        ioi_stop_block(w->arena, IOI_BLOCK_FAULT);
    } else {
        ioi_stop_block(w->arena, IOI_BLOCK_DONE);
    }
}
