"""What a snapshot is offered with: alike to the byte on every node of the chain, so that a joining node asks all of them for chunks.

It is the manifest of the state at the snapshot's height, without what is one machine's own, and what the consensus was set to there. The
manifest's state root and the latter are proven by the app hash of that height, which a light client has verified; each chunk then proves itself
against the state root. The block's header, its receipts root and the counts are only said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

import ioi_storage
from ioi_storage import Manifest

from ioi_exec.block.header import BlockHeader
from ioi_exec.errors import Error, InputError
from ioi_exec.node.app_hash import app_hash
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.messages import Snapshot
from ioi_exec.node.wire import Malformed, decode, encode, octets
from ioi_exec.state.identity import Identity

FORMAT = 1
METADATA_BYTES = 3 << 20  # CometBFT's messages about snapshots have at most 4 MiB
CHUNK_BYTES = 15 << 20  # and those with a chunk at most 16 MiB


@dataclass(frozen=True)
class Metadata:
    """manifest: as ioi_storage encodes it; consensus: as `Consensus.encode` does."""

    manifest: bytes = octets(1)
    consensus: bytes = octets(2)


def offered(manifest: Manifest, consensus: Consensus) -> Snapshot:
    """manifest: of the state of this node. Raises InputError where CometBFT would not carry it."""
    height = manifest.row.height
    meta = shared(Identity.from_meta(manifest.creation.meta), height).to_meta()
    alike = replace(manifest, creation=manifest.creation._replace(meta=meta))
    metadata = encode(Metadata(alike.encode(), consensus.encode()))
    if len(metadata) > METADATA_BYTES:
        raise InputError(f"what the snapshot of height {height} is offered with has {len(metadata)} bytes: at most {METADATA_BYTES}")
    return Snapshot(height, FORMAT, manifest.chunks, sha256(metadata).digest(), metadata)


def shared(identity: Identity, height: int) -> Identity:
    """What all nodes of a chain have alike of it at this height: not under which Python they execute, the fingerprint of their code, whether
    they keep receipts, or what is to take over later."""
    past = tuple(replace(each, interpreter=None, code=None) for each in identity.upgrades if each.height <= height)
    return replace(identity, interpreter=None, code=None, receipts=False, upgrades=past)


class Unlike(Error):
    """A snapshot of another chain, VM or set of limits than this home has; or this home of another than the chain."""


class Forged(Error):
    """What no honest node offers."""


def checked(snapshot: Snapshot, trusted: bytes, ours: Identity, tree: str, genesis_root: bytes) -> tuple[Manifest, Consensus]:
    """What an offer says, held against the app hash that a light client verified, and against how this home's state was made. The manifest has
    this home's own description in the place of theirs. Raises Unlike, Forged."""
    manifest, consensus = _proven(snapshot, trusted)
    creation, height = manifest.creation, manifest.row.height
    theirs = shared(Identity.from_meta(creation.meta), height)
    here = shared(ours, height)
    for what, one, other in (
        ("tree", tree, creation.tree), ("genesis", genesis_root, creation.genesis_root), ("chain", here.chain_id, theirs.chain_id),
        ("initial height", here.initial_height, theirs.initial_height), ("limits", here.limits, theirs.limits), ("gas", here.gas, theirs.gas),
        ("heights of upgrades", [each.height for each in here.upgrades], [each.height for each in theirs.upgrades]),
        ("VMs", True, all(one.vm.is_same(other.vm) for one, other in zip(here.vms, theirs.vms))),
    ):
        if one != other:
            raise Unlike(
                f"the {what} of its state: those of this home differ. Make the home as the chain's others were made, and give it the upgrades "
                "that the chain has had (ioi-exec upgrade HOME/state)"
            )
    return replace(manifest, creation=creation._replace(meta=ours.to_meta())), consensus


def _proven(snapshot: Snapshot, trusted: bytes) -> tuple[Manifest, Consensus]:
    if sha256(snapshot.metadata).digest() != snapshot.hash:
        raise Forged("its hash is not that of its metadata")
    try:
        said = decode(Metadata, snapshot.metadata)
        manifest, consensus = Manifest.decode(said.manifest), Consensus.decode(said.consensus)
        initial = Identity.from_meta(manifest.creation.meta).initial_height
        height = BlockHeader.decode(manifest.row.header).height
    except (Malformed, ioi_storage.StorageError, Error) as error:
        raise Forged(f"what it is offered with cannot be read: {error}") from None
    row = manifest.row
    if app_hash(row.root, said.consensus) != trusted:
        raise Forged("its state root and what it says of the consensus do not make the app hash that a light client verified")
    if not height == row.height == snapshot.height or row.version != height - initial + 1:
        raise Forged(f"it is offered as of height {snapshot.height}, and is of version {row.version}, height {row.height}")
    return manifest, consensus
