"""Whole blocks of mainnet, at several numbers of workers: what their headers say, and one state root. A campaign over a folder of files as
`ioi-exec ethereum run` takes them: IOI_ETHEREUM_BLOCKS names it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Iterator

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")

from ioi_exec.ethereum.running import Runner
from ioi_exec.files.ethereum import read_ethereum

FOLDER = Path(os.environ.get("IOI_ETHEREUM_BLOCKS", Path(__file__).parents[3] / "shared" / "data" / "ethereum"))
FILES = sorted(FOLDER.glob("*.json*"), key=lambda path: path.stat().st_size)
WORKERS = (0, 1, 2, 8)
SMALL = 10_000  # bytes: those of a fraction of a second

pytestmark = [pytest.mark.sampled, pytest.mark.skipif(not FILES, reason="there is no folder of real blocks: IOI_ETHEREUM_BLOCKS")]


@pytest.fixture(scope="module")
def runners() -> Iterator[list[Runner]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Runner(workers)) for workers in WORKERS]


@pytest.mark.parametrize(
    "path", [path if path.stat().st_size < SMALL else pytest.param(path, marks=pytest.mark.long) for path in FILES], ids=lambda path: path.name
)
def test_a_block_is_what_its_header_says(path: Path, runners: list[Runner]) -> None:
    with open(path, "rb") as stream:
        file = read_ethereum(stream, path.name)
    done = [runner.run(file) for runner in runners]
    assert all(ran.equal and len(ran.compared) >= 2 for ran in done), [ran.compared for ran in done]
    assert len({ran.state_root for ran in done}) == 1
