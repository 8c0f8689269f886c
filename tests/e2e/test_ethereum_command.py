"""`ioi-exec ethereum run`: a block of mainnet that the repository carries, one that is made here, and files that are not what they say."""

from __future__ import annotations

import gzip
import json
import lzma
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import World, as_file, encoded, judge, receipts_of

from ioi_exec.vm.ethereum.forks import forks

MAINNET = Path(__file__).parent / "ethereum" / "930196.json.xz"
Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """A block of the newest fork, with its receipts."""
    block = World(forks()[-1], 1).made()
    judged = judge(block)
    return as_file(block, judged, receipts=receipts_of(block, judged))


def test_a_block_of_mainnet(cli: Cli) -> None:
    done = [cli("ethereum", "run", MAINNET, "--json", "--workers", workers).object for workers in (0, 2)]
    done.append(cli("ethereum", "run", MAINNET, "--json", "--workers", 1, "--sequential").object)
    for said in done:
        assert said["equal"] and said["compared"] == {"gas_used": True, "logs_bloom": True} and said["fork"] == "frontier"
        assert "before Byzantium" in said["notes"][0]
        assert (said["number"], said["transactions"]) == (930196, 18)
    assert len({said["state_root"] for said in done}) == 1
    plain = cli("ethereum", "run", MAINNET, "--workers", 0).out
    assert plain.startswith("block 930196  frontier  18 transactions  ") and "DIFFERS" not in plain


def test_a_made_block_and_compare(cli: Cli, tmp_path: Path, made: dict[str, Any]) -> None:
    for name, data in (("a.json", encoded(made)), ("a.json.gz", gzip.compress(encoded(made))), ("a", lzma.compress(encoded(made)))):
        (tmp_path / name).write_bytes(data)
    done = cli("ethereum", "run", "a.json", "a.json.gz", "a", "--json", "--workers", 0).objects
    assert [said["file"] for said in done] == ["a.json", "a.json.gz", "a"]
    for said in done:
        assert said["equal"] and said["notes"] == [] and len(said["compared"]) == 6 and all(said["compared"].values())
    (said,) = cli("ethereum", "run", "-", "--json", "--compare", "--workers", 2, stdin=json.dumps(made)).objects
    assert said["equal"] and said["one_by_one"]["same_result"] and said["speedup"] > 0 and said["state_root"] == done[0]["state_root"]


def test_a_difference_is_told_and_whose_it_is(cli: Cli, tmp_path: Path, made: dict[str, Any]) -> None:
    """Without an account that a transaction pays from a contract's storage, or with a receipt that says something else."""
    changed = deepcopy(made)
    changed["receipts"][2]["cumulativeGasUsed"] = hex(int(made["receipts"][2]["cumulativeGasUsed"], 16) + 1)
    (tmp_path / "a.json").write_text(json.dumps(changed))
    said = cli("ethereum", "run", "a.json", "--json", "--workers", 0, status=5).object
    assert not said["equal"] and said["compared"]["receipts_root"] and not said["compared"]["receipts"]
    assert said["first_different"]["transaction"] == 2 and said["first_different"]["what"] == "gas_used"
    assert said["first_different"]["hash"] == changed["block"]["transactions"][2]["hash"][2:]
    assert "DIFFERS" in cli("ethereum", "run", "a.json", "--workers", 0, status=5).out


def test_an_account_that_is_not_given_is_named(cli: Cli, tmp_path: Path, made: dict[str, Any]) -> None:
    senders = [transaction["from"] for transaction in made["block"]["transactions"]]
    changed = deepcopy(made)
    del changed["prestate"][senders[0]]
    (tmp_path / "a.json").write_text(json.dumps(changed))
    error = cli("ethereum", "run", "a.json", "--json", "--workers", 0, status=5).error["error"]
    assert "transaction 0: InsufficientBalanceError" in error and senders[0][2:] in error
    called = next(to for one in made["block"]["transactions"] if (to := one["to"]) in made["prestate"] and made["prestate"][to]["code"] != "0x")
    changed = deepcopy(made)
    del changed["prestate"][called]
    (tmp_path / "a.json").write_text(json.dumps(changed))
    done = cli("ethereum", "run", "a.json", "--json", "--workers", 0, status=5)
    assert called[2:] in done.object["not_given"] and done.object["first_different"] is not None


def test_a_file_that_cannot_be_used(cli: Cli, tmp_path: Path, made: dict[str, Any]) -> None:
    (tmp_path / "a.json.xz").write_bytes(lzma.compress(encoded(made))[:-40])
    error = cli("ethereum", "run", "a.json.xz", "--json", status=2).error["error"]
    assert error == "a.json.xz: it ends in the middle of its xz data: it was cut"


def test_options_that_do_not_go_together(cli: Cli) -> None:
    for options in (("--compare", "--sequential"), ("--compare", "--workers", 0)):
        assert "--compare" in cli("ethereum", "run", MAINNET, *options, "--json", status=2).error["error"]
    assert "twice" in cli("ethereum", "run", "-", "-", "--json", status=2).error["error"]


@pytest.mark.skipif(find_spec("ioi_revm") is not None, reason="revm is installed")
def test_revm_that_is_not_installed_is_said(cli: Cli) -> None:
    assert "pip install ./tools/revm-vm" in cli("ethereum", "run", MAINNET, "--evm", "revm", "--json", status=2).error["error"]
