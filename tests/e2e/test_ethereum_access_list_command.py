"""`ioi-exec ethereum access-list`, and `run --access-list`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from evm_blocks import Account, World, as_file, encoded, judge

from ioi_exec.vm.ethereum.forks import forks

MAINNET = Path(__file__).parent / "ethereum" / "930196.json.xz"
Cli = Callable[..., Any]


def test_the_list_of_a_block_of_mainnet(cli: Cli, tmp_path: Path) -> None:
    said = cli("ethereum", "access-list", MAINNET, "--json").object
    raw = bytes.fromhex(said["block_access_list"][2:])
    assert said["block_access_list_hash"] == keccak256(raw).hex() and said["bytes"] == len(raw)
    accounts = rlp.decode(raw)
    addresses = [bytes(one[0]) for one in accounts]
    assert addresses == sorted(addresses) and len(addresses) == said["accounts"]
    written = cli("ethereum", "access-list", MAINNET, "-o", "block.list", "--json").object
    assert written["block_access_list_hash"] == said["block_access_list_hash"] and written["file"] == "block.list"
    assert (tmp_path / "block.list").read_text() == cli("ethereum", "access-list", MAINNET).out == said["block_access_list"] + "\n"
    plain, hinted = (cli("ethereum", "run", MAINNET, "--json", "--workers", 2, *more).object for more in ((), ("--access-list", "block.list")))
    assert hinted["equal"] and hinted["state_root"] == plain["state_root"]


def test_a_block_without_transactions(cli: Cli, tmp_path: Path) -> None:
    """Does not name its beneficiary, who gets nothing; what its beginning writes is of step 0."""
    world = World(forks()[-1], 1)
    made = world.made()
    made.transactions, made.withdrawals = [], []
    made.parts["coinbase"] = type(made.parts["coinbase"])(b"\xbe" * 20)
    made.prestate[bytes(made.fork.rules.BEACON_ROOTS_ADDRESS)] = Account(1, 0, bytes.fromhex("600035600755"))
    (tmp_path / "a.json").write_bytes(encoded(as_file(made, judge(made))))
    accounts = {bytes(one[0]): one[1:] for one in rlp.decode(bytes.fromhex(cli("ethereum", "access-list", "a.json").out.strip()[2:]))}
    assert b"\xbe" * 20 not in accounts
    changed = accounts[bytes(made.fork.rules.BEACON_ROOTS_ADDRESS)][0]
    assert [(bytes(slot), [tuple(map(bytes, one)) for one in changes]) for slot, changes in changed] == [(b"\x07", [(b"", b"\x47" * 32)])]


def test_what_cannot_be_used(cli: Cli, tmp_path: Path) -> None:
    for name, data in (("a", b"0xc1c0"), ("b", b"hello")):
        (tmp_path / name).write_bytes(data)
        assert f"{name}: it is no access list" in cli("ethereum", "run", MAINNET, "--access-list", name, "--json", status=2).error["error"]
    assert "one FILE" in cli("ethereum", "run", MAINNET, MAINNET, "--access-list", "a", "--json", status=2).error["error"]
    made = World(forks()[-1], 1).made()
    changed = as_file(made, judge(made))
    called = next(to for one in changed["block"]["transactions"] if (to := one["to"]) in changed["prestate"] and changed["prestate"][to]["code"] != "0x")
    del changed["prestate"][called]
    (tmp_path / "differs.json").write_text(json.dumps(changed))
    assert "differ from what the header says" in cli("ethereum", "access-list", "differs.json", "--json", status=5).error["error"]
