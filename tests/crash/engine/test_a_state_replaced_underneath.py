"""A directory is renamed away, and perhaps another put in its place, while a machine has its state open: nothing of the other is
read, and nothing is committed where nobody would look for it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any, Iterator

import pytest
from faulty_vms import Stamps

from ioi_exec import (
    BlockResult,
    Error,
    ExecutionMachine,
    StaleResult,
    StateMissing,
)
from ioi_exec.execution.executors import SharedPools

VM: dict[str, Any] = {"vm": "faulty_vms:Stamps", "workers": 0}
READ = [b"?%d" % number for number in range(6)]


def create(folder: Path, stamp: bytes) -> bytes:
    with ExecutionMachine.create(folder, genesis=dict.fromkeys(Stamps.KEYS, stamp), **VM) as machine:
        return machine.root


def root_of(folder: Path) -> tuple[int, bytes]:
    with ExecutionMachine.open(folder, read_only=True, **VM) as machine:
        return machine.version, machine.root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "state", b"ours")
    create(tmp_path / "other", b"theirs")
    return tmp_path / "state"


@pytest.fixture(params=[(0, False), (1, True), (2, False)], ids=["in process", "one by one in a worker", "in parallel"])
def machine(request: pytest.FixtureRequest, folder: Path, pools: SharedPools) -> Iterator[ExecutionMachine]:
    workers, sequential = request.param
    options: dict[str, Any] = dict(pin=False, executors=pools.executors())
    with ExecutionMachine.open(folder, **{**VM, "workers": workers}, **options) as machine:
        execute = machine.execute
        machine.execute = lambda *a, **k: execute(*a, **{"sequential": sequential, **k})  # type: ignore[method-assign]
        yield machine


def outputs(result: BlockResult) -> set[bytes]:
    return {receipt.output for receipt in result.receipts}


@pytest.mark.parametrize("workers_are_up", [True, False])
def test_another_state_in_its_place_is_never_read_nor_written(machine: ExecutionMachine, folder: Path, workers_are_up: bool) -> None:
    if workers_are_up:
        machine.execute(READ)
    away, other = folder.with_name("away"), folder.with_name("other")
    before = root_of(other)
    os.rename(folder, away)
    os.rename(other, folder)
    for pid in machine.worker_pids:
        os.kill(pid, signal.SIGKILL)  # those that come after them open the state anew
    result = machine.execute([*READ, b"=new", *READ])
    assert outputs(result) == {b"ours", b"", b"new"}
    for change in (lambda: machine.commit(result), lambda: machine.rollback(0), lambda: machine.prune(1)):
        with pytest.raises(StaleResult, match=rf"{folder} was replaced by another.* \d+:\d+, there now is \d+:\d+"):
            change()
    assert (machine.version, machine.get(Stamps.KEYS[0])) == (0, b"ours")
    assert root_of(folder) == before
    os.rename(folder, other)
    os.rename(away, folder)  # as if nothing had been
    assert machine.commit(result) == 1
    machine.close()
    assert root_of(folder) == (1, result.state_root)


def test_a_state_that_was_moved_away_takes_no_commit(machine: ExecutionMachine, folder: Path) -> None:
    os.rename(folder, folder.with_name("away"))
    result = machine.execute(READ)
    assert outputs(result) == {b"ours"}
    with pytest.raises(StateMissing, match=rf"opened at {folder}.* no longer there"):
        machine.commit(result)


def test_a_link_that_leads_elsewhere_by_now_takes_no_commit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    with ExecutionMachine.open("link", **VM) as machine:
        monkeypatch.chdir("/")
        assert machine.commit(machine.execute([b"=new"])) == 1
        link.unlink()
        link.symlink_to(folder.with_name("other"))
        with pytest.raises(StaleResult, match=f"{link} was replaced by another"):
            machine.commit(machine.execute([b"=newer"]))
    assert root_of(folder)[0] == 1 and root_of(folder.with_name("other"))[0] == 0


def test_a_state_that_was_deleted_takes_no_commit(machine: ExecutionMachine, folder: Path) -> None:
    machine.execute(READ)
    shutil.rmtree(folder)
    with pytest.raises(StateMissing, match=rf"opened at {folder}.* no longer there"):
        machine.commit(machine.execute([b"=new"]))
    for pid in machine.worker_pids:
        os.kill(pid, signal.SIGKILL)
    if machine.workers:  # those that come after them have nothing to open
        with pytest.raises(StateMissing, match=rf"opened at {folder}.* no longer there"):
            machine.execute(READ)
    create(folder, b"theirs")
    with pytest.raises((StateMissing, StaleResult)):
        machine.commit(machine.execute(READ))
    assert root_of(folder)[0] == 0


def test_a_data_file_that_was_replaced_is_not_read_by_new_workers(machine: ExecutionMachine, folder: Path) -> None:
    machine.execute(READ)
    os.replace(folder.with_name("other") / "data.mdb", folder / "data.mdb")
    for pid in machine.worker_pids:
        os.kill(pid, signal.SIGKILL)
    try:
        assert outputs(machine.execute(READ)) == {b"ours"} and machine.workers == 0
    except Error as error:
        assert type(error) is StaleResult and "was replaced by another" in str(error) and str(folder) in str(error)
    with pytest.raises(StaleResult, match="was replaced by another"):
        machine.rollback(0)


def test_who_only_reads_goes_on_with_what_was_opened(folder: Path, pools: SharedPools) -> None:
    with ExecutionMachine.open(folder, read_only=True, **VM) as machine:
        os.rename(folder, folder.with_name("away"))
        os.rename(folder.with_name("other"), folder)
        assert machine.get(Stamps.KEYS[0]) == b"ours" and outputs(machine.execute(READ)) == {b"ours"}
