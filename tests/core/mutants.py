"""Planted bugs: each is put into a copy of the core, and some harness must notice.

    python3 tests/core/mutants.py [--quick] [--only NAME ...] [--seconds S] [--jobs N]

A mutant is one replacement in one file. It is caught when `unit`, `simulate` or `threads` (or `threads-tsan`, for what only a
sanitizer sees) ends with a failure or not at all within the time. Those of `state` as VMs in Python have it, and of what makes
receipts of their outcomes, are caught by `calls`: tests/property/engine/test_ways_of_calling.py over a copy of the packages. Those
of what is read across blocks are by `cache`: test_cached_values.py beside it, likewise; those of `ante` and of events by `ante`:
test_ante_and_events.py, and by `either`: test_either_language.py, where VMs in C have them, and of gas; those of what a record tells of adds by
`records`: test_recorded_accesses.py.
One that nobody catches means that a test is missing.

pitfalls.py says which of them stand for which known mistake.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness_build as build


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file` (of shm/core, or of ioi_exec); `new` takes its place."""

    name: str
    file: str
    old: str
    new: str
    harnesses: tuple[str, ...] = ("unit", "simulate", "threads")
    quick: bool = False
    patience: float = 1  # times the usual, for what needs a rare schedule


TSAN = ("threads-tsan",)
CALLS = ("calls",)
CACHE = ("cache",)
ANTE = ("ante",)
EITHER = ("either",)
RECORDS = ("records",)

MUTANTS = [
    # ---- what a transaction pays, and tells
    Mutant("events-outlive-an-undo", "view_undo.c", "s->events.len = u->before.len;", "", ANTE),
    Mutant("events-of-the-last-transaction", "view.c", "s->tail.len = s->events.len = 0;", "s->tail.len = 0;", ANTE),
    Mutant("what-was-paid-is-undone", "python/view.c", "self->view->kept = self->back.held;", "self->view->kept = false;", ANTE),
    Mutant("what-failed-is-kept", "python/view.c", "if (code) state_fall_back(&self->back);", "", ANTE),
    Mutant("held-is-refused", "python/turns.c", "turns->ante != Py_None && !turns->view->back.held", "turns->ante != Py_None", ANTE),
    Mutant("ante-takes-a-checkpoint", "python/checkpoint.c", "state->depth - back->held >=", "state->depth >=", ANTE),
    Mutant("native-events-outlive-an-undo", "sequential.c", "            seq->events.len = u->before.len;\n", "", EITHER),
    Mutant("native-events-of-the-last-transaction", "sequential.c", "seq->events.len = seq->tail.len = seq->events_noted = 0;", "seq->tail.len = seq->events_noted = 0;", EITHER),
    Mutant("native-events-of-what-failed", "view_finish.c", "if (s->floor && outcome->code) ioi_view_undo(s, 0);", "if (s->floor && outcome->code) { uint32_t l = (uint32_t)s->events.len; ioi_view_undo(s, 0); s->events.len = l; }", EITHER),
    Mutant("native-pays-nothing", "view_undo.c", "    v->kept = true;\n", "", EITHER),
    Mutant("native-keeps-what-failed", "view_finish.c", "if (s->floor && outcome->code) ioi_view_undo(s, 0);", "", EITHER),
    Mutant("one-by-one-native-pays-nothing", "sequential.c", "!stopped && seq->floor ? seq->begins[seq->floor - 1] : 0", "0", EITHER),
    Mutant("native-ante-is-undone-later", "view_undo.c", " || mark < s->floor", "", EITHER),
    Mutant("one-by-one-native-ante-is-undone-later", "sequential.c", " || mark < seq->floor", "", EITHER),
    Mutant("native-ante-takes-a-checkpoint", "view_undo.c", "s->marks - (s->floor != 0) >= v->limits", "s->marks >= v->limits", EITHER),
    Mutant("votes-are-all-for-it", "decided.c", "v->flag = (int)number(r, 1);", "number(r, 1), v->flag = IOI_VOTE_COMMIT;", EITHER),
    Mutant("votes-of-an-earlier-block", "native.c", "native->pending = native->decided_read = false;", "native->pending = false;", EITHER),
    Mutant("checks-in-c-do-not-see-each-other", "ioi_exec/execution/asking.py", "self._over.apply(list(writes))", "list(writes)", EITHER),
    Mutant("native-is-let-in-anyway", "transaction.c", "result == IOI_STOP || outcome->code ||", "result == IOI_STOP ||", EITHER),
    Mutant("native-refusals-are-failures", "native.c", "if (refused && !native->is_fault)", "if (false)", EITHER),
    # ---- gas
    Mutant("gas-comes-back", "gas.h", "if (m->out || amount > m->limit - m->used)", "if (amount > m->limit - m->used)", ("unit",)),
    Mutant("native-swallows-the-end-of-its-gas", "gas.c", "if (m->meter.out) *outcome", "if (m->meter.out && outcome->code) *outcome", EITHER),
    Mutant("native-ante-swallows-the-end-of-its-gas", "transaction.c", " || (metered && metered->meter.out)", "", EITHER),
    Mutant("swallowed-in-python", "ioi_exec/execution/transaction.py", "if out else came_to", "if out and not came_to[0].ok else came_to", EITHER),
    Mutant("what-fails-is-free", "gas.c", "outcome->gas_used = m->meter.used;", "outcome->gas_used = outcome->code ? 0 : m->meter.used;", EITHER),
    Mutant("events-are-free", "gas.c", "return take(s, ioi_gas_event(gas_of(s), size)) ?", "return take(s, 0 * size) ?", ("unit", "either")),
    Mutant("gas-of-incarnations-cut-short", "transaction.c", "    ioi_metered_begin(&m, below->state, below->key_len, below->gas);\n", "    static _Thread_local uint64_t before;\n    ioi_metered_begin(&m, below->state, below->key_len, below->gas);\n    if (ctx->tx_index == before >> 32) m.meter.used += (uint32_t)before;\n    before = ctx->tx_index << 32 | 1;\n", ("simulate", "threads")),
    Mutant("gas-of-waits", "view.c", "if (seen == IOI_SEEN_NOTHING && v->bring && v->bring(v, entry)) /* meanwhile", "if (seen == IOI_SEEN_NOTHING) v->limits.gas.get++;\n    if (seen == IOI_SEEN_NOTHING && v->bring && v->bring(v, entry)) /* meanwhile", EITHER),
    Mutant("gas-left-over", "python/state.c", "    back->meter.gas = NULL;\n", "", ("either", "calls")),
    # ---- validation and finality
    Mutant("skip-final-validation", "scheduler.c", "if (w->fresh != h && !validate(w, h)) {", "if (false) {", quick=True),
    Mutant("fresh-always", "scheduler.c", "w->fresh = at_watermark ? which : IOI_NO_TX;", "w->fresh = which;"),
    Mutant("fresh-survives", "scheduler.c", "w->fresh = at_watermark ? which : IOI_NO_TX;", "if (at_watermark) w->fresh = which + 1;"),
    Mutant(
        "final-without-compare",
        "scheduler.c",
        "if (!a32_cas(&w->status[h], &s, s - IOI_EXECUTED + IOI_FINAL)) return false;",
        "a32_xchg(&w->status[h], s - IOI_EXECUTED + IOI_FINAL);",
    ),
    Mutant("estimate-stands", "mvmemory.c", "bool there = seen == IOI_SEEN_VERSION || seen == IOI_SEEN_BASE;", "bool there = seen != IOI_SEEN_NOTHING;\n    *word &= ~IOI_ESTIMATE;"),
    Mutant("values-by-length", "mvmemory.c", "return x->len == y->len && memcmp(x->bytes, y->bytes, x->len) == 0;", "return x->len == y->len;", quick=True),
    Mutant("versions-by-value", "mvmemory.c", "if (!there || by_version) return false;", "if (!there) return false;", ("unit",)),
    Mutant("every-read-is-presence", "mvmemory.c", "(read->entry & IOI_PRESENCE) ||", "true ||"),
    Mutant("presence-keeps-presence", "view.c", "s->reads[k->read].entry &= ~IOI_PRESENCE;", ""),
    Mutant("absence-is-no-value", "mvmemory.c", "if (ioi_word_present(now) != ioi_word_present(then)) return false;", ""),
    Mutant("failed-transactions-write", "view_finish.c", "bool failed = fault || (outcome->code != 0 && !v->kept);", "bool failed = fault;"),
    Mutant("faults-are-receipts", "scheduler.c", "if (ioi_incarnation_receipt(w->arena, ioi_finished(w, h))->fault) {", "if (false) {"),
    # ---- aborting and publishing
    Mutant("no-estimates", "scheduler.c", "if (!w->policy.no_estimates) ioi_mv_estimate(&w->alloc, ioi_finished(w, tx));", "", quick=True),
    Mutant("estimates-against-the-policy", "scheduler.c", "if (!w->policy.no_estimates) ioi_mv_estimate", "ioi_mv_estimate", ("unit",)),
    Mutant("no-look-at-what-was-overwritten", "scheduler.c", "bool overtakes = wrote_new || (w->policy.no_estimates && inc->incarnation > 0);", "bool overtakes = wrote_new;", ("unit",)),
    Mutant("an-abort-leaves-validation-ahead", "scheduler.c", "a32_min(&sched->validation_idx, tx + 1);\n", "", ("unit",), quick=True),
    Mutant("an-abort-looks-at-nobody", "scheduler.c", "if (early(w)) look_above(w, tx, ioi_finished(w, tx));", "", ("unit",), quick=True),
    Mutant("what-is-new-looks-at-nobody", "scheduler.c", "if (overtakes) look_above(w, tx, inc);", "", ("unit",)),
    Mutant("alone-and-above-the-watermark", "scheduler.c", "if (w->owned == IOI_NO_TX && !w->token)", "if (w->owned == IOI_NO_TX)", ("unit",)),
    Mutant("nobody-is-suspected", "scheduler.c", "a64_or(reader, IOI_SUSPECT);\n            a32_min", "a32_min", ("unit",)),
    Mutant("who-executes-is-not-suspected", "scheduler.c", "a64_or(reader, IOI_SUSPECT);\n            s = a32_load_sc(&w->status[at]);", "", ("unit",)),
    Mutant("all-are-doubtful", "scheduler.c", "if (!w->noted || !(a64_load_sc(reader) & IOI_SUSPECT)) return false;", "", ("unit",)),
    Mutant("doubtful-for-ever", "scheduler.c", "a64_and(reader, ~IOI_SUSPECT);", "", ("unit",)),
    Mutant("suspected-while-it-executes", "scheduler.c", " & IOI_SUSPECT) && ioi_status_state(a32_load(&w->status[tx])) == IOI_EXECUTED;", " & IOI_SUSPECT);", ("unit",)),
    Mutant("reads-are-not-noted", "view.c", "will_read(v, entry);\n    ioi_seen seen = see(", "ioi_seen seen = see(", ("unit",)),
    Mutant("adds-are-not-noted", "view_write.c", "will_read(v, entry);\n    ioi_seen seen = ioi_mv_count(", "ioi_seen seen = ioi_mv_count(", ("simulate",)),
    Mutant("scans-are-not-noted", "view_ranges.c", "if (v->worker->noting) ioi_will_read(v->worker, v->tx, IOI_ANY_KEY);", "", ("unit",)),
    Mutant("noted-beside-what-was-read-before", "scheduler.h", "else a64_xchg(word, keys);", "else a64_or(word, keys);", ("unit",)),
    Mutant("suspects-are-not-found", "scheduler.c", "a32_min(&sched->validation_idx, at);", "", ("unit",)),
    Mutant("suspects-for-ever", "scheduler.c", "a64_and(&w->readers[at], ~IOI_SUSPECT);", "", ("unit",)),
    Mutant("scans-read-what-they-met", "readers.c", "if (ioi_incarnation_more(arena, inc)->ranges_count) return IOI_ANY_KEY;", "(void)arena;", ("unit",)),
    Mutant("everybody-read-everything", "readers.c", "set |= ioi_key_bits(inc->reads[i].entry & ~IOI_PRESENCE);", "set = IOI_ANY_KEY;", ("unit",)),
    Mutant("presence-is-another-key", "readers.c", "inc->reads[i].entry & ~IOI_PRESENCE", "inc->reads[i].entry", ("unit",)),
    Mutant("no-withdrawal", "mvmemory.c", " &&\n            !replace(alloc, ioi_deref(arena, old[i].entry), version, 0))\n            return false;", ")\n            continue;", quick=True),
    Mutant("abort-drops-the-waited-bit", "scheduler.c", "a32_add(&w->status[tx], (1u << IOI_STATUS_BITS) + IOI_EXECUTING - IOI_ABORTING);", "a32_xchg(&w->status[tx], (s & ~(uint32_t)15) + (1u << IOI_STATUS_BITS) + IOI_EXECUTING);"),
    Mutant("abort-whatever-runs", "scheduler.c", "if (!a32_cas(&w->status[tx], &s, s - IOI_EXECUTED + IOI_ABORTING)) return false;", "a32_xchg(&w->status[tx], s - IOI_EXECUTED + IOI_ABORTING);"),
    Mutant("owned-not-first", "scheduler.c", "if (w->owned != IOI_NO_TX) {\n            uint32_t which", "if (w->owned != IOI_NO_TX && w->run_next >= w->run_end) {\n            uint32_t which", quick=True),
    Mutant("relaxed-publish", "versions.c", "a64_xchg(&node->cell, cell);", "a64_store_relaxed(&node->cell, cell);", TSAN),
    # ---- counters
    Mutant("what-adds-learn-counts-for-nothing", "mvmemory.c", "&& counter >= low && counter <= high;", ";", quick=True),
    Mutant("lengths-are-not-learned", "mvmemory.c", "length == ioi_mv_field(alloc->arena, entry).size &&", ""),
    Mutant("sums-are-as-they-were", "mvmemory.c", "same_sum(arena, entry, &s, then);", "true;"),
    Mutant("every-place-is-the-counter", "mvmemory.c", "return before == packed;", "return true;"),
    Mutant("kept-before-it-is-final", "mvmemory.c", "uint32_t final = a32_load(&arena->shared->sched.commit_idx) + 1;", "uint32_t final = a32_load(&arena->shared->sched.commit_idx) + 3;"),
    Mutant("kept-with-what-is-above", "mvmemory.c", "s.word, settled.added);", "s.word, s.added + settled.added);"),
    Mutant("kept-for-more-than-was-looked-at", "mvmemory.c", "return final < position ? final : position;", "(void)position;\n    return final;"),
    Mutant("final-after-the-versions", "mvmemory.c", "keep_known(alloc, entry, deep, final, s.word", "keep_known(alloc, entry, deep, final_below(arena, position), s.word"),
    Mutant("adds-hide-phantoms", "mvmemory.c", "if (!ioi_read_learned(alloc->arena, &inc->reads[i])) set_add", "set_add"),
    Mutant("one-add-learns-for-all", "counter.h", "base - (now - from) > *low) *low", "true) *low"),
    Mutant("refused-adds-learn-nothing", "counter.h", "base + (from - now) - 1 < *high) *high = base + (from - now) - 1;", "false) *high = 0;"),
    Mutant("a-read-forgets-what-adds-learned", "view_finish.c", "ioi_learned learned = halves(l);", "if (lookup(s, ioi_offset(arena, l->entry))->read != NONE) continue;\n        ioi_learned learned = halves(l);"),
    Mutant("scans-miss-what-is-added", "view_ranges.c", "if (!own_values(v, &all)) return IOI_STOP;", ""),
    Mutant("presence-keeps-the-add", "view.c", "if (!ioi_word_added(*word)) return IOI_OK; /*", "return IOI_OK; /*"),
    # ---- sums of adds
    Mutant("new-adds-are-not-told", "mvmemory.c", "if (sums && !ioi_sums_set(alloc, sums, position, word)) return false;", "(void)sums;", quick=True),
    Mutant("other-adds-are-not-told", "mvmemory.c", "return !sums || ioi_sums_set(alloc, sums, version->position, word);", "(void)sums;\n    return true;", quick=True),
    Mutant("aborts-are-not-told", "mvmemory.c", "if (sums) (void)ioi_sums_set(alloc, sums, version->position, word);", "(void)sums, (void)word, (void)arena;", ("unit",)),
    Mutant("other-cells-by-plain-store", "versions.c", "a64_xchg(&node->cell, cell);", "a64_store(&node->cell, cell);", ("simulate",), patience=8),
    Mutant("told-before-they-are-there", "sums.c", "    ioi_ref none = 0;\n    if (!a32_cas(at", "    making early = {alloc, sums};\n    if (!ioi_versions_each(arena, entry, from, tell, &early)) return;\n    from = UINT32_MAX;\n    ioi_ref none = 0;\n    if (!a32_cas(at"),
    Mutant("what-has-no-value-yet-is-nothing", "sums.c", "word ? saying(m->alloc->arena, word) : LOOK", "saying(m->alloc->arena, word)", patience=4),
    Mutant("the-maker-knows-better", "sums.c", "if (a32_cas(&l->says[digit(version->position, 0)], &untold, says))", "untold = a32_xchg(&l->says[digit(version->position, 0)], says);\n    if (untold == UNTOLD)", patience=4),
    Mutant("what-was-said-before-stays", "sums.c", "change(alloc->arena, sums, path, position, before, says);", "change(alloc->arena, sums, path, position, UNTOLD, says);"),
    Mutant("halves-do-not-carry", "sums.c", "+ low < low) high++;", "+ low < low) (void)high;"),
    Mutant("asked-before-they-are-whole", "sums.c", "return a32_load(&sums->whole) && sums->from", "return sums->from"),
    Mutant("asked-for-what-they-do-not-have", "sums.c", "return a32_load(&sums->whole) && sums->from <= from;", "(void)from;\n    return a32_load(&sums->whole);"),
    Mutant("values-end-no-sum", "sums.c", "if (within && !a32_load(&c->ends) && (", "if (within && ("),
    Mutant("aborted-adds-are-passed-over", "sums.c", " && (a->sum->aborted || !a32_load(&c->aborted))", "", ("unit",)),
    Mutant("half-a-child-is-all-of-it", "sums.c", "bool within = at >= a->from && a->to - at >= size;", "bool within = at >= a->from;"),
    Mutant("sums-of-too-few-levels", "sums.c", "room < (uint64_t)arena->shared->block.n + 3;", "room < (uint64_t)arena->shared->block.n;"),
    Mutant("nobody-makes-sums", "mvmemory.c", "if (!sums && s.steps > WALK_ADDS) ioi_sums_make(", "if (false) ioi_sums_make(", ("unit",)),
    Mutant("sums-of-what-is-known-too", "mvmemory.c", "ioi_sums_up(alloc, entry, sums, from, final, &settled);", "ioi_sums_up(alloc, entry, sums, 0, final, &settled);"),
    # ---- what is noted of each transaction
    Mutant("waits-take-the-room-of-their-execution", "scheduler.c", "reserve_span(w); /* that room was its execution's */", "", patience=2),
    Mutant("a-span-over-what-another-took", "scheduler.c", " || tx != w->span.first + w->span.count)", ")", patience=2),
    Mutant("an-abort-goes-on-in-the-span", "scheduler.c", "restart_timing(w);\n            task = execute(w, tx, which, which == a32", "task = execute(w, tx, which, which == a32"),
    # ---- sleeping and waking
    Mutant("finish-by-plain-store", "scheduler.c", "uint32_t before = a32_xchg(&w->status[tx], inc->incarnation << IOI_STATUS_BITS | IOI_EXECUTED);", "uint32_t before = a32_load(&w->status[tx]);\n    a32_store(&w->status[tx], inc->incarnation << IOI_STATUS_BITS | IOI_EXECUTED);", quick=True),
    Mutant(
        "finish-by-delayed-store",  # the waiters' bit is taken properly, but the store may pass the look at the token
        "scheduler.c",
        "uint32_t before = a32_xchg(&w->status[tx], inc->incarnation << IOI_STATUS_BITS | IOI_EXECUTED);",
        "uint32_t before = a32_or(&w->status[tx], IOI_WAITED);\n    a32_store(&w->status[tx], inc->incarnation << IOI_STATUS_BITS | IOI_EXECUTED);",
    ),
    Mutant("finish-wakes-nobody", "scheduler.c", "if (before & IOI_WAITED) ioi_futex_wake(&w->status[tx], UINT32_MAX);", "(void)before;", quick=True),
    Mutant("finish-wakes-one", "scheduler.c", "if (before & IOI_WAITED) ioi_futex_wake(&w->status[tx], UINT32_MAX);", "if (before & IOI_WAITED) ioi_futex_wake(&w->status[tx], 1);"),
    Mutant("no-look-after-the-token", "scheduler.c", "if (ioi_status_state(a32_load_sc(&w->status[h])) != IOI_EXECUTED) return;\n    }", "return;\n    }"),
    Mutant("token-by-plain-store", "scheduler.c", "a32_xchg(&sched->token, 0);", "a32_store(&sched->token, 0);", patience=8),
    Mutant("wake-without-a-new-number", "idle.c", "a32_add(&sched->work_seq, 1);\n", ""),
    Mutant("sleep-without-a-last-look", "scheduler.c", "armed = true; /* and one last look around */", "ioi_futex_wait(&sched->work_seq, seq, 0);\n            a32_add(&sched->sleepers, UINT32_MAX);"),
    Mutant("sleep-uncounted", "scheduler.c", "a32_add(&sched->sleepers, 1);\n", "a32_add(&sched->sleepers, 0);\n"),
    Mutant("wait-keeps-the-run", "scheduler.c", "give_back_run(w);\n    count(", "count("),
    Mutant("run-given-back-silently", "scheduler.c", "a32_min(&w->sched->execution_idx, from);\n    ioi_notify(w->sched, 1);", "a32_min(&w->sched->execution_idx, from);"),
    Mutant("waited-by-plain-or", "scheduler.c", "if (!a32_cas(&w->status[tx], &s, s | IOI_WAITED)) continue;\n            s |= IOI_WAITED;", "a32_store(&w->status[tx], s | IOI_WAITED);\n            s |= IOI_WAITED;"),
    Mutant("no-look-at-the-stop", "scheduler.c", "if (!ioi_running(w)) continue; /* stopped between the look above and raising the bit */\n", ""),
    Mutant("stop-leaves-the-word", "scheduler.c", "if (waited) a32_and(&status[tx], ~(uint32_t)IOI_WAITED);", ""),
    Mutant("stop-wakes-no-waiter", "scheduler.c", "if (waited || state == IOI_BLOCK_ABANDONED) ioi_futex_wake(&status[tx], UINT32_MAX);", ""),
    Mutant("a-death-wakes-only-bits", "scheduler.c", "if (waited || state == IOI_BLOCK_ABANDONED)", "if (waited)", quick=True),
    Mutant("stop-only-once", "scheduler.c", "if (!a32_cas(&sched->state, &running, state) && running == IOI_BLOCK_IDLE) return;", "if (!a32_cas(&sched->state, &running, state)) return;"),
    Mutant("the-end-lets-go", "scheduler.c", "if (h == w->n || !ioi_running(w)", "if (!ioi_running(w)"),
    Mutant("empty-blocks-wait", "scheduler.c", "if (w->n != 0) return;", "return;"),
    Mutant("who-parks-hands-nothing-over", "idle.c", "    ioi_notify(sched, 1);\n    for (;;) {", "    for (;;) {", ("unit",)),
    Mutant("stop-leaves-the-parked", "idle.c", "a32_xchg(&sched->active, UINT32_MAX);", "", ("simulate",)),
    Mutant("stop-calls-no-parked", "idle.c", "    wake_parked(sched, UINT32_MAX);\n", "", ("simulate",)),
    Mutant("parked-without-a-number", "idle.c", "    a32_add(&sched->park_seq, 1);\n", "", ("simulate",), patience=2),
    Mutant("more-are-active-than-called", "idle.c", "    if (active > before) wake_parked(sched, PARKED_WAKES);\n", "", ("unit",)),
    Mutant("conflicts-limit-nobody", "scheduler.c", "if (2 * aborts > 3 * steps) limit = active / 2;\n    else if", "if", ("unit",)),
    Mutant("last-worker-wakes-nobody", "block.c", "if (inside == 1) ioi_futex_wake(&arena->shared->active, UINT32_MAX);", "(void)inside;"),
    Mutant("called-without-a-look-at-the-sleeper", "block.c", "if (a32_load_sc(&c->asleep)) ioi_futex_wake(&c->seq, 1);", ""),
    Mutant("called-from-the-first-on", "block.c", "for (uint32_t id = workers; id-- > 0;) call(arena, id);\n    wake_some", "for (uint32_t id = 0; id < workers; id++) call(arena, id);\n    wake_some", ("simulate",)),
    Mutant("the-woken-wake-nobody", "block.c", "wake_some(arena, (id + 1) * WAKES);", "", ("simulate",)),
    Mutant("everybody-is-called", "block.c", "for (uint32_t id = workers; id-- > 0;) call(arena, id);", "for (uint32_t id = IOI_WORKERS_MAX; id-- > 0;) call(arena, id);", ("unit", "simulate")),
    Mutant("native-runs-on", "native.c", "if (!ioi_running(w)) return false;", ""),
    # ---- versions
    Mutant("promotion-without-second-look", "versions.c", "if (t && !trie_link(alloc, t, made)) return NULL;", "", quick=True),
    Mutant("migrated-after-the-search", "versions.c", "if (migrated) return best;", "if (a32_load(&t->migrated)) return best;"),
    Mutant("node-migrated-after-the-search", "versions.c", "if (!migrated) {\n        ioi_version *v = list_find", "if (!t || !a32_load(&t->migrated)) {\n        ioi_version *v = list_find"),
    Mutant("migrated-at-once", "versions.c", "for (ioi_ref at = a32_load_sc(&entry->head); at;) {\n        ioi_version *v = ioi_deref(arena, at);\n        if (!trie_link", "a32_store(&t->migrated, 1);\n    for (ioi_ref at = a32_load_sc(&entry->head); at;) {\n        ioi_version *v = ioi_deref(arena, at);\n        if (!trie_link"),
    Mutant(
        "slot-after-its-bit",
        "versions.c",
        "    a32_store(&leaf->slot[digit(position, 0)], ioi_ref_of(alloc->arena, node));\n",
        "    set_bit(leaf, digit(position, 0));\n    a32_store(&leaf->slot[digit(position, 0)], ioi_ref_of(alloc->arena, node));\n",
    ),
    Mutant("withdrawn-subtree-ends-the-search", "versions.c", "limit = found << (level * WAY_BITS);\n                break;", "return NULL;"),
    Mutant("withdrawn-counts", "versions.c", "if ((*cell = a64_load(&best->cell))) break;", "{\n                *cell = a64_load(&best->cell);\n                break;\n            }"),
    Mutant("revived-write-without-its-bit", "versions.c", "if (a32_load(&leaf->slot[digit(node->position, 0)])) a64_or(&leaf->bits, bit);", ""),
    Mutant("list-insert-by-store", "versions.c", "if (a32_cas(link, &older, ioi_ref_of(arena, made))) break;", "a32_store(link, ioi_ref_of(arena, made));\n        break;"),
    Mutant("every-node-is-the-first", "versions.c", "if (link == &entry->head && older == 0) *how", "if (link == &entry->head) *how", quick=True),
    Mutant("whoever-finds-it-made-it", "versions.c", "if (v) return v;\n    }", "if (v) *how = IOI_MADE_NOW;\n        if (v) return v;\n    }"),
    Mutant("fresh-values-by-plain-store", "mvmemory.c", "a64_store(&version->cell, word);", "a64_store_relaxed(&version->cell, word);", TSAN),
    # ---- the layout
    Mutant("records-at-any-unit", "mvmemory.h", "enum { IOI_RECORD_ALIGN = 2 * IOI_UNIT };", "enum { IOI_RECORD_ALIGN = IOI_UNIT };"),
    Mutant("entries-at-any-unit", "index.h", "enum { IOI_ENTRY_ALIGN = 2 * IOI_UNIT };", "enum { IOI_ENTRY_ALIGN = IOI_UNIT };"),
    Mutant("absent-is-not-noted", "mvmemory.c", ".deleted = state == IOI_DELETED,", ".deleted = 0,"),
    Mutant("success-forgets-its-scans", "view_finish.c", "if (!v->store->ranges_count && !fault", "if (!fault"),
    Mutant("success-forgets-its-gas", "view_finish.c", "&& !outcome->gas_used &&", "&&", ("unit",)),
    Mutant("success-forgets-its-output", "view_finish.c", "!outcome->output_len && ", ""),
    Mutant("larger-than-links-reach", "arena.c", " || size > IOI_ARENA_MAX)", ")", ("unit",)),
    # ---- hinted keys
    Mutant("likely-by-length", "view.c", "if (next->key_len == len && memcmp(next->key, bytes, len) == 0) {", "if (next->key_len == len) {", quick=True),
    Mutant("likely-of-the-block-before", "native.c", "native->hinted_from = native->hinted_to = 0;", "", ("unit",)),
    # ---- ranges
    Mutant("phantoms-pass", "mvmemory.c", "if (version && (by_version || ioi_word_present(now) || (now & IOI_ESTIMATE))) {", "if (false) {"),
    Mutant("range-not-recorded", "view_finish.c", "stored = &out[more->ranges_count++];", "stored = &out[0];"),
    Mutant("gaps-not-pinned", "view.c", "if (k->read == NONE && s->ranges_count && in_scanned_range(s, entry)) {", "if (false && in_scanned_range(s, entry)) {"),
    Mutant("reads-not-pinned", "view.c", "if (k->read != NONE) {\n        *word", "if (k->read != NONE && false) {\n        *word"),
    Mutant("only-the-first-writer-links", "mvmemory.c", "if (!ioi_ordered_written(alloc, entry)) return false;", "if (made == IOI_MADE_FIRST && !ioi_ordered_written(alloc, entry)) return false;"),
    Mutant("seen-before-it-is-ordered", "mvmemory.c", "if (!word) return false;\n        if (a64_load_relaxed(&version->cell) == 0) {", "if (!word) return false;\n        if (made != IOI_MADE_BEFORE) a64_store(&version->cell, word);\n        if (made != IOI_MADE_BEFORE || a64_load_relaxed(&version->cell) == 0) {", patience=4),
    Mutant("ordered-on-after-the-walk", "ordered.c", "a32_cas(&sched->ordered_on, &off, 1);", "(void)off;"),
    Mutant("scans-turn-back", "ordered.c", "if (order > 0 || (order == 0 && !after)) return e;\n    }", "(void)order;\n        return e;\n    }", ("unit", "simulate", "threads")),
    Mutant("misplaced-key", "ordered.c", "if (order < 0) continue; /* a smaller key came in between */", ""),
    Mutant("one-key-two-nodes", "ordered.c", "if (order == 0) { /*", "if (false) { /*"),
    # ---- the record
    Mutant("scans-forget-the-deleted", "rows.c", "ioi_mv_range_stands(&t->alloc, &bounds, 0, false, take_scanned, &t, NULL);", "(void)bounds;", ("simulate",)),
    Mutant("absent-keys-as-the-scan-met-them", "rows.c", "if (!ioi_word_present(word) && !written", "if (false && !written", ("simulate",), quick=True),
    Mutant("scanned-twice", "rows.c", "if (number == NO_KEY || *reader_of(t, number) == t->tx + 1) return true;", "if (number == NO_KEY) return true;", ("simulate",)),
    Mutant("adds-are-recorded-as-reads", "rows.c", "{t->tx, number, writer, added};", "{t->tx, number, writer, false};", RECORDS),
    Mutant("adds-need-only-what-was-put", "rows.c", "if (stands(&c->put, l)) return", "return", RECORDS),
    Mutant("adds-need-all-before-them", "rows.c", "    if (stands(&c->put, l)) return c->put.writer;\n", "", RECORDS),
    Mutant("adds-are-recorded-as-puts", "rows.c", "!ioi_word_present(word), ioi_word_added(word)};", "!ioi_word_present(word), false};", RECORDS),
    Mutant("what-is-lost-is-forgotten", "recorder.c", "a32_store_relaxed(&r->slot->record_lost, 1);", "", ("simulate",)),
    Mutant("idle-while-validating", "recorder.c", "    ioi_recorder_busy(r);\n    return r->now;", "    return r->now;", ("simulate",)),
    Mutant("the-reader-is-blamed", "mvmemory.c", "return (ioi_cause){entry, position, incarnation,", "return (ioi_cause){entry, position + 1, incarnation,", ("simulate",)),
    # ---- index and arena
    Mutant("intern-by-store", "index.c", "if (a32_cas(slot, &word, ioi_ref_of(arena, made))) return made;", "a32_store(slot, ioi_ref_of(arena, made));\n        return made;"),
    Mutant("node-loses-its-entry", "index.c", "a32_store_relaxed(&inner->slot[(e->hash >> shift) & (FANOUT - 1)], word);", ""),
    Mutant("hash-is-the-key", "index.c", "return e->hash == hash && e->key_len == len && memcmp(e->key, key, len) == 0;", "(void)key;\n    return e->hash == hash && e->key_len == len;"),
    Mutant("chunks-by-store", "arena.c", "} while (!a64_cas(&shared->bump, &at, at + bytes));", "} while (false);\n    a64_store(&shared->bump, at + bytes);"),
    Mutant("full-is-ignored", "arena.c", "if (bytes > reserved || at > reserved - bytes) return 0;", "(void)reserved;", ("unit", "simulate", "threads-asan")),
    # ---- committed values across blocks
    Mutant("let-go-what-the-table-lacks", "cache.c", "return record_at(base, word)->version <= flat;", "(void)base, (void)word, (void)flat;\n    return true;", ("unit", "cache"), quick=True),
    Mutant("the-mark-is-the-newest", "ioi_exec/state/cache.py", "changes.ends, stand.version, self._flat)", "changes.ends, stand.version, stand.version)", CACHE),
    Mutant("what-had-no-room-is-lost", "ioi_exec/state/cache.py", "self._spilled.update((key, (stand.version, value)) for key, value in refused)", "", CACHE),
    Mutant("what-had-no-room-hides-what-has", "ioi_exec/state/cache.py", "                self._spilled.pop(key, None)", "                pass", CACHE),
    Mutant("what-had-no-room-goes-too-soon", "ioi_exec/state/cache.py", "if spilled[0] > flat}", "if spilled[0] > flat + 1}", CACHE),
    Mutant("sandboxes-read-below", "ioi_exec/state/base.py", "if self.cache is None or self._overlays:", "if self.cache is None:", CACHE),
    Mutant("of-whatever-state", "ioi_exec/state/cache.py", "if not shared.cache.is_of(stand.packed()):", "if self._stand is None:", CACHE),
    Mutant("kept-on-whatever-state", "ioi_exec/state/cache.py", "if shared is None or not shared.cache.is_of(parent.packed()):", "if shared is None:", CACHE),
    Mutant("filled-without-what-lags", "ioi_exec/state/cache.py", "Writes.of(store.lagging().items())", "Writes.of([])", CACHE),
    Mutant("half-written-counts", "cache.c", "    h->stamped = 0;\n    bool promoted", "    bool promoted", ("unit", "cache")),
    Mutant("cleared-and-still-stamped", "cache.c", "h->stamped = h->count = h->hand = 0;", "h->count = h->hand = 0;", ("unit",)),
    Mutant("sandboxes-are-kept", "ioi_exec/machine/blocks.py", "                if store is self._store:\n                    self._cache.committed(result.staged.parent, store.stand,", "                if True:\n                    below = self._store.stand\n                    self._cache.committed(result.staged.parent if store is self._store else below, below,", CACHE),
    Mutant("staged-is-committed", "ioi_exec/machine/blocks.py", "                staged, threads = self._staging.stage(store, writes, sequential)\n", "                staged, threads = self._staging.stage(store, writes, sequential)\n                self._cache.committed(stand, stand._replace(version=stand.version + 1), staged.changes)\n                self._cache._shared and self._cache._shared.cache.stamp(stand.packed())\n", CACHE),
    Mutant("a-base-under-an-overlay-is-kept", "block.c", "    a64_store(&entry->base, a64_load(&((ioi_version *)ioi_deref(arena, write.version))->cell));\n", "", CACHE),
    Mutant("the-older-record-stays", "cache.c", "if (i < WAYS) let_go(base, &b->way[i]);", "", ("unit", "cache")),
    Mutant("widened-in-place", "cache.c", "if (record_at(base, word)->hash & buckets)", "if (false)", ("unit-asan", "unit")),
    Mutant("a-hash-is-a-key", "cache.c", "c->hash == hash && c->key_len == len && memcmp(c->record.bytes + c->record.len, key, len) == 0", "((void)key, (void)len, c->hash == hash)", ("unit",)),
    Mutant("absence-is-not-kept", "cache.c", ".deleted = !bytes};", ".deleted = 0};", ("unit", "cache")),
    Mutant("scans-do-not-catch-up", "ioi_exec/execution/workers/part.py", "            self._reader.catch_up()", "            pass", CACHE),
    Mutant("undone-and-still-known", "sequential.c", "c->known = u->known;", "", ("unit",)),
    Mutant("brought-and-not-looked-at", "view.c", "v->bring(v, entry)) /* meanwhile", "!v->bring(v, entry)) /* meanwhile", ("unit",)),
    Mutant("one-by-one-a-hash-is-a-key", "sequential.c", "if (c->key_len == len && memcmp(c->key, key, len) == 0) break;", "if (c->key_len == len) break;", ("unit",)),
    Mutant("one-by-one-widened-and-not-looked-up-again", "sequential.c", "if (!wide && (wide = widen(seq))) i = slot_of(seq, h, key, len);", "if (!wide) wide = widen(seq);", ("unit",)),
    Mutant("sorted-by-eight-bytes", "sort.c", "if (end - i > 1) qsort_r(&from[i], end - i, sizeof *from, by_key, &key_of);", "", ("unit",)),
    Mutant("sorted-by-seven-bytes", "sort.c", "shift < 64;", "shift < 56;", ("unit",)),
    Mutant("sorted-behind-what-not-all-begin-with", "sort.c", "        if (len < common) common = len;\n        if (memcmp(first, key, common) == 0) continue;", "        if (len < common) common = len;\n        if (i > 1 || memcmp(first, key, common) == 0) continue;", ("unit",)),
    # ---- state, as VMs in Python have it: what all modes of execution share, which only a third opinion can judge
    Mutant("subclasses-as-they-are", "python/arguments.h", "return PyBytes_CheckExact(object) ? ", "return PyBytes_Check(object) ? ", CALLS, quick=True),
    Mutant("the-last-of-two-counts", "python/arguments.c", "if (out[place]) {", "if (false) {", CALLS),
    Mutant("unknown-names-pass", "python/arguments.c", "if (place < 0) {", "if (place < 0) continue;\n        if (false) {", CALLS),
    Mutant("prefixes-of-ff-end-early", "python/state.c", "while (len && bytes[len - 1] == 0xff) len--;", "", CALLS, quick=True),
    Mutant("a-bool-is-a-number", "python/state.c", "if (!PyLong_Check(object) || PyBool_Check(object)) {", "if (!PyLong_Check(object)) {", CALLS),
    Mutant("numbers-as-they-say", "python/state.c", "long long small = PyLong_AsLongLongAndOverflow(object, &overflow);", "object = PyObject_CallMethod(object, \"__index__\", NULL);\n    long long small = PyLong_AsLongLongAndOverflow(object, &overflow);", CALLS),
    Mutant("any-thread", "python/state.c", "else if (state->thread != PyThreadState_Get())", "else if (false)", CALLS),
    Mutant("keys-one-byte-longer", "python/state.c", "if (key_len > most->key_bytes)", "if (key_len > most->key_bytes + 1)", CALLS),
    Mutant("empty-keys-are-kept", "python/state.c", "if (key_len == 0) PyErr", "if (false) PyErr", CALLS),
    Mutant("limits-are-no-limits", "python/scan.c", "(scan->limited && scan->left == 0)", "false", CALLS),
    Mutant("one-checkpoint-deeper", "python/checkpoint.c", "if (state->depth - back->held >= back->limits", "if (state->depth - back->held > back->limits", CALLS),
    Mutant("entered-twice", "python/checkpoint.c", "if (self->depth) {", "if (self->open) {", CALLS),
    Mutant("ended-in-any-order", "python/checkpoint.c", "if (!self->open || self->depth != state->depth) {", "if (!self->open) {", CALLS),
    # ---- what is behind it
    Mutant("the-block-hides-own-writes", "python/plain.c", "enum { OWN, BLOCK, BASE, SOURCES };", "enum { BLOCK, OWN, BASE, SOURCES };", CALLS),
    Mutant("undone-keys-still-weigh", "python/plain.c", "self->own_bytes -= (uint64_t)PyBytes_GET_SIZE(key);", "", CALLS),
    Mutant("undone-to-the-beginning", "python/plain.c", "while (self->undo_count > mark)", "while (self->undo_count > (undo ? 0 : mark))", CALLS),
    Mutant("kept-although-undone", "python/plain.c", "if (undo) put_back(self, key, before);\n        else if", "if", CALLS),
    # ---- what checkpoints have to put back
    Mutant("noted-by-any-checkpoint", "view_undo.c", "*noted_of(s, write) > s->begins[s->marks - 1]", "*noted_of(s, write)", ("simulate",)),
    Mutant("kept-is-forgotten", "view_undo.c", "mark ? s->begins[mark - 1] : 0, mark == 0", "0, true", ("unit",)),
    Mutant("kept-for-the-outermost", "view_undo.c", "mark ? s->begins[mark - 1] : 0, mark", "0, mark", ("unit",)),
    Mutant("what-is-put-back-is-overwritten", "view_undo.c", "        s->writes[write].room = NULL;\n        s->writes[write].capacity = 0;\n", "", ("simulate",)),
    Mutant("what-ante-paid-is-noted", "view_undo.c", "    hand_over(s, 0, 0, true); /* what stays is never put back */\n", "", ("simulate", "threads")),
    Mutant("events-of-ante-are-undone", "view_undo.c", "            s->events_noted = u->before.noted;\n            continue;", "            s->events.len = 0;\n            continue;", ("simulate", "threads")),
    Mutant("checkpoints-keep-every-value", "view_undo.c", "!s->marks || *noted_of(s, write) > s->begins[s->marks - 1]", "!s->marks", ("unit",)),
    Mutant("kept-checkpoints-keep-every-value", "view_undo.c", "forget || u.before.noted > begin", "forget", ("unit",)),
    Mutant("room-is-not-given-back", "view_undo.c", "            give_back(s, &u.before);\n", "", ("unit",)),
    Mutant("one-by-one-noted-by-any-checkpoint", "sequential.c", "again && c->noted > newest_begin(seq)", "again", ("simulate", "threads")),
    Mutant("one-by-one-checkpoints-keep-every-value", "sequential.c", "again && c->noted > newest_begin(seq)", "false", ("unit",)),
    Mutant("one-by-one-kept-checkpoints-keep-every-value", "sequential.c", "if (u->noted > begin) {", "if (false) {", ("unit",)),
    Mutant("kept-checkpoints-are-forgotten", "python/plain.c", "else if (self->undo_count) r = note", "else if (false) r = note", CALLS),
    Mutant("own-writes-turn-round", "scan.c", "if (own && below && s->reverse) order = -order;", "", CALLS, quick=True),
    Mutant("own-writes-are-not-read", "python/view.c", "ioi_view_get(self->view, key, &at, &len)", "ioi_view_get_below(self->view, key, &at, &len)", CALLS),
    Mutant("own-writes-anywhere", "scan.c", "if (!entry || !in_range(s, entry)) continue;", "if (!entry) continue;", CALLS),
    # ---- what an outcome becomes
    Mutant("names-by-their-metaclass", "ioi_exec/execution/faults.py", "name = str.__str__(_name_of(type(error)))", "name = str.__str__(type(error).__name__)", CALLS),
    Mutant("codes-as-they-say", "ioi_exec/execution/faults.py", "code=int.__index__(code)", "code=int(code)", CALLS),
    Mutant("outputs-as-they-are", "ioi_exec/execution/faults.py", "Receipt(output=exact)", "Receipt(output=output)", CALLS),
    Mutant("errors-as-they-say", "ioi_exec/execution/faults.py", "    kind = type(error)\n    if not", "    kind = error.__class__\n    if not", CALLS),
    Mutant("receipts-while-it-runs", "ioi_exec/execution/transaction.py", "        back.end()\n        return _metered(back, _failed(error,", "        failed = _failed(error, limits, ante and not back.held)\n        back.end()\n        return failed\n        return _metered(back, _failed(error,", CALLS),
]

EQUIVALENT = {
    # Mutations one might expect here, and why no result can show them.
    "ESTIMATEs marked after the new incarnation is EXECUTING": "the aborting worker executes it only after both; a reader in "
    "between sees the old value and fails at the watermark, as it would have had it come a moment earlier",
    "a trie's bits set from the root down": "a reader that finds nothing below a bit goes on in front of it, as it must for "
    "withdrawn writes; until the leaf's bit stands the version is simply not linked yet",
    "the last key a scan reached is left out of its recorded range": "the scan resolved that key first, so it stands in the read "
    "set and is validated there",
    "solo_until stays after a solo run, or nobody is told": "it compares with the watermark, which has passed it; those asleep are "
    "woken by whatever comes next, at the latest by the end, and meanwhile the holder works on",
    "others claim while one runs solo": "solo is a hint for speed: whoever claims still goes through the watermark",
    "a worker between blocks says by a plain store that it sleeps": "the futex's system call orders it before the kernel's own look "
    "at the word; the exchange keeps to the rule of wait.h all the same",
    "a stale early validator aborts a valid incarnation": "it runs again; the compare-and-swap includes the incarnation, so a "
    "final transaction is never touched (that part is abort-whatever-runs)",
}

COMMANDS = {
    "unit": [],
    "unit-asan": [],
    "simulate": ["--seconds", "{seconds}"],
    "threads": ["--seconds", "{seconds}"],
    "threads-asan": ["--seconds", "{seconds}"],
    "threads-tsan": ["--seconds", "{seconds}"],
}


PYTHON_TESTS = {
    "calls": ("property/engine/test_ways_of_calling.py", "-k", "calls or kept"),
    "cache": ("property/engine/test_cached_values.py",),
    "either": ("property/engine/test_either_language.py",),
    "ante": ("unit/engine/execution/test_ante_and_events.py", "-k", "random or stays"),
    "records": ("property/engine/test_recorded_accesses.py",),
}


def plant(mutant: Mutant, core: Path) -> None:
    """core: a copy of it, or of the packages. Raises ValueError if it does not hold the mutated text exactly once."""
    path = (core.parent if mutant.file.startswith("ioi_exec/") else core) / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text stands {text.count(mutant.old)} times in {mutant.file}: bring it up to date")
    path.write_text(text.replace(mutant.old, mutant.new))


def try_harness(mutant: Mutant, harness: str, folder: Path, seconds: float) -> str | None:
    """How the harness noticed, or None."""
    seconds *= mutant.patience
    if harness in PYTHON_TESTS:
        return try_python(mutant, harness, folder / harness)
    core = build.copy_core(folder / harness)
    plant(mutant, core)
    build.tighten(core, build.PROGRAMS[harness].tight)
    binary = build.compile_program(harness, core, ("-Wno-error", "-w", "-O1"))
    command = [str(binary), *(part.format(seconds=seconds) for part in COMMANDS[harness])]
    started = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds + 45)
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    said = next((line for line in lines if "ThreadSanitizer" in line or "AddressSanitizer" in line), lines[0] if lines else "")
    return f"{time.monotonic() - started:.1f} s: {said[:110]}"


def try_python(mutant: Mutant, harness: str, folder: Path) -> str | None:
    """The same by a test in Python, over a copy of the packages."""
    core = build.copy_packages(folder)
    plant(mutant, core)
    build.compile_extension(core)
    test, *options = PYTHON_TESTS[harness]
    where = Path(__file__).parents[1] / test
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options, str(where)]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    started = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, env=environment, cwd=folder)
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode == 0:
        return None
    said = next((line for line in done.stdout.splitlines() if line.startswith("E  ")), done.stdout[-110:] + done.stderr[-110:])
    return f"{time.monotonic() - started:.1f} s: {said[:110]}"


def sound(seconds: float, harnesses: tuple[str, ...]) -> str | None:
    """What the harnesses say of the core as it is: a failure there would count as every mutant's."""
    nothing = Mutant("nothing", "atomics.h", "#include <assert.h>", "#include <assert.h>", harnesses)
    _, harness, how = run(nothing, seconds)
    return None if harness is None else f"{harness}: {how}"


def run(mutant: Mutant, seconds: float) -> tuple[Mutant, str | None, str]:
    folder = Path(tempfile.mkdtemp(prefix=f"mutant-{mutant.name}-"))
    try:
        for harness in mutant.harnesses:
            noticed = try_harness(mutant, harness, folder, seconds)
            if noticed is not None:
                return mutant, harness, noticed
        return mutant, None, "nobody noticed"
    except subprocess.CalledProcessError:
        return mutant, None, "does not compile: bring it up to date"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the few that CI runs")
    parser.add_argument("--only", nargs="*", default=None, help="names")
    parser.add_argument("--seconds", type=float, default=15, help="time for each harness")
    parser.add_argument("--jobs", type=int, default=max(1, len(os.sched_getaffinity(0))))
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if (not options.quick or m.quick) and (options.only is None or m.name in options.only)]
    if (noticed := sound(options.seconds, tuple(sorted({name for m in chosen for name in m.harnesses})))) is not None:
        print(f"the core fails without any planted bug: {noticed}")
        return 2
    survivors = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, harness, how in pool.map(lambda m: run(m, options.seconds), chosen):
            print(f"{mutant.name:36} {harness or 'SURVIVES':14} {how}", flush=True)
            if harness is None:
                survivors.append(mutant.name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught" + (f"; survivors: {', '.join(survivors)}" if survivors else ""))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
