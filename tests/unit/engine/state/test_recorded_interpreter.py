"""What a VM executes under is recorded with the state, and another one is refused until it is accepted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ioi_storage
import pytest

from ioi_exec import ExecutionMachine, StateError, VMError, VMMismatch
from ioi_exec.state.identity import Identity
from ioi_exec.vm import interpreter
from ioi_exec.vm.interpreter import PYTHON
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer


class Plain:
    dependencies = ["numpy"]

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(tx, b"1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with ExecutionMachine.create(tmp_path / "state", Plain, workers=0) as machine:
        machine.commit(machine.execute([b"a"]))
    return tmp_path / "state"


def test_it_is_recorded(path: Path) -> None:
    import numpy

    with ExecutionMachine.open(path, vm=Plain, workers=0) as machine:
        recorded = machine.info.interpreter
        assert recorded is not None and (recorded.python, recorded.dependencies) == (PYTHON, {"numpy": numpy.__version__})
        assert recorded.settings == {"recursion_limit": 1000, "int_digits": 4300, "optimize": 0}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PYTHON", "CPython 3.99", "executed under CPython .*, and this is CPython 3.99, numpy"),
        ("_SETTINGS", {"recursion_limit": 2000, "int_digits": 4300, "optimize": 0}, "recursion_limit 1000"),
    ],
)
def test_another_one_is_refused_until_it_is_accepted(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, says: str
) -> None:
    monkeypatch.setattr(interpreter, name, value)
    for read_only in (False, True):
        with pytest.raises(VMMismatch, match=rf"(?s){says}.*--accept-interpreter"):
            ExecutionMachine.open(path, vm=Plain, workers=0, read_only=read_only)
    with ExecutionMachine.open(path, read_only=True, workers=0) as machine:  # reading needs no interpreter
        assert machine.get(b"a") == b"1" and machine.info.interpreter is not None
        with pytest.raises(VMMismatch, match="--accept-interpreter"):
            machine.execute([b"b"])
    with ExecutionMachine.open(path, vm=Plain, workers=0, read_only=True, accept_interpreter=True) as machine:
        assert machine.execute([b"b"]).failed == 0
    with pytest.raises(VMMismatch):
        ExecutionMachine.open(path, vm=Plain, workers=0)
    with ExecutionMachine.open(path, vm=Plain, workers=0, accept_interpreter=True) as machine:
        machine.commit(machine.execute([b"b"]))
    with ExecutionMachine.open(path, vm=Plain, workers=0) as machine:  # it has been recorded
        assert machine.version == 2 and machine.get(b"b") == b"1"
    monkeypatch.undo()
    with pytest.raises(VMMismatch):
        ExecutionMachine.open(path, vm=Plain, workers=0)


def test_another_version_of_what_the_vm_depends_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter.metadata, "version", lambda name: "0.1")
    with pytest.raises(VMMismatch, match="executed under .*numpy [1-9].* and this is .*numpy 0.1"):
        ExecutionMachine.open(path, vm=Plain, workers=0)


def test_create_on_what_is_there_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ExecutionMachine.create(tmp_path / "state", Plain, workers=0).close()
    ExecutionMachine.create(tmp_path / "state", Plain, workers=0).close()
    monkeypatch.setattr(interpreter, "PYTHON", "CPython 3.99")
    with pytest.raises(VMMismatch, match="accept_interpreter"):
        ExecutionMachine.create(tmp_path / "state", Plain, workers=0)


def test_a_state_made_before_it_was_recorded_opens(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ioi_storage.Store.open(path) as store:
        meta = {name: value for name, value in store.meta.items() if name != "interpreter"}
        store.set_meta(meta)
    monkeypatch.setattr(interpreter, "PYTHON", "CPython 3.99")
    with ExecutionMachine.open(path, vm=Plain, workers=0) as machine:
        assert machine.execute([b"b"]).failed == 0 and machine.info.interpreter is None


def test_a_vm_in_c_does_not_depend_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = b"a" * 32, b"b" * 32
    ExecutionMachine.create(tmp_path / "state", genesis={account_key(ada): encode_account(9, 0)}, workers=0).close()
    monkeypatch.setattr(interpreter, "PYTHON", "CPython 3.99")
    with ExecutionMachine.open(tmp_path / "state", workers=0) as machine:
        assert machine.info.interpreter is None
        assert machine.execute([encode_transfer(ada, bob, 1, nonce=0)]).failed == 0


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class V:\n    def execute(self, tx, state, ctx): state.put(tx, tx)\n")
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    (tmp_path / "block.jsonl").write_text('{"tx": "00"}\n')
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "notes")}

    def ran(*words: str) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "ioi_exec", *words, "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
        return done.returncode, json.loads((done.stdout or done.stderr).splitlines()[-1])

    assert ran("init", "state", "--vm", "own:V", "--genesis", "genesis.json")[0] == 0
    with ioi_storage.Store.open(tmp_path / "state") as store:
        store.set_meta({**store.meta, "interpreter": {**store.meta["interpreter"], "python": "CPython 3.99"}})
    assert ran("info", "state")[1]["interpreter"] == "CPython 3.99"
    status, said = ran("run", "state", "block.jsonl")
    assert (status, said["kind"]) == (2, "VMMismatch") and "executed under CPython 3.99, and this is" in said["error"]
    assert ran("run", "state", "block.jsonl", "--accept-interpreter")[0] == 0
    assert ran("run", "state", "block.jsonl", "--again")[0] == 0
    assert ran("info", "state")[1]["interpreter"] == PYTHON


def test_dependencies_that_are_none() -> None:
    class Missing(Plain):
        dependencies = ["no-such-distribution"]

    class Odd(Plain):
        dependencies = "numpy"  # type: ignore[assignment]

    with pytest.raises(VMError, match="depends on no-such-distribution, which is not installed"):
        ExecutionMachine.create(None, Missing, workers=0)
    with pytest.raises(VMError, match="no list of names"):
        ExecutionMachine.create(None, Odd, workers=0)


@pytest.mark.parametrize(
    "said",
    [
        None, [], {}, {"python": 3, "settings": {}, "dependencies": {}}, {"python": "x\x1b[2J", "settings": {}, "dependencies": {}},
        {"python": "x", "settings": {"a": "1"}, "dependencies": {}}, {"python": "x", "settings": {}, "dependencies": {"a": 1}},
        {"python": "x" * 201, "settings": {}, "dependencies": {}}, {"python": "x", "settings": {}, "dependencies": {"a": "\n"}},
    ],
)
def test_what_a_state_says_of_it_is_checked(path: Path, said: Any) -> None:
    with ioi_storage.Store.open(path, read_only=True) as store:
        meta = {**store.meta, "interpreter": said}
    with pytest.raises(StateError, match="interpreter"):
        Identity.from_meta(meta)
