"""Whole blocks of mainnet, at several numbers of workers: what their headers say, and one state root; and each fetched from a stand-in for a
node, whose traces are the specification's: what it stands on comes out again. A campaign over a folder of files as
`ioi-exec ethereum run` takes them: IOI_ETHEREUM_BLOCKS names it."""

from __future__ import annotations

import io
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Iterator

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum_node import StandIn
from evm_blocks import made_of
from traced_blocks import traced

from ioi_exec.ethereum.fetching import fetch
from ioi_exec.ethereum.rpc import Node
from ioi_exec.ethereum.running import Runner
from ioi_exec.files.compressed import read_plain
from ioi_exec.files.ethereum import FILE_BYTES, read_ethereum

FOLDER = Path(os.environ.get("IOI_ETHEREUM_BLOCKS", Path(__file__).parents[3] / "shared" / "data" / "ethereum"))
FILES = sorted(FOLDER.glob("*.json*"), key=lambda path: path.stat().st_size)
WORKERS = (0, 1, 2, 8)
SMALL, MEDIUM = 10_000, 100_000  # bytes: those of a fraction of a second, and of a few

pytestmark = [pytest.mark.sampled, pytest.mark.skipif(not FILES, reason="there is no folder of real blocks: IOI_ETHEREUM_BLOCKS")]


@pytest.fixture(scope="module")
def runners() -> Iterator[list[Runner]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Runner(workers)) for workers in WORKERS]



def blocks(files: list[Path]) -> pytest.MarkDecorator:
    chosen = [path if path.stat().st_size < SMALL else pytest.param(path, marks=pytest.mark.long) for path in files]
    return pytest.mark.parametrize("path", chosen, ids=lambda path: path.name)


@blocks(FILES)
def test_a_block_is_what_its_header_says(path: Path, runners: list[Runner]) -> None:
    with open(path, "rb") as stream:
        file = read_ethereum(stream, path.name)
    done = [runner.run(file) for runner in runners]
    assert all(ran.equal and len(ran.compared) >= 2 for ran in done), [ran.compared for ran in done]
    assert len({ran.state_root for ran in done}) == 1


@blocks([path for path in FILES if path.stat().st_size < MEDIUM or "IOI_ETHEREUM_BLOCKS" in os.environ])
def test_a_block_is_fetched_with_what_it_stands_on(path: Path) -> None:
    with open(path, "rb") as stream:
        file = read_ethereum(stream, path.name)
    value = json.loads(read_plain(io.BytesIO(path.read_bytes()), FILE_BYTES))
    made = made_of(file, value["block"]["transactions"])
    with StandIn(made, traced(made), value) as stand_in, Node(stand_in.url) as node:
        found = fetch(node, file.block.number)
    assert found.equal, found.compared
    for address, account in found.file.prestate.items():
        real = file.prestate[address]
        assert (account.nonce, account.balance, account.code) == (real.nonce, real.balance, real.code), address.hex()
        assert account.storage.items() <= real.storage.items(), address.hex()
