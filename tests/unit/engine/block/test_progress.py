"""`on_progress`: what is told while a block runs, and that raising in it stops the block."""

from __future__ import annotations

import threading
import time
from typing import Any, Iterator

import pytest
from until import until

from ioi_exec import (
    ExecutionMachine,
    Limits,
    MachineBusy,
    Progress,
    StateView,
    TxContext,
)
from ioi_exec.execution.executors import SharedPools
from ioi_exec.vm.payments import encode_transfer


class Sleeper:
    """A transaction is how many ms it sleeps; all of them meet at one key."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        count = int(state.get(b"n") or b"0")
        time.sleep(int(tx) / 1000)
        state.put(b"n", b"%d" % (count + 1))

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
        state.put(b"end", b"%d" % len(receipts))


class Quick:
    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        state.put(tx, b"")


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


@pytest.fixture(params=[0, 1, 3])
def machine(request: pytest.FixtureRequest, pools: SharedPools) -> Iterator[ExecutionMachine]:
    with ExecutionMachine.create(None, Sleeper, workers=request.param, pin=False, executors=pools.executors()) as machine:
        machine.execute([b"0"] * 10)  # the workers are up
        yield machine


def test_progress_is_told_while_the_block_runs_and_at_its_end(machine: ExecutionMachine) -> None:
    told: list[Progress] = []
    here = threading.get_ident()

    def hear(progress: Progress) -> None:
        assert threading.get_ident() == here and machine.version == 0  # it may read the machine
        told.append(progress)

    for _ in until(lambda: len(told) >= 3 and any(0 < progress.watermark < 20 for progress in told)):  # it is told when there is time
        told.clear()
        result = machine.execute([b"20"] * 20, on_progress=hear)
    for before, after in zip(told, told[1:]):
        assert (before.watermark, before.executions, before.aborts) <= (after.watermark, after.executions, after.aborts)
    assert {progress.transactions for progress in told} == {20}
    assert {len(progress.busy) for progress in told} == {max(result.stats.workers, 1)}
    assert any(tx is not None and 0 <= tx <= 20 for progress in told for tx in progress.busy)
    last, stats = told[-1], result.stats
    assert last.watermark == 20 and set(last.busy) == {None}
    assert (last.executions, last.validations, last.aborts, last.suspensions) == (
        stats.executions, stats.validations, stats.aborts, stats.suspensions,
    )
    assert (last.arena_bytes > 0) == (machine.workers > 0)


def test_a_short_block_tells_of_its_end(machine: ExecutionMachine) -> None:
    told: list[Progress] = []
    machine.execute([b"0"], on_progress=told.append)
    assert told[-1].watermark == told[-1].executions == 1


@pytest.mark.parametrize("at", [1, 20])
def test_raising_stops_the_block(machine: ExecutionMachine, at: int) -> None:
    def hear(progress: Progress) -> None:
        if progress.watermark >= at:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        machine.execute([b"20"] * 20, on_progress=hear)
    assert machine.commit(machine.execute([b"0"] * 3)) == 1 and machine.get(b"n") == b"3"


def test_receipts_and_progress_together(machine: ExecutionMachine) -> None:
    told: list[int] = []
    heard: list[int] = []
    for _ in until(lambda: len(told) >= 2):
        told.clear()
        heard.clear()
        machine.execute([b"20"] * 10, on_receipt=lambda index, receipt: heard.append(index), on_progress=lambda p: told.append(p.watermark))
        assert heard == list(range(10)) and told[-1] == 10


@pytest.mark.parametrize("workers", [0, 3])
def test_an_empty_block_tells_once(pools: SharedPools, workers: int) -> None:
    with ExecutionMachine.create(None, Quick, workers=workers, pin=False, executors=pools.executors()) as machine:
        told: list[Progress] = []
        machine.execute([], on_progress=told.append)
        assert [(progress.transactions, progress.watermark) for progress in told] == [(0, 0)]


def test_native_transactions_one_by_one() -> None:
    with ExecutionMachine.create(None, workers=0, limits=Limits(block_transactions=1 << 24)) as machine:
        told: list[Progress] = []
        block = [encode_transfer(b"a" * 32, b"b" * 32, 1, nonce=1)] * 500_000
        while machine.execute(block, on_progress=told.append) and len(told) < 2:  # the one at the end: too fast a machine
            told.clear()
            block = block * 2
        assert told[-1].watermark == len(block) and 0 < told[0].watermark < told[-1].watermark
        assert told[0].busy == (told[0].watermark,) and told[-1].busy == (None,)

        def stop(progress: Progress) -> None:
            raise KeyError("enough")

        with pytest.raises(KeyError, match="enough"):
            machine.execute(block, on_progress=stop)


@pytest.mark.parametrize("callback", ["on_progress", "on_receipt"])
def test_workers_that_are_at_a_block_do_not_leave_it_for_another_machine(callback: str, pools: SharedPools) -> None:
    def machine() -> ExecutionMachine:
        return ExecutionMachine.create(None, Sleeper, workers=3, pin=False, executors=pools.executors())

    with machine() as ours, machine() as theirs:
        refused = []

        def nested(*told: Any) -> None:
            with pytest.raises(MachineBusy, match="another machine"):
                theirs.execute([b"0"])
            refused.append(told)

        heard: dict[str, Any] = {callback: nested}
        result = ours.execute([b"20"] * 10, **heard)
        assert refused and result.stats.retries == 0
        assert theirs.execute([b"0"]).version == 1
