"""The checks before anything executes: transactions, header and genesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Mapping

import ioi_storage
from ioi_shm import exact_bytes, leading_bytes

from ioi_exec.arguments import MAX_INT64, integer, shown, text
from ioi_exec.block.context import BlockContext
from ioi_exec.block.header import BlockHeader
from ioi_exec.errors import InputError, InputTypeError, LimitExceeded
from ioi_exec.limits import Limits

CHAIN_ID_BYTES = 50  # as CometBFT has it

Genesis = Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]


def checked_transactions(txs: Iterable[bytes], limits: Limits) -> list[bytes]:
    """The transactions as a list. Raises InputTypeError or LimitExceeded naming the first that cannot be."""
    if isinstance(txs, (bytes, bytearray, str)):
        raise InputTypeError(f"the transactions are {type(txs).__name__}: give a list of bytes")
    try:
        listed = list(txs)
    except TypeError as error:
        raise InputTypeError(f"the transactions are {type(txs).__name__}: give a list of bytes") from error
    if len(listed) > limits.block_transactions:
        most = limits.block_transactions
        raise LimitExceeded(f"the block has {len(listed)} transactions: at most {most} (Limits.block_transactions)")
    i, total = leading_bytes(listed, 0, limits.tx_bytes)
    while i < len(listed):
        tx = listed[i]
        if not isinstance(tx, bytes):
            raise InputTypeError(f"transaction {i} is {type(tx).__name__}: give bytes")
        listed[i] = tx = exact_bytes(tx)  # a VM gets the same wherever it runs
        if len(tx) > limits.tx_bytes:
            raise LimitExceeded(f"transaction {i} has {len(tx)} bytes: at most {limits.tx_bytes} (Limits.tx_bytes)")
        i, more = leading_bytes(listed, i, limits.tx_bytes)
        total += more
    if total > limits.block_bytes:
        raise LimitExceeded(f"the block has {total} bytes: at most {limits.block_bytes} (Limits.block_bytes)")
    return listed


def checked_hints(hints: Iterable[Iterable[bytes]] | None) -> list[bytes]:
    """The keys in them that a state may hold, ascending, each once. Raises InputTypeError."""
    try:
        keys = {exact_bytes(key) for listed in hints or () for key in listed}
    except TypeError as error:
        raise InputTypeError("the hints must be a list of keys, bytes each, for every transaction") from error
    return sorted(key for key in keys if 0 < len(key) <= ioi_storage.key_limit)


def decided_header(header: BlockHeader | None, committed: int, *, first: bool) -> BlockHeader:
    """The header with its height: one more than what is committed; the first block's may be higher.

    Raises InputTypeError, or InputError for any other, if the chain has run out of heights, or where a validator votes twice."""
    if header is None:
        return BlockHeader(height=committed + 1)
    if not isinstance(header, BlockHeader):
        raise InputTypeError(f"the header is {type(header).__name__}: give an ioi_exec.BlockHeader")
    _check_votes(header)
    expected = committed + 1
    if header.height is None:
        return replace(header, height=expected)
    if header.height == expected or first and header.height > expected:
        return header
    if header.height <= committed:
        what = "was committed already: leave it out (ioi-exec run --resume does), or go back first (rollback)"
        if first:
            what = "is below the first one: give it that, or a higher one"
    else:
        what = f"would leave out {header.height - expected}: execute those before it first"
    raise InputError(f"the block has height {header.height}, and the next one of this state is {expected}: this one {what}")


def _check_votes(header: BlockHeader) -> None:
    seen: dict[bytes, int] = {}
    for index, vote in enumerate(header.votes):
        if (before := seen.setdefault(vote.validator, index)) != index:
            raise InputError(
                f"header: votes[{before}] and votes[{index}] are of the same validator, {vote.validator.hex()}: each has one vote"
            )


def block_context(header: BlockHeader, parent_root: bytes, chain_id: str = "") -> BlockContext:
    assert header.height is not None
    proposer = header.proposer or b""
    return BlockContext(
        header.height, header.time_ns, proposer, header.extra, parent_root, header.block_id, chain_id, tuple(header.votes),
        tuple(header.misbehaviour),
    )


def checked_genesis(genesis: Genesis | None, limits: Limits) -> list[tuple[bytes, bytes]]:
    """The key-value pairs in key order. Raises InputTypeError, InputError or LimitExceeded."""
    if genesis is None:
        return []
    try:
        pairs = genesis.items() if isinstance(genesis, Mapping) else genesis
        items = sorted((exact_bytes(key), exact_bytes(value)) for key, value in pairs)
    except (TypeError, ValueError) as error:
        raise InputTypeError("the genesis must be a mapping, or pairs, of bytes keys and bytes values") from error
    before = None
    for key, value in items:
        if not key:
            raise InputError("genesis: there is an empty key; keys have at least one byte")
        if key == before:
            raise InputError(f"genesis: key {key.hex()} occurs twice")
        if len(key) > limits.key_bytes:
            raise LimitExceeded(f"genesis: key {key[:16].hex()}... has {len(key)} bytes: at most {limits.key_bytes}")
        if len(value) > limits.value_bytes:
            raise LimitExceeded(f"genesis: the value of {key.hex()} has {len(value)} bytes: at most {limits.value_bytes}")
        before = key
    return items


def checked_initial_height(initial_height: int) -> int:
    return integer("initial_height", initial_height, 1, MAX_INT64)


def checked_chain_id(chain_id: str | None) -> str:
    """None: none, which is "". Raises InputTypeError, InputError."""
    if chain_id is None:
        return ""
    if not text("chain_id", chain_id).isprintable() or len(chain_id.encode("utf-8", "replace")) > CHAIN_ID_BYTES:
        raise InputError(f"chain_id is {shown(chain_id)}: give printable text of at most {CHAIN_ID_BYTES} bytes")
    return str.__str__(chain_id)


def checked_limits(limits: Limits) -> Limits:
    if not isinstance(limits, Limits):
        raise InputTypeError(f"limits is {type(limits).__name__}: give an ioi_exec.Limits")
    if limits.key_bytes > ioi_storage.key_limit:
        raise InputError(f"Limits.key_bytes is {limits.key_bytes}: the store takes keys of {ioi_storage.key_limit} bytes")
    return limits
