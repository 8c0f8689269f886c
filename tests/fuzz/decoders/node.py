"""What a node's peer sends: requests of ABCI, proofs to an app hash, offers of snapshots; and who looks at it, requests of HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from decoder import Decoder
from ioi_storage.verify import InvalidProof

from ioi_exec import ExecutionMachine
from ioi_exec.node.abci import request_of
from ioi_exec.node.app_hash import NODE, STATE, app_hash, prove_entry, verify_entry
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.messages import (
    ApplySnapshotChunk,
    Block,
    CheckTx,
    InitChain,
    LastCommit,
    LoadSnapshotChunk,
    Moment,
    OfferSnapshot,
    ProofOp,
    Proposal,
    PublicKey,
    QueryRequest,
    Snapshot,
    Validator,
    ValidatorPower,
    Vote,
)
from ioi_exec.node.monitor import HEAD_BYTES, _Answer
from ioi_exec.node.snapshot_metadata import Forged, Unlike, checked, offered
from ioi_exec.node.wire import Malformed, decode, delimited, encode

REQUESTS = {
    5: InitChain, 6: QueryRequest, 8: CheckTx, 13: OfferSnapshot, 14: LoadSnapshotChunk, 15: ApplySnapshotChunk, 16: Proposal, 17: Block, 20: Block,
}
ROOT, CONSENSUS = b"r" * 32, b"what it is set to"


def check_request(data: bytes) -> None:
    try:
        number, body = request_of(data)
        kind = REQUESTS.get(number)
        if kind is None:
            return
        found = decode(kind, body)
    except Malformed:
        return
    assert decode(kind, encode(found)) == found, "it is not the same once written"


def requests() -> Iterator[bytes]:
    votes = LastCommit(1, (Vote(Validator(b"a" * 20, 5), 2), Vote(None, 1)))
    yield delimited(17, encode(Block((b"tx", b""), votes, (), b"h" * 32, 5, Moment(-1, 2), b"n" * 32, b"p" * 20)))
    yield delimited(16, encode(Proposal(-1, (b"tx",) * 3)))
    yield delimited(5, encode(InitChain(Moment(1), "chain", None, (ValidatorPower(PublicKey(b"k" * 32), 1),), b"{}", 1)))
    yield delimited(6, encode(QueryRequest(b"key", "/store/state/key", 1 << 62, True))) + delimited(8, encode(CheckTx(b"tx", 1)))


@cache
def chain() -> tuple[ExecutionMachine, Snapshot, bytes]:
    """A state at height 1, its snapshot, and the app hash of that height."""
    machine = ExecutionMachine.create(None, "payments", chain_id="chain", genesis={}, workers=0)
    machine.commit(machine.execute([]))
    consensus = Consensus.of("chain", None, (ValidatorPower(PublicKey(b"k" * 32), 1),))
    manifest = machine._store.manifest(1, 2, 100)
    return machine, offered(manifest, consensus), app_hash(machine.root, consensus.encode())


def check_offer(metadata: bytes) -> None:
    machine, _, trusted = chain()
    snapshot = Snapshot(1, 1, 2, sha256(metadata).digest(), metadata)
    info = machine.info
    try:
        manifest, consensus = checked(snapshot, trusted, machine.identity, info.tree, info.genesis_root)
    except (Forged, Unlike):
        return
    assert (manifest.row.root, manifest.row.height, manifest.row.version) == (machine.root, 1, 1)
    assert app_hash(manifest.row.root, consensus.encode()) == trusted and manifest.creation.meta == machine.identity.to_meta()


class Peer:
    """A socket that says this and then no more."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self.heard = b""

    def settimeout(self, seconds: float) -> None:
        pass

    def recv(self, most: int) -> bytes:
        assert most <= HEAD_BYTES
        said, self._says = self._says[:most], self._says[most:]
        return said

    def sendall(self, data: bytes) -> None:
        self.heard += data


def check_http_request(data: bytes) -> None:
    peer: Any = Peer(data)
    monitor: Any = SimpleNamespace(readiness=SimpleNamespace(lacking=lambda: ""), metrics=lambda: (b"metrics", "text/plain"))
    try:
        _Answer(peer, monitor)
    except OSError:
        assert not peer.heard
        return
    assert len(peer.heard) < 1000


def check_entry_proof(data: bytes) -> None:
    hash = app_hash(ROOT, CONSENSUS)
    for name, value in ((STATE, ROOT), (NODE, CONSENSUS)):
        try:
            found = verify_entry(hash, name, ProofOp("ics23:simple", name, data))
        except InvalidProof:
            continue
        assert found == value and data == prove_entry(name, ROOT, CONSENSUS).data, "another proof than the one there is was accepted"


REQUEST = Decoder("request", "Malformed, or a request that is read the same once written", check_request, requests)
ENTRY_PROOF = Decoder(
    "entry_proof", "InvalidProof, or the one proof that there is", check_entry_proof,
    lambda: [prove_entry(name, ROOT, CONSENSUS).data for name in (STATE, NODE)],
)
OFFER = Decoder(
    "offer", "Forged, Unlike, or the state and the consensus that the app hash is of, described as this home's is", check_offer,
    lambda: [chain()[1].metadata],
)
HTTP_REQUEST = Decoder(
    "http_request", "OSError and no answer, or an answer of a few bytes", check_http_request,
    lambda: [
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", b"HEAD /readyz?x=1 HTTP/1.0\r\n\r\n", b"GET /healthz\n\n",
        b"POST /x HTTP/2.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhallo",
    ],
)
