"""A version is more than its number: beside a writer that goes back and commits the same number again, what was read of the first
is never mixed with the second, nor taken for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from faulty_vms import Stamps

from ioi_exec import ExecutionMachine, Receipt, StaleResult, VersionMissing
from ioi_exec.execution.executors import SharedPools
from ioi_exec.execution.one_by_one.executor import SequentialWorkerExecutor
from ioi_exec.execution.parallel import ParallelExecutor

VM: dict[str, Any] = {"vm": "faulty_vms:Stamps"}
WRITER = """
import sys
from ioi_exec import ExecutionMachine
with ExecutionMachine.open("state", vm="faulty_vms:Stamps", workers=0) as machine:
    for line in sys.stdin:
        what, argument = line.split()
        if what == "commit":
            machine.commit(machine.execute([b"=" + argument.encode()]))
        else:
            getattr(machine, what)(int(argument))
        print(flush=True)
"""
READ = [b"?%d" % number for number in range(6)]
Beside = Callable[..., None]


@pytest.fixture(params=["jellyfish", "iavl"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    ExecutionMachine.create(folder, tree=request.param, genesis={}, workers=0, **VM).close()
    return folder


@pytest.fixture
def beside(folder: Path) -> Iterator[Beside]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", WRITER]
    writer = subprocess.Popen(command, cwd=folder.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def tell(*lines: str) -> None:
        assert writer.stdin is not None and writer.stdout is not None
        for line in lines:
            writer.stdin.write(line + "\n")
            writer.stdin.flush()
            assert writer.stdout.readline()

    tell("commit one")
    yield tell
    writer.communicate()
    assert writer.returncode == 0


# One worker in parallel: a second might open the state only after it has moved, and then refuses.
@pytest.fixture(params=[(0, False), (1, True), (1, False)], ids=["in process", "one by one in a worker", "in parallel"])
def machine(request: pytest.FixtureRequest, folder: Path, beside: Beside, pools: SharedPools) -> Iterator[ExecutionMachine]:
    workers, sequential = request.param
    with ExecutionMachine.open(folder, read_only=True, workers=workers, pin=False, executors=pools.executors(), **VM) as machine:
        execute = machine.execute
        machine.execute = lambda *a, **k: execute(*a, **{"sequential": sequential, **k})  # type: ignore[method-assign]
        yield machine


def outputs(receipts: Any) -> set[bytes]:
    return {receipt.output for receipt in receipts}


@pytest.mark.parametrize("moves", [["rollback 0", "commit two"], ["commit two", "commit three", "prune 1"]], ids=["back", "on"])
def test_a_block_is_of_one_state_whatever_happens_beside_it(machine: ExecutionMachine, beside: Beside, moves: list[str]) -> None:
    def move(index: int, receipt: Receipt) -> None:
        if index == 0:
            beside(*moves)
            assert (machine.version, machine.get(Stamps.KEYS[7])) == (1, b"one"), "the caller sees what the block sees"

    root = machine.root
    result = machine.execute(READ, on_receipt=move)
    assert outputs(result.receipts) == {b"one"} and result.state_root == root
    assert outputs(machine.execute(READ).receipts) == {machine.get(Stamps.KEYS[0])} != {b"one"}


@pytest.mark.parametrize("machine", [(1, True), (2, False)], ids=["one by one in a worker", "in parallel"], indirect=True)
def test_workers_that_find_another_state_of_the_same_number_refuse(
    machine: ExecutionMachine, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.execute(READ)  # they are there, and know the state
    for executor, last_step in ((ParallelExecutor, "_lay_out"), (SequentialWorkerExecutor, "_ready")):
        step = getattr(executor, last_step)

        def moved(*arguments: Any, step: Callable[..., Any] = step) -> Any:
            done = step(*arguments)
            beside("rollback 0", "commit two")
            return done

        monkeypatch.setattr(executor, last_step, moved)
    with pytest.raises(StaleResult, match="at version 1 and was rolled back; now it is at version 1"):
        machine.execute(READ)
    monkeypatch.undo()
    assert outputs(machine.execute(READ).receipts) == {b"two"}


@pytest.fixture
def reader(folder: Path, beside: Beside) -> Iterator[ExecutionMachine]:
    with ExecutionMachine.open(folder, read_only=True, workers=0, **VM) as machine:
        yield machine


def test_a_past_state_stays_the_version_it_was_made_of(reader: ExecutionMachine, beside: Beside) -> None:
    beside("commit later")
    past, root = reader.at(1), reader.at(1).root
    newest = reader.at(2)
    beside("rollback 1", "commit later")  # the same again: nobody could tell them apart
    assert (newest.get(Stamps.KEYS[0]), past.get(Stamps.KEYS[0]), past.root) == (b"later", b"one", root)
    assert {value for _, value in newest.scan()} == {b"later"}
    beside("rollback 0", "commit two")
    looks: list[Callable[[], Any]] = [
        lambda: past.info,
        lambda: past.root,
        lambda: past.height,
        lambda: past.get(Stamps.KEYS[0]),
        lambda: past.get(b""),
        lambda: past.prove(Stamps.KEYS[0]),
        lambda: past.prove_ics23(Stamps.KEYS[0]),
        lambda: past.prove_range(),
        lambda: list(past.scan()),
    ]
    for look in looks:
        with pytest.raises(VersionMissing, match="version 1 is another one by now"):
            look()
    assert reader.at(1).get(Stamps.KEYS[0]) == b"two"
    beside("rollback 0")
    for look in looks:
        with pytest.raises(VersionMissing, match="no version 1"):
            look()


def test_a_scan_that_is_begun_later_is_of_what_was_asked_for(reader: ExecutionMachine, beside: Beside) -> None:
    for moves, value in ((["rollback 0", "commit two"], b"one"), (["commit three"], b"two")):
        scans = reader.scan(version=reader.version), reader.scan()
        beside(*moves)
        for scan in scans:
            assert {found for _, found in scan} == {value}


def test_a_sandbox_stands_on_one_state(reader: ExecutionMachine, beside: Beside) -> None:
    with reader.sandbox():
        reader.commit(reader.execute([b"=mine"]))
        scan = reader.scan()
        next(scan)
        beside("rollback 0", "commit two")
        for look in (lambda: reader.get(Stamps.KEYS[0]), lambda: reader.root, lambda: next(scan), lambda: reader.execute(READ)):
            with pytest.raises(StaleResult, match="rolled back"):
                look()
    assert reader.get(Stamps.KEYS[0]) == b"two"
