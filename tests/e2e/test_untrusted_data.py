"""Data never chooses code: a snapshot, a dump or a state may name a VM, only the operator gives one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

Cli = Callable[..., Any]

OWN = """
class KV:
    def __init__(self, value="x"):
        self.value = value
    def execute(self, tx, state, ctx):
        state.put(tx, self.value.encode())
"""
# What must never run says so: by being imported, by being called.
EVIL = """
import pathlib
pathlib.Path("ran").touch()
class KV:
    def execute(self, tx, state, ctx): pass
"""
TOUCH: dict[str, Any] = {"name": "subprocess:Popen", "args": {"args": ["touch", "ran"]}, "version": ""}
IMPORTED: dict[str, Any] = {"name": "evil:KV", "args": {}, "version": ""}
HOSTILE = [TOUCH, {**TOUCH, "args": [["touch", "ran"]]}, {**TOUCH, "name": "os:system", "args": ["touch ran"]}, IMPORTED, {**IMPORTED, "args": None}]
TX = '{"tx": "61"}\n'


@pytest.fixture
def own(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state of one's own VM, its snapshot and its dump; beside them a module that must never be imported."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "notes"))
    (tmp_path / "kv.py").write_text(OWN)
    (tmp_path / "evil.py").write_text(EVIL)
    (tmp_path / "genesis.json").write_text('{"state": {"61": "31"}}')
    cli("init", "state", "--genesis", "genesis.json", "--vm", "kv:KV")
    cli("snapshot", "state", "snap")
    cli("dump", "state", "-o", "dump.jsonl")
    return tmp_path


def root(cli: Cli, state: str = "state") -> str:
    found: str = cli("info", state, "--json").object["state_root"]
    return found


def says(folder: Path, vm: Any) -> None:
    """Snapshot and dump are of this VM from now on."""
    manifest = json.loads((folder / "snap" / "manifest.json").read_text())
    manifest["meta"]["vm"] = vm
    (folder / "snap" / "manifest.json").write_text(json.dumps(manifest))
    head, *pairs = (folder / "dump.jsonl").read_text().splitlines(keepends=True)
    (folder / "dump.jsonl").write_text("".join([json.dumps({**json.loads(head), "vm": vm}) + "\n", *pairs]))


def forge(folder: Path, state: str, vm: dict[str, Any]) -> None:
    """A state at `state` that says it is of this VM."""
    code = (
        "import json, sys; from ioi_storage import Store; from ioi_exec.limits import Limits\n"
        "meta = {'format': 1, 'vm': json.loads(sys.argv[2]), 'initial_height': 1, 'limits': Limits().consensus()}\n"
        "Store.create(sys.argv[1], meta=meta, genesis=[]).close()"
    )
    subprocess.run([sys.executable, "-c", code, state, json.dumps(vm)], cwd=folder, check=True)


@pytest.mark.parametrize("vm", HOSTILE, ids=lambda vm: f"{vm['name']} {vm['args']}")
def test_nothing_that_data_names_is_imported_or_called(cli: Cli, own: Path, vm: dict[str, Any]) -> None:
    trusted = root(cli)
    says(own, vm)
    for command in (("restore", "copy", "snap", "--root", trusted), ("load", "copy", "dump.jsonl")):
        for given in ((), ("--vm", "kv:KV")):
            error = cli(*command, *given, "--json", status=2).error
            assert error["kind"] in ("VMError", "VMMismatch") and vm["name"] in error["error"]
            assert not (own / "copy").exists() and not list(own.glob(".copy*"))
    forge(own, "hostile", vm)
    for options in (("--workers=0",), ("--workers=1", "--vm", "kv:KV"), ("--dry-run",)):
        error = cli("run", "hostile", "-", *options, "--json", stdin=TX, status=2).error
        assert error["kind"] in ("VMError", "VMMismatch") and vm["name"] in error["error"]
    assert cli("info", "hostile", "--json").object["vm"] == vm["name"]  # what reads needs no VM
    cli("get", "hostile", "61", status=1)
    cli("check", "hostile", "--deep")
    assert not (own / "ran").exists()


def test_the_operator_gives_the_vm(cli: Cli, own: Path) -> None:
    trusted = root(cli)
    for command in (("restore", "copy", "snap", "--root", trusted), ("load", "loaded", "dump.jsonl")):
        assert "--vm kv:KV" in cli(*command, "--json", status=2).error["error"]
        assert "not to kv:KV" in cli(*command, "--vm", "kv:KV", "--vm-args", '{"value": "y"}', "--json", status=2).error["error"]
        assert cli(*command, "--vm", "kv:KV", "--json").object["vm"] == "kv:KV"
        cli("run", command[1], "-", "--workers=0", stdin=TX)  # it was noted
    says(own, {"name": "kv:KV", "args": {}, "version": "7"})
    assert "version 7" in cli("restore", "third", "snap", "--root", trusted, "--vm", "kv:KV", "--json", status=2).error["error"]
    says(own, {"name": "kv:KV", "args": None, "version": ""})  # made with an instance: the arguments are the operator's
    cli("restore", "third", "snap", "--root", trusted, "--vm", "kv:KV", "--vm-args", '{"value": "y"}')
    cli("run", "third", "-", "--workers=0", stdin=TX)
    assert cli("get", "third", "61").out == b"y".hex() + "\n"


def test_a_state_that_was_moved_or_copied_wants_its_vm_once(cli: Cli, own: Path) -> None:
    cli("run", "state", "-", "--workers=0", stdin=TX)
    (own / "link").symlink_to("state")
    cli("run", "link", "-", "--again", "--workers=0", stdin=TX)
    shutil.move(own / "state", own / "moved")
    assert "nobody has given" in cli("run", "moved", "-", "--again", "--workers=0", "--json", stdin=TX, status=2).error["error"]
    cli("run", "moved", "-", "--again", "--workers=0", "--vm", "kv:KV", stdin=TX)
    cli("run", "moved", "-", "--again", "--workers=1", stdin=TX)


def test_a_state_put_in_the_place_of_another_runs_the_operators_vm_or_none(cli: Cli, own: Path) -> None:
    shutil.move(own / "state", own / "away")
    forge(own, "state", IMPORTED)
    error = cli("run", "state", "-", "--workers=0", "--json", stdin=TX, status=2).error
    assert error["kind"] == "VMMismatch" and "kv:KV" in error["error"]
    shutil.rmtree(own / "state")
    forge(own, "state", {"name": "kv:KV", "args": {"value": "theirs"}, "version": ""})
    assert cli("run", "state", "-", "--workers=0", "--json", stdin=TX, status=2).error["kind"] == "VMMismatch"
    assert not (own / "ran").exists()


def test_a_module_of_the_same_name_in_another_directory_is_not_the_operators(cli: Cli, own: Path) -> None:
    (own / "elsewhere").mkdir()
    (own / "elsewhere" / "kv.py").write_text(EVIL)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ioi_exec", "run", "../state", "-", "--workers=0", *arguments]
        return subprocess.run(command, cwd=own / "elsewhere", input=TX, capture_output=True, text=True)

    done = run()
    assert done.returncode == 2 and str(own / "kv.py") in done.stderr and not (own / "elsewhere" / "ran").exists()
    assert run("--vm", "kv:KV", "--accept-vm").returncode == 0 and (own / "elsewhere" / "ran").exists()  # now the operator said so


def test_what_lies_in_the_working_directory_is_not_imported_unless_a_vm_was_given(own: Path) -> None:
    """The installed program, which unlike python -m does not look there by itself. Its processes neither."""
    program = Path(sys.executable).with_name("ioi-exec")
    (own / "download").mkdir()
    for name in ("json", "signal", "subprocess", "select", "lmdb", "psutil", "cloudpickle", "numpy", "hashlib"):
        (own / "download" / f"{name}.py").write_text("import os; os.close(os.open('ran', os.O_CREAT | os.O_WRONLY))\nraise SystemExit(9)\n")
    accounts = {"aa" * 32: {"balance": 5}}
    (own / "download" / "genesis.json").write_text(json.dumps({"accounts": accounts}))
    lines = "".join(
        json.dumps({"from": "aa" * 32, "to": f"{nonce:064x}", "amount": 0, "nonce": nonce}) + "\n" for nonce in range(3000)
    )
    trusted = ""
    for command in (
        "init state --genesis genesis.json", "run state - --workers=2", "run state - --workers=0 --dry-run --again", "info state --json",
        "check state --deep", "snapshot state snap", "restore copy snap --root ROOT", "dump state -o dump", "load loaded dump",
    ):
        arguments = [trusted if word == "ROOT" else word for word in command.split()]
        done = subprocess.run([program, *arguments], cwd=own / "download", input=lines, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
        assert not (own / "download" / "ran").exists(), command
        if "info" in command:
            trusted = json.loads(done.stdout)["state_root"]


def test_nor_where_the_vm_that_was_given_is_installed_elsewhere(own: Path) -> None:
    """A note for the state is no word about the directory one happens to be in: what the VM imports is not found there."""
    program = Path(sys.executable).with_name("ioi-exec")
    installed, download = own / "site", own / "download"
    installed.mkdir()
    download.mkdir()
    (installed / "installed_vm.py").write_text("import wave\n" + OWN)
    (download / "wave.py").write_text(EVIL)

    def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **environment}
        return subprocess.run([program, *arguments], cwd=folder, env=env, input=TX, capture_output=True, text=True)

    found = {"PYTHONPATH": str(installed)}
    made = run(own, "init", "fresh", "--genesis", "genesis.json", "--vm", "installed_vm:KV", **found)
    assert made.returncode == 0, made.stderr
    for workers in ("0", "1"):
        done = run(download, "run", "../fresh", "-", "--again", f"--workers={workers}", **found)
        assert done.returncode == 0 and not (download / "ran").exists(), done.stderr
    missing = run(download, "run", "../fresh", "-", "--again", "--workers=0")
    assert missing.returncode == 2 and str(installed / "installed_vm.py") in missing.stderr  # where it was, when it was given


def test_a_snapshot_with_a_pipe_in_it_is_refused(cli: Cli, own: Path) -> None:
    trusted = root(cli)
    for name in ("chunk-000000", "manifest.json"):
        (own / "snap" / name).rename(own / "kept")
        os.mkfifo(own / "snap" / name)
        assert f"{name} is no plain file" in cli("restore", "copy", "snap", "--root", trusted, "--vm", "kv:KV", status=2).err
        (own / "snap" / name).unlink()
        (own / "kept").rename(own / "snap" / name)
    cli("restore", "copy", "snap", "--root", trusted, "--vm", "kv:KV")


def test_a_home_that_is_relative_has_no_notes(cli: Cli, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made the directory one works in could have put them there."""
    (note,) = (own / "notes" / "ioi-exec" / "vms").iterdir()
    theirs = own / ".local" / "state" / "ioi-exec" / "vms"
    theirs.mkdir(parents=True)
    (theirs / note.name).write_bytes(note.read_bytes())
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", ".")
    assert "nobody has given" in cli("run", "state", "-", "--workers=0", stdin=TX, status=2).err


def test_where_nothing_can_be_noted_the_vm_is_given_each_time(cli: Cli, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(own / "file"))
    assert "cannot be noted" in cli("init", "fresh", "--genesis", "genesis.json", "--vm", "kv:KV").err
    assert "--vm" in cli("run", "fresh", "-", "--again", "--workers=0", "--json", stdin=TX, status=2).error["error"]
    cli("run", "fresh", "-", "--again", "--workers=0", "--json", "--vm", "kv:KV", stdin=TX)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # counts as not set
    monkeypatch.setenv("HOME", str(own / "home"))
    cli("init", "fresh", "--genesis", "genesis.json", "--vm", "kv:KV", status=2)  # it is at version 1
    cli("run", "fresh", "-", "--again", "--workers=0", "--vm", "kv:KV", stdin=TX)
    cli("run", "fresh", "-", "--again", "--workers=0", stdin=TX)
    assert not (own / "relative").exists() and os.listdir(own / "home" / ".local" / "state" / "ioi-exec" / "vms")


def test_a_note_that_others_could_have_written_is_none(cli: Cli, own: Path) -> None:
    (note,) = (own / "notes" / "ioi-exec" / "vms").iterdir()
    assert note.stat().st_mode & 0o777 == 0o600 and note.parent.stat().st_mode & 0o777 == 0o700
    said = note.read_text()

    def refused() -> None:
        assert "nobody has given" in cli("run", "state", "-", "--workers=0", stdin=TX, status=2).err

    note.chmod(0o666)
    refused()
    note.chmod(0o600)
    cli("run", "state", "-", "--workers=0", stdin=TX)
    for damaged in ("", "{", "[]", said.replace(str(own / "state"), "/another"), said.replace('"kv:KV"', "7"), "[" * 100_000):
        note.write_text(damaged)
        refused()
    note.unlink()
    (own / "prepared").write_text(said)
    note.symlink_to(own / "prepared")
    refused()


@pytest.mark.parametrize(
    "vm",
    [
        7, None, [], {}, {"name": "payments"}, {"name": ["payments"], "args": {}, "version": ""},
        {"name": "payments", "args": "x", "version": ""}, {"name": "payments", "args": {}, "version": 1},
        {"name": "\x1b[2Jpayments", "args": {}, "version": ""}, {"name": "x" * 2000, "args": {}, "version": ""},
        {"name": "payments", "args": {"x": 1}, "version": "1"}, {"name": "payments", "args": [json.loads("[" * 200 + "]" * 200)], "version": "1"},
    ],
    ids=lambda vm: str(vm)[:40],
)
def test_a_vm_that_is_none_is_refused_by_what_is_wrong_with_it(cli: Cli, own: Path, vm: Any) -> None:
    trusted = root(cli)
    says(own, vm)
    forge(own, "hostile", vm)
    for command in (
        ("restore", "copy", "snap", "--root", trusted), ("load", "copy", "dump.jsonl"), ("run", "hostile", "-", "--workers=0"),
    ):
        error = cli(*command, "--json", stdin=TX, status=2).error
        assert error["kind"] in ("InputError", "StateError", "VMMismatch", "VMError"), error
        assert len(error["error"]) < 3000 and "\x1b" not in error["error"]
    assert not (own / "copy").exists()


@pytest.mark.parametrize("limits", [{"key_bytes": 1 << 62}, {"value_bytes": 0}, {"tx_keys": 1 << 62, "key_bytes": 600}])
def test_limits_that_cannot_be_are_refused(cli: Cli, own: Path, limits: dict[str, int]) -> None:
    head, *pairs = (own / "dump.jsonl").read_text().splitlines(keepends=True)
    said = json.loads(head)
    said["limits"].update(limits)
    (own / "dump.jsonl").write_text("".join([json.dumps(said) + "\n", *pairs]))
    assert cli("load", "copy", "dump.jsonl", "--vm", "kv:KV", "--json", status=2).error["kind"] == "InputError"
    assert not (own / "copy").exists()
