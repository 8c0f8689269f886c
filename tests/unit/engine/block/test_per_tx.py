"""`result.per_tx`: one row a transaction, whose sums are the block's."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, Iterator

import numpy as np
import pytest

from ioi_exec import PER_TX, BlockResult, ExecutionMachine, Policy, StateView, TxContext
from ioi_exec.execution.executors import SharedPools
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

NAP_NS = 2_000_000


class Napping:
    """Sleeps between reading and writing one key that all share; b"-" neither reads nor writes."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        if tx == b"-":
            return
        count = int(state.get(b"n") or b"0")
        time.sleep(NAP_NS / 1e9)
        state.put(b"n", b"%d" % (count + 1))


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


def check_sums(result: BlockResult) -> None:
    rows, stats = result.per_tx, result.stats
    assert rows.dtype == PER_TX and len(rows) == result.transactions
    assert rows["incarnations"].sum() == stats.executions and rows["aborts"].sum() == stats.aborts
    assert rows["suspensions"].sum() == stats.suspensions
    assert (rows["incarnations"] == rows["aborts"] + 1).all()
    assert (rows["worker"] < max(stats.workers, 1)).all() and (rows["worker"] >= (0 if stats.workers else -1)).all()
    assert rows["nanoseconds"].sum() <= 1e9 * sum(stats.busy_seconds) * 1.001 + len(rows)


@pytest.mark.parametrize("name", Policy.names())
def test_sums_of_blocks_full_of_conflicts(pools: SharedPools, name: str) -> None:
    with ExecutionMachine.create(
        None, Napping, workers=3, pin=False, executors=pools.executors(), policy=Policy.named(name)
    ) as machine:
        aborts = suspensions = 0
        for _ in range(50):
            result = machine.execute([b"n", b"n", b"-", b"n"] * 5)
            check_sums(result)
            # Every incarnation of these slept once, waiting not counted.
            naps = result.per_tx["nanoseconds"] // NAP_NS
            slept = np.arange(20) % 4 != 2
            assert (naps[slept] >= result.per_tx["incarnations"][slept]).all()
            assert (result.per_tx["incarnations"][~slept] == 1).all()
            aborts += result.stats.aborts
            suspensions += result.stats.suspensions
            if aborts and (suspensions or name in ("no-estimates", "default")):
                return
        raise AssertionError("nothing was met: the test tests nothing")


def test_payments_in_one_and_several_workers(pools: SharedPools) -> None:
    people = [b"%032d" % i for i in range(8)]
    genesis = {account_key(person): encode_account(10**9, 0) for person in people}
    block = [encode_transfer(people[i % 8], people[(i * 3 + 1) % 8], 1, nonce=i // 8) for i in range(4_000)]
    for workers in (1, 3):
        with ExecutionMachine.create(None, workers=workers, pin=False, genesis=genesis, executors=pools.executors()) as machine:
            result = machine.execute(block)
            check_sums(result)
            assert (result.per_tx["nanoseconds"] > 0).mean() > 0.9


@pytest.mark.parametrize("vm", [Napping, "payments"])
def test_one_by_one_in_the_calling_process(vm: Any) -> None:
    with ExecutionMachine.create(None, vm, workers=0) as machine:
        result = machine.execute([b"n", b"-"] * 50)
        check_sums(result)
        rows = result.per_tx
        assert rows["incarnations"].tolist() == [1] * 100 and not rows["suspensions"].any() and (rows["worker"] == -1).all()
        if vm is Napping:
            assert (rows["nanoseconds"][::2] >= NAP_NS).all()
        assert rows["nanoseconds"].sum() > 0
        assert len(machine.execute([]).per_tx) == 0


def test_a_small_block_names_its_worker(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Napping, workers=3, pin=False, executors=pools.executors()) as machine:
        result = machine.execute([b"n"] * 3, policy=Policy(small_block=3))
        check_sums(result)
        assert result.per_tx["worker"].tolist() == [0, 0, 0] and result.per_tx["aborts"].tolist() == [0, 0, 0]


def test_numpy_is_loaded_only_where_it_is_asked_for() -> None:
    script = """
import sys
import ioi_exec.execution.parallel, ioi_exec.execution.workers.process, ioi_exec.cli
from ioi_exec import ExecutionMachine
with ExecutionMachine.create(None, workers=0) as machine:
    result = machine.execute([b"x"])
    print("numpy" in sys.modules, result.per_tx["incarnations"].tolist(), result.per_tx is result.per_tx, "numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "[1]", "True", "True"]
