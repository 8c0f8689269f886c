"""The engine under a real CometBFT: blocks, proofs, crashes at every point of a block, replay, rollback.

IOI_COMETBFT is another node in the place of 0.38: a program's path, or 0.40 or 1.0; IOI_COMETBFT_KILLS rounds of the table of crashes.
Of 0.40 and 1.0 a short form is played where they have been built before, or IOI_COMETBFT_BUILD is set.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import effort
import pytest
from cometbft import Daemon, Node, check_headers, rpc_of, until
from dying_daemon import POINTS

from ioi_exec.node.app_hash import NODE, verify_entry, verify_key
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.messages import ProofOp, ProofOps
from ioi_exec.vm.payments import encode_transfer

pytestmark = pytest.mark.long
SUPPORT = Path(__file__).parents[1] / "support"
README = Path(__file__).parents[2] / "README.md"
KILLS = effort.amount("IOI_COMETBFT_KILLS", sample=1, many=1)
SENDERS = [bytes([number]) * 32 for number in range(1, 41)]
WORDS = """
from ioi_exec import EndBlock, ValidatorUpdate

class Words:
    def execute(self, tx, state, ctx):
        key, _, value = tx.partition(b"=")
        state.put(key, value)
        ctx.emit("word", key=key.decode())
        return b"done"

    def query(self, path, data, state):
        return state.get(data)

    def end_block(self, state, ctx, receipts):
        changes = dict(tx.split(b"=")[1].split(b" ") for tx in ctx.txs if tx.startswith(b"power="))
        if changes:
            updates = [ValidatorUpdate(bytes.fromhex(key.decode()), int(power)) for key, power in changes.items()]
            return EndBlock(tuple(updates), {"block.max_gas": 77})
        if b"extend=votes" in ctx.txs:
            return EndBlock((), {"abci.vote_extensions_enable_height": ctx.height + 2})
"""


class Chain:
    """A node and its application in one directory; whatever is killed, they are started again."""

    def __init__(self, binary: Path, folder: Path, vm: str, genesis: dict[str, Any]) -> None:
        self.folder = folder
        self.node = Node(binary, folder / "cometbft")
        self.vm = vm
        (folder / "genesis.json").write_text(json.dumps(genesis))
        self.daemon: Daemon | None = None
        self.nonce = 0

    def init(self) -> None:
        self.ioi("node", "init", "home", "--chain-id", self.node.genesis["chain_id"], "--vm", self.vm, "--genesis", "genesis.json")

    def ioi(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ioi_exec", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, dies_at: str = "", dies_from: int = 0) -> None:
        self.daemon = Daemon(
            self.folder, str(SUPPORT / "dying_daemon.py"), IOI_NODE_ENGINE_WORKERS="1", PYTHONPATH=str(SUPPORT),
            **({"IOI_DIES_AT": dies_at, "IOI_DIES_FROM": str(dies_from)} if dies_at else {}),
        )
        self.node.start(self.daemon.proxy_app)

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.daemon is not None
        self.daemon.end(number)
        self.lose()

    def lose(self) -> None:
        """Both are gone, as a supervisor leaves them."""
        self.node.kill()
        if self.daemon is not None:
            self.daemon.close()
            self.daemon = None

    @property
    def validator(self) -> bytes:
        """The public key of the only one, in hex."""
        key = json.loads((self.node.home / "config" / "priv_validator_key.json").read_text())["pub_key"]["value"]
        return base64.b64decode(key).hex().encode()

    def send(self) -> list[bytes]:
        """A transfer of each sender; or a word and another power of the validator."""
        txs = [encode_transfer(sender, bytes(32), 1, fee=1, nonce=self.nonce) for sender in SENDERS]
        if self.vm != "payments":
            txs = [b"word%d=%d" % (self.nonce % 7, self.nonce), b"power=%s %d" % (self.validator, 10 + self.nonce)]
        self.nonce += 1
        for tx in txs:
            self.node.send(tx, "async")
        return txs

    def look(self) -> None:
        vm: Any = "payments" if self.vm == "payments" else own_vm()
        genesis = json.loads((self.folder / "genesis.json").read_text())
        check_headers(self.node, self.folder / "home", vm, genesis, self.node.genesis["chain_id"])


def own_vm() -> Any:
    found: dict[str, Any] = {}
    exec(WORDS, found)
    return found["Words"]


Make = Callable[..., Chain]


@pytest.fixture
def make(binary: Path) -> Iterator[Make]:
    """make(vm, another program): not started. In a directory whose name is short, for sockets."""
    made: list[Chain] = []

    def build(vm: str, of: Path | None = None) -> Chain:
        folder = Path(tempfile.mkdtemp(prefix="ioi"))
        (folder / "words.py").write_text(WORDS)
        state = {b"a": b"0", b"z": b"9"}
        if vm == "payments":
            from ioi_exec.vm.payments import account_key, encode_account

            state = {account_key(sender): encode_account(1_000_000, 0) for sender in SENDERS}
        made.append(Chain(of or binary, folder, vm, {"state": {key.hex(): value.hex() for key, value in state.items()}}))
        made[-1].init()
        return made[-1]

    yield build
    for chain in made:
        chain.lose()
        shutil.rmtree(chain.folder)


def test_payments(make: Make) -> None:
    chain = make("payments")
    chain.start()
    chain.node.reach(1)
    sent = [tx for _ in range(4) for tx in chain.send()]
    until(lambda: in_blocks(chain.node) == len(sent), lambda: chain.node.log[-3000:])
    chain.node.reach(chain.node.height + 1)
    chain.look()
    chain.stop()


def in_blocks(node: Node) -> int:
    return sum(len(node.block(height)[1]) for height in range(1, node.height + 1))


def proof_ops(answer: dict[str, Any]) -> ProofOps:
    return ProofOps(tuple(
        ProofOp(op["type"], base64.b64decode(op["key"]), base64.b64decode(op["data"])) for op in answer["proofOps"]["ops"]
    ))


def test_validators_parameters_events_and_proofs(make: Make) -> None:
    check_what_a_node_takes(make("words:Words"))


def check_what_a_node_takes(chain: Chain) -> None:
    """Changes of validators and parameters, events and proofs."""
    chain.start()
    chain.node.reach(2)
    assert chain.node.send(b"a=1", "commit")["tx_result"]["code"] == 0
    changed = int(chain.node.send(b"power=%s 25" % chain.validator, "commit")["height"])
    chain.node.reach(changed + 3)
    assert chain.node.ask("validators", height=str(changed + 2))["validators"][0]["voting_power"] == "25"
    assert chain.node.ask("consensus_params", height=str(changed + 1))["consensus_params"]["block"]["max_gas"] == "77"
    extended = int(chain.node.send(b"extend=votes", "commit")["height"])
    chain.node.reach(extended + 4)  # which were decided by votes that are extended
    params = chain.node.ask("consensus_params", height=str(extended + 1))["consensus_params"]
    assert params.get("feature", params.get("abci"))["vote_extensions_enable_height"] == str(extended + 2)
    found = chain.node.ask("tx_search", query="word.key='a'")
    assert [base64.b64decode(tx["tx"]) for tx in found["txs"]] == [b"a=1"]

    for asked, value in ((b"a", b"1"), (b"missing", None)):
        answer = chain.node.ask("abci_query", path="/store/state/key", data=asked.hex(), prove=True)["response"]
        header, _ = chain.node.block(int(answer["height"]) + 1)  # it is there
        verify_key(bytes.fromhex(header["app_hash"]), "jellyfish", asked, value, proof_ops(answer))
    answer = chain.node.ask("abci_query", path="/node", prove=True)["response"]
    header, _ = chain.node.block(int(answer["height"]) + 1)
    consensus = Consensus.decode(verify_entry(bytes.fromhex(header["app_hash"]), NODE, proof_ops(answer).ops[0]))
    assert [validator.power for validator in consensus.validators] == [25]
    assert base64.b64decode(chain.node.ask("abci_query", path="any", data=b"a".hex())["response"]["value"]) == b"1"
    chain.look()
    chain.stop()


def test_a_change_that_the_node_would_stop_at_is_not_voted_for(make: Make) -> None:
    """The chain waits, and says why; nothing is lost."""
    chain = make("words:Words")
    chain.start()
    chain.node.reach(1)
    chain.node.send(b"power=%s 5" % (b"k" * 31).hex().encode())
    assert chain.daemon is not None
    daemon = chain.daemon
    until(lambda: any(line["message"] == "proposal rejected" and "31 bytes" in line["error"] for line in daemon.said()))
    assert "CONSENSUS FAILURE" not in chain.node.log
    chain.stop()


def test_readme(binary: Path, tmp_path: Path) -> None:
    """Its commands word for word, but for the ports, which CometBFT's own variables say."""
    text = README.read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (vm,) = (code for language, code in blocks if language == "python" and "class Bazaar" in code)
    (commands,) = (code for language, code in blocks if language == "sh" and "cometbft start" in code)
    assert len(commands.splitlines()) == 4
    (tmp_path / "bazaar.py").write_text(vm)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cometbft").symlink_to(binary)
    rpc = Path(tempfile.mkdtemp(prefix="ioi")) / "rpc"
    env = {
        **os.environ, "CMT_RPC_LADDR": f"unix://{rpc}", "CMT_P2P_LADDR": "tcp://127.0.0.1:0",
        "PATH": os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    with open(tmp_path / "log", "wb") as log:
        shell = subprocess.Popen(["sh", "-e", "-c", commands], cwd=tmp_path, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        until(rpc.exists, lambda: (tmp_path / "log").read_text()[-3000:])
        (tx,) = re.findall(r"broadcast_tx_commit\?tx=\"(.*?)\"", text.partition(commands)[2])
        done = rpc_of(rpc, "broadcast_tx_commit", tx=base64.b64encode(unquote(tx).encode()).decode())
        assert done["check_tx"]["code"] == done["tx_result"]["code"] == 0 and int(done["height"]) > 0
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        shutil.rmtree(rpc.parent)


@pytest.mark.parametrize("round", range(KILLS))
def test_killed_at_every_point_of_a_block(make: Make, round: int) -> None:
    """kill -9 of the application; the node is killed after it, as supervisors have to. Both come back by themselves."""
    chain, rng = make("words:Words"), random.Random(effort.seed(11) + round)
    points = list(POINTS)
    if "IOI_COMETBFT_KILLS" not in os.environ:
        points = points[:2] + sorted(rng.sample(points[2:], 4), key=points.index)
    kill_at(chain, points, rng)


def kill_at(chain: Chain, points: list[str], rng: random.Random) -> None:
    height = 0
    for point in points:
        at = height + 1 + rng.randrange(2) if height else 1
        chain.start(point, at)
        until(lambda: died(chain), lambda: (point, chain.node.log[-3000:]))
        chain.lose()
        if "InitChain" in point:
            continue  # the chain begins anew
        chain.start()
        chain.node.reach(at + 1)
        height = chain.node.height
        chain.look()
        chain.stop()


@pytest.mark.parametrize("another", ["0.40", "1.0"], indirect=True)
def test_other_versions(make: Make, another: Path) -> None:
    """A short form of what is played under 0.38."""
    check_what_a_node_takes(make("words:Words", another))
    points = ["after InitChain, before its answer", "after ProcessProposal, before its answer", "between FinalizeBlock and Commit"]
    kill_at(make("words:Words", another), [*points, "in Commit, after the state"], random.Random(effort.seed(12)))


def died(chain: Chain) -> bool:
    """Of what it was to die of; until then the node is given something for it to do."""
    assert chain.daemon is not None
    if chain.daemon.process.poll() is None:
        try:
            chain.send()
        except (OSError, KeyError, ValueError):  # it does not listen yet, or no longer
            pass
        return False
    assert chain.daemon.process.returncode == -signal.SIGKILL, chain.daemon.said()
    return True


def test_what_else_is_lost(make: Make) -> None:
    """The node killed, the state lost, the state rolled back, the node rolled back softly and hard."""
    chain = make("payments")
    chain.start()
    chain.node.reach(3)
    chain.send()
    chain.node.reach(5)
    chain.node.kill()
    chain.node.start(chain.daemon.proxy_app)  # type: ignore[union-attr]  # the same application goes on
    chain.node.reach(7)
    chain.stop(signal.SIGKILL)

    shutil.rmtree(chain.folder / "home")
    chain.init()
    chain.start()  # replays from genesis
    chain.node.reach(9)
    chain.look()
    chain.stop()

    version = json.loads(chain.ioi("info", "home/state", "--json"))["version"]
    chain.ioi("rollback", "home/state", str(version - 5), "--yes")
    chain.start()
    chain.node.reach(version + 2)
    chain.look()
    chain.stop()

    chain.node.run("rollback")  # the application may stay where it is
    chain.start()
    chain.node.reach(version + 4)
    chain.look()
    chain.stop()

    chain.node.run("unsafe-reset-all")  # and the application stays: it says so, and nothing is lost
    chain.start()
    until(chain.node.ended, lambda: chain.node.log[-3000:])
    assert chain.daemon is not None
    until(lambda: "AppHash" in chain.node.log or "app hash" in chain.node.log.lower())
    chain.stop()
    assert json.loads(chain.ioi("info", "home/state", "--json"))["version"] >= version
