"""What a node's peer sends: requests of ABCI, and proofs to an app hash."""

from __future__ import annotations

from collections.abc import Iterator

from decoder import Decoder
from ioi_storage.verify import InvalidProof

from ioi_exec.node.abci import request_of
from ioi_exec.node.app_hash import NODE, STATE, app_hash, prove_entry, verify_entry
from ioi_exec.node.messages import (
    Block,
    CheckTx,
    InitChain,
    LastCommit,
    Moment,
    ProofOp,
    Proposal,
    PublicKey,
    QueryRequest,
    Validator,
    ValidatorPower,
    Vote,
)
from ioi_exec.node.wire import Malformed, decode, delimited, encode

REQUESTS = {5: InitChain, 6: QueryRequest, 8: CheckTx, 16: Proposal, 17: Block, 20: Block}
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
