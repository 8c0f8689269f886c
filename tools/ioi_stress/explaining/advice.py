"""What follows from an explanation, in sentences; the most important first."""

from __future__ import annotations

from collections import Counter

from ioi_stress.explaining.conflicts import UNKNOWN
from ioi_stress.explaining.explanation import Explanation, PathKey
from ioi_stress.explaining.tables import milliseconds
from ioi_stress.notation.text import short
from ioi_stress.tracing.timeline import FETCHING, IDLE, OTHER, VALIDATING, WAITING

_NEAR = 0.85  # of what is possible: as good as it gets
_MUCH = 0.2  # of something: worth a sentence
_CHEAP_US = 5.0
_BUSY = 0.05  # of the workers' time
_NAMED = 3  # keys in a sentence


def advice(found: Explanation) -> list[str]:
    sentences = [
        _disturbed(found),
        _possible(found),
        _had(found),
        _lost(found),
        *_path(found),
        *_overhead(found),
        _beside(found),
        _slower(found),
    ]
    return [sentence for sentence in sentences if sentence]


def _disturbed(found: Explanation) -> str:
    if found.preempted < _BUSY:
        return ""
    return (
        f"The machine was busy: other processes had the workers' cores for {found.preempted:.0%} of the time. That is left out of what "
        "transactions took, but not of how long the block took: measure again when it has nothing else to do."
    )


def _possible(found: Explanation) -> str:
    if found.best < 1.1:
        return (
            f"The block is one chain: its critical path is {found.path.nanoseconds / max(found.work, 1):.0%} of all "
            "its work, so it could at best "
            f"be {short(found.best)} times as fast as one by one, on any number of cores."
        )
    enough = next((each.cores for each in found.bounds if each.at_most >= 0.95 * found.best), None)
    at = f", which {enough} cores are enough for" if enough else ""
    return f"The block could at best be {short(found.best)} times as fast as one by one, on any number of cores{at}."


def _had(found: Explanation) -> str:
    at_most = found.possible.at_most
    workers = "one worker" if found.workers == 1 else f"{found.workers} workers"
    share, was = found.had / at_most, f"It was {short(found.had)} times as fast on {workers}"
    if found.workers > 1 and share >= _NEAR:
        more = " without more cores" if found.best > 1.1 * at_most else ""
        return f"{was}, of {short(at_most)} possible: little is left to gain{more}."
    slower = " It was slower than one by one." if found.had < 0.95 else ""
    return f"{was}, of at most {short(at_most)} possible on so many cores.{slower}"


def _lost(found: Explanation) -> str:
    room = found.workers * max(found.timeline.duration, 1)
    if found.lost / room < 0.01:
        return "Next to nothing was lost to conflicts."
    known = [each for each in found.keys if each.key != UNKNOWN]
    text = f"Conflicts cost {found.lost / room:.0%} of the workers' time (executions given up, and waits)"
    if not known:
        return text + "."
    first = known[0]
    if first.lost / found.lost >= _MUCH or len(known) == 1:
        return f"{text}; {first.lost / found.lost:.0%} of it is on {found.name(first.key)}."
    half, some = 0, 0
    while half < len(known) - 1 and some < found.lost / 2:
        some += known[half].lost
        half += 1
    first_ones = f"the first {half:,} have {some / found.lost:.0%} of it"
    return f"{text}, spread over {len(known):,} keys: {first_ones}. No single key is to blame."


def _path(found: Explanation) -> list[str]:
    if not found.path_keys:
        if found.independent or not found.path.transactions:
            return ["No transaction read what another one of the block wrote."]
        share = found.path.nanoseconds / max(found.work, 1)
        return [
            f"Transaction {found.timeline.name(found.path.transactions[0])} alone takes {share:.0%} of all work, longer than any chain of others: begun "
            "last, it has the cores for itself."
        ]
    if found.best >= 4 * found.possible.at_most:
        return []  # not what holds it up on so many cores
    first = found.path_keys[0]
    if first.nanoseconds / max(found.path.nanoseconds, 1) < _MUCH:
        return [f"The critical path goes through {len(found.path_keys):,} keys, none of which stands out."]
    better = first.best_without or found.best
    text = f"{first.nanoseconds / found.path.nanoseconds:.0%} of the critical path goes through {found.name(first.key)}"
    if better > 1.15 * found.best:
        return [
            f"{text}. If transactions did not wait for each other there (a value for each writer that is added up "
            "later, say), the block "
            f"could be {short(better)} times as fast."
        ]
    return [f"{text}, but without it the block could be only {short(better)} times as fast: {_instead(found, first)}."]


def _instead(found: Explanation, key: PathKey) -> str:
    """What the critical path would be without it."""
    assert key.without is not None  # it was asked for the first
    counts = Counter(key.without.keys)
    if not counts:
        return f"transaction {found.timeline.name(key.without.transactions[0])} alone takes as long"
    names = [found.name(each) for each, _ in counts.most_common(_NAMED)]
    more = f" and {len(counts) - _NAMED:,} more" if len(counts) > _NAMED else ""
    chains = "makes a chain" if len(counts) == 1 else "make chains"
    return f"{', '.join(names)}{more} {chains} as long ({milliseconds(key.without.nanoseconds)})"


def _overhead(found: Explanation) -> list[str]:
    room = max(sum(found.shares.values()), 1)
    if found.had >= _NEAR * found.possible.at_most:
        return []
    said = []
    idle = found.shares[IDLE] / room
    if idle >= _MUCH:
        why = (
            "the dependencies leave nothing else to do"
            if found.best < 1.5 * found.workers
            else "the scheduler found nothing to hand out"
        )
        said.append(f"Workers were idle for {idle:.0%} of the time: {why}.")
    waiting = found.shares[WAITING] / room
    if waiting >= _MUCH:
        said.append(
            f"Workers waited for aborted transactions for {waiting:.0%} of the time; --policy no-estimates shows what "
            "not waiting does."
        )
    if found.wasted >= _MUCH:
        said.append(
            f"{found.wasted:.0%} of the time of all executions went into ones that were given up; a smaller window "
            "(--policy window=N) wastes less."
        )
    each = found.work / 1e3 / max(found.transactions, 1)
    own = (found.shares[OTHER] + found.shares[VALIDATING]) / room
    if own >= _MUCH and each < _CHEAP_US:
        said.append(
            f"A transaction takes {short(each)} us, and handing out, validating and recording take {own:.0%} of the "
            "workers' time: such cheap "
            "transactions gain little from more cores."
        )
    fetching = found.shares[FETCHING] / room
    if fetching >= _MUCH:
        better = "; keys(tx) in the VM would get them in larger batches" if found.keys_unnamed else ""
        said.append(f"Reading committed values took {fetching:.0%} of the workers' time{better}.")
    return said


def _beside(found: Explanation) -> str:
    if found.slower >= 0.6:
        return ""
    return (
        f"Executing is {found.slower:.0%} of what one by one takes; the rest is fetching committed values and keeping "
        "receipts, which none "
        "of these bounds speaks of."
    )


def _slower(found: Explanation) -> str:
    if found.workers == 1 or found.slower < 1.3:
        return ""
    return (
        f"The same transactions took {short(found.slower)} times as long in parallel as one by one: cores that share "
        "caches or a clock, other "
        "programs on them, and the recording."
    )
