"""Sandboxes: committed inside, gone outside."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from ioi_exec import (
    ExecutionMachine,
    MachineBusy,
    MachineClosed,
    StaleResult,
    StateView,
    TxContext,
)

Make = Callable[..., ExecutionMachine]
GENESIS = {b"a": b"1", b"b": b"2", b"c": b"3"}


class Put:
    """A transaction is `key=value`; no value deletes. The output is every key and value before."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        before = repr(list(state.scan())).encode()
        key, _, value = tx.partition(b"=")
        if value:
            state.put(key, value)
        else:
            state.delete(key)
        return before


def commit(machine: ExecutionMachine, *txs: bytes) -> bytes:
    result = machine.execute(txs)
    machine.commit(result)
    return result.state_root


def test_what_is_committed_inside_vanishes(make: Make) -> None:
    machine, twin = make(Put, GENESIS), make(Put, GENESIS)
    root = machine.root
    with machine.sandbox() as inside:
        assert inside is machine
        commit(machine, b"a=9", b"d=4", b"b=")
        assert machine.version == 1 and list(machine.scan()) == [(b"a", b"9"), (b"c", b"3"), (b"d", b"4")]
        assert machine.get(b"a", 0) == b"1" and machine.get(b"a", 1) == b"9"
        second = machine.execute([b"e=5"])
        assert eval(second.receipts[0].output) == [(b"a", b"9"), (b"c", b"3"), (b"d", b"4")]
        commit(twin, b"a=9", b"d=4", b"b=")
        assert commit(twin, b"e=5") == second.state_root
        machine.commit(second)
        assert machine.version == 2
    assert (machine.version, machine.root, dict(machine.scan())) == (0, root, GENESIS)
    commit(machine, b"z=1")
    assert machine.version == 1


def test_an_exception_inside_ends_it_too(make: Make) -> None:
    machine = make(Put, GENESIS)
    with pytest.raises(ZeroDivisionError):
        with machine.sandbox():
            commit(machine, b"a=9")
            raise ZeroDivisionError
    assert machine.version == 0 and machine.get(b"a") == b"1"


def test_nested_sandboxes(make: Make) -> None:
    machine = make(Put, GENESIS)
    with machine.sandbox():
        commit(machine, b"a=9")
        with machine.sandbox():
            commit(machine, b"b=")
            seen = eval(machine.execute([b"c="]).receipts[0].output)
            assert seen == [(b"a", b"9"), (b"c", b"3")] and machine.version == 2
        assert dict(machine.scan()) == {**GENESIS, b"a": b"9"} and machine.version == 1
        commit(machine, b"c=")
    assert dict(machine.scan()) == GENESIS and machine.version == 0


def test_results_do_not_cross_the_border(make: Make) -> None:
    machine = make(Put, GENESIS)
    outside = machine.execute([b"a=7"])
    with machine.sandbox():
        with pytest.raises(StaleResult):
            machine.commit(outside)
        inside = machine.execute([b"a=8"])
    with pytest.raises(StaleResult):
        machine.commit(inside)
    machine.commit(outside)
    assert machine.get(b"a") == b"7"


def test_closing_inside(make: Make) -> None:
    machine = make(Put, GENESIS)
    with machine.sandbox():
        machine.close()
    with pytest.raises(MachineClosed):
        machine.version


def test_they_end_in_order(make: Make) -> None:
    machine = make(Put, GENESIS)
    outer, inner = machine.sandbox(), machine.sandbox()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(MachineBusy, match="reverse order"):
        outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)


def test_a_read_only_machine_has_sandboxes(tmp_path: Path) -> None:
    ExecutionMachine.create(tmp_path / "s", Put, genesis=GENESIS, workers=0).close()
    with ExecutionMachine.open(tmp_path / "s", vm=Put, read_only=True, workers=0) as reader:
        with reader.sandbox():
            commit(reader, b"a=9")
            assert reader.get(b"a") == b"9"
        assert reader.get(b"a") == b"1"
