"""Several real CometBFT nodes: `ioi-exec devnet` as one has it on a desk, and what four validators survive."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from cometbft import PATIENCE, Rpc, until
from devnets import Four, Make, ioi

from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

pytestmark = pytest.mark.long
SENDERS = [bytes([number]) * 32 for number in range(1, 21)]


class Started:
    """`ioi-exec devnet` that has told where its nodes are."""

    def __init__(self, process: subprocess.Popen[str], nodes: list[Rpc], homes: list[Path], home: Path) -> None:
        self.process = process
        self.nodes = nodes
        self.homes = homes
        self.home = home

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ended(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


@contextmanager
def devnet(folder: Path, binary: Path, *options: str) -> Iterator[Started]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ioi_exec", "devnet", "--cometbft", str(binary), "--block-ms", "100", "--json", *options],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        said = json.loads(line)
        yield Started(process, [Rpc(node["rpc"]) for node in said["nodes"]], [folder / node["home"] for node in said["nodes"]], folder / said["home"])
    finally:
        process.kill()
        process.communicate()


def test_a_chain_on_a_desk(binary: Path, tmp_path: Path) -> None:
    """Started, given a transaction, ended, and gone on with; then one of its programs is killed, and the command itself."""
    (tmp_path / "words.py").write_text("class Words:\n    def execute(self, tx, state, ctx):\n        state.put(tx, tx)\n")
    made = ("--vm", "words:Words", "--validators", "2", "--home", "net")
    with devnet(tmp_path, binary, *made) as net:
        assert len(net.nodes) == 2 and net.nodes[0].ask("status")["node_info"]["network"] == "devnet"
        net.nodes[0].reach(1)
        assert net.nodes[0].send(b"hello")["code"] == 0
        until(lambda: value(net.nodes[1], b"hello") == b"hello")
        height = net.nodes[1].height
        running = net.children()
        net.process.send_signal(signal.SIGINT)
        assert net.ended() == (0, "")
        assert not any(map(alive, running))

    other = subprocess.run(
        [sys.executable, "-m", "ioi_exec", "devnet", "--vm", "payments", "--home", "net", "--cometbft", str(binary)],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
    )
    assert other.returncode == 2 and "--vm is not what the devnet in net was made of" in other.stderr

    with devnet(tmp_path, binary, "--home", "net") as net:
        net.nodes[0].reach(height + 2)
        assert value(net.nodes[1], b"hello") == b"hello"
        running = net.children()
        (node,) = [one for one in running if "start" in one.cmdline() and str(Path("net") / "node1") in one.cmdline()]
        node.kill()
        status, err = net.ended()
        assert status == 1 and json.loads(err)["kind"] == "ChildEnded"
        assert "the node of validator 1 ended by signal 9" in err and "node1/node.log" in err
        assert not any(map(alive, running))

    with devnet(tmp_path, binary, *made) as net:
        running = net.children()
        net.process.kill()
        until(lambda: not any(map(alive, running)), lambda: [one for one in running if alive(one)])


def value(node: Rpc, key: bytes) -> bytes:
    return base64.b64decode(node.ask("abci_query", path="/store/state/key", data=key.hex())["response"]["value"] or "")


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_directory_of_its_own_is_removed_at_the_end(binary: Path, tmp_path: Path) -> None:
    with devnet(tmp_path, binary, "--vm", "payments", "--validators", "1") as net:
        net.nodes[0].reach(1)
        assert net.home.is_dir()
        net.process.terminate()
        assert net.ended() == (0, "")
        assert not net.home.exists()


def test_an_application_that_cannot_start(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("class Words:\n    def execute(self, tx, state, ctx):\n        state.put(tx, tx)\n")
    with devnet(tmp_path, binary, "--vm", "words:Words", "--validators", "1", "--home", "net") as net:
        net.process.terminate()
        assert net.ended()[0] == 0
    (tmp_path / "words.py").write_text("raise RuntimeError('not today')")
    done = subprocess.run(
        [sys.executable, "-m", "ioi_exec", "devnet", "--home", "net", "--cometbft", str(binary)],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
    )
    assert done.returncode == 1 and "the application of validator 0 ended with status 2" in done.stderr and "not today" in done.stderr


@pytest.fixture
def make(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """make(vm, state): four validators that are not started."""
    made: list[Four] = []
    monkeypatch.chdir(tmp_path)

    def build(vm: str, state: dict[bytes, bytes]) -> Four:
        made.append(Four(tmp_path, binary, vm, state))
        return made[-1]

    yield build
    for four in made:
        four.close()


def send(four: Four, nonce: int) -> None:
    """A transfer of each sender, always to the same one of the first three: another may not have heard of the one before."""
    for index, sender in enumerate(SENDERS):
        four.all[index % 3].send(encode_transfer(sender, bytes(32), 1, fee=1, nonce=nonce), "async")


def test_one_is_killed_under_load_and_catches_up(make: Make) -> None:
    four = make("payments", {account_key(sender): encode_account(1_000_000, 0) for sender in SENDERS})
    for one in four.all:
        four.start(one)
    four.reach(2)
    *others, killed = four.all
    for nonce in range(3):
        send(four, nonce)
    killed.member.kill()
    at = max(one.height for one in others)
    for nonce in range(3, 6):
        send(four, nonce)
    four.reach(at + 3, *others)
    four.start(killed)
    send(four, 6)
    sent = 7 * len(SENDERS)
    until(lambda: all(transactions(one) == sent for one in four.all), lambda: [transactions(one) for one in four.all])
    four.reach(newest := max(one.height for one in four.all) + 1)
    assert len({json.dumps(one.block(newest)[0]) for one in four.all}) == 1
    four.check("payments", killed)


def transactions(node: Rpc) -> int:
    return sum(len(node.block(height)[1]) for height in range(1, node.height + 1))


def test_one_is_wiped_and_joins_by_a_snapshot(make: Make) -> None:
    """Of its peers, which go on meanwhile; then it votes again."""
    four = make("payments", {account_key(sender): encode_account(1_000_000, 0) for sender in SENDERS})
    snapshots = {"IOI_NODE_SNAPSHOTS_EVERY": "20", "IOI_NODE_SNAPSHOTS_KEEP": "1000"}
    for one in four.all:
        four.start(one, **snapshots)
    four.reach(2)
    *others, wiped = four.all
    send(four, 0)
    until(lambda: all(any(line.get("message") == "snapshot taken" for line in one.said()) for one in others), lambda: others[0].said()[-5:])
    wiped.member.kill()
    four.reach(others[0].height + 3, *others)  # it has signed none of these
    four.wipe(wiped)
    joining = len(wiped.said())
    four.start(wiped, settings=four.to_join(*others), **snapshots)
    send(four, 1)
    until(lambda: any(line.get("message") == "joined" for line in wiped.said()[joining:]), lambda: (wiped.said()[-5:], wiped.log[-3000:]))
    four.reach(newest := max(one.height for one in others) + 2)
    assert wiped.block(newest)[0] == others[0].block(newest)[0]
    assert int(wiped.ask("status")["sync_info"]["earliest_block_height"]) > 1  # it played no block again that lies before the snapshot
    address = wiped.ask("status")["validator_info"]["address"]

    def votes() -> bool:
        last = others[0].ask("block")["block"]["last_commit"]["signatures"]
        return any(signed["validator_address"] == address for signed in last)

    until(votes, lambda: wiped.log[-3000:])


FICKLE = """
import os

class Words:
    def execute(self, tx, state, ctx):
        key, _, value = tx.partition(b"=")
        if key == b"fickle" and "IOI_PLANTED" in os.environ:
            value += os.urandom(8)
        if key == b"show":
            return state.get(value)
        state.put(key, value)
"""


def test_one_that_does_not_do_the_same_halts_alone(make: Make, tmp_path: Path) -> None:
    """`serve --cross-check` names transaction and key; with what was wrong out of the way the node goes on."""
    (tmp_path / "fickle.py").write_text(FICKLE)
    four = make("fickle:Words", {})
    *others, odd = four.all
    for one in others:
        four.start(one)
    four.start(odd, IOI_PLANTED="1")
    four.reach(2)
    others[0].send(b"a=1")
    others[1].send(b"fickle=2", "async")
    others[1].send(b"show=fickle", "async")
    until(lambda: value(others[0], b"fickle") == b"2", lambda: others[0].log[-3000:])
    height = first_with(others[0], b"fickle=2")
    until(lambda: "CONSENSUS FAILURE" in odd.log, lambda: odd.log[-3000:])
    assert "AppHash" in odd.log
    four.reach(height + 4, *others)
    assert odd.height == height

    home, txs = str(odd.member.home / "app"), others[0].block(height)[1]
    for here in (home, odd.member.rpc):
        found = ioi("node", "compare", here, str(height), "--with", others[0].member.rpc, status=5)
        if b"show=fickle" in txs:  # of what was written otherwise its receipt is the first to tell
            assert (found["transaction"], found["field"], found["there"]) == (txs.index(b"show=fickle"), "data", b"2".hex())
            assert found["here"].startswith(b"2".hex()) and len(found["here"]) == 18
        else:
            assert (found["transaction"], found["field"]) == (None, "app_hash")
    assert ioi("node", "compare", home, str(height - 1), "--with", others[0].member.rpc)["equal"] is True
    assert ioi("node", "compare", others[1].member.rpc, str(height), "--with", others[0].member.rpc)["equal"] is True
    odd.member.kill()

    # Back to before the block, both of them, and executed again with a look at every transaction.
    state = str(odd.member.home / "app" / "state")
    ioi("rollback", state, str(height - 1), "--yes")
    odd.member.run("rollback")
    four.start(odd, "--cross-check", IOI_PLANTED="1")
    app = odd.member.app
    assert app is not None
    until(lambda: app.status is not None, lambda: odd.log[-3000:])
    assert app.status == 5
    failed = [line for line in odd.said() if line.get("kind") == "CrossCheckFailed"]
    assert f"transaction {txs.index(b'fickle=2')}" in failed[-1]["error"] and b"fickle".hex() in failed[-1]["error"]
    odd.member.kill()
    assert ioi("info", state)["version"] == height - 1

    four.start(odd)  # with what it was, it goes on
    four.reach(height + 5)
    assert odd.block(height + 5)[0] == others[0].block(height + 5)[0]


def first_with(node: Rpc, tx: bytes) -> int:
    return next(height for height in range(1, node.height + 1) if tx in node.block(height)[1])
