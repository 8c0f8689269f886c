"""Which VM a state may be opened with: the one that the operator gave for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ioi_exec import ExecutionMachine, StateView, TxContext, VMError, VMMismatch
from ioi_exec.state import given
from ioi_exec.vm.loading import VMSpec, import_origin


class Put:
    def __init__(self, value: str = "x") -> None:
        self.value = value

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        state.put(tx, self.value.encode())


NAME = f"{__name__}:Put"
SPEC = VMSpec(NAME, {}, "")


def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another process."""
    monkeypatch.setattr(given, "_remembered", {})


def executes(path: Path) -> None:
    with ExecutionMachine.open(path, workers=0) as machine:
        machine.execute([b"k"])


def test_one_process_gives_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ExecutionMachine.create(tmp_path / "s", Put, workers=0).close()
    executes(tmp_path / "s")
    forgotten(monkeypatch)
    for opened in (lambda: ExecutionMachine.open(tmp_path / "s", workers=0), lambda: executes(tmp_path / "s")):
        with pytest.raises(VMError, match="nobody has given"):
            opened()
    with ExecutionMachine.open(tmp_path / "s", read_only=True, workers=0) as machine:
        assert machine.get(b"k") is None and machine.info.vm == SPEC  # reading needs none
        with pytest.raises(VMError, match="nobody has given"):
            machine.execute([b"k"])
    ExecutionMachine.open(tmp_path / "s", vm=Put, workers=0).close()
    executes(tmp_path / "s")


def test_what_was_given_for_one_state_is_not_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ExecutionMachine.create(tmp_path / "s", Put, workers=0).close()
    forgotten(monkeypatch)
    ExecutionMachine.create(tmp_path / "other", Put, workers=0).close()
    with pytest.raises(VMError, match="nobody has given"):
        executes(tmp_path / "s")


def test_another_state_in_the_same_place_is_compared(tmp_path: Path) -> None:
    ExecutionMachine.create(tmp_path / "s", Put, workers=0).close()
    (tmp_path / "s").rename(tmp_path / "away")
    given_before = {path: dict(found) for path, found in given._remembered.items()}
    ExecutionMachine.create(tmp_path / "s", Put, vm_args={"value": "theirs"}, workers=0).close()
    given._remembered.update(given_before)
    with pytest.raises(VMMismatch):
        executes(tmp_path / "s")


def test_a_note_is_found_by_any_name_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "notes"))
    ExecutionMachine.create(tmp_path / "s", Put, workers=0).close()
    forgotten(monkeypatch)
    monkeypatch.chdir(tmp_path)
    given.note("s", SPEC)
    Path("link").symlink_to("s")
    for path in (tmp_path / "s", Path("s"), Path("link"), Path("notes/../s")):
        executes(path)
    code = "from ioi_exec import ExecutionMachine; ExecutionMachine.open('link', workers=0).execute([b'k'])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == 0


def test_a_note_of_a_module_that_is_another_file_now_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything of that file runs; also a module deep in packages that are mere directories."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "notes"))
    for place in ("mine", "theirs"):
        (tmp_path / place / "a_space" / "inner").mkdir(parents=True)
        (tmp_path / place / "a_space" / "inner" / "vm.py").write_text(
            "raise SystemExit('imported')" if place == "theirs" else f"from {__name__} import Put"
        )
    name = "a_space.inner.vm:Put"
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path / "mine")
        ExecutionMachine.create(tmp_path / "s", name, workers=0).close()
        given.note(tmp_path / "s", VMSpec(name, {}, ""))
    forgotten(monkeypatch)
    for module in ("a_space", "a_space.inner", "a_space.inner.vm"):
        del sys.modules[module]
    monkeypatch.syspath_prepend(tmp_path / "theirs")
    assert import_origin(name) == str(tmp_path / "theirs" / "a_space" / "inner" / "vm.py")
    with pytest.raises(VMError, match="mine/a_space/inner/vm.py"):
        executes(tmp_path / "s")


def test_a_note_ends_with_a_state_whose_vm_is_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "notes"))
    monkeypatch.chdir(Path(__file__).parent)
    given.note(tmp_path / "s", SPEC)
    assert given.is_noted_here(tmp_path / "s") and not given.is_noted_here(tmp_path / "other")
    monkeypatch.chdir(tmp_path)  # where its VM is not
    assert not given.is_noted_here(tmp_path / "s")
    monkeypatch.chdir(Path(__file__).parent)
    given.note(tmp_path / "s", VMSpec("payments", {}, "1"))
    assert not given.is_noted_here(tmp_path / "s")


def test_what_is_built_in_needs_no_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ExecutionMachine.create(tmp_path / "s", workers=0).close()
    forgotten(monkeypatch)
    executes(tmp_path / "s")
