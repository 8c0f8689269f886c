"""The smallest block that still differs, whatever it takes: several transactions, keys of the state, luck."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, ClassVar, Sequence

import pytest

from ioi_exec import BlockHeader
from ioi_exec.execution.executor import Outcome
from ioi_exec.execution.parallel import ParallelExecutor
from ioi_stress.plan import Plan
from ioi_stress.running import shrink as shrinking
from ioi_stress.running.difference import Mismatch
from ioi_stress.running.measure import measure
from ioi_stress.running.shrink import ddmin, shrink
from ioi_stress.workload import Block, FixedWorkload

STATE = {b"key%02d" % i: b"%d" % i for i in range(40)}
TXS = [b"write %d" % i for i in range(60)]
PLAN = Plan(workers=1, pin=False)


def parts(items: Sequence[int], needed: set[int], tried: list[list[int]] | None = None) -> list[list[int]]:
    def differs(candidate: list[int]) -> bool:
        if tried is not None:
            tried.append(candidate)
        return needed <= set(candidate)

    return list(ddmin(items, differs, lambda: True))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 100])
def test_ddmin_finds_exactly_what_is_needed(n: int) -> None:
    rng = random.Random(n)
    for count in sorted({0, 1, 2, n // 2, n}):
        if count > n:
            continue
        needed = set(rng.sample(range(n), count))
        found = parts(range(n), needed)
        assert (found[-1] if found else list(range(n))) == sorted(needed)
        assert all(len(later) < len(earlier) for earlier, later in zip(found, found[1:]))


def test_ddmin_of_many_takes_few_tries_and_stops_when_told() -> None:
    tried: list[list[int]] = []
    assert parts(range(10_000), {17, 9_000}, tried)[-1] == [17, 9_000] and len(tried) < 300
    left = iter([True] * 6)
    found = list(ddmin(range(1_000), lambda candidate: {1, 2} <= set(candidate), lambda: next(left, False)))
    assert 2 < len(found[-1]) < 1_000


class Pair:
    """Transaction "second" differs in a worker if "first" came before it and key07 is there, in `share` of 256 executions, spread as
    evenly as can be: by luck, a candidate that differs would now and then be taken for one that does not."""

    turns: ClassVar[int] = 0  # of this process

    def __init__(self, share: int = 256) -> None:
        self._share = share

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes | None:
        if tx == b"first":
            state.put(b"armed", b"%d" % ctx.height)
        elif tx == b"second" and state.get(b"armed") == b"9" and state.get(b"key07") is not None:
            if open("/proc/self/comm").read() == "ioi-worker\n":
                Pair.turns += 1
                if Pair.turns * self._share % 256 < self._share:
                    return b"otherwise"
        else:
            state.put(tx, b"1")
        return None


def planted(share: int) -> Mismatch:
    txs = [*TXS[:20], b"first", *TXS[20:], b"second", b"last"]
    workload = FixedWorkload("planted", Pair, {}, [], vm_args={"share": share})
    return Mismatch("it differs", workload, PLAN, 3, STATE, Block(txs, BlockHeader(height=9)))


@pytest.mark.parametrize("share", [256, 100])
def test_a_block_and_its_state_are_shrunk(share: int) -> None:
    shrunk = shrink(planted(share))
    assert shrunk.mismatch.block.txs == [b"first", b"second"] and shrunk.mismatch.state == {b"key07": b"7"}
    assert shrunk.mismatch.block.header == BlockHeader(height=9) and shrunk.complete and not shrunk.interrupted
    assert shrunk.rate == 1 if share == 256 else 0 < shrunk.rate < 1 and 3 <= shrunk.tries <= 100


def test_what_never_differs_again_is_kept_whole() -> None:
    mismatch = planted(0)
    shrunk = shrink(mismatch)
    assert shrunk.mismatch == mismatch and shrunk.rate == 0 and not shrunk.complete and shrunk.tries == shrinking.TRIES_MOST


def test_a_candidate_that_fails_does_not_differ() -> None:
    class Fails(Pair):
        def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes | None:
            if tx == b"second" and state.get(b"key00") is None:
                raise MemoryError("planted")
            return super().execute(tx, state, ctx)

    mismatch = planted(256)
    shrunk = shrink(replace(mismatch, workload=replace(mismatch.workload, vm=Fails)))  # type: ignore[type-var]
    assert set(shrunk.mismatch.state) == {b"key00", b"key07"}


def test_it_ends_when_its_time_is_over_or_when_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    mismatch = planted(256)
    assert shrink(mismatch, seconds=0).mismatch == mismatch
    tried = 0
    original = shrinking.difference

    def interrupting(*results: Any) -> str | None:
        nonlocal tried
        tried += 1
        if tried == shrinking.FIRST_TRIES + 30:
            raise KeyboardInterrupt
        return original(*results)

    monkeypatch.setattr(shrinking, "difference", interrupting)
    shrunk = shrink(mismatch)
    assert shrunk.interrupted and not shrunk.complete and shrunk.rate == 1
    assert 2 < len(shrunk.mismatch.block.txs) < len(mismatch.block.txs)


def test_a_planted_bug_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It loses a write, but only of a block that wrote two certain keys."""
    run = ParallelExecutor.run

    def losing(self: ParallelExecutor, *arguments: Any) -> Outcome:
        outcome = run(self, *arguments)
        if {b"write 13", b"write 21"} <= dict(outcome.writes).keys():
            outcome.writes = [pair for pair in outcome.writes if pair[0] != b"write 21"]
        return outcome

    monkeypatch.setattr(ParallelExecutor, "run", losing)
    found: list[Mismatch] = []
    workload = FixedWorkload("writes", Pair, STATE, [Block(TXS[:20]), Block(TXS)])
    result = measure(workload, replace(PLAN, repeat=1), on_mismatch=found.append)
    assert len(result.verification.mismatches) == 2
    shrunk = shrink(found[0]).mismatch
    assert (shrunk.number, shrunk.block.txs, shrunk.state) == (1, [b"write 13", b"write 21"], {})
