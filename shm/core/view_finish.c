#include "view_inside.h"

static bool store_bytes(ioi_alloc *alloc, const uint8_t *bytes, size_t len, ioi_ref *at) {
    *at = 0;
    if (len == 0) return true;
    uint8_t *copy = ioi_alloc_bytes(alloc, len, 8);
    if (!copy) return false;
    memcpy(copy, bytes, len);
    *at = ioi_ref_of(alloc->arena, copy);
    return true;
}

/* A bound of no bytes still needs an address: offset 0 is none. */
static bool store_bound(ioi_alloc *alloc, const uint8_t *bytes, uint32_t len, ioi_ref *at) {
    if (len == IOI_UNBOUNDED) return true;
    return len ? store_bytes(alloc, bytes, len, at) : store_bytes(alloc, (const uint8_t *)"", 1, at);
}

/* The part of each range that was looked at, for validators. */
static bool store_ranges(ioi_view *v, ioi_more *more) {
    struct ioi_view_store *s = v->store;
    ioi_alloc *alloc = &v->worker->alloc;
    if (s->ranges_count == 0) return true;
    ioi_range *out = ioi_alloc_bytes(alloc, s->ranges_count * sizeof *out, 8);
    if (!out) return false;
    more->ranges = ioi_ref_of(alloc->arena, out);
    for (uint32_t i = 0; i < s->ranges_count; i++) {
        const open_range *r = &s->ranges[i];
        if (!r->looked) continue;
        ioi_bounds bounds = looked_at(r);
        ioi_range *stored = &out[more->ranges_count++];
        *stored = (ioi_range){.low_len = bounds.low_len, .high_len = bounds.high_len, .high_inclusive = bounds.high_inclusive};
        if (!store_bound(alloc, bounds.low, bounds.low_len, &stored->low) ||
            !store_bound(alloc, bounds.high, bounds.high_len, &stored->high))
            return false;
    }
    return true;
}

void ioi_view_note(ioi_view *v, ioi_tail kind, const uint8_t *bytes, size_t len) {
    bool room = ioi_tail_add(&v->store->tail, kind, bytes, len);
    assert(room);
}

/* What most incarnations do not have: *at stays 0 then. */
static bool store_more(ioi_view *v, const ioi_outcome *outcome, bool fault, ioi_ref *at) {
    ioi_alloc *alloc = &v->worker->alloc;
    if (!v->store->ranges_count && !fault && !outcome->code && !outcome->gas_wanted && !outcome->gas_used &&
        !outcome->output_len && !outcome->error_len && !v->store->tail.len)
        return true;
    ioi_more *more = ioi_alloc_bytes(alloc, sizeof *more, IOI_UNIT);
    if (!more) return false;
    *more = (ioi_more){.receipt = {.code = outcome->code,
                                   .fault = fault,
                                   .output_len = (uint32_t)outcome->output_len,
                                   .error_len = (uint32_t)outcome->error_len,
                                   .tail_len = (uint32_t)v->store->tail.len,
                                   .gas_wanted = outcome->gas_wanted,
                                   .gas_used = outcome->gas_used}};
    *at = ioi_ref_of(alloc->arena, more);
    return store_ranges(v, more) && store_bytes(alloc, outcome->output, outcome->output_len, &more->receipt.output) &&
           store_bytes(alloc, (const uint8_t *)outcome->error, outcome->error_len, &more->receipt.error) &&
           store_bytes(alloc, v->store->tail.at, v->store->tail.len, &more->receipt.tail);
}

static ioi_put put_of(const own_write *w) {
    if (w->adding) return (ioi_put){w->entry, (const uint8_t *)&w->delta, sizeof w->delta, true};
    return (ioi_put){w->entry, w->bytes, w->len, false};
}

/* What adds have learned goes to the reads; also where the value was read afterwards, which may have been another by then. */
static bool read_learned(ioi_view *v) {
    struct ioi_view_store *s = v->store;
    const ioi_arena *arena = v->worker->arena;
    for (uint32_t i = 0; i < s->learned_count; i++) {
        const learned *l = &s->learned[i];
        ioi_learned learned = halves(l);
        ioi_record *record = ioi_alloc_bytes(&v->worker->alloc, sizeof *record + sizeof learned, IOI_RECORD_ALIGN);
        if (!record) return false;
        *record = (ioi_record){.len = sizeof learned, .learned = true};
        memcpy(record->bytes, &learned, sizeof learned);
        s->reads = grown(s->reads, &s->reads_capacity, s->reads_count + 1, sizeof *s->reads);
        s->reads[s->reads_count++] = (ioi_read){ioi_ref_of(arena, l->entry), ioi_seen_record(ioi_offset(arena, record))};
    }
    return true;
}

bool ioi_view_finish(ioi_view *v, const ioi_outcome *outcome, bool fault) {
    struct ioi_view_store *s = v->store;
    ioi_worker *w = v->worker;
    ioi_alloc *alloc = &w->alloc;
    bool failed = fault || (outcome->code != 0 && !v->kept);
    if (s->floor && outcome->code) ioi_view_undo(s, 0);
    if (s->events.len && !failed) ioi_view_note(v, IOI_TAIL_EVENTS, s->events.at, s->events.len);

    s->puts = grown(s->puts, &s->puts_capacity, s->writes_count + 1, sizeof *s->puts);
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->writes_count && !failed; i++)
        if (s->writes[i].standing) s->puts[count++] = put_of(&s->writes[i]);
    if (!read_learned(v)) return false;

    ioi_incarnation *inc = ioi_alloc_bytes(alloc, ioi_incarnation_bytes(s->reads_count, count), IOI_UNIT);
    if (!inc) return false;
    *inc = (ioi_incarnation){.incarnation = v->incarnation, .reads_count = s->reads_count, .writes_count = count};
    if (s->reads_count) memcpy(inc->reads, s->reads, s->reads_count * sizeof *inc->reads);
    if (!store_more(v, outcome, fault, &inc->more)) return false;

    bool wrote_new, end_block = v->tx == w->n;
    const ioi_incarnation *previous = end_block ? NULL : ioi_finished(w, v->tx);
    if (!ioi_mv_publish(alloc, w->slot, v->position, v->incarnation, s->puts, count, previous, ioi_incarnation_writes(inc),
                        &wrote_new))
        return false;
    if (end_block) ioi_finish_block(w, inc);
    else ioi_finish(w, v->tx, inc, wrote_new);
    return true;
}
