"""The header of a block: what transactions may know beside the state, and the bytes it is kept as."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from hashlib import sha256
from typing import Sequence

from ioi_shm import exact_bytes

from ioi_exec.arguments import MAX_INT64, integer, octets
from ioi_exec.block.decided import Misbehaviour, Vote, checked_misbehaviour, checked_votes, packed, unpacked
from ioi_exec.errors import InputError, StateCorrupt

PROPOSER_BYTES = 64
BLOCK_ID_BYTES = 64
EXTRA_BYTES = 65_536

# format, height, time_ns, then the lengths of proposer, block_id and extra, whose bytes follow, and from format 2 on the hash of the
# transactions; in format 3 what was decided (decided.py) comes before that. Big endian. Versions that releases before it committed have
# format 1, and a header with neither votes nor misbehaviour has format 2.
_WITHOUT_HASH, _FORMAT, _DECIDED = 1, 2, 3
_HASH_BYTES = 32
_FIXED = struct.Struct(">BQQBBI")


@dataclass(frozen=True)
class BlockHeader:
    """What the proposer of a block says about it.

    height: 0 .. 2^63 - 1, one more than the block before has, of the first block at least the initial height; None: that.
    time_ns: nanoseconds since 1970, 0 .. 2^63 - 1.
    proposer: address of at most 64 bytes, or None.
    block_id: at most 64 bytes, kept with the version and not shown to the VM.
    extra: at most 65,536 bytes that the VM understands.
    votes, misbehaviour: what a node that drives the engine was told by its consensus; at most 10,000 and 1,000. VMs see them.
    Raises InputTypeError or InputError.
    """

    height: int | None = None
    time_ns: int = 0
    proposer: bytes | None = None
    block_id: bytes = b""
    extra: bytes = b""
    votes: Sequence[Vote] = ()
    misbehaviour: Sequence[Misbehaviour] = ()

    def __post_init__(self) -> None:
        # Of subclasses it keeps the plain numbers and bytes: a VM sees them, the same wherever it runs.
        plain: dict[str, object] = {"time_ns": _plain_int("time_ns", self.time_ns)}
        if self.height is not None:
            plain["height"] = _plain_int("height", self.height)
        if self.proposer is not None:
            plain["proposer"] = _plain_bytes("proposer", self.proposer, PROPOSER_BYTES)
        plain["block_id"] = _plain_bytes("block_id", self.block_id, BLOCK_ID_BYTES)
        plain["extra"] = _plain_bytes("extra", self.extra, EXTRA_BYTES)
        if self.votes != () or self.misbehaviour != ():
            plain["votes"], plain["misbehaviour"] = checked_votes(self.votes), checked_misbehaviour(self.misbehaviour)
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def encode(self, transactions_hash: bytes) -> bytes:
        """The bytes kept with the version. The height must be decided. An empty proposer is kept as none.

        transactions_hash: what `hash_of` says of the block's transactions."""
        if self.height is None:
            raise InputError("the header has no height: it is decided when the block is executed")
        if len(octets("the hash of the transactions", transactions_hash)) != _HASH_BYTES:
            raise InputError(f"the hash of the transactions has {len(transactions_hash)} bytes: {_HASH_BYTES} are wanted")
        proposer = self.proposer or b""
        decided = self.decided
        form = _DECIDED if decided else _FORMAT
        fixed = _FIXED.pack(form, self.height, self.time_ns, len(proposer), len(self.block_id), len(self.extra))
        return fixed + proposer + self.block_id + self.extra + decided + transactions_hash

    @property
    def decided(self) -> bytes:
        """Votes and misbehaviour as bytes; b"" where there are none."""
        return packed(tuple(self.votes), tuple(self.misbehaviour))

    @classmethod
    def decode(cls, data: bytes) -> BlockHeader:
        """The inverse of `encode`, as `decode_kept` has it."""
        return decode_kept(data)[0]


def decode_kept(data: bytes) -> tuple[BlockHeader, bytes | None]:
    """The header and the hash of the transactions, None where a release before it committed the version. Raises StateCorrupt."""
    if len(octets("the header", data)) < _FIXED.size or data[0] not in (_WITHOUT_HASH, _FORMAT, _DECIDED):
        raise StateCorrupt("a block header in the state cannot be read: it was written by a newer ioi-exec or damaged")
    form, height, time_ns, proposer_len, block_id_len, extra_len = _FIXED.unpack_from(data)
    block_id_at = _FIXED.size + proposer_len
    extra_at = block_id_at + block_id_len
    decided_at = extra_at + extra_len
    hash_at = len(data) - (0 if form == _WITHOUT_HASH else _HASH_BYTES)
    if (hash_at <= decided_at if form == _DECIDED else hash_at != decided_at) or height > MAX_INT64 or time_ns > MAX_INT64:
        raise StateCorrupt("a block header in the state is damaged: its lengths do not add up")
    if proposer_len > PROPOSER_BYTES or block_id_len > BLOCK_ID_BYTES or extra_len > EXTRA_BYTES:
        raise StateCorrupt("a block header in the state is damaged: a part of it is longer than it can be")
    try:
        votes, misbehaviour = unpacked(data[decided_at:hash_at])
    except ValueError as error:
        raise StateCorrupt(f"a block header in the state is damaged: {error}") from None
    proposer, block_id, extra = data[_FIXED.size : block_id_at] or None, data[block_id_at:extra_at], data[extra_at:decided_at]
    header = BlockHeader(height, time_ns, proposer, block_id, extra, votes, misbehaviour)
    return header, data[hash_at:] or None


def hash_of(txs: Sequence[bytes]) -> bytes:
    """What tells one list of transactions from all others: SHA-256 of their number and lengths (u64, little endian) and their bytes."""
    sizes = array("Q", map(len, txs))
    return sha256(b"".join((len(txs).to_bytes(8, "little"), sizes.tobytes(), *txs))).digest()


def _plain_int(name: str, given: object) -> int:
    return integer(f"header: {name}", given, 0, MAX_INT64)


def _plain_bytes(name: str, given: object, most: int) -> bytes:
    value = exact_bytes(octets(f"header: {name}", given))
    if len(value) > most:
        raise InputError(f"header: {name} has {len(value)} bytes: at most {most}")
    return value
