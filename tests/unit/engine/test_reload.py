"""machine.reload: another code of the VM, from the next block on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ioi_exec import ExecutionMachine, ReadOnly, VMError


class One:
    def check(self, tx: bytes, state: Any, ctx: Any) -> None:
        pass

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        return b"one"


def other(version: int | None = None) -> type:
    """The same VM by its name, with other code."""

    class One:
        def check(self, tx: bytes, state: Any, ctx: Any) -> None:
            raise ValueError("not any more")

        def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
            return b"other " + (state.get(b"migrated") or b"")

        def migrate(self, state: Any, ctx: Any, from_version: str) -> None:
            state.put(b"migrated", b"yes")

    One.__qualname__ = "One"
    if version is not None:
        One.version = version  # type: ignore[attr-defined]
    return One


@pytest.mark.parametrize("workers", [0, 1])
def test_on_the_same_state(workers: int) -> None:
    with ExecutionMachine.create(None, One, genesis={b"k": b"v"}, workers=workers, pin=False) as machine:
        machine.commit(machine.execute([b"a"]))
        assert machine.check(b"a").ok
        staged = machine.execute([b"a"])
        machine.reload(other())
        assert not machine.check(b"a").ok  # at once, though nothing was committed
        result = machine.execute([b"a"])
        assert (staged.receipts[0].output, result.receipts[0].output) == (b"one", b"other ")
        assert not machine.info.vms[1:] and machine.get(b"k") == b"v"
        machine.commit(result)
        machine.reload(other(2))  # another version upgrades
        machine.commit(machine.execute([b"a"]))
        assert [each.vm.version for each in machine.info.vms] == ["", "2"] and machine.get(b"migrated") == b"yes"
        with pytest.raises(VMError):
            machine.reload(object())


def test_a_machine_that_only_reads(tmp_path: Path) -> None:
    ExecutionMachine.create(tmp_path / "state", One, workers=0).close()
    with ExecutionMachine.open(tmp_path / "state", vm=One, read_only=True, workers=0) as machine, pytest.raises(ReadOnly):
        machine.reload(other())
