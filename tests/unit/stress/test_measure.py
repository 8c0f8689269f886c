"""What is measured, in which order, and what remains when it ends early."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator

import psutil
import pytest

import ioi_exec
from ioi_exec import (
    BlockHeader,
    BlockResult,
    Error,
    ExecutionMachine,
    InputError,
    InputTypeError,
    StateExists,
    VMFault,
)
from ioi_exec.execution.executors import SharedPools
from ioi_stress.plan import Plan
from ioi_stress.results.result import BlockMeasurement, Result
from ioi_stress.running import measure as measuring
from ioi_stress.running.difference import Mismatch
from ioi_stress.running.measure import measure, measured_before
from ioi_stress.workload import Block, FixedWorkload


class Adder:
    """Adds to the counter a transaction names; those that begin with ! stop the block."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        if tx[:1] == b"!":
            raise MemoryError("planted")
        found = int(state.get(tx) or b"0") + ctx.height
        state.put(tx, b"%d" % found)
        return b"%d" % found


class Divided(Adder):
    """Workers add one more than the process that started them."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        output = super().execute(tx, state, ctx)
        if tx == b"odd" and open("/proc/self/comm").read() == "ioi-worker\n":
            state.put(tx, output + b"1")
        return output


BLOCKS = [
    Block([b"%d" % (i % 7) for i in range(30)], BlockHeader(time_ns=5)),
    Block([]),
    Block([b"%d" % (i % 3) for i in range(20)]),
]
WORKLOAD = FixedWorkload("adding", Adder, {b"0": b"100", b"untouched": b""}, BLOCKS, {"seed": 3})
QUICK = Plan(workers=2, repeat=3, warmup=1, pin=False)


class Watcher:
    def __init__(self, interrupt_at: tuple[int, int] | None = None) -> None:
        self.calls: list[Any] = []
        self._interrupt_at = interrupt_at

    def began(self, plan: Plan, total_blocks: int | None) -> None:
        self.calls.append(total_blocks)

    def progress(self, repetition: int, block: int, progress: Any) -> None:
        assert repetition <= 3 and block < len(BLOCKS)

    def finished(self, repetition: int, block: int, measured: BlockMeasurement) -> None:
        assert measured.block == block
        self.calls.append((repetition, block))
        if (repetition, block) == self._interrupt_at:
            raise KeyboardInterrupt


@pytest.fixture
def leaves_no_process() -> Iterator[None]:
    """But the one that workers are forked from, which stays."""

    def there() -> set[psutil.Process]:
        found = set()
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if process.name() != "ioi-root":
                    found.add(process)
        return found

    before = there()
    yield
    # What has ended is seen until the root, whose child it is, has looked after it.
    assert not psutil.wait_procs(there() - before, timeout=300)[1]


def roots_one_by_one(workload: FixedWorkload, tree: str = "jellyfish") -> list[tuple[str, str]]:
    roots = []
    with ExecutionMachine.create(None, workload.vm, tree, workload.state, workers=0) as machine:
        for block in workload.fixed:
            result = machine.execute(block.txs, block.header)
            machine.commit(result)
            roots.append((result.state_root.hex(), result.receipts_root.hex()))
    return roots


@pytest.mark.parametrize("plan", [
    QUICK,
    replace(QUICK, workers=0, warmup=0, repeat=1),
    replace(QUICK, sequential=False, tree="iavl"),
    replace(QUICK, sequential=False, warmup=0, verify=False, workers=1),
])
def test_every_repetition_executes_all_blocks_from_genesis_on(plan: Plan, ioi_pools: SharedPools, tmp_path: Path) -> None:
    plan = replace(plan, state=str(tmp_path / "state") if plan.tree == "iavl" else None)
    watcher = Watcher()
    result = measure(WORKLOAD, plan, watcher, pools=ioi_pools)
    assert result.ok and [each.number for each in result.repetitions] == list(range(1, plan.repeat + 1))
    expected = roots_one_by_one(WORKLOAD, plan.tree)
    for repetition in result.repetitions:
        assert [(block.state_root, block.receipts_root) for block in repetition.blocks] == expected
        assert [block.transactions for block in repetition.blocks] == [30, 0, 20] and repetition.transactions == 50
        assert repetition.peak_memory_bytes == max(block.memory_bytes for block in repetition.blocks) > 1_000_000
        for block in repetition.blocks:
            assert (block.sequential_seconds is not None) == (plan.sequential and plan.workers != 0)
            assert block.seconds["total"] > 0 and block.commit_seconds > 0 and block.policy == "default"
    times = plan.warmup + plan.repeat
    assert watcher.calls == [3 * times, *((number, block) for number in range(1 - plan.warmup, plan.repeat + 1) for block in range(3))]
    compared = 3 * times if plan.verify else 0
    assert (result.verification.executed, result.verification.compared) == (compared, compared)
    assert ("speedup" in result.summary()) == (plan.sequential and plan.workers != 0)
    assert result.parameters["workload"]["parameters"] == {"seed": 3}
    assert Result.from_json(json.dumps(result.to_json()), "it").to_json() == result.to_json()
    assert os.listdir(tmp_path) == []


def test_parallel_and_sequential_go_in_turns(ioi_pools: SharedPools, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[bool] = []
    execute = ExecutionMachine.execute

    def noted(self: ExecutionMachine, txs: Any, *rest: Any, **options: Any) -> BlockResult:
        if len(txs) > 2:  # not those that wake the workers
            order.append(options.get("sequential", False))
        return execute(self, txs, *rest, **options)

    monkeypatch.setattr(ExecutionMachine, "execute", noted)
    workload = replace(WORKLOAD, fixed=[BLOCKS[0], BLOCKS[2]])
    measure(workload, replace(QUICK, repeat=2, warmup=0), pools=ioi_pools)
    assert order == [True, False, False, True, False, True, True, False]
    order.clear()
    measure(workload, replace(QUICK, repeat=2, warmup=0, sequential=False), pools=ioi_pools)
    assert order == [False, True, False, True, False, False]  # for its roots alone, once, and never before what is measured


def test_workers_are_shared() -> None:
    pools = SharedPools()
    try:
        for _ in range(2):
            assert measure(WORKLOAD, replace(QUICK, repeat=1), pools=pools).ok
        assert pools.get(2, False, None).starts == 1
    finally:
        pools.close()


def test_more_blocks_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "KEPT_BYTES", 10)
    watcher = Watcher()
    result = measure(WORKLOAD, replace(QUICK, workers=0), watcher)
    assert watcher.calls[0] is None and result.ok and len(result.repetitions) == 3


@pytest.mark.parametrize("at, kept", [((0, 1), []), ((1, 0), [1]), ((3, 1), [3, 3, 2])])
def test_an_interruption_keeps_what_was_measured(at: tuple[int, int], kept: list[int], tmp_path: Path, leaves_no_process: None) -> None:
    result = measure(WORKLOAD, replace(QUICK, state=str(tmp_path / "state")), Watcher(at))
    assert result.interrupted and not result.ok and result.verification.ok and not result.error
    assert [len(repetition.blocks) for repetition in result.repetitions] == kept
    whole = [3, 3] if len(kept) > 1 else kept
    assert [len(repetition.blocks) for repetition in result.whole()] == whole
    assert Result.from_json(json.dumps(result.to_json()), "it").interrupted
    assert os.listdir(tmp_path) == []


def test_a_block_that_fails_keeps_what_was_measured(tmp_path: Path, leaves_no_process: None) -> None:
    workload = replace(WORKLOAD, fixed=[*BLOCKS, Block([b"1", b"!"])])
    with pytest.raises(VMFault) as caught:
        measure(workload, replace(QUICK, warmup=0, state=str(tmp_path / "state")))
    result = measured_before(caught.value)
    assert result is not None and [len(repetition.blocks) for repetition in result.repetitions] == [3]
    assert result.error.startswith("VMFault: ") and not result.ok and caught.value.tx_index == 1
    assert os.listdir(tmp_path) == []


def test_an_error_that_came_before_any_block(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("something")
    with pytest.raises(StateExists):
        measure(WORKLOAD, replace(QUICK, state=str(tmp_path / "taken")))
    assert (tmp_path / "taken").read_text() == "something"
    with pytest.raises(Error) as caught:
        measure(WORKLOAD, replace(QUICK, tree="oak"))
    assert measured_before(caught.value) is not None and measured_before(ioi_exec.Error()) is None
    for wrong in ({"repeat": 0}, {"warmup": -1}, {"repeat": True}, {"warmup": 1.0}):
        with pytest.raises((InputError, ioi_exec.InputTypeError)):
            replace(QUICK, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("sequential", [True, False])
def test_what_differs_is_reported_and_later_blocks_are_judged_on_their_own(sequential: bool, ioi_pools: SharedPools) -> None:
    blocks = [BLOCKS[0], Block([b"odd", b"even"]), BLOCKS[2]]
    workload = replace(WORKLOAD, vm=Divided, fixed=blocks)
    found: list[Mismatch] = []
    result = measure(workload, replace(QUICK, sequential=sequential, repeat=2), pools=ioi_pools, on_mismatch=found.append)
    verification = result.verification
    assert not result.ok and (verification.executed, verification.compared) == (9, 9)
    assert [line.partition(": the state root is ")[0] for line in verification.mismatches] == [
        f"block 1, repetition {number}" for number in (0, 1, 2)
    ]
    (mismatch,) = found  # the first
    assert mismatch.number == 1 and mismatch.block.txs == [b"odd", b"even"] and mismatch.what == verification.mismatches[0]
    assert mismatch.block.header is not None and mismatch.block.header.height == 2
    assert mismatch.state == {b"untouched": b"", **{b"%d" % i: b"%d" % (100 * (i == 0) + 4 + (i < 2)) for i in range(7)}}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"fixed": []}, "has no blocks"),
        ({"fixed": [Block([3])]}, "transaction 0.* int"),  # type: ignore[list-item]
        ({"parameters": {"x": b"bytes"}}, "not what JSON can have: .*bytes"),
        ({"parameters": {"x": float("nan")}}, "not what JSON can have"),
    ],
)
def test_what_cannot_be_executed_or_kept_is_refused_before(changed: dict[str, Any], says: str, ioi_pools: SharedPools) -> None:
    with pytest.raises((InputError, InputTypeError), match=says):
        measure(replace(WORKLOAD, **changed), QUICK, pools=ioi_pools)


def test_the_name_of_a_workload_is_none(ioi_pools: SharedPools) -> None:
    with pytest.raises(InputTypeError, match=r"str is no workload: .*workloads\.make makes one by its name"):
        measure("zipf", QUICK, pools=ioi_pools)  # type: ignore[arg-type]


def test_not_even_sequential_execution_is_deterministic(ioi_pools: SharedPools) -> None:
    class Dice:
        def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
            return os.urandom(8)

    result = measure(replace(WORKLOAD, vm=Dice, fixed=[Block([b"a"])]), replace(QUICK, repeat=2, warmup=0), pools=ioi_pools)
    assert any("not deterministic" in line for line in result.verification.mismatches) and not result.ok
