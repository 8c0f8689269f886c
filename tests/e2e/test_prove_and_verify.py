"""`ioi-exec prove` and `verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ioi_storage import ics23

Cli = Callable[..., Any]


@pytest.fixture(params=["jellyfish", "iavl"])
def state(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "genesis.json").write_text(json.dumps({"state": {f"{i:04x}": "aa" * (i % 3) for i in range(40)}}))
    (tmp_path / "vm.py").write_text("class Nop:\n    def execute(self, tx, state, ctx):\n        state.put(tx, b'1')\n")
    (tmp_path / "block").write_text('{"tx": "0001"}\n{"tx": "ffff"}\n')
    cli("init", "state", "--genesis", "genesis.json", "--vm", "vm:Nop", "--tree", request.param)
    cli("run", "state", "block", "--workers", 0)
    return cli("info", "state", "--json").object


def test_keys(cli: Cli, state: dict[str, Any], tmp_path: Path) -> None:
    trusted = ["--root", state["state_root"], "--tree", state["tree"]]
    proven = cli("prove", "state", "0001", "0002", "1234").object
    assert [pair["value"] for pair in proven["keys"]] == ["31", "aaaa", None]
    (tmp_path / "proof").write_text(json.dumps(proven))
    assert cli("verify", "proof", *trusted, "--json").object == {"verified": True, "keys": 3, "root": state["state_root"]}
    cli("verify", "-", *trusted, "--key", "0001", "--value", "31", stdin=json.dumps(proven))
    cli("verify", "proof", *trusted, "--key", "1234", "--absent")
    for claim in (["0001", "--value", "32"], ["0001", "--absent"], ["1234", "--value", "31"], ["77", "--absent"]):
        refused = cli("verify", "proof", *trusted, "--key", *claim, "--json", status=1)
        assert refused.object["verified"] is False and "claims something else" in refused.object["reason"]
    other = "iavl" if state["tree"] == "jellyfish" else "jellyfish"
    cli("verify", "proof", "--root", state["state_root"], "--tree", other, status=1)
    assert "another state" in cli("verify", "proof", "--root", "00" * 32, "--tree", state["tree"], status=1).err
    (tmp_path / "forged").write_text(json.dumps({**proven, "keys": [{**proven["keys"][0], "value": "ff"}, *proven["keys"][1:]]}))
    cli("verify", "forged", *trusted, status=1)


def test_versions_and_ranges(cli: Cli, state: dict[str, Any], tmp_path: Path) -> None:
    trusted = ["--root", state["genesis_root"], "--tree", state["tree"]]
    old = cli("prove", "state", "0001", "--version", 0).object
    assert old["root"] == state["genesis_root"] and old["keys"] == [{"key": "0001", "value": "aa"}]
    cli("verify", "-", *trusted, stdin=json.dumps(old))
    whole = cli("prove", "state", "--range", "-", "-", "--version", 0).object
    assert len(whole["keys"]) == 40
    cli("verify", "-", *trusted, stdin=json.dumps(whole))
    cli("verify", "-", *trusted, stdin=json.dumps({**whole, "keys": whole["keys"][1:]}), status=1)
    bounds = ("40" + "00" * 31, "80" + "00" * 31) if state["tree"] == "jellyfish" else ("0004", "0009")
    some = cli("prove", "state", "--range", *bounds, "--version", 0).object
    assert 0 < len(some["keys"]) < 40
    verified = {"verified": True, "keys": len(some["keys"]), "root": state["genesis_root"], "range": list(bounds)}
    assert cli("verify", "-", *trusted, "--json", stdin=json.dumps(some)).object == verified
    assert f"from {bounds[0]} to {bounds[1]}" in cli("verify", "-", *trusted, stdin=json.dumps(some)).out
    assert "from the first to the last" in cli("verify", "-", *trusted, stdin=json.dumps(whole)).out


def test_options_may_stand_anywhere_and_a_key_counts_once(cli: Cli, state: dict[str, Any]) -> None:
    proven = cli("prove", "state", "--version", 0, "ABCD", "0001", "abcd").object
    assert proven["keys"] == [{"key": "abcd", "value": None}, {"key": "0001", "value": "aa"}]
    cli("verify", "-", "--root", state["genesis_root"], "--tree", state["tree"], stdin=json.dumps(proven))
    assert cli("prove", "state", "abcd", "0001", "--version", 0).object == proven


def test_rubbish(cli: Cli, state: dict[str, Any], tmp_path: Path) -> None:
    trusted = ["--root", state["state_root"], "--tree", state["tree"]]
    for text in ("", "[]", "{}", '{"keys": 1, "proof": ""}', '{"keys": [], "proof": "0x"}', '{"keys": [{"key": "00"}], "proof": ""}'):
        assert cli("verify", "-", *trusted, stdin=text, status=2).err
    cli("verify", "-", *trusted, stdin='{"keys": [], "proof": "0101"}', status=1)
    cli("verify", "nothing", *trusted, status=2)
    for wrong in (["0001", "--range", "-", "-"], [], ["--range", "05", "04"], ["--range", "x", "-"], ["0001", "--version", 9], ["xyz"]):
        cli("prove", "state", *wrong, status=2)
    cli("verify", "-", "--root", "00", "--tree", "iavl", stdin="{}", status=2)
    cli("verify", "-", *trusted, "--key", "00", stdin="{}", status=2)


def test_ics23(cli: Cli, state: dict[str, Any], tmp_path: Path) -> None:
    trusted = ["--root", state["state_root"], "--tree", state["tree"], "--format", "ics23"]
    proof = cli("prove", "state", "0001", "--format", "ics23").out
    cli("verify", "-", *trusted, "--key", "0001", "--value", "31", stdin=proof)
    assert cli("prove", "state", "0001", "--format", "ics23", "-o", "proof").out == ""
    assert (tmp_path / "proof").read_bytes().hex() == proof.strip()
    shown = cli("verify", "proof", *trusted, "--key", "0001", "--value", "31", "--json").object
    assert shown == {"verified": True, "keys": 1, "root": state["state_root"]}
    for claim in (["0001", "--value", "32"], ["0001", "--absent"], ["0002", "--value", "31"], ["0001", "--value", ""]):
        assert cli("verify", "proof", *trusted, "--key", *claim, "--json", status=1).object["verified"] is False
    old = cli("prove", "state", "0001", "--format", "ics23", "--version", 0, "--json").object
    assert old.keys() == {"version", "root", "tree", "key", "value", "spec", "proof"} and old["value"] == "aa"
    assert old["root"] == state["genesis_root"] and old["spec"] == ics23.spec(state["tree"]).hex()
    cli("verify", "-", *trusted, "--key", "0001", "--value", "aa", stdin=old["proof"], status=1)
    cli("verify", "-", *trusted[2:], "--root", old["root"], "--key", "0001", "--value", "aa", stdin=old["proof"])


def test_ics23_absence(cli: Cli, state: dict[str, Any]) -> None:
    """0000, 0003, 0006 ... have empty values: some absent keys stand beside one of them."""
    trusted = ["--root", state["state_root"], "--tree", state["tree"], "--format", "ics23"]
    assert "value of key 0003 is empty" in cli("prove", "state", "0003", "--format", "ics23", status=2).err
    with_status: dict[int, Any] = {}
    for key in (f"{number:04x}00" for number in range(1, 12)):
        done = cli("prove", "state", key, "--format", "ics23", status=None)
        with_status[done.status] = (key, done)
        if len(with_status) == 2:
            break
    key, done = with_status[0]
    cli("verify", "-", *trusted, "--key", key, "--absent", stdin=done.out)
    cli("verify", "-", *trusted, "--key", "ffff", "--absent", stdin=done.out, status=1)
    key, done = with_status[2]
    assert f"key {key} is absent, which ics23 proves by the keys on both sides: the value of key 00" in done.err


def test_ics23_used_wrongly(cli: Cli, state: dict[str, Any]) -> None:
    trusted = ["--root", state["state_root"], "--tree", state["tree"], "--format", "ics23"]
    for wrong in ([], ["0001", "0002"], ["--range", "-", "-"], ["0001", "--version", 9]):
        cli("prove", "state", *wrong, "--format", "ics23", status=2)
    cli("prove", "state", "0001", "-o", "proof", status=2)
    cli("prove", "state", "0001", "--format", "ics23", "-o", "-", status=2)
    cli("prove", "state", "0001", "--format", "ics23", "-o", "no/such/folder", status=2)
    cli("verify", "-", *trusted, stdin="", status=2)
    for proof in ("", "0a", "{}", "\n"):
        cli("verify", "-", *trusted, "--key", "0001", "--absent", stdin=proof, status=2 if proof == "{}" else 1)
