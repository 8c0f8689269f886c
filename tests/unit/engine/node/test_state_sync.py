"""Snapshots beside blocks, and a fresh node that joins by one: every lie is refused with its verdict, and nothing is lost by it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from abci_client import CHAIN, VALIDATOR, block, genesis
from cometbft import until
from node_vms import Words

from ioi_exec import ExecutionMachine, InputError
from ioi_exec.node import snapshots as snapshots_module
from ioi_exec.node.application import Application, Joining
from ioi_exec.node.joining import (
    ABORT,
    ACCEPT,
    REJECT,
    REJECT_FORMAT,
    REJECT_SENDER,
    REJECT_SNAPSHOT,
    RETRY,
    Joiner,
    settled,
)
from ioi_exec.node.messages import ApplySnapshotChunk, ChunkVerdict, LoadSnapshotChunk, OfferSnapshot, QueryRequest, Snapshot
from ioi_exec.node.records import Records
from ioi_exec.node.retention import Retention
from ioi_exec.node.snapshot_metadata import Metadata
from ioi_exec.node.snapshots import Snapshots
from ioi_exec.node.wire import decode, encode

GENESIS = {b"%d" % number: b"v" * 300 for number in range(500)}


class Node:
    """A home, as a daemon has it."""

    def __init__(self, folder: Path, every: int = 0, keep: int | None = None, **options: Any) -> None:
        self.folder = folder
        self.keep = keep
        if not folder.exists():
            folder.mkdir()
            settings = {"vm": Words, "chain_id": CHAIN, "genesis": GENESIS, **options}
            ExecutionMachine.create(folder / "state", workers=0, **settings).close()
        settled(folder / "state")
        self.records = Records(folder / "consensus.db")
        self.snapshots = Snapshots(folder / "snapshots", folder / "state", every=every, keep=2)
        self.joiner = Joiner(folder / "state")
        self.application = Application(
            self.open(), self.records, snapshots=self.snapshots, joining=Joining(self.joiner, self.open), retention=Retention(1)
        )

    def open(self) -> ExecutionMachine:
        return ExecutionMachine.open(self.folder / "state", vm=Words, workers=0, keep=self.keep)

    def decide(self, *txs: bytes) -> tuple[bytes, int]:
        """The app hash, and which blocks are to be kept."""
        of_height = block(self.application.machine_info.height + 1, *txs)
        assert self.application.process_proposal(of_height)
        return self.application.finalize_block(of_height).app_hash, self.application.commit()

    def taken(self) -> None:
        """What is being taken is."""
        taking = self.snapshots._taking
        assert taking is not None
        taking.join()

    def chunks(self, of: Snapshot) -> list[bytes]:
        return [self.application.load_snapshot_chunk(LoadSnapshotChunk(of.height, of.format, number)) for number in range(of.chunks)]

    def apply(self, number: int, data: bytes, sender: str = "p") -> ChunkVerdict:
        return self.application.apply_snapshot_chunk(ApplySnapshotChunk(number, data, sender))


@dataclass
class Offered:
    """A snapshot of height 2, its chunks, the app hash of that height, and that of the block after it."""

    snapshot: Snapshot
    chunks: list[bytes]
    app_hash: bytes
    next: bytes


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offered]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots_module, "_TAKE", snapshots_module._TAKE.replace("sys.exit(main())", "sys.exit(main([*sys.argv[1:], '--chunk-bytes', '20000']))"))
        node = Node(tmp_path_factory.mktemp("chain") / "home", every=2)
        node.application.init_chain(genesis())
        node.decide(b"a=1")
        trusted, _ = node.decide(b"power %s 7" % (b"n" * 32).hex().encode(), b"b=2")
        node.taken()
        (snapshot,) = node.application.list_snapshots()
        chunks = node.chunks(snapshot)
        assert snapshot.height == 2 and len(chunks) == snapshot.chunks > 3
        yield Offered(snapshot, chunks, trusted, node.decide(b"c=3")[0])
        node.application.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "home")
    yield node
    node.application.close()


def offer(node: Node, offered: Offered, **changes: Any) -> int:
    return node.application.offer_snapshot(OfferSnapshot(replace(offered.snapshot, **changes), offered.app_hash))


def joins(node: Node, offered: Offered) -> None:
    """It does, and goes on as the chain did."""
    assert offer(node, offered) == ACCEPT
    for number, data in enumerate(offered.chunks):
        assert node.apply(number, data) == ChunkVerdict(ACCEPT)
    goes_on(node, offered)


def goes_on(node: Node, offered: Offered) -> None:
    info = node.application.info()
    assert (info.last_block_height, info.last_block_app_hash) == (2, offered.app_hash)
    consensus = node.records.at(2)
    assert consensus is not None and len(consensus.validators) == 2
    assert node.application.query(QueryRequest(b"b", "/store/state/key")).value == b"2"
    assert node.application.check_tx(b"new=1").ok
    assert node.decide(b"c=3")[0] == offered.next


def test_a_fresh_node_joins_and_goes_on(fresh: Node, offered: Offered) -> None:
    joins(fresh, offered)
    assert sorted(os.listdir(fresh.folder)) == ["consensus.db", "state"]
    fresh.application.close()
    again = Node(fresh.folder)
    assert again.application.info().last_block_height == 3
    assert offer(again, offered) == ABORT  # it has blocks
    again.application.close()


def test_an_offer_that_cannot_be(fresh: Node, offered: Offered) -> None:
    good = offered.snapshot

    def with_metadata(metadata: bytes) -> dict[str, Any]:
        return {"metadata": metadata, "hash": sha256(metadata).digest()}

    said = decode(Metadata, good.metadata)
    assert offer(fresh, offered, format=2) == REJECT_FORMAT
    for changes in (
        {"chunks": 0}, {"chunks": 1 << 30}, {"hash": bytes(32)}, {"metadata": good.metadata + b"x"}, {"height": 3},
        with_metadata(b""), with_metadata(b"\xff" * 50), with_metadata(encode(replace(said, manifest=b"{}"))),
        with_metadata(encode(replace(said, consensus=said.consensus.replace(VALIDATOR.public_key.raw, b"w" * 32)))),  # type: ignore[union-attr]
        with_metadata(encode(replace(said, manifest=said.manifest.replace(b'"version": 2', b'"version": 5')))),
        with_metadata(encode(replace(said, manifest=said.manifest.replace(b'"root": "', b'"root": "00')))),
    ):
        assert offer(fresh, offered, **changes) == REJECT_SENDER, changes
    assert fresh.application.offer_snapshot(OfferSnapshot(good, bytes(32))) == REJECT_SENDER
    assert fresh.application.offer_snapshot(OfferSnapshot(None, bytes(32))) == REJECT_FORMAT
    assert fresh.apply(0, offered.chunks[0]) == ChunkVerdict(ABORT)  # nothing was begun
    assert fresh.application.info().last_block_height == 0
    joins(fresh, offered)


@pytest.mark.parametrize("unlike", [{"genesis": {b"x": b"1"}}, {"chain_id": "another"}, {"tree": "iavl"}, {"initial_height": 2}])
def test_a_home_of_another_chain(tmp_path: Path, offered: Offered, unlike: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    node = Node(tmp_path / "home", **unlike)
    assert offer(node, offered) == REJECT
    assert "those of this home differ" in str(caplog.records[-1].fields)  # type: ignore[attr-defined]
    node.application.close()


@pytest.mark.parametrize("lie", ["empty", "cut", "longer", "flipped", "another"])
def test_a_chunk_that_is_not_what_it_should_be(fresh: Node, offered: Offered, lie: str) -> None:
    """It is asked for again, of others; the good ones stay."""
    assert offer(fresh, offered) == ACCEPT
    for number, data in enumerate(offered.chunks):
        bad = {
            "empty": b"", "cut": data[:-1], "longer": data + b"\0", "flipped": data[:-1] + bytes([data[-1] ^ 1]),
            "another": offered.chunks[number - 1],
        }[lie]
        assert fresh.apply(number, bad, "liar") == ChunkVerdict(RETRY, bytes([number]), ("liar",))
        assert fresh.apply(number, data) == ChunkVerdict(ACCEPT)
    goes_on(fresh, offered)


def test_a_number_of_chunks_that_is_a_lie(fresh: Node, offered: Offered) -> None:
    for chunks in (len(offered.chunks) - 1, len(offered.chunks) + 1):
        assert offer(fresh, offered, chunks=chunks) == ACCEPT  # no hash is over it
        assert fresh.apply(0, offered.chunks[0], "liar") == ChunkVerdict(REJECT_SNAPSHOT, reject_senders=("liar",))
    joins(fresh, offered)


def test_it_goes_on_with_the_chunks_that_came_before(fresh: Node, offered: Offered) -> None:
    """Killed in the middle of them; and another snapshot that was begun is given up."""
    assert offer(fresh, offered) == ACCEPT
    for number in range(3):
        fresh.apply(number, offered.chunks[number])
    fresh.application.close()
    again = Node(fresh.folder)
    assert offer(again, offered) == ACCEPT
    assert again.joiner._now is not None and again.joiner._now.restore.missing() == list(range(3, len(offered.chunks)))
    again.application.close()
    restoring = fresh.folder / ".state.joined.restoring"
    (restoring / "manifest").write_bytes(b"of another one")
    third = Node(fresh.folder)
    joins(third, offered)
    third.application.close()


def test_one_that_begins_the_chain_itself_keeps_nothing_of_a_snapshot(fresh: Node, offered: Offered) -> None:
    assert offer(fresh, offered) == ACCEPT
    fresh.apply(0, offered.chunks[0])
    fresh.application.init_chain(genesis())
    assert sorted(os.listdir(fresh.folder)) == ["consensus.db", "state"]
    assert fresh.apply(1, offered.chunks[1]) == ChunkVerdict(ABORT)
    fresh.decide(b"a=1")


@pytest.mark.parametrize("crash", ["recorded", "moved away", "in place"])
def test_a_crash_while_the_joined_state_is_put_in_its_place(
    fresh: Node, offered: Offered, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home is one from before, that joins anew, or the joined one."""
    renames = {"recorded": 0, "moved away": 1, "in place": 2}[crash]
    rename, done = os.rename, 0

    def crashing(old: Any, new: Any) -> None:
        nonlocal done
        if os.fspath(old).endswith(("/state", "/state.joined")) and os.fspath(new).endswith(("/state", "/state.before")):
            if done == renames:
                raise KeyboardInterrupt
            done += 1
        rename(old, new)
        if renames == 2 and done == 2:
            raise KeyboardInterrupt

    assert offer(fresh, offered) == ACCEPT
    for number, data in enumerate(offered.chunks[:-1]):
        fresh.apply(number, data)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crashing)
        with pytest.raises(KeyboardInterrupt):
            fresh.apply(len(offered.chunks) - 1, offered.chunks[-1])
    fresh.records.close()
    again = Node(fresh.folder)
    if crash == "recorded":
        assert again.application.info().last_block_height == 0
        joins(again, offered)
    else:
        assert sorted(os.listdir(fresh.folder)) == ["consensus.db", "state"]
        if crash == "in place":  # CometBFT had no answer: it begins to join anew
            joins(again, offered)
        else:
            goes_on(again, offered)
    again.application.close()


def test_snapshots_are_taken_beside_blocks_and_their_versions_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though only one version is kept, and blocks go on before it is begun."""
    go = threading.Event()
    run = Snapshots._run

    def late(self: Snapshots, making: Path, version: int) -> None:
        go.wait()
        run(self, making, version)

    monkeypatch.setattr(Snapshots, "_run", late)
    node = Node(tmp_path / "home", every=3, keep=1)
    node.application.init_chain(genesis())
    for number in range(3):
        trusted, _ = node.decide(b"a=%d" % number)
    for number in range(8):  # the snapshots of 6 and 9 are due while that of 3 is being taken
        node.decide(b"a=more %d" % number)
    assert node.application.machine_info.oldest == 3 and node.snapshots.failed == 2
    go.set()
    node.taken()
    node.decide(b"b=1")
    node.taken()
    assert node.application.machine_info.oldest == 12
    three = node.application.list_snapshots()[1]
    assert [found.height for found in node.application.list_snapshots()] == [12, 3]
    other = Node(tmp_path / "other")
    assert other.application.offer_snapshot(OfferSnapshot(three, trusted)) == ACCEPT
    for number, data in enumerate(node.chunks(three)):
        assert other.apply(number, data) == ChunkVerdict(ACCEPT)
    assert other.application.info().last_block_app_hash == trusted
    for each in (node, other):
        each.application.close()


def test_old_ones_go_unless_somebody_loads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path / "home", every=1)
    node.application.init_chain(genesis())

    def heights() -> list[int]:
        return [found.height for found in node.application.list_snapshots()]

    kept = []
    for number in range(5):
        kept.append(node.decide(b"a=%d" % number)[1])
        node.taken()
        if number == 1:
            node.chunks(node.application.list_snapshots()[1])  # of height 1
    assert heights() == [5, 4, 1]
    monkeypatch.setattr(snapshots_module, "LOADED_SECONDS", 0.0)  # long ago
    kept.append(node.decide(b"a=5")[1])
    node.taken()
    assert heights() == [6, 5]
    assert kept == [0] * 6  # evidence may be old
    assert sorted(os.listdir(node.folder / "snapshots")) == ["5", "6"]
    assert node.application.load_snapshot_chunk(LoadSnapshotChunk(1, 1, 0)) == b"" == node.application.load_snapshot_chunk(LoadSnapshotChunk(6, 1, 99))
    (node.folder / "snapshots" / "making-9").mkdir()
    (node.folder / "snapshots" / "lost").mkdir()
    node.application.close()
    again = Node(node.folder)
    assert [found.height for found in again.application.list_snapshots()] == [6, 5]
    assert sorted(os.listdir(node.folder / "snapshots")) == ["5", "6", "lost"]
    shutil.rmtree(node.folder / "snapshots" / "6")
    assert again.application.load_snapshot_chunk(LoadSnapshotChunk(6, 1, 0)) == b""
    again.application.close()


def test_an_old_one_that_is_gone_already(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An operator removed it: that is said, and the others go."""
    node = Node(tmp_path / "home", every=1)
    node.application.init_chain(genesis())
    for number in range(2):
        node.decide(b"a=%d" % number)
        node.taken()
    shutil.rmtree(node.folder / "snapshots" / "1")
    for number in range(2, 4):
        node.decide(b"a=%d" % number)
        node.taken()
    assert sorted(os.listdir(node.folder / "snapshots")) == ["3", "4"]
    assert [record.getMessage() for record in caplog.records].count("an old snapshot cannot be removed") == 1
    node.application.close()


def test_all_nodes_offer_the_same(tmp_path: Path, offered: Offered) -> None:
    """Whatever they keep beside: else a joining node would not ask them all."""
    node = Node(tmp_path / "home", every=2, keep=1, receipts=True)
    node.application.init_chain(genesis())
    node.decide(b"a=1")
    assert node.decide(b"power %s 7" % (b"n" * 32).hex().encode(), b"b=2")[0] == offered.app_hash
    node.taken()
    (found,) = node.application.list_snapshots()
    metadata, theirs = decode(Metadata, found.metadata), decode(Metadata, offered.snapshot.metadata)
    assert metadata.consensus == theirs.consensus
    lines, other = metadata.manifest.splitlines(), theirs.manifest.splitlines()
    assert {line.split(b":")[0] for line, another in zip(lines, other) if line != another} <= {b' "bytes"', b' "chunks"'}  # cut otherwise there
    node.application.close()


def test_one_that_cannot_be_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The chain goes on, and the log says why."""
    node = Node(tmp_path / "home", every=1)
    node.application.init_chain(genesis())
    (tmp_path / "home" / "snapshots").write_bytes(b"in the way")
    node.decide(b"a=1")
    node.taken()
    assert node.application.list_snapshots() == () and node.snapshots.failed == 1
    assert any(record.getMessage() == "no snapshot was taken" for record in caplog.records)
    node.decide(b"a=2")
    node.application.close()
    with pytest.raises(InputError, match="snapshots cannot be looked at"):
        Node(node.folder)


def test_one_whose_daemon_ended_before_it_began_is_not_taken(tmp_path: Path) -> None:
    """Else it would write into the home of the next one."""
    node = Node(tmp_path / "home")
    node.application.close()
    taking = [sys.executable, "-c", snapshots_module._TAKE]
    arguments = ["snapshot", str(node.folder / "state"), str(tmp_path / "taken"), "--version", "0"]
    assert subprocess.run([*taking, "-1", *arguments], capture_output=True).returncode == 1 and not (tmp_path / "taken").exists()
    assert subprocess.run([*taking, str(os.getpid()), *arguments], capture_output=True).returncode == 0 and (tmp_path / "taken").exists()


def test_its_end_does_not_wait_for_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots_module, "_TAKE", "import time; time.sleep(10 ** 6)")
    node = Node(tmp_path / "home", every=1)
    node.application.init_chain(genesis())
    node.decide(b"a=1")
    until(lambda: node.snapshots._process is not None)
    node.application.close()
    assert node.snapshots._process is not None and node.snapshots._process.poll() is not None
    assert os.listdir(node.folder / "snapshots") == []
