#include "recorder.h"

#include <sys/resource.h>
#include <time.h>

#include "wait.h"

static uint64_t less(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* What this thread missed of the time since the last comparison, and begin anew; 0 if it gave its core away meanwhile. */
static uint64_t missed(ioi_recorder *r) {
    struct timespec computed = {0};
    struct rusage usage = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &computed);
    getrusage(RUSAGE_THREAD, &usage);
    uint64_t passed = r->now - r->compared, before = r->computed, given = r->given;
    r->compared = r->now;
    r->computed = (uint64_t)computed.tv_sec * 1000000000 + (uint64_t)computed.tv_nsec;
    r->given = (uint64_t)usage.ru_nvcsw;
    uint64_t ran = less(r->computed - before, passed);
    return r->given == given ? passed - ran : 0;
}

void ioi_recorder_enter(ioi_recorder *r, ioi_alloc *alloc, ioi_slot *slot, uint64_t now) {
    *r = (ioi_recorder){.alloc = alloc, .slot = slot, .now = now, .compared = now};
    missed(r);
}

static void note(ioi_recorder *r, ioi_event event) {
    if (r->lost) return;
    ioi_events *chunk = r->chunk;
    if (!chunk || chunk->count == IOI_EVENTS) {
        ioi_events *made = ioi_alloc_bytes(r->alloc, sizeof *made, 8);
        if (!made) {
            r->lost = true;
            a32_store_relaxed(&r->slot->record_lost, 1); /* read when this worker has left the block */
            return;
        }
        made->older = chunk ? ioi_offset(r->alloc->arena, chunk) : 0;
        made->count = 0;
        r->chunk = chunk = made;
        a64_store_relaxed(&r->slot->events, ioi_offset(r->alloc->arena, made));
    }
    chunk->events[chunk->count++] = event;
    r->count++;
}

/* Read the clock, in a span that began at `start`. */
static uint64_t look_since(ioi_recorder *r, uint64_t start) {
    uint64_t from = start > r->now ? start : r->now;
    r->now = ioi_now_ns();
    if (r->now - from < IOI_PREEMPTED_NS) return r->now;
    uint64_t gap = less(missed(r), r->now - from);
    if (gap >= IOI_PREEMPTED_NS)
        note(r, (ioi_event){.start = r->now - gap,
                            .end = r->now,
                            .tx = r->tx,
                            .incarnation = r->incarnation,
                            .other = -1,
                            .kind = IOI_EVENT_PREEMPTED});
    return r->now;
}

uint64_t ioi_recorder_look(ioi_recorder *r) { return look_since(r, r->now); }

static void note_caused(ioi_recorder *r, ioi_event event, const ioi_cause *cause) {
    event.entry = cause->entry;
    event.other = (int32_t)cause->position - 1; /* position 0 lies under the block */
    event.other_incarnation = cause->incarnation;
    note(r, event);
}

void ioi_recorder_execute(ioi_recorder *r, uint32_t tx, uint32_t incarnation) {
    r->execute_from = r->contiguous ? r->now : ioi_recorder_look(r);
    r->tx = tx;
    r->incarnation = incarnation;
    r->executing = true;
}

bool ioi_recorder_executed(ioi_recorder *r, bool finished) {
    if (r->executing) {
        note(r, (ioi_event){.start = r->execute_from,
                            .end = ioi_recorder_look(r),
                            .tx = r->tx,
                            .incarnation = r->incarnation,
                            .other = -1,
                            .kind = IOI_EVENT_EXECUTE,
                            .result = finished});
        r->executing = false;
    }
    return !r->lost;
}

uint64_t ioi_recorder_start(ioi_recorder *r) {
    ioi_recorder_busy(r);
    return r->now;
}

void ioi_recorder_validated(ioi_recorder *r, uint64_t start, uint32_t tx, uint32_t incarnation, bool stands) {
    ioi_event event = {.start = start,
                       .end = look_since(r, start),
                       .tx = tx,
                       .incarnation = incarnation,
                       .other = -1,
                       .kind = IOI_EVENT_VALIDATE,
                       .result = stands};
    if (stands) note(r, event);
    else note_caused(r, event, &r->cause);
}

void ioi_recorder_aborted(ioi_recorder *r, uint32_t tx, uint32_t incarnation) {
    note_caused(r,
                (ioi_event){.start = r->now,
                            .end = r->now,
                            .tx = tx,
                            .incarnation = incarnation,
                            .kind = IOI_EVENT_ABORT,
                            .result = !r->cause.estimate},
                &r->cause);
}

void ioi_recorder_suspended(ioi_recorder *r, uint64_t start) {
    note_caused(
        r,
        (ioi_event){
            .start = start, .end = look_since(r, start), .tx = r->tx, .incarnation = r->incarnation, .kind = IOI_EVENT_SUSPEND},
        &r->cause);
    missed(r); /* a short wait gave the core away too, and is not to hide what comes */
}

void ioi_recorder_fetched(ioi_recorder *r, uint64_t start, uint32_t tx, uint32_t incarnation, uint64_t entry) {
    note(r, (ioi_event){.start = start,
                        .end = look_since(r, start),
                        .tx = tx,
                        .incarnation = incarnation,
                        .other = -1,
                        .entry = entry,
                        .kind = IOI_EVENT_FETCH});
}

void ioi_recorder_idle(ioi_recorder *r) {
    if (!r->idle_from) r->idle_from = r->now;
}

void ioi_recorder_busy(ioi_recorder *r) {
    if (!r->idle_from) return;
    note(r, (ioi_event){.start = r->idle_from, .end = ioi_recorder_look(r), .other = -1, .kind = IOI_EVENT_IDLE});
    r->idle_from = 0;
    missed(r);
}

void ioi_recorder_commit(ioi_recorder *r, uint32_t watermark) {
    ioi_recorder_busy(r);
    uint64_t now = ioi_recorder_look(r);
    note(r, (ioi_event){.start = now, .end = now, .tx = watermark, .other = -1, .kind = IOI_EVENT_COMMIT});
}

void ioi_recorder_solo(ioi_recorder *r, uint32_t watermark) {
    if (r->solo) return;
    r->solo = true;
    r->solo_from = ioi_recorder_start(r);
    r->solo_count = r->count;
    r->solo_tx = watermark;
}

void ioi_recorder_solo_ends(ioi_recorder *r, uint32_t watermark) {
    if (r->solo && (r->count > r->solo_count || watermark > r->solo_tx))
        note(r, (ioi_event){
                    .start = r->solo_from, .end = r->now, .tx = r->solo_tx, .other = (int32_t)watermark, .kind = IOI_EVENT_SOLO});
    r->solo = false;
}
