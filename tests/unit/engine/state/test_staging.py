"""A block's root computed in several threads: when, with what result, and what becomes of errors and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, Callable

import ioi_storage
import pytest
from ioi_storage.trees import jellyfish

from ioi_exec import ExecutionMachine, ResourceError, StateCorrupt
from ioi_exec.state import staging

Make = Callable[..., ExecutionMachine]
GENESIS = {b"%05d" % number: b"0" for number in range(4000)}
BLOCK = [b"%05d" % number for number in range(0, 6000, 3)]


class Write:
    """A transaction is a key, which it counts up, or deletes if there is a 7 in it."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        if b"7" in tx:
            state.delete(tx)
        else:
            state.put(tx, b"%d" % (int(state.get(tx) or b"0") + 1))


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "available_cores", lambda: 64)


@pytest.fixture
def parallel(make: Make) -> ExecutionMachine:
    return make(Write, GENESIS)


several = pytest.mark.parametrize("workers", [2, 8], indirect=True)


@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_blocks_are_staged_the_same_by_all(make: Make, workers: int, tree: str) -> None:
    machine = make(Write, GENESIS, tree=tree)
    for txs in (BLOCK, BLOCK[::2], BLOCK[:10], [], BLOCK):
        result, alone = machine.execute(txs), machine.execute(txs, sequential=True)
        assert result.stats.stage_threads == (workers if workers > 1 and len(txs) >= staging.SMALL else 1)
        assert alone.stats.stage_threads == 1 == alone.stats.to_json()["stage_threads"]
        assert (result.state_root, result.writes) == (alone.state_root, alone.writes)
        for name in ("nodes", "values", "changes"):
            assert list(getattr(result.staged, name)) == list(getattr(alone.staged, name))
        machine.commit(result)
        assert machine.root == result.state_root


def test_in_sandboxes_too(make: Make, workers: int) -> None:
    machine = make(Write, GENESIS)
    machine.commit(machine.execute(BLOCK))
    with machine.sandbox():
        machine.commit(machine.execute(BLOCK))
        with machine.sandbox():
            result, alone = machine.execute(BLOCK), machine.execute(BLOCK, sequential=True)
            assert result.stats.stage_threads == max(1, workers) and result.state_root == alone.state_root
            assert list(result.staged.nodes) == list(alone.staged.nodes)


@several
def test_a_rolled_back_state_is_staged_on_anew(parallel: ExecutionMachine) -> None:
    """What the tree had in memory of version 1 must not be taken for the version 1 to come."""
    first = parallel.execute(BLOCK)
    parallel.commit(first)
    parallel.commit(parallel.execute(BLOCK))
    parallel.rollback(0)
    other = parallel.execute(BLOCK[::-2])
    assert other.state_root == parallel.execute(BLOCK[::-2], sequential=True).state_root != first.state_root
    parallel.commit(other)
    assert parallel.execute(BLOCK).state_root == parallel.execute(BLOCK, sequential=True).state_root


@several
@pytest.mark.parametrize(
    ("raised", "expected"),
    [(ioi_storage.StateCorrupt("row 00 is corrupt"), StateCorrupt), (ioi_storage.StorageIOError("no disk"), ResourceError)],
    ids=["corrupt", "io"],
)
def test_errors_of_the_storage_arrive_as_such(
    parallel: ExecutionMachine, monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception]
) -> None:
    store = parallel._store
    root, memory = parallel.root, store._memory
    if isinstance(raised, ioi_storage.StorageIOError):
        raised.__cause__ = OSError(5, "Input/output error")

    def nodes(keys: Any) -> Any:
        if any(len(key) > 8 for key in keys):
            raise raised
        return ioi_storage.Store._nodes(store, keys)

    with monkeypatch.context() as patched:
        patched.setattr(store, "_nodes", nodes)
        patched.setattr(store, "_memory", store._tree.memory())
        with pytest.raises(expected, match=str(raised)):
            parallel.execute(BLOCK)
    assert parallel.root == root and store._memory is memory
    assert parallel.execute(BLOCK).state_root == parallel.execute(BLOCK, sequential=True).state_root


@several
def test_ctrl_c_while_a_block_is_staged(parallel: ExecutionMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the call when no thread is at it any more, and the next block is as good as any."""
    applied = jellyfish._applied
    running = set()

    def interrupted(*arguments: Any) -> Any:
        me = threading.get_ident()
        running.add(me)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            return applied(*arguments)
        finally:
            running.discard(me)

    with monkeypatch.context() as patched:
        patched.setattr(jellyfish, "_applied", interrupted)
        with pytest.raises(KeyboardInterrupt):
            parallel.execute(BLOCK)
        assert not running
    assert parallel.version == 0
    result = parallel.execute(BLOCK)
    assert result.state_root == parallel.execute(BLOCK, sequential=True).state_root
    parallel.commit(result)


@several
def test_threads_end_with_the_machine(parallel: ExecutionMachine, workers: int) -> None:
    def helpers() -> int:
        return sum(thread.name.startswith("ioi-stage") for thread in threading.enumerate())

    parallel.execute(BLOCK)
    assert 1 <= helpers() <= workers - 1
    parallel.close()
    assert helpers() == 0
