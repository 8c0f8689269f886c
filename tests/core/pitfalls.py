"""What others got wrong, and what would notice it here.

The numbered entries are mistakes met in implementations of Block-STM (Gelashvili et al., PPoPP 2023, algorithms 1 to 5): in
public issues and commits of cosmos-sdk and go-block-stm, Aptos, pevm, Starknet's sequencer, op-rbuilder, Nethermind, and in
a prototype of this engine. `covered_by` names mutants (mutants.py), unit tests (unit/*.c), or harnesses; where this design
cannot make the mistake, `instead` says why and what takes the mechanism's place.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pitfall:
    """One known mistake."""

    mistake: str
    covered_by: tuple[str, ...]
    instead: str = ""


ALGORITHMS_4_AND_5 = [
    Pitfall(
        "a task is counted after its index moved: done is declared too early (cosmos-sdk 26583)",
        ("skip-final-validation", "the-end-lets-go", "simulate"),
        "no counting: done is the watermark at n, and engine_check_end wants every status FINAL",
    ),
    Pitfall(
        "a counter is decremented twice when an incarnation cannot be claimed (go-block-stm cefc315)",
        ("sleep-uncounted", "last-worker-wakes-nobody"),
        "the only counts left are sleepers and workers inside",
    ),
    Pitfall(
        "the double collect of check_done reads its counters in the wrong order",
        ("the-end-lets-go", "no-look-after-the-token", "empty-blocks-wait"),
        "no double collect: one holder of the token moves one watermark",
    ),
    Pitfall(
        "add_dependency tests the wrong transaction, or a finish slips in between (c919160)",
        ("waited-by-plain-or", "finish-by-plain-store", "finish-wakes-nobody"),
        "the waiter raises a bit in the blocker's status word by compare-and-swap",
    ),
    Pitfall(
        "a resumed transaction does not lower execution_idx (d10207b)",
        ("wait-keeps-the-run", "run-given-back-silently", "scheduler"),
        "a waiter keeps its transaction and goes on; what it gives back is the rest of its run",
    ),
    Pitfall(
        "a late wake-up resumes another incarnation than the one that waited (Nethermind 9803)",
        ("stop-leaves-the-word", "abort-drops-the-waited-bit", "finish-wakes-one"),
        "wake-ups are hints: every waiter looks at the word, incarnation included, again",
    ),
    Pitfall(
        "abort without comparing the incarnation; ESTIMATEs after the new incarnation is up",
        ("abort-whatever-runs", "final-without-compare", "no-estimates", "estimate-stands"),
    ),
    Pitfall(
        "writes of the last incarnation that this one did not repeat stay (go-block-stm 11)",
        ("no-withdrawal", "failed-transactions-write", "mvmemory"),
    ),
    Pitfall(
        "validation skips or repeats a transaction by an index that is off by one (cdaba1d)",
        ("skip-final-validation", "fresh-always", "fresh-survives"),
        "validation_idx is a hint; the watermark visits every transaction",
    ),
    Pitfall(
        "rolling commit: the next transaction commits before an abort below it shows (Aptos finish_abort)",
        ("final-without-compare", "skip-final-validation", "token-by-plain-store"),
    ),
    Pitfall(
        "opacity: a key read twice shows two versions in one incarnation (pevm b2fde06); errors on stale reads taken for results",
        ("reads-not-pinned", "gaps-not-pinned", "failed-transactions-write", "faults-are-receipts"),
    ),
    Pitfall(
        "liveness: a blocked worker runs others' work, the lowest transaction waits, a cancel leaves sleepers (Aptos 19643, "
        "cosmos-sdk 25789)",
        ("owned-not-first", "no-look-at-the-stop", "stop-wakes-no-waiter", "stop-only-once", "a-death-wakes-only-bits", "native-runs-on"),
        "assert in ioi_wait_for: whoever runs at the watermark meets no ESTIMATE",
    ),
]

PROTOTYPE = [
    Pitfall(
        "the list of dependents is closed after EXECUTED is published, and hits the next incarnation",
        ("finish-by-plain-store", "abort-drops-the-waited-bit"),
        "no list: the waiters' bit is part of the word that one exchange replaces",
    ),
    Pitfall(
        "a plain store, then a load of what another announced: the machine swaps them and both miss",
        ("finish-by-delayed-store", "token-by-plain-store", "sleep-without-a-last-look", "wake-without-a-new-number"),
        "simulate delays plain stores as a store buffer does",
    ),
    Pitfall(
        "suspend and resume as a herd: every waiter of i wakes and suspends on i + 1",
        ("who-parks-hands-nothing-over", "parked-without-a-number", "conflicts-limit-nobody"),
        "fewer workers are active then, which is speed alone; in both harnesses workers park and are called back, and none may miss it",
    ),
    Pitfall(
        "a measurement that measured nothing",
        ("simulate", "threads"),
        "both print what they did; test_core.py wants aborts, suspensions, solo runs and full arenas among it",
    ),
    Pitfall(
        "a payload that changes under its readers, nodes that are unlinked",
        ("relaxed-publish", "slot-after-its-bit", "list-insert-by-store"),
        "records are complete before the word that names them, and nothing is unlinked within a block",
    ),
]

OTHERS = [
    Pitfall("validation by transaction index alone, without the incarnation (IOI)", ("values-by-length", "absence-is-no-value")),
    Pitfall("a writer's decision that a key is empty races another's version (IOI)", ("intern-by-store", "list-insert-by-store", "promotion-without-second-look")),
    Pitfall("scans without a check for phantoms, absent keys unrecorded (IOI)", ("phantoms-pass", "range-not-recorded", "only-the-first-writer-links", "ordered-on-after-the-walk")),
    Pitfall("a flag of value 0 makes a test always true (pevm 508)", ("every-read-is-presence", "presence-keeps-presence")),
    Pitfall("a full structure blocks its writer for ever, or decides a result (grevm 66)", ("full-is-ignored", "chunks-by-store", "native-runs-on")),
]

EVERY = [*ALGORITHMS_4_AND_5, *PROTOTYPE, *OTHERS]
