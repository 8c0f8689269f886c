"""A node that joins by state sync: offers of snapshots, and their chunks, until the state stands in its place.

    HOME/state.joined                what is restored; the chunks so far lie beside it (ioi_storage.Restore)
    HOME/state.before                what stood at HOME/state, while the two change places

Nothing is believed that is not proven: what comes with an offer by the app hash that a light client verified, each chunk by the state root in
it. Killed at any moment, `settled` makes one whole home of it: the one from before, or the joined one.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ioi_storage import BadChunk, Manifest, Restore, StateExists, StateInUse, StorageError
from ioi_storage.disk import directory

from ioi_exec.errors import StateError
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.logs import told
from ioi_exec.node.messages import ChunkVerdict, OfferSnapshot, Snapshot
from ioi_exec.node.snapshot_metadata import FORMAT, Forged, Unlike, checked
from ioi_exec.node.wire import varint
from ioi_exec.state.base import storage_errors
from ioi_exec.state.identity import Identity

log = logging.getLogger("ioi_exec.node")

ACCEPT, ABORT = 1, 2
REJECT, REJECT_FORMAT, REJECT_SENDER = 3, 4, 5  # of an offer
RETRY, REJECT_SNAPSHOT = 3, 5  # of a chunk
CHUNKS_MOST = 1 << 20
_JOINED, _BEFORE = ".joined", ".before"


@dataclass
class _Joining:
    snapshot: Snapshot
    consensus: Consensus
    restore: Restore


@dataclass(frozen=True)
class Joined:
    """A state that is whole, and what the consensus was set to at its height."""

    height: int
    consensus: Consensus


class Joiner:
    """Of a home whose state is at `state`. One call at a time."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._now: _Joining | None = None
        self.joined: Joined | None = None

    def offer(self, request: OfferSnapshot, identity: Identity, tree: str, genesis_root: bytes) -> int:
        """The verdict on it. What was begun with another snapshot is given up. Raises what the disk raises."""
        snapshot = request.snapshot or Snapshot()
        if snapshot.format != FORMAT:
            return REJECT_FORMAT
        try:
            if not 1 <= snapshot.chunks <= CHUNKS_MOST:
                raise Forged(f"it has {snapshot.chunks} chunks")
            manifest, consensus = checked(snapshot, request.app_hash, identity, tree, genesis_root)
        except (Forged, Unlike) as error:
            told(log, "a snapshot is not taken", logging.WARNING, height=snapshot.height, hash=snapshot.hash, error=str(error))
            return REJECT_SENDER if isinstance(error, Forged) else REJECT
        with storage_errors():
            self._begin(snapshot, consensus, manifest)
        told(log, "joining by a snapshot", height=snapshot.height, hash=snapshot.hash, chunks=snapshot.chunks)
        return ACCEPT

    def _begin(self, snapshot: Snapshot, consensus: Consensus, manifest: Manifest) -> None:
        self.close()
        target = _beside(self._state, _JOINED)
        try:
            restore = Restore(target, manifest, root=manifest.row.root)
        except StateInUse:
            raise
        except (StateExists, StorageError):  # of another snapshot, or of one that was whole and never came into its place
            _removed(target)
            restore = Restore(target, manifest, root=manifest.row.root)
        self._now = _Joining(snapshot, consensus, restore)

    def apply(self, number: int, data: bytes, sender: str) -> ChunkVerdict:
        """The verdict on a chunk. After the last one `joined` is set, and the state waits to be put in its place. Raises what the disk raises."""
        now = self._now
        if now is None:
            told(log, "a chunk came without an offer that was taken", logging.WARNING, chunk=number)
            return ChunkVerdict(ABORT)
        with storage_errors():
            try:
                now.restore.offer(number, data)
                if number == 0 and now.restore.chunks != now.snapshot.chunks:
                    told(
                        log, "the snapshot has another number of chunks than it was offered with", logging.WARNING,
                        offered=now.snapshot.chunks, chunks=now.restore.chunks, peer=sender,
                    )
                    return ChunkVerdict(REJECT_SNAPSHOT, reject_senders=(sender,))
            except BadChunk as error:
                told(log, "a chunk is not what it should be; others are asked for it", logging.WARNING, chunk=number, peer=sender, error=str(error))
                return ChunkVerdict(RETRY, varint(number), (sender,))
            if now.restore.missing():
                return ChunkVerdict(ACCEPT)
            try:
                now.restore.finish()
            except BadChunk as error:  # the disk changed it since
                told(log, "a chunk is no longer what it was", logging.ERROR, error=str(error))
                return ChunkVerdict(RETRY, b"".join(map(varint, now.restore.missing())))
        self.joined = Joined(now.snapshot.height, now.consensus)
        self._now = None
        return ChunkVerdict(ACCEPT)

    def put_in_place(self) -> None:
        """Nobody has either state open. Raises StateError, OSError."""
        before = _beside(self._state, _BEFORE)
        shutil.rmtree(before, ignore_errors=True)
        os.rename(self._state, before)
        settled(self._state)
        self.joined = None

    def give_up(self) -> None:
        """This node does not join: it begins the chain itself."""
        self.close()
        self.joined = None
        _removed(_beside(self._state, _JOINED))

    def close(self) -> None:
        """Chunks stay, for the same snapshot."""
        if self._now is not None:
            self._now.restore.close()
            self._now = None


def settled(state: Path) -> None:
    """What a crash left while the joined state was put in its place is brought to its end. Raises StateError."""
    joined, before = _beside(state, _JOINED), _beside(state, _BEFORE)
    try:
        if not state.exists() and before.exists():
            os.rename(joined if joined.exists() else before, state)
            directory.sync(str(state.parent))
        if before.exists():
            shutil.rmtree(before)
    except OSError as error:
        raise StateError(f"{state}: what joining by a snapshot left beside it cannot be put right: {error}") from None


def _removed(joined: Path) -> None:
    """A state that was restored or is being, if there is one."""
    shutil.rmtree(joined, ignore_errors=True)
    shutil.rmtree(joined.parent / f".{joined.name}.restoring", ignore_errors=True)


def _beside(state: Path, ending: str) -> Path:
    return state.with_name(state.name + ending)
