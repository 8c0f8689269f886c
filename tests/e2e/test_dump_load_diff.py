"""ioi-exec dump, load, diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ioi_storage.trees.seam import _trees

Cli = Callable[..., Any]
A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
TREES = sorted(_trees)


def transfer(to: str, nonce: int, amount: int) -> str:
    return json.dumps({"from": A, "to": to, "amount": amount, "nonce": nonce}) + "\n"


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def state(cli: Cli, tmp_path: Path, tree: str) -> Path:
    """Version 1 pays B, version 2 makes C."""
    accounts = {A: {"balance": 1000}, B: {"balance": 5}}
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": accounts}))
    cli("init", "state", "--genesis", "genesis.json", "--tree", tree)
    (tmp_path / "one").write_text(transfer(B, 0, 10))
    (tmp_path / "two").write_text(transfer(C, 1, 20))
    cli("run", "state", "one", "two", "--workers=0")
    return tmp_path / "state"


def key(address: str) -> str:
    return (b"acct/" + bytes.fromhex(address)).hex()


def test_diff(cli: Cli, state: Path) -> None:
    changes = {change["key"]: change for change in cli("diff", "state", 1, 2, "--json").objects}
    assert changes.keys() == {key(A), key(C)}
    assert changes[key(C)]["old"] is None and int(changes[key(C)]["new"][:32], 16) == 20
    assert int(changes[key(A)]["old"][:32], 16) == 990 and int(changes[key(A)]["new"][:32], 16) == 970
    assert sorted(cli("diff", "state", 2, 0).out.split("\n")) == sorted(["", f"~ {key(A)}", f"~ {key(B)}", f"- {key(C)}"])
    assert cli("diff", "state", 2, 2).out == ""
    assert "not committed" in cli("diff", "state", 0, 3, "--json", status=2).error["error"]


def test_there_and_back(cli: Cli, state: Path, tmp_path: Path, tree: str) -> None:
    head, *pairs = cli("dump", "state").objects
    info = cli("info", "state", "--json").object
    assert (head["tree"], head["version"], head["root"], head["keys"]) == (tree, 2, info["state_root"], 3)
    assert {pair["key"] for pair in pairs} == {key(A), key(B), key(C)}
    old = cli("dump", "state", "--version", 0).out.splitlines()
    assert len(old) == 3 and json.loads(old[0])["root"] == info["genesis_root"]

    cli("dump", "state", "-o", "dump.jsonl")
    assert (tmp_path / "dump.jsonl").read_text() == cli("dump", "state").out
    loaded = cli("load", "copy", "dump.jsonl", "--json").object
    assert (loaded["version"], loaded["height"], loaded["initial_height"], loaded["keys"]) == (0, 2, 3, 3)
    assert loaded["dump_root"] == info["state_root"]
    assert (loaded["state_root"] == info["state_root"]) == (tree == "jellyfish")
    assert cli("get", "copy", C, "--account", "--json").object["balance"] == 20
    assert cli("dump", "copy").out.splitlines()[1:] == cli("dump", "state").out.splitlines()[1:]
    # Both go on alike.
    (tmp_path / "three").write_text(transfer(B, 2, 1))
    roots = [cli("run", name, "three", "--workers=0", "--json").object["state_root"] for name in ("state", "copy")]
    assert (roots[0] == roots[1]) == (tree == "jellyfish")


def test_load_from_standard_input_and_another_tree(cli: Cli, state: Path, tree: str) -> None:
    text = cli("dump", "state").out
    for other in TREES:
        done = cli("load", other, "-", "--tree", other, "--initial-height", 7, "--json", stdin=text)
        assert done.object["tree"] == other and done.object["initial_height"] == 7
        assert cli("diff", other, 0, 0).out == ""
        assert sorted(cli("dump", other).out.splitlines()[1:]) == sorted(text.splitlines()[1:])


def test_a_changed_dump_is_refused(cli: Cli, state: Path, tmp_path: Path, tree: str) -> None:
    head, *pairs = cli("dump", "state").out.splitlines(keepends=True)

    def refused(text: str, status: int, *words: str) -> None:
        error = cli("load", "copy", "-", "--json", stdin=text, status=status).error["error"]
        assert all(word in error for word in words), error
        assert not (tmp_path / "copy").exists() and not list(tmp_path.glob(".copy*"))

    changed = json.loads(pairs[0])
    changed["value"] = "00" * 24
    if tree == "jellyfish":
        refused("".join([head, json.dumps(changed) + "\n", *pairs[1:]]), 5, "root")
    refused("".join([head, *pairs[1:]]), 2, "not whole")
    refused("".join([head, *pairs[1:], pairs[1]]), 2, "twice")
    refused("".join([head, *pairs[:-1], pairs[-1][:-9]]), 2, "standard input:4")
    refused(head.replace('"ioi_dump": 1', '"ioi_dump": 2') + "".join(pairs), 2, "standard input:1", "format")
    refused("", 2, "empty")
    refused(head + '{"key": "", "value": ""}\n', 2, "standard input:2")
    refused(head + '{"key": "%s", "value": ""}\n' % key(A), 2, "account")
    cli("load", "state", "-", stdin=head + "".join(pairs), status=2)  # there is a state


def test_dump_leaves_no_half_file(cli: Cli, state: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    cli("dump", "state", "--version", 9, "-o", "there", status=2)
    assert (tmp_path / "there").read_text() == "old"
    data = (state / "data.mdb").read_bytes()
    value = bytes.fromhex(json.loads(cli("dump", "state").out.splitlines()[1])["value"])
    (state / "data.mdb").write_bytes(data.replace(value, b"x" * len(value)))
    cli("dump", "state", "-o", "there", status=6)
    assert (tmp_path / "there").read_text() == "old"
    assert not list(tmp_path.glob("there.*"))
