"""What became of each transaction: one receipt, packed bytes for all of a block, and their root."""

from __future__ import annotations

import re
import struct
from array import array
from dataclasses import dataclass, field
from typing import Iterable, Iterator, Sequence, overload

import ioi_shm
import ioi_storage

from ioi_exec.block.event import Event, unpacked

CODE_DONE = 0
CODE_EXCEPTION = 2
CODE_REFUSED = 3
CODE_OUT_OF_GAS = 11  # as cosmos-sdk has it
ERROR_BYTES = 1024

# code, lengths of output, error and tail, gas wanted, gas used; then output, error text and tail. Little endian.
_RECORD = struct.Struct("<IIIIQQ")
_LENGTHS_AT, _NEITHER = 8, bytes(8)  # of error and tail in it
# The tail: what not every receipt has, each part with its kind and length before it.
_PART = struct.Struct("<BI")
_TRACEBACK, _EVENTS, _REFUSED = 1, 2, 3


_KIND_ENDS = re.compile(": | \\(")  # the name of an exception's type, in what is said of it
_KIND_MOST = 200  # characters of a type's name: a longer one may be cut for what stands behind it


def kept_error(text: str, most: int = ERROR_BYTES) -> str:
    """An error text as receipts keep it: at most so many bytes, and what UTF-8 cannot hold escaped."""
    # Of a subclass of str, what it truly holds.
    return str.encode(text, "utf-8", "backslashreplace")[:most].decode("utf-8", "ignore")


@dataclass(frozen=True)
class Receipt:
    """The outcome of one transaction.

    code: 0 = done, 1 .. 2^32 - 1 from `Revert`, 2 for any other exception, 3 for one in `ante`, 11 where gas ran out (error "out of gas").
    output: what the VM returned; empty if it failed.
    gas_wanted, gas_used: what it might use and what it used, by the schedule of the state; without one 0, or what a VM in C says. Part of
    the receipts root, as in CometBFT.
    error: why it failed: the text of a `Revert`, or the exception's type, message and place in the VM ("KeyError: b'x' (bank.py:12)").
    At most 1,024 bytes of UTF-8.
    packed_events: what it emitted, packed as `events` unpacks it.
    refused: `ante` did not let it in: it wrote nothing, and need not have been in the block.
    traceback: of such an exception, where `Limits.traceback_bytes` asks for it.

    Equal are two that every node must agree upon, and the text of a `Revert`: what an exception says may differ between nodes
    (the order of a set, say), so of it only the type counts. Neither error nor traceback are part of the receipts root.
    """

    code: int = CODE_DONE
    output: bytes = b""
    gas_wanted: int = 0
    gas_used: int = 0
    error: str = field(default="", hash=False)
    packed_events: bytes = field(default=b"", repr=False)
    refused: bool = False
    traceback: str = field(default="", hash=False, repr=False)

    @property
    def ok(self) -> bool:
        return self.code == CODE_DONE

    @property
    def events(self) -> tuple[Event, ...]:
        """In the order they were emitted. Not part of the receipts root."""
        return tuple(unpacked(self.packed_events))

    def __eq__(self, other: object) -> bool:
        return self._agreed() == other._agreed() if isinstance(other, Receipt) else NotImplemented

    def _agreed(self) -> tuple[object, ...]:
        of_exception = self.code == CODE_EXCEPTION or self.refused and self.code == CODE_REFUSED
        error = _KIND_ENDS.split(self.error, 1)[0][:_KIND_MOST] if of_exception else self.error
        return self.code, self.output, self.gas_wanted, self.gas_used, error, self.packed_events, self.refused

    def pack(self) -> bytes:
        """The record `Receipts` is made of."""
        error, trace = kept_error(self.error).encode(), self.traceback.encode("utf-8", "backslashreplace")
        tail = b"".join(_PART.pack(kind, len(part)) + part for kind, part in ((_EVENTS, self.packed_events), (_TRACEBACK, trace)) if part)
        if self.refused:
            tail += _PART.pack(_REFUSED, 0)
        head = _RECORD.pack(self.code, len(self.output), len(error), len(tail), self.gas_wanted, self.gas_used)
        return head + self.output + error + tail


DONE = Receipt()
_DONE_PACKED = DONE.pack()


class Receipts(Sequence[Receipt]):
    """The receipts of a block in order, made into objects only where they are looked at.

    blob: the packed records one after another.
    ends: where each ends, as u64 in bytes from the start of the blob, in this machine's (little endian) order.
    """

    __slots__ = ("blob", "ends", "_ends")

    def __init__(self, blob: bytes, ends: bytes) -> None:
        self.blob = blob
        self.ends = ends
        self._ends = memoryview(ends).cast("Q")
        assert (self._ends[-1] if len(self._ends) else 0) == len(blob), "receipts: the records do not fill the blob"

    @classmethod
    def of(cls, receipts: Iterable[Receipt]) -> Receipts:
        packed = PackedReceipts()
        for receipt in receipts:
            packed.append(receipt)
        return packed.finish()

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Receipt: ...
    @overload
    def __getitem__(self, index: slice) -> list[Receipt]: ...
    def __getitem__(self, index: int | slice) -> Receipt | list[Receipt]:
        if isinstance(index, slice):
            return [self._at(i) for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        return self._at(i)

    def __iter__(self) -> Iterator[Receipt]:
        return map(self._at, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Equal if every receipt is."""
        if isinstance(other, Receipts):
            return self.ends == other.ends and self.blob == other.blob or list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Receipts], tuple[bytes, bytes]]:
        return type(self), (self.blob, self.ends)

    def __repr__(self) -> str:
        return f"<Receipts of {len(self)} transactions, {self.failed} failed>"

    @property
    def failed(self) -> int:
        """How many have a code other than 0."""
        return ioi_shm.receipts_failed(self.blob, self.ends)

    def telling(self) -> list[int]:
        """Which hold more than the receipts root counts: an error, events, a traceback, or that the transaction was refused."""
        blob, start, found = self.blob, 0, []
        for index, end in enumerate(self._ends):
            if blob[start + _LENGTHS_AT : start + _LENGTHS_AT + 8] != _NEITHER:
                found.append(index)
            start = end
        return found

    def root(self) -> bytes:
        """32 bytes: the RFC 6962 root (SHA-256) over CometBFT's deterministic ExecTxResult, its `last_results_hash`."""
        return ioi_storage.receipts_merkle_root(*ioi_shm.receipt_leaves(self.blob, self.ends))

    def _at(self, index: int) -> Receipt:
        start = self._ends[index - 1] if index else 0
        code, output_len, error_len, tail_len, gas_wanted, gas_used = _RECORD.unpack_from(self.blob, start)
        error_at = start + _RECORD.size + output_len
        tail_at = error_at + error_len
        assert tail_at + tail_len == self._ends[index], f"receipt {index}: its lengths do not add up"
        output = self.blob[error_at - output_len : error_at]
        error = self.blob[error_at:tail_at].decode("utf-8", "replace")
        if not tail_len:
            return Receipt(code, output, gas_wanted, gas_used, error)
        tail = self._parts(tail_at, tail_at + tail_len)
        trace = tail.get(_TRACEBACK, b"").decode("utf-8", "replace")
        return Receipt(code, output, gas_wanted, gas_used, error, tail.get(_EVENTS, b""), _REFUSED in tail, trace)

    def _parts(self, at: int, end: int) -> dict[int, bytes]:
        parts = {}
        while at < end:
            kind, length = _PART.unpack_from(self.blob, at)
            at += _PART.size + length
            parts[kind] = self.blob[at - length : at]
        return parts


class PackedReceipts:
    """Receipts being collected, one after another."""

    def __init__(self) -> None:
        self._blob = bytearray()
        self._ends = array("Q")

    def append(self, receipt: Receipt) -> None:
        self._blob += _DONE_PACKED if receipt is DONE else receipt.pack()
        self._ends.append(len(self._blob))

    def finish(self) -> Receipts:
        return Receipts(bytes(self._blob), self._ends.tobytes())
