"""Earlier versions: looked at, pruned, gone back to."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Callable

import lmdb
import pytest
from ioi_storage import verify_ics23

from ioi_exec import (
    ExecutionMachine,
    InputError,
    InputTypeError,
    MachineBusy,
    ReadOnly,
    StaleResult,
    StateError,
    StateView,
    TxContext,
    VersionMissing,
)

Make = Callable[..., ExecutionMachine]


class Put:
    """A transaction is `key=value`; no value deletes."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        key, _, value = tx.partition(b"=")
        if value:
            state.put(key, value)
        else:
            state.delete(key)


def commit(machine: ExecutionMachine, *txs: bytes) -> bytes:
    result = machine.execute(txs)
    machine.commit(result)
    return result.state_root


@pytest.fixture
def machine(make: Make) -> ExecutionMachine:
    machine = make(Put, {b"a": b"0"})
    for number in range(1, 6):
        commit(machine, b"a=%d" % number, b"k%d=x" % number)
    return machine


def test_a_version_that_is_held_is_not_pruned(make: Make) -> None:
    machine = make(Put, {b"a": b"0"}, keep=1)
    commit(machine, b"a=1")
    commit(machine, b"a=2")
    assert machine.oldest == 2
    machine.hold(2)
    for number in range(3, 6):
        commit(machine, b"a=%d" % number)
    assert machine.oldest == 2 and machine.get(b"a", 2) == b"2"
    machine.hold(None)
    commit(machine, b"a=6")
    assert machine.oldest == 6
    with pytest.raises(VersionMissing):
        machine.get(b"a", 2)
    with pytest.raises(InputError):
        machine.hold(-1)


def test_no_permission_is_wrong_usage_and_no_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ExecutionMachine.create(tmp_path / "s", Put, workers=0).close()

    def refuse(*arguments: object, **options: object) -> None:
        error = lmdb.Error(f"{tmp_path}: Permission denied")
        error.code = errno.EACCES  # type: ignore[attr-defined]  # as LMDB's own
        raise error

    monkeypatch.setattr(lmdb, "open", refuse)
    with pytest.raises(StateError, match="opening the state") as caught:
        ExecutionMachine.open(tmp_path / "s", read_only=True)
    assert caught.value.exit_status == 2


def test_whatever_stops_a_prune_passes_through(machine: ExecutionMachine) -> None:
    """Also what looks like a failing disk."""

    def stop(rows: int) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        machine.prune(1, stop)
    assert not machine.closed and machine.get(b"a") == b"5" and machine.oldest == 5
    machine.prune(1)


def test_a_view_is_of_one_moment(machine: ExecutionMachine) -> None:
    with machine.pinned(), machine.pinned():
        assert (machine.version, machine.info.version, machine.at(2).get(b"a")) == (5, 5, b"2")
        assert machine.prove(b"a", version=1)


def test_at(machine: ExecutionMachine) -> None:
    past = machine.at(2)
    assert (past.version, past.height, past.get(b"a"), past.get(b"k3")) == (2, 2, b"2", None)
    assert past.root == past.info.state_root != machine.root and past.info.version == 2
    with pytest.raises(InputError, match="version 2 cannot be scanned.*hashes"):
        past.scan()
    assert list(machine.at(5).scan(prefix=b"k", limit=1)) == [(b"k1", b"x")]
    for version in (-1, 6):
        with pytest.raises(VersionMissing, match="versions 0 to 5"):
            machine.at(version)
    with pytest.raises(InputTypeError):
        machine.at("2")  # type: ignore[arg-type]


def test_prune(machine: ExecutionMachine) -> None:
    past, root = machine.at(1), machine.root
    assert machine.prune(2) > 0 and machine.prune(2) == 0
    assert machine.oldest == 4 == machine.info.oldest and machine.root == root
    assert machine.get(b"a", 4) == b"4"
    for look in (lambda: past.get(b"a"), lambda: machine.get(b"a", 3), lambda: machine.rollback(3)):
        with pytest.raises(VersionMissing, match="oldest is 4"):
            look()
    for wrong, error in ((0, InputError), (-1, InputError), (None, InputTypeError)):
        with pytest.raises(error, match="prune: keep is"):
            machine.prune(wrong)  # type: ignore[arg-type]


def test_keep(make: Make) -> None:
    machine = make(Put, {b"a": b"0"}, keep=3)
    for number in range(1, 9):
        commit(machine, b"a=%d" % number)
        assert machine.oldest == max(0, number - 2)
    assert [machine.get(b"a", version) for version in (6, 7, 8)] == [b"6", b"7", b"8"]
    with pytest.raises(InputError, match="keep is 0"):
        make(Put, {}, keep=0)


def test_rollback(machine: ExecutionMachine, make: Make) -> None:
    twin = make(Put, {b"a": b"0"})
    for number in (1, 2):
        commit(twin, b"a=%d" % number, b"k%d=x" % number)
    staged = machine.execute([b"a=9"])
    machine.rollback(2)
    assert (machine.version, machine.root, dict(machine.scan())) == (2, twin.root, dict(twin.scan()))
    with pytest.raises(StaleResult):
        machine.commit(staged)
    assert commit(machine, b"other=1", b"k1=") == commit(twin, b"other=1", b"k1=")
    assert machine.info.height == 3


def test_not_in_a_sandbox_nor_read_only(machine: ExecutionMachine, tmp_path: Path) -> None:
    with machine.sandbox():
        assert machine.at(3).get(b"a") == b"3"
        commit(machine, b"a=sand")
        assert machine.at(6).get(b"a") == b"sand"
        for change in (lambda: machine.rollback(1), lambda: machine.prune(1)):
            with pytest.raises(MachineBusy, match="sandbox"):
                change()
    ExecutionMachine.create(tmp_path / "s", Put, genesis={}, workers=0).close()
    with ExecutionMachine.open(tmp_path / "s", vm=Put, read_only=True, workers=0) as beside:
        for change in (lambda: beside.rollback(0), lambda: beside.prune(1)):
            with pytest.raises(ReadOnly):
                change()


def test_ics23(machine: ExecutionMachine) -> None:
    proof = machine.prove_ics23(b"a")
    verify_ics23.verify_existence(machine.root, "jellyfish", b"a", b"5", proof)
    past = machine.at(2)
    assert past.prove_ics23(b"a") == machine.prove_ics23(b"a", 2) != proof
    verify_ics23.verify_existence(past.root, "jellyfish", b"a", b"2", past.prove_ics23(b"a"))
    verify_ics23.verify_absence(past.root, "jellyfish", b"k3", past.prove_ics23(b"k3"))
    with machine.sandbox():
        root = commit(machine, b"a=6")
        verify_ics23.verify_existence(root, "jellyfish", b"a", b"6", machine.prove_ics23(b"a"))
    with pytest.raises(VersionMissing, match="versions 0 to 5"):
        machine.prove_ics23(b"a", 6)
    with pytest.raises(InputTypeError, match="give bytes"):
        machine.prove_ics23("a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a key has 1 to"):
        machine.prove_ics23(b"")


def test_what_ics23_cannot_prove(make: Make) -> None:
    machine = make(Put, {b"a": b""})
    with pytest.raises(InputError, match="the value of key 61 is empty"):
        machine.prove_ics23(b"a")
    with pytest.raises(InputError, match="key 62 is absent, which ics23 proves .*the value of key 61 is empty"):
        machine.prove_ics23(b"b")
    with pytest.raises(InputError, match="the state has none"):
        make(Put, {}).prove_ics23(b"b")


def test_a_past_state_is_never_another_of_its_number(machine: ExecutionMachine) -> None:
    past, kept, begun = machine.at(4), machine.at(3), machine.scan(version=5)
    machine.rollback(3)
    with pytest.raises(VersionMissing, match="no version 4"):
        past.get(b"a")
    commit(machine, b"a=other")
    commit(machine, b"a=other")
    for look in (past.get, past.prove, past.prove_ics23):
        with pytest.raises(VersionMissing, match="version 4 is another one by now"):
            look(b"a")
    with pytest.raises(StaleResult, match="rolled back"):
        next(begun)
    assert (kept.get(b"a"), machine.at(4).get(b"a")) == (b"3", b"other")
