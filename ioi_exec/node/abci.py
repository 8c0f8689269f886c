"""ABCI 2.0 as CometBFT speaks it, whichever version: a Request's bytes in, a Response's out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, NamedTuple

from ioi_exec.block.receipt import DONE
from ioi_exec.node.application import Application
from ioi_exec.node.dialects import check_version, plain, spoken_params
from ioi_exec.node.messages import (
    ApplySnapshotChunk,
    Block,
    CheckTx,
    Chunk,
    Committed,
    Echo,
    ExtendVote,
    Failure,
    InfoRequest,
    InitChain,
    LoadSnapshotChunk,
    Nothing,
    OfferSnapshot,
    Proposal,
    Proposed,
    QueryRequest,
    Snapshots,
    Verdict,
    VerifyVoteExtension,
    VoteExtension,
)
from ioi_exec.node.results import check_result, finalized
from ioi_exec.node.wire import Malformed, decode, delimited, encode, varint_at

FLUSH = 2
_EXCEPTION = 1
_CHECK_TX = 8
_TX = b"\x0a"  # the tag of its transaction
# What follows it, of each version: whether it is checked again.
_AGAIN = {b"": False, b"\x18\2": False, b"\x10\1": True, b"\x18\1": True}
_LET_IN = delimited(_CHECK_TX + 1, b"")
_ACCEPT, _REJECT = 1, 2


class _Call(NamedTuple):
    request: type
    answer: Callable[[Any], bytes]


class Abci:
    """The calls of one application."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._calls = {
            1: _Call(Echo, encode),
            FLUSH: _Call(Nothing, encode),
            3: _Call(InfoRequest, self._info),
            5: _Call(InitChain, self._init_chain),
            6: _Call(QueryRequest, lambda request: encode(application.query(request))),
            11: _Call(Nothing, lambda _: encode(Committed(application.commit()))),
            12: _Call(Nothing, lambda _: encode(Snapshots(application.list_snapshots()))),
            13: _Call(OfferSnapshot, lambda request: encode(Verdict(application.offer_snapshot(request)))),
            14: _Call(LoadSnapshotChunk, lambda request: encode(Chunk(application.load_snapshot_chunk(request)))),
            15: _Call(ApplySnapshotChunk, lambda request: encode(application.apply_snapshot_chunk(request))),
            16: _Call(Proposal, lambda request: encode(Proposed(tuple(application.prepare_proposal(request))))),
            17: _Call(Block, lambda request: _verdict(application.process_proposal(request))),
            18: _Call(ExtendVote, lambda _: encode(VoteExtension(application.extend_vote()))),
            19: _Call(VerifyVoteExtension, lambda request: _verdict(application.verify_vote_extension(request.vote_extension))),
            20: _Call(Block, self._finalize_block),
        }

    def answer(self, number: int, body: bytes) -> bytes:
        """The Response to a request, as `request_of` has it. Raises Malformed, and what the application raises."""
        if number == _CHECK_TX:  # the one that comes tens of thousands of times a second
            receipt = self._application.check_tx(*_tx_to_check(body))
            return _LET_IN if receipt is DONE else delimited(number + 1, encode(check_result(receipt)))
        call = self._calls.get(number)
        if call is None:
            raise Malformed(f"there is no request {number} in ABCI 2.0")
        return delimited(number + 1, call.answer(decode(call.request, body)))

    def _info(self, request: InfoRequest) -> bytes:
        check_version(request.version)
        return encode(self._application.info())

    def _init_chain(self, request: InitChain) -> bytes:
        begun = self._application.init_chain(plain(request))
        return encode(replace(begun, consensus_params=spoken_params(begun.consensus_params)))

    def _finalize_block(self, block: Block) -> bytes:
        done = self._application.finalize_block(block)
        result = done.result
        return finalized(result.receipts, result.events, result.updates.validators, done.params, done.app_hash)


def request_of(data: bytes) -> tuple[int, bytes]:
    """Which request a message holds, and its bytes. Raises Malformed."""
    at, end, found = 0, len(data), None
    while at < end:
        tag, at = varint_at(data, at)
        size, at = varint_at(data, at)
        if tag & 7 != 2 or at + size > end:
            raise Malformed("a message is not one of ABCI: it holds no request")
        found, at = (tag >> 3, data[at : at + size]), at + size
    if found is None:
        raise Malformed("a message is empty")
    return found


def _tx_to_check(body: bytes) -> tuple[bytes, bool]:
    """The transaction, and whether it is checked again. The forms that a node writes are read on the spot, any other as every message."""
    if body[:1] == _TX:
        size, at = varint_at(body, 1)
        rest = body[at + size :]
        if at + size <= len(body) and (again := _AGAIN.get(rest)) is not None:
            return body[at : at + size], again
    request = decode(CheckTx, body)
    return request.tx, request.again


def failure(error: str) -> bytes:
    """The Response that makes the node end itself."""
    return delimited(_EXCEPTION, encode(Failure(error)))


def _verdict(accepted: bool) -> bytes:
    return encode(Verdict(_ACCEPT if accepted else _REJECT))
