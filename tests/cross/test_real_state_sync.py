"""State sync under a real CometBFT: a chain that takes snapshots beside its blocks, and a fresh second node that joins by one and follows."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cometbft import Daemon, Node, until

from ioi_exec import ExecutionMachine
from ioi_exec.node.children import Port
from ioi_exec.node.home import Home

pytestmark = pytest.mark.long
STATE = {(b"key %d" % number).hex(): (b"v" * 1000).hex() for number in range(3000)}
WORDS = """
class Words:
    def execute(self, tx, state, ctx):
        key, _, value = tx.partition(b"=")
        state.put(key, value)
"""
EVERY = 20


class Side:
    """A node and its application, each in its own directory."""

    def __init__(self, stack: ExitStack, binary: Path, name: str, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ioi"))
        stack.callback(shutil.rmtree, self.folder)
        (self.folder / "words.py").write_text(WORDS)
        (self.folder / "genesis.json").write_text(json.dumps({"state": STATE}))
        self.p2p = Port()
        stack.callback(self.p2p.close)
        self.node = Node(binary, self.folder / "cometbft", moniker=f'"{name}"', **settings)
        self.set("tcp://127.0.0.1:0", f"tcp://127.0.0.1:{self.p2p.number}")
        self.daemon: Daemon | None = None
        stack.callback(self.lose)

    def set(self, text: str, other: str) -> None:
        config = self.node.home / "config" / "config.toml"
        assert text in config.read_text()
        config.write_text(config.read_text().replace(text, other))

    def init(self, chain: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "ioi_exec", "node", "init", "home", "--chain-id", chain, "--vm", "words:Words", "--genesis", "genesis.json"],
            cwd=self.folder, capture_output=True, text=True, timeout=300,
        )
        assert done.returncode == 0, done.stderr

    def start(self, **environment: str) -> Daemon:
        settings = {  # blocks come so quickly that a snapshot would be gone before a peer has chosen it, if few were kept
            "IOI_NODE_ENGINE_WORKERS": "1", "IOI_NODE_SNAPSHOTS_EVERY": str(EVERY), "IOI_NODE_SNAPSHOTS_KEEP": "1000", "IOI_NODE_ENGINE_KEEP": "3",
        }
        self.daemon = Daemon(self.folder, **{**settings, **environment})
        self.node.start(self.daemon.proxy_app)
        return self.daemon

    def daemon_said(self) -> object:
        return self.daemon.said()[-10:] if self.daemon is not None else ""

    @property
    def height(self) -> int:
        """Of the state."""
        with ExecutionMachine.open(self.folder / "home" / "state", read_only=True, workers=0) as machine:
            return machine.info.height

    def lose(self) -> None:
        self.node.kill()
        if self.daemon is not None:
            self.daemon.close()
            self.daemon = None


def told(said: list[dict[str, Any]], message: str) -> bool:
    return any(line.get("message") == message for line in said)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_fresh_node_joins_and_follows(stack: ExitStack, binary: Path) -> None:
    """It goes on by itself when both are started again."""
    first = Side(stack, binary, "first")
    chain = first.node.genesis["chain_id"]
    first.init(chain)
    serving = first.start()
    first.node.reach(2)
    for number in range(20):
        first.node.send(b"word%d=%d" % (number, number))
    until(lambda: told(serving.said(), "snapshot taken"), lambda: serving.said()[-5:])
    first.node.reach(EVERY + 3)
    header = first.node.ask("commit", height="2")["signed_header"]
    peer = first.node.ask("status")["node_info"]["id"]

    second = Side(
        stack, binary, "second", persistent_peers=f'"{peer}@127.0.0.1:{first.p2p.number}"', rpc_servers=f'"unix://{first.node.home}/rpc,unix://{first.node.home}/rpc"',
        trust_height="2", trust_hash=f'"{header["commit"]["block_id"]["hash"]}"', trust_period='"1h"', discovery_time='"5s"',
    )
    config = second.node.home / "config" / "config.toml"
    config.write_text(re.sub(r"(\[statesync\].*?\nenable = )false", r"\1true", config.read_text(), flags=re.DOTALL))
    shutil.copy(first.node.home / "config" / "genesis.json", second.node.home / "config" / "genesis.json")
    second.init(chain)
    joining = second.start()
    until(
        lambda: told(joining.said(), "joined"),
        lambda: (joining.said()[-10:], serving.said()[-10:], second.node.log[-3000:]),
    )
    joined = next(line["height"] for line in joining.said() if line["message"] == "joined")
    assert joined % EVERY == 0
    first.node.send(b"after=1")
    second.node.reach(first.node.height + 2)
    assert second.node.height > joined
    assert joining.end(signal.SIGTERM) == 0
    said = joining.said()
    second.lose()
    with ExecutionMachine.open(Home(second.folder / "home").state, read_only=True, workers=0) as machine:
        height = machine.info.height
        assert machine.get(b"after") == b"1" and machine.info.oldest >= joined - 1
        until(lambda: first.node.height > height + 1)
        assert machine.get(bytes.fromhex(next(iter(STATE)))) == b"v" * 1000
    theirs = first.node.block(height + 1)[0]["app_hash"]
    committed = [line for line in said if line["message"] == "committed" and line["height"] == height]
    assert committed[0]["app_hash"].upper() == theirs
    second.start()
    second.node.reach(height + 3)


def test_blocks_that_nothing_needs_are_deleted_and_it_halts(stack: ExitStack, binary: Path) -> None:
    """CometBFT deletes them as Commit says, down to the oldest snapshot's; at the height to halt at the daemon ends, and both go on from there."""
    side = Side(stack, binary, "one")
    genesis = side.node.home / "config" / "genesis.json"
    content = json.loads(genesis.read_text())
    content["consensus_params"]["evidence"]["max_age_num_blocks"] = "5"
    genesis.write_text(json.dumps(content))
    side.init(side.node.genesis["chain_id"])
    settings = {"IOI_NODE_ENGINE_MIN_RETAIN_BLOCKS": "4", "IOI_NODE_SNAPSHOTS_KEEP": "1"}
    daemon = side.start(**settings)

    def earliest() -> int:
        return int(side.node.ask("status")["sync_info"]["earliest_block_height"])

    side.node.reach(2)
    until(lambda: earliest() >= EVERY, side.daemon_said)
    assert daemon.end(signal.SIGTERM) == 0
    side.lose()
    halt = side.height + 10
    daemon = side.start(**settings, IOI_NODE_ENGINE_HALT_HEIGHT=str(halt))
    assert daemon.wait() == 0
    assert [line["height"] for line in daemon.said() if line["message"] == "committed"][-1] == halt
    assert any(line["message"].startswith("halted") for line in daemon.said())
    side.lose()
    assert side.height == halt
    side.start(**settings)
    side.node.reach(halt + 3)
