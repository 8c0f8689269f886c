"""What goes wrong below a VM is never its receipt, and the engine says what it was."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import pytest
from ioi_storage.latest import keeper
from processes import descendants

from ioi_exec import ExecutionMachine, StateCorrupt, StateView, TxContext
from ioi_exec.execution.executors import SharedPools

WORKERS = [0, 1, 2]


class Reader:
    """A transaction says how it reads; it tries hard not to notice that something is wrong."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        try:
            found = list(state.scan()) if tx == b"scan" else state.get(b"key-50")
        except Exception:
            return b"swallowed"
        return repr(found).encode()[:8]


class Writer:
    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        state.put(tx, b"%d" % ctx.height)


def flip(path: Path, what: bytes) -> None:
    """Damage every copy of these bytes in the file."""
    data = bytearray(path.read_bytes())
    at, count = data.find(what), 0
    while at >= 0:
        data[at] ^= 1
        count += 1
        at = data.find(what, at + 1)
    assert count
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("how", [b"scan", b"get"])
def test_a_damaged_value(tmp_path: Path, workers: int, how: bytes) -> None:
    genesis = {b"key-%02d" % i: b"value number %02d of the state" % i for i in range(100)}
    ExecutionMachine.create(tmp_path / "whole", Reader, genesis=genesis, workers=0).close()
    shutil.copytree(tmp_path / "whole", tmp_path / "damaged")
    flip(tmp_path / "damaged" / "data.mdb", b"value number 50 of the state")
    with ExecutionMachine.open(tmp_path / "damaged", vm=Reader, workers=workers, pin=False) as machine:
        with pytest.raises(StateCorrupt, match="flat"):
            machine.execute([b"other", how, b"other"])
        assert machine.version == 0
        with pytest.raises(StateCorrupt, match="flat"):  # and again: nothing is left of the first time
            machine.execute([how])


def test_what_the_upkeep_process_has_no_room_for_the_commit_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of file size is the process's alone."""
    monkeypatch.setattr(keeper, "BATCH_VERSIONS", 1)
    txs = [b"%d" % number for number in range(2_500)]
    others = descendants(os.getpid())
    with ExecutionMachine.create(tmp_path / "state", Writer, workers=0) as machine:
        machine.commit(machine.execute(txs))
        (upkeep,) = set(descendants(os.getpid())) - set(others)
        resource.prlimit(upkeep.pid, resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
        while upkeep.pid in {process.pid for process in descendants(os.getpid())}:  # it has failed, and was ended
            machine.commit(machine.execute(txs))
        committed = machine.version
    with ExecutionMachine.open(tmp_path / "state", workers=0) as machine:
        assert machine.version == committed
        machine.commit(machine.execute(txs))
        assert machine.version == committed + 1 and machine.get(b"0") == b"%d" % (committed + 1)


def test_states_in_memory_leave_no_descriptor_in_workers() -> None:
    pools = SharedPools()
    try:
        counts = []
        for _ in range(6):
            with ExecutionMachine.create(None, Reader, workers=2, pin=False, executors=pools.executors()) as machine:
                machine.execute([b"get"])
                counts.append([len(os.listdir(f"/proc/{pid}/fd")) for pid in pools.get(2, False, None).pids])
        assert counts[1] == counts[-1], counts
    finally:
        pools.close()
