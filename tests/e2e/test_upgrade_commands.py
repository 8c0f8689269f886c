"""ioi-exec upgrade and export: a chain that goes on with another VM, and one that rehearses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ioi_storage.trees.seam import _trees

Cli = Callable[..., Any]
A, B, P = "aa" * 32, "bb" * 32, "0102"
TREES = sorted(_trees)
VM = """
class {name}:
    version = {version}

    def execute(self, tx, state, ctx):
        state.put(b"{name}/" + tx, b"%d" % ctx.height)

    def migrate(self, state, ctx, from_version):
        for key, value in state.scan():
            state.put(key, value + b" from " + from_version.encode())
"""


@pytest.fixture
def chain(cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "chain_vms.py").write_text(VM.format(name="One", version=1) + VM.format(name="Two", version=2))
    (tmp_path / "genesis.json").write_text(json.dumps({"state": {"6b": "76"}}))
    for number in range(1, 5):
        (tmp_path / f"b{number}").write_text(json.dumps({"tx": (b"t%d" % number).hex()}) + "\n")
    cli("init", "state", "--genesis", "genesis.json", "--vm", "chain_vms:One", "--chain-id", "c-1")
    return tmp_path


def value(cli: Cli, state: str, key: str) -> str:
    return bytes.fromhex(cli("get", state, key.encode().hex(), "--json").object["value"]).decode()


def test_a_state_goes_on_with_another_vm(cli: Cli, chain: Path) -> None:
    cli("run", "state", "b1", "--workers=0")
    said = cli("upgrade", "state", "--vm", "chain_vms:Two", "--height", 3, "--json").object
    assert said["upgrade"] == {"height": 3, "vm": "chain_vms:Two", "vm_args": {}, "vm_version": "2"}
    assert (said["height"], said["vm"], said["vm_version"]) == (1, "chain_vms:One", "1")
    info = cli("info", "state", "--json").object
    assert info["upgrade"] == said["upgrade"] and info["vms"] == {"1": "chain_vms:One version 1", "3": "chain_vms:Two version 2"}
    assert "chain_vms:Two" in cli("info", "state").out
    # What moves a state moves its upgrade.
    cli("snapshot", "state", "snap")
    root = cli("info", "state", "--json").object["state_root"]
    cli("restore", "restored", "snap", "--root", root, "--vm", "chain_vms:One")
    cli("dump", "state", "-o", "dump.jsonl")
    cli("load", "loaded", "dump.jsonl", "--vm", "chain_vms:One")
    roots = set()
    for name in ("state", "restored", "loaded"):
        if name != "state":
            assert "from height 3 on the state's VM is chain_vms:Two" in cli("run", name, "b2", "b3", "--workers=0", "--json", status=2).err
            assert cli("info", name, "--json").object["height"] == 2
            roots.add(cli("run", name, "b3", "--vm", "chain_vms:Two", "--workers=2", "--json").object["state_root"])
        else:
            roots.add(cli("run", name, "b2", "b3", "--workers=0", "--json").objects[-1]["state_root"])
        assert value(cli, name, "k") == "v from 1" and value(cli, name, "One/t2") == "2 from 1" and value(cli, name, "Two/t3") == "3"
        assert cli("check", name, "--deep").status == 0
    assert len(roots) == 1
    info = cli("info", "state", "--json").object
    assert info["upgrade"] is None and info["vm"] == "chain_vms:Two" and len(info["vms"]) == 2
    # Back, and not again.
    cli("rollback", "state", 2, "--yes")
    assert cli("info", "state", "--json").object["vm"] == "chain_vms:One"
    assert cli("upgrade", "state", "--cancel", "--json").object["upgrade"] is None
    cli("run", "state", "b3", "--workers=0")
    assert value(cli, "state", "One/t3") == "3"


def test_what_cannot_be_is_refused(cli: Cli, chain: Path) -> None:
    cli("run", "state", "b1", "--workers=0")
    before = cli("info", "state", "--json").object
    for arguments, text in (
        (["--vm", "chain_vms:Two", "--height", 1], "height 1 is committed"),
        (["--vm", "chain_vms:One", "--height", 2], "is the VM that the state has already"),
        (["--vm", "chain_vms:Two"], "give --vm and --height, or --cancel"),
        (["--height", 4], "give --vm and --height, or --cancel"),
        (["--cancel"], "no upgrade is pending"),
        (["--cancel", "--height", 4], "give nothing else"),
    ):
        assert text in cli("upgrade", "state", *arguments, "--json", status=2).error["error"]
    assert "cannot be imported" in cli("upgrade", "state", "--vm", "nowhere:X", "--height", 4, "--json", status=2).error["error"]
    assert cli("info", "state", "--json").object == before
    cli("upgrade", "state", "--vm", "chain_vms:One", "--height", 2, "--accept-vm")
    cli("run", "state", "b2", "--workers=0")
    assert value(cli, "state", "k") == "v from 1"


def test_one_name_whose_code_is_replaced_at_the_height(cli: Cli, chain: Path) -> None:
    """As a node's operator does it: the new release takes the old one's place."""
    old, new = VM.format(name="Chain", version=1), VM.format(name="Chain", version=2)
    (chain / "release.py").write_text(new)
    (chain / "genesis2.json").write_text(json.dumps({"state": {"6b": "76"}}))
    cli("init", "other", "--genesis", "genesis2.json", "--vm", "release:Chain")
    cli("upgrade", "other", "--vm", "release:Chain", "--height", 1, "--accept-vm")
    (chain / "release.py").write_text(old.replace("Chain/", "wrong/"))
    error = cli("run", "other", "b1", "--workers=0", "--json", status=2).error["error"]
    assert "from height 1 on the state's VM is release:Chain version 2, and it is not to be had here" in error
    (chain / "release.py").write_text(new)
    cli("run", "other", "b1", "--workers=0")
    assert value(cli, "other", "k") == "v from 2"


@pytest.mark.parametrize("tree", TREES)
def test_an_exported_height_is_a_genesis(cli: Cli, chain: Path, tree: str) -> None:
    (chain / "money.json").write_text(json.dumps({"accounts": {A: {"balance": str(2**70)}}, "payouts": {P: B}}))
    cli("init", "money", "--genesis", "money.json", "--tree", tree)
    for nonce in (0, 1):
        (chain / f"m{nonce}").write_text(json.dumps({"from": A, "to": B, "amount": 5, "nonce": nonce}) + "\n")
    cli("run", "money", "m0", "m1", "--workers=0")
    cli("export", "money", "-o", "at2.json")
    exported = json.loads((chain / "at2.json").read_text())
    assert exported == {
        "accounts": {A: {"balance": str(2**70 - 10), "nonce": 2}, B: {"balance": 10, "nonce": 0}}, "payouts": {P: B},
    }
    assert cli("export", "money").out == (chain / "at2.json").read_text()
    (chain / "at1.json").write_text(cli("export", "money", "--height", 1).out)
    for height in (1, 2):
        made = cli("init", f"r{height}", "--genesis", f"at{height}.json", "--tree", tree, "--initial-height", height + 1, "--json").object
        assert made["keys"] == 3 and cli("dump", f"r{height}").out.splitlines()[1:] == cli("dump", "money", "--version", height).out.splitlines()[1:]
        if tree == "jellyfish":
            assert made["state_root"] == json.loads(cli("dump", "money", "--version", height).out.splitlines()[0])["root"]
    again = cli("run", "r1", "m1", "--workers=0", "--json").object
    assert again["height"] == 2 and cli("dump", "r1").out.splitlines()[1:] == cli("dump", "money").out.splitlines()[1:]
    assert "no version that is kept has height 7" in cli("export", "money", "--height", 7, "--json", status=2).error["error"]


def test_any_vm_is_exported_and_an_upgrade_rehearsed(cli: Cli, chain: Path) -> None:
    cli("run", "state", "b1", "b2", "--workers=0")
    cli("export", "state", "-o", "state.json")
    assert json.loads((chain / "state.json").read_text())["state"]["6b"] == "76"
    cli("init", "rehearsal", "--genesis", "state.json", "--vm", "chain_vms:One", "--chain-id", "c-1", "--initial-height", 3)
    for name in ("rehearsal", "state"):
        cli("upgrade", name, "--vm", "chain_vms:Two", "--height", 4)
        cli("run", name, "b3", "b4", "--workers=0")
    roots = {cli("info", name, "--json").object["state_root"] for name in ("rehearsal", "state")}
    assert len(roots) == 1
    cli("init", "empty", "--genesis", "/dev/stdin", "--vm", "chain_vms:One", stdin='{"state": {}}')
    cli("export", "empty", "-o", "empty.json")
    assert json.loads((chain / "empty.json").read_text()) == {"state": {}}


def test_payments_of_another_form_are_exported_as_keys(cli: Cli, chain: Path) -> None:
    """What does not fit the form of accounts is kept all the same."""
    (chain / "odd.json").write_text(json.dumps({"state": {"6b": "76", (b"acct/" + bytes.fromhex(A)).hex(): "00" * 24}}))
    cli("init", "odd", "--genesis", "odd.json")
    cli("export", "odd", "-o", "out.json")
    assert json.loads((chain / "out.json").read_text()) == json.loads((chain / "odd.json").read_text())
