"""Block files: one JSON object a line. First, optionally, `{"header": {...}}`; then one transaction a line.

A transaction is `{"tx": hex}`, or for `payments` also `{"from": hex, "to": hex, "amount": n, "fee": n, "nonce": n,
"expiry": n}` (fee and expiry default to 0), and where they are signed "signature": hex. A header has height, time_ns, proposer, block_id, extra, votes
(`[{"validator": hex, "power": n, "flag": "commit"}]`) and misbehaviour (`[{"kind": "duplicate_vote", "validator": hex, "power": n, "height": n,
"time_ns": n, "total_power": n}]`), all optional.
Lines end with LF or CRLF; empty lines are allowed at the end only. In a stream of blocks (`run --from-stdin`) an empty line ends a
block, as the next one's header does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO, Iterator

from ioi_exec.arguments import MAX_INT64
from ioi_exec.block.decided import (
    FLAGS,
    KINDS,
    MISBEHAVIOUR_MOST,
    VALIDATOR_BYTES,
    VOTES_MOST,
    Misbehaviour,
    Vote,
)
from ioi_exec.block.header import (
    BLOCK_ID_BYTES,
    EXTRA_BYTES,
    PROPOSER_BYTES,
    BlockHeader,
)
from ioi_exec.errors import InputError, LimitExceeded
from ioi_exec.files.strict_json import (
    Malformed,
    fields,
    hex_bytes,
    json_object,
    number,
    parse,
    written,
)
from ioi_exec.limits import Limits
from ioi_exec.vm.payments import ADDRESS_BYTES, MAX_U64, MAX_U128, encode_transfer
from ioi_exec.vm.signatures import SIGNATURE_BYTES

_TRANSFER_FIELDS = ("from", "to", "amount", "fee", "nonce", "expiry", "signature")
_HEADER_FIELDS = ("height", "time_ns", "proposer", "block_id", "extra", "votes", "misbehaviour")

# What a line may hold beside a transaction in hex: names, spaces, the six numbers of a transfer, a header's extra, its votes.
_LINE_EXTRA_BYTES = 4096 + 2 * EXTRA_BYTES + 256 * VOTES_MOST


@dataclass
class BlockFile:
    """header: as the file gives it, or None. txs: the transactions in bytes."""

    header: BlockHeader | None = None
    txs: list[bytes] = field(default_factory=list)


def read_block(stream: BinaryIO, name: str, limits: Limits, *, transfers: bool) -> BlockFile:
    """Read a whole block. transfers: whether the VM is `payments`.

    name: how messages call the file. Raises InputError for the first line that cannot be read, as "name:line: reason",
    and LimitExceeded before the file's transactions fill the memory.
    """
    return next(_blocks(stream, name, limits, transfers, many=False), BlockFile())


def read_blocks(stream: BinaryIO, name: str, limits: Limits, *, transfers: bool) -> Iterator[BlockFile]:
    """Read one block after another: the next one begins with its header, or after an empty line, and is read when it is asked for.

    Arguments and errors as of `read_block`. There is no block between two empty lines."""
    return _blocks(stream, name, limits, transfers, many=True)


def _blocks(stream: BinaryIO, name: str, limits: Limits, transfers: bool, *, many: bool) -> Iterator[BlockFile]:
    """many: not just one, which fills the file."""
    most = 2 * limits.tx_bytes + _LINE_EXTRA_BYTES
    block: BlockFile | None = None
    total, empty_at, line_number = 0, 0, 0
    while line := stream.readline(most + 1):
        line_number += 1
        if len(line) > most:
            raise LimitExceeded(f"{name}:{line_number}: the line has more than {most} bytes")
        if not line.strip(b" \t\r\n"):
            empty_at = empty_at or line_number
            if many and block is not None:
                yield block
                block = None
            continue
        try:
            if empty_at and not many:
                raise Malformed(f"line {empty_at} is empty: only the end of the file may be")
            value = json_object(parse(line), "a line")
            if "header" in value:
                if line_number != 1 and not many:
                    raise Malformed("a header may only be in the first line")
                fields(value, ("header",), ("header",))
                begun = BlockFile(_header(json_object(value["header"], "the header")))
            else:
                tx = _transaction(value, transfers)
        except Malformed as error:
            raise InputError(f"{name}:{line_number}: {error}") from None
        if "header" in value:
            if block is not None:
                yield block
            block, total = begun, 0
            continue
        if block is None:
            block, total = BlockFile(), 0
        total += len(tx)
        if len(tx) > limits.tx_bytes:
            raise LimitExceeded(f"{name}:{line_number}: {len(tx)} bytes: a transaction has at most {limits.tx_bytes}")
        if total > limits.block_bytes:
            raise LimitExceeded(f"{name}:{line_number}: a block has at most {limits.block_bytes} bytes")
        if len(block.txs) == limits.block_transactions:
            raise LimitExceeded(f"{name}:{line_number}: a block has at most {limits.block_transactions} transactions")
        block.txs.append(tx)
    if block is not None:
        yield block


def _transaction(value: dict[str, Any], transfers: bool) -> bytes:
    if "tx" in value:
        fields(value, ("tx",), ("tx",))
        return hex_bytes(value["tx"], "tx")
    if not transfers:
        fields(value, ("tx",), ("tx",))
    fields(value, _TRANSFER_FIELDS, ("from", "to", "amount", "nonce"))
    signature = hex_bytes(value["signature"], "signature", SIGNATURE_BYTES) if "signature" in value else b""
    transfer = encode_transfer(
        hex_bytes(value["from"], "from", ADDRESS_BYTES),
        hex_bytes(value["to"], "to", ADDRESS_BYTES),
        number(value["amount"], "amount", MAX_U128),
        fee=number(value.get("fee", 0), "fee", MAX_U64),
        nonce=number(value["nonce"], "nonce", MAX_U64),
        expiry=number(value.get("expiry", 0), "expiry", MAX_U64),
    )
    return transfer + signature


def _header(value: dict[str, Any]) -> BlockHeader:
    fields(value, _HEADER_FIELDS, ())
    height, proposer = value.get("height"), value.get("proposer")
    return BlockHeader(
        None if height is None else number(height, "height", MAX_INT64),
        number(value.get("time_ns", 0), "time_ns", MAX_INT64),
        None if proposer is None else _short(proposer, "proposer", PROPOSER_BYTES),
        _short(value.get("block_id", ""), "block_id", BLOCK_ID_BYTES),
        _short(value.get("extra", ""), "extra", EXTRA_BYTES),
        [_vote(one) for one in _objects(value, "votes", VOTES_MOST)],
        [_misbehaviour(one) for one in _objects(value, "misbehaviour", MISBEHAVIOUR_MOST)],
    )


def _objects(value: dict[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    listed = value.get(name, [])
    if not isinstance(listed, list) or len(listed) > most:
        raise Malformed(f"{name} must be a list of at most {most} objects")
    return [json_object(one, f"{name}[{index}]") for index, one in enumerate(listed)]


def _vote(value: dict[str, Any]) -> Vote:
    fields(value, Vote._fields, ("validator", "power"))
    return Vote(_validator(value), number(value["power"], "power", MAX_INT64), _one_of(value.get("flag", "commit"), "flag", FLAGS))


def _misbehaviour(value: dict[str, Any]) -> Misbehaviour:
    fields(value, Misbehaviour._fields, Misbehaviour._fields)
    numbers = (number(value[name], name, MAX_INT64) for name in ("power", "height", "time_ns", "total_power"))
    return Misbehaviour(_one_of(value["kind"], "kind", KINDS), _validator(value), *numbers)


def _validator(value: dict[str, Any]) -> bytes:
    found = _short(value["validator"], "validator", VALIDATOR_BYTES)
    if not found:
        raise Malformed("validator is empty")
    return found


def _one_of(value: Any, name: str, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise Malformed(f"{name} must be one of {', '.join(known)}")
    return value


def decided_object(header: BlockHeader) -> dict[str, list[dict[str, Any]]]:
    """Votes and misbehaviour as a header line has them; empty where there are none."""
    found = {}
    for name, listed in (("votes", header.votes), ("misbehaviour", header.misbehaviour)):
        if listed:
            found[name] = [{field: _shown(value) for field, value in one._asdict().items()} for one in listed]
    return found


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else written(value) if isinstance(value, int) else value


def _short(value: Any, name: str, most: int) -> bytes:
    found = hex_bytes(value, name)
    if len(found) > most:
        raise Malformed(f"{name} has {len(found)} bytes: at most {most}")
    return found
