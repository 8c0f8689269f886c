"""revm as a VM in Rust (tools/revm-vm): the same receipts, states and roots as the specification, which knows nothing of it.

IOI_ETHEREUM_SEEDS: so many made blocks of every fork. IOI_ETHEREUM_BLOCKS: a folder of files as `ioi-exec ethereum run` takes them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import World, as_file, check_judged, encoded, executed, judge, read_made, secret, signed

from ioi_exec.errors import Diverged
from ioi_exec.ethereum import EVMS
from ioi_exec.ethereum.running import Runner
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.ethereum import file_from_json, parse, read_ethereum
from ioi_exec.vm.ethereum.forks import fork_named, forks
from tools.peers.programs import Unavailable, program

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tools" / "revm-vm"
FOLDER = Path(os.environ.get("IOI_ETHEREUM_BLOCKS", ROOT.parent / "shared" / "data" / "ethereum"))
CARRIED = ROOT / "tests" / "e2e" / "ethereum" / "930196.json.xz"
FILES = sorted({path.name: path for path in (CARRIED, *FOLDER.glob("*.json*"))}.values())
SMALL = 10_000  # bytes: those that the specification, too, is through with in no time
SEEDS = effort.seeds("IOI_ETHEREUM_SEEDS", sample=2, many=5)
WORKERS = (0, 1, 2)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def path_of_revm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its package, as an installation has it, where processes started from here find it, too."""
    try:
        built = program("revm", SOURCES)
    except Unavailable as reason:
        pytest.skip(str(reason))
    path = tmp_path_factory.mktemp("revm")
    shutil.copytree(SOURCES / "python" / "ioi_revm", path / "ioi_revm")
    shutil.copy(built, path / "ioi_revm" / "_ioi_revm.abi3.so")
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_made_blocks_are_what_the_specification_makes_of_them(seed: int, pools: SharedPools) -> None:
    for fork in forks():
        made = World(fork, seed).made()
        judged = judge(made)
        file = read_made(made, judged)
        for workers in WORKERS:
            check_judged(judged, file, executed(file, EVMS["revm"], workers, pools))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_block_is_what_its_header_says(path: Path) -> None:
    with open(path, "rb") as stream:
        file = read_ethereum(stream, path.name)
    roots = set()
    for workers in (*WORKERS, 8):
        with Runner(workers, evm="revm") as runner:
            ran = runner.run(file)
        assert ran.equal and len(ran.compared) >= 2, ran.compared
        roots.add(ran.state_root)
    if path.stat().st_size < SMALL or "IOI_ETHEREUM_BLOCKS" in os.environ:
        with Runner(2) as runner:
            roots.add(runner.run(file).state_root)
    assert len(roots) == 1


@pytest.mark.parametrize("wrong", [{"nonce": 7}, {"gas": 20_000}, {"value": 10**30}, {"gasPrice": 1}], ids=str)
def test_what_cannot_be_in_a_block_makes_it_invalid(wrong: dict[str, int]) -> None:
    made = World(fork_named("cancun"), 1).made()
    judged = judge(made)
    parts = {"nonce": 0, "gasPrice": 10, "gas": 400_000, "to": b"\xee" * 20, "value": 1, "input": b"", **wrong}
    made.transactions.append(signed(made.fork, secret(50), 0, parts))
    file = file_from_json(parse(encoded(as_file(made, judged))))
    for workers in WORKERS:
        with Runner(workers, evm="revm") as runner, pytest.raises(Diverged, match=rf"transaction {len(made.transactions) - 1}: it cannot be in"):
            runner.run(file)


def test_a_block_hash_that_is_not_given_is_no_zero() -> None:
    for seed in range(100):  # until one asks for that of two blocks before, which only `hashes` has
        made = World(fork_named("cancun"), seed).made()
        judged = judge(made)
        made.hashes.clear()
        file = file_from_json(parse(encoded(as_file(made, judged))))
        with Runner(0, evm="revm") as runner:
            try:
                runner.run(file)
            except Diverged as error:
                assert "a block hash that is not given" in str(error)
                return
    raise AssertionError("none of a hundred blocks asked for a hash")


def test_the_command(path_of_revm: Path) -> None:
    command = [sys.executable, "-m", "ioi_exec", "ethereum", "run", str(CARRIED), "--evm", "revm", "--workers", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(path_of_revm)}, timeout=300)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["equal"] and shown["transactions"] == 18
