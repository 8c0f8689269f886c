"""ioi-exec snapshot and restore."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable

import pytest
from ioi_storage.trees.seam import _trees

Cli = Callable[..., Any]
A, B, C = "aa" * 32, "bb" * 32, "cc" * 32


def transfer(to: str, nonce: int) -> str:
    return json.dumps({"from": A, "to": to, "amount": 3, "nonce": nonce}) + "\n"


@pytest.fixture(params=sorted(_trees))
def state(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path) -> Path:
    accounts = {f"{i:064x}": {"balance": i} for i in range(1, 300)} | {A: {"balance": 1000}}
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": accounts}))
    cli("init", "state", "--genesis", "genesis.json", "--tree", request.param, "--initial-height", 5)
    (tmp_path / "one").write_text(json.dumps({"header": {"time_ns": 77}}) + "\n" + transfer(B, 0))
    (tmp_path / "two").write_text(transfer(C, 1))
    (tmp_path / "three").write_text(transfer(B, 2))
    cli("run", "state", "one", "two", "--workers=0")
    return tmp_path / "state"


def without(info: dict[str, Any], *names: str) -> dict[str, Any]:
    """What `info` says of a version: neither where it lies, nor how its file stands, nor what memory executing may take."""
    return {name: value for name, value in info.items() if name not in ("state", "oldest_version", "upkeep", "memory", *names)}


def test_there_and_back(cli: Cli, state: Path, tmp_path: Path) -> None:
    info = cli("info", "state", "--json").object
    made = cli("snapshot", "state", "snap", "--chunk-bytes", 2000, "--json").object
    assert (made["version"], made["state_root"], made["keys"]) == (2, info["state_root"], 302)
    files = sorted(file.name for file in (tmp_path / "snap").iterdir())
    assert files == [*(f"chunk-{i:06}" for i in range(made["chunks"])), "manifest.json"] and made["chunks"] > 5
    assert made["bytes"] == sum(file.stat().st_size for file in (tmp_path / "snap").glob("chunk-*"))
    shown = cli("restore", "copy", "snap", "--root", info["state_root"], "--json").object
    assert without(shown) == without(info) and shown["oldest_version"] == 2
    assert cli("check", "copy", "--deep", "--json").object["ok"]
    roots = [cli("run", name, "three", "--workers=0", "--json").object["state_root"] for name in ("state", "copy")]
    assert roots[0] == roots[1]
    assert "no longer kept" in cli("get", "copy", A, "--account", "--version", 1, status=2).err


def test_an_old_version(cli: Cli, state: Path) -> None:
    cli("snapshot", "state", "snap", "--version", 1)
    root = cli("dump", "state", "--version", 1).objects[0]["root"]
    shown = cli("restore", "copy", "snap", "--root", root, "--json").object
    assert (shown["version"], shown["height"], shown["time_ns"]) == (1, 5, 77)
    cli("run", "copy", "two", "--workers=0", "--expect-root", cli("info", "state", "--json").object["state_root"])


def test_missing_and_bad_chunks(cli: Cli, state: Path, tmp_path: Path) -> None:
    root = cli("info", "state", "--json").object["state_root"]
    cli("snapshot", "state", "snap", "--chunk-bytes", 2000)
    shutil.copytree(tmp_path / "snap", tmp_path / "partial")
    (tmp_path / "partial" / "chunk-000003").unlink()
    bad = tmp_path / "partial" / "chunk-000002"
    bad.write_bytes(bad.read_bytes().replace(b"acct/", b"Acct/"))
    error = cli("restore", "copy", "partial", "--root", root, "--json", status=2).error["error"]
    assert "chunk-000003 is not there" in error and "chunk 2 is damaged" in error and "run this again" in error
    assert not (tmp_path / "copy").exists()
    for name in ("chunk-000002", "chunk-000003"):  # the others are kept already
        assert (tmp_path / ".copy.restoring").exists()
        (tmp_path / "few").mkdir(exist_ok=True)
        shutil.copy(tmp_path / "snap" / name, tmp_path / "few")
    shutil.copy(tmp_path / "snap" / "manifest.json", tmp_path / "few")
    assert cli("restore", "copy", "few", "--root", root, "--json").object["state_root"] == root
    assert not (tmp_path / ".copy.restoring").exists()


def test_refusals(cli: Cli, state: Path, tmp_path: Path) -> None:
    root = cli("info", "state", "--json").object["state_root"]
    cli("snapshot", "state", "snap")
    cli("snapshot", "state", "snap", status=2)  # there is one
    cli("snapshot", "state", "other", "--chunk-bytes", 0, status=2)
    cli("snapshot", "state", "other", "--version", 3, status=2)
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_dir()) == ["snap", "state"]
    assert "not of" in cli("restore", "copy", "snap", "--root", "00" * 32, "--json", status=5).error["error"]
    cli("restore", "copy", "snap", "--root", "00", status=2)
    cli("restore", "copy", "snap", status=2)
    cli("restore", "state", "snap", "--root", root, status=2)  # there is a state
    cli("restore", "copy", "nothing", "--root", root, status=2)
    manifest = json.loads((tmp_path / "snap" / "manifest.json").read_text())

    def with_manifest(**changes: Any) -> str:
        (tmp_path / "snap" / "manifest.json").write_text(json.dumps({**manifest, **changes}))
        error: str = cli("restore", "copy", "snap", "--root", root, "--json", status=2).error["error"]
        assert not (tmp_path / "copy").exists()
        return error

    assert "height" in with_manifest(height=3)
    assert "ioi_snapshot" in with_manifest(ioi_snapshot=9)
    assert "no_such_tree" in with_manifest(tree="no_such_tree")
    assert "no.such:VM" in with_manifest(meta={**manifest["meta"], "vm": {"name": "no.such:VM", "args": {}, "version": ""}})
    assert "lacks" in with_manifest(meta={"format": 1})
    assert "lacks" in cli("restore", "copy", "snap", "--root", root, "--vm", "payments", status=2).err
