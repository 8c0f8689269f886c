"""`ioi-exec ethereum fetch`: a file from a stand-in for a node, which `run` finds equal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum_node import StandIn
from evm_blocks import World
from traced_blocks import traced

from ioi_exec.vm.ethereum.forks import forks

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    made = World(forks()[-1], 1).made()
    with StandIn(made, traced(made)) as node:
        yield node


def test_a_block_file(cli: Cli, tmp_path: Path, stand_in: StandIn) -> None:
    said = cli("ethereum", "fetch", stand_in.url, stand_in.number, "-o", "block.json.gz", "--json").object
    assert said["equal"] and said["file"] == "block.json.gz" and said["transactions"] == len(stand_in.made.transactions)
    assert said["hash"] == stand_in.file["block"]["hash"][2:] and said["accounts"] > 0 and said["requests"] > 0
    plain = cli("ethereum", "fetch", stand_in.url, "latest").out
    assert f"{stand_in.number}.json.xz" in plain
    whole = json.loads(cli("ethereum", "fetch", stand_in.url, stand_in.number, "-o", "-", "--no-check").out)
    (tmp_path / "unchecked.json").write_text(json.dumps(whole))
    done = cli("ethereum", "run", "block.json.gz", f"{stand_in.number}.json.xz", "unchecked.json", "--workers", 0, "--json").objects
    assert [one["equal"] for one in done] == [True] * 3 and len({one["state_root"] for one in done}) == 1


def test_help_shows_how(cli: Cli, stand_in: StandIn) -> None:
    (example,) = re.findall(r"^  ioi-exec (ethereum fetch .*)$", cli("ethereum", "fetch", "--help").out, re.MULTILINE)
    words = example.replace("http://localhost:8545", stand_in.url).split()
    words[3] = str(stand_in.number)
    assert cli(*words, "--json").object["file"] == "block.json.xz"


def test_nothing_is_written_of_a_block_that_differs(cli: Cli, tmp_path: Path, stand_in: StandIn) -> None:
    original = stand_in.answers["eth_getBlockReceipts"]
    changed = [{**one, "status": hex(1 - int(one["status"], 16))} for one in original([])]
    stand_in.answers["eth_getBlockReceipts"] = lambda _: changed
    try:
        error = cli("ethereum", "fetch", stand_in.url, stand_in.number, "--json", status=5).error["error"]
    finally:
        stand_in.answers["eth_getBlockReceipts"] = original
    assert "receipts" in error and "nothing was written" in error and not list(tmp_path.iterdir())


def test_what_cannot_be_asked_for(cli: Cli, stand_in: StandIn) -> None:
    secret = stand_in.url.replace("//", "//me:p4ssw0rd@")
    assert "p4ssw0rd" not in cli("ethereum", "fetch", secret, 1, "--json", status=2).error["error"]
    for words in (("x",), ("-1",), (1, "--timeout", 0), (1, "--no-check", "--untraced")):
        cli("ethereum", "fetch", stand_in.url, *words, "--json", status=2)
    assert "none of HTTP" in cli("ethereum", "fetch", "ipc:/a", 1, "--json", status=2).error["error"]
