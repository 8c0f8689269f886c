#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "ordered.h"
#include "recorder.h"

static const ioi_event_row *event_at(const ioi_taken *t, uint64_t i) { return (const ioi_event_row *)t->events.bytes + i; }

/* ---- events ------------------------------------------------------------------------------------------------------ */

typedef struct counts {
    uint64_t executions, validations, aborts, suspensions, alone;
} counts;

static void check_event(engine *e, const ioi_taken *t, const ioi_event_row *row) {
    bool caused = row->kind == IOI_EVENT_ABORT || row->kind == IOI_EVENT_SUSPEND ||
                  (row->kind == IOI_EVENT_VALIDATE && !row->result);
    if (row->kind < IOI_EVENT_EXECUTE || row->kind > IOI_EVENT_PREEMPTED) engine_fail(e, "an event of kind %u", row->kind);
    if (row->start > row->end) engine_fail(e, "an event of kind %u ends before it starts", row->kind);
    if (row->tx > e->c->n) engine_fail(e, "an event of transaction %u", row->tx);
    if (row->key >= (int32_t)t->keys_count || (caused && row->key < 0))
        engine_fail(e, "an event of kind %u names key %d", row->kind, row->key);
    if (caused && row->other >= (int32_t)row->tx) engine_fail(e, "transaction %u is stopped by %d", row->tx, row->other);
    if (row->kind == IOI_EVENT_SUSPEND && row->other < 0) engine_fail(e, "transaction %u waits for nobody", row->tx);
    if (row->kind == IOI_EVENT_SOLO && row->other < (int32_t)row->tx) engine_fail(e, "alone from %u to %d", row->tx, row->other);
}

/* Events come in order of their ends: each either lies behind the one before or encloses it. */
static void check_nesting(engine *e, const ioi_taken *t, uint64_t from, uint64_t to) {
    uint64_t *open = malloc((to - from + 1) * sizeof *open), depth = 0; /* spans that nothing encloses so far */
    for (uint64_t i = from; i < to; i++) {
        const ioi_event_row *row = event_at(t, i);
        if (i > from && row->end < event_at(t, i - 1)->end)
            engine_fail(e, "event %lu ends before the one noted before", (unsigned long)i);
        while (depth && event_at(t, open[depth - 1])->start >= row->start) depth--;
        if (depth && event_at(t, open[depth - 1])->end > row->start)
            engine_fail(e, "spans of one worker overlap: kinds %u and %u", event_at(t, open[depth - 1])->kind, row->kind);
        open[depth++] = i;
    }
    free(open);
}

static void check_worker(engine *e, const ioi_taken *t, uint64_t from, uint64_t to, uint32_t worker) {
    const ioi_slot *slot = &e->arena.shared->slots[worker];
    counts found = {0};
    for (uint64_t i = from; i < to; i++) {
        const ioi_event_row *row = event_at(t, i);
        check_event(e, t, row);
        found.executions += row->kind == IOI_EVENT_EXECUTE && row->result && row->tx < e->c->n;
        found.validations += row->kind == IOI_EVENT_VALIDATE;
        found.aborts += row->kind == IOI_EVENT_ABORT;
        found.suspensions += row->kind == IOI_EVENT_SUSPEND;
        found.alone += row->kind == IOI_EVENT_SOLO;
    }
    if (found.executions != a64_load(&slot->executions) || found.validations != a64_load(&slot->validations) ||
        found.aborts != a64_load(&slot->aborts) || found.suspensions != a64_load(&slot->suspensions))
        engine_fail(e, "worker %u counts otherwise than its record", worker);
    if (a64_load(&slot->solo) && !found.alone) engine_fail(e, "worker %u ran alone, and its record does not tell", worker);
    check_nesting(e, t, from, to);
}

/* Every incarnation but the last is aborted; the watermark rises to the end, in the order of time. */
static void check_progress(engine *e, const ioi_taken *t) {
    uint32_t n = e->c->n;
    uint64_t *risen = calloc(n + 1, sizeof *risen), last = 0; /* when the watermark came to it */
    int32_t *incarnations = calloc(n + 1, sizeof *incarnations);
    for (uint64_t i = 0; i < t->events.count; i++) {
        const ioi_event_row *row = event_at(t, i);
        incarnations[row->tx] += row->kind == IOI_EVENT_EXECUTE && row->result;
        incarnations[row->tx] -= row->kind == IOI_EVENT_ABORT;
        if (row->kind != IOI_EVENT_COMMIT) continue;
        if (risen[row->tx]) engine_fail(e, "the watermark rises to %u twice", row->tx);
        risen[row->tx] = row->start + 1;
    }
    for (uint32_t tx = 0; tx < n + e->c->end_block; tx++)
        if (incarnations[tx] != 1) engine_fail(e, "%d incarnations of transaction %u are left", incarnations[tx], tx);
    for (uint32_t tx = 1; tx <= n; tx++) {
        if (!risen[tx]) continue;
        if (risen[tx] < last) engine_fail(e, "the watermark rises to %u before it rises to less", tx);
        last = risen[tx];
    }
    if (n && !risen[n]) engine_fail(e, "the watermark does not rise to the end");
    free(risen);
    free(incarnations);
}

/* ---- accesses ---------------------------------------------------------------------------------------------------- */

static uint64_t fold(uint64_t sum, const ioi_taken *t, uint32_t key, uint64_t what) {
    return mix64(sum * 31 + what) ^ hash_bytes(t->keys[key]->key, t->keys[key]->key_len);
}

/* Which adds are reads and writes depends on the schedule where programs add at several places of a value: here all are. */
static uint64_t checksum(engine *e, const ioi_taken *t) {
    uint64_t sum = 1;
    int32_t *last = malloc((t->keys_count + 1) * sizeof *last); /* who wrote each key last */
    for (uint32_t i = 0; i < t->keys_count; i++) last[i] = -1;
    for (uint32_t i = 1; i < t->keys_count; i++)
        if (ioi_entry_compare(&t->keys[i - 1], &t->keys[i]) >= 0) engine_fail(e, "the record's keys are not ascending");
    const ioi_read_row *reads = (const ioi_read_row *)t->reads.bytes;
    const ioi_write_row *writes = (const ioi_write_row *)t->writes.bytes;
    uint64_t passed = 0;
    for (uint64_t i = 0; i < t->reads.count; i++) {
        const ioi_read_row *row = &reads[i];
        if (i && (row->tx < row[-1].tx || (row->tx == row[-1].tx && row->key <= row[-1].key)))
            engine_fail(e, "reads are not in order");
        if (row->writer >= (int32_t)row->tx) engine_fail(e, "transaction %u read what %d wrote", row->tx, row->writer);
        for (; passed < t->writes.count && writes[passed].tx < row->tx; passed++)
            last[writes[passed].key] = (int32_t)writes[passed].tx;
        if (row->added ? row->writer > last[row->key] : row->writer != last[row->key])
            engine_fail(e, "transaction %u read what %d wrote, %d being the last", row->tx, row->writer, last[row->key]);
        sum = fold(sum, t, row->key, (uint64_t)row->tx << 32 | (uint32_t)last[row->key]);
    }
    free(last);
    for (uint64_t i = 0; i < t->writes.count; i++) {
        const ioi_write_row *row = &writes[i];
        if (i && (row->tx < row[-1].tx || (row->tx == row[-1].tx && row->key <= row[-1].key)))
            engine_fail(e, "writes are not in order");
        sum = fold(sum, t, row->key, (uint64_t)row->tx << 1 | row->deleted);
    }
    return sum ? sum : 1;
}

void engine_check_record(engine *e) {
    ioi_taken taken;
    if (!ioi_record_take(&e->arena, &taken)) engine_fail(e, "no memory for the record");
    uint64_t from = 0, to = 0;
    for (uint32_t worker = 0; worker < e->arena.shared->block.workers; worker++, from = to) {
        while (to < taken.events.count && event_at(&taken, to)->worker == worker) to++;
        check_worker(e, &taken, from, to, worker);
    }
    if (to != taken.events.count) engine_fail(e, "events of no worker");
    check_progress(e, &taken);
    uint64_t sum = checksum(e, &taken),
             *known = &((block_case *)e->c)->accesses; /* the one thing a case learns by being played */
    if (*known && *known != sum) engine_fail(e, "the record says other reads and writes than in another schedule");
    *known = sum;
    e->events += taken.events.count;
    ioi_taken_free(&taken);
}
