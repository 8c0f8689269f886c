"""What became of each transaction: one receipt, packed bytes for all of a block, and their root."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import Iterable, Iterator, Sequence, overload

import ioi_shm
import ioi_storage

CODE_DONE = 0
CODE_EXCEPTION = 2
ERROR_BYTES = 1024

# code, output length, error length, 0, gas wanted, gas used; then the output and the error text. Little endian.
_RECORD = struct.Struct("<IIIIQQ")


def kept_error(text: str) -> str:
    """An error text as receipts keep it: at most ERROR_BYTES, and what UTF-8 cannot hold escaped."""
    # Of a subclass of str, what it truly holds.
    return str.encode(text, "utf-8", "backslashreplace")[:ERROR_BYTES].decode("utf-8", "ignore")


@dataclass(frozen=True)
class Receipt:
    """The outcome of one transaction.

    code: 0 = done, 1 .. 2^32 - 1 from `Revert`, 2 for any other exception.
    output: what the VM returned; empty if it failed.
    gas_wanted, gas_used: 0 until transactions are metered.
    error: why it failed; not part of the receipts root. At most 1,024 bytes of UTF-8.
    """

    code: int = CODE_DONE
    output: bytes = b""
    gas_wanted: int = 0
    gas_used: int = 0
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.code == CODE_DONE

    def pack(self) -> bytes:
        """The record `Receipts` is made of."""
        error = kept_error(self.error).encode()
        head = _RECORD.pack(self.code, len(self.output), len(error), 0, self.gas_wanted, self.gas_used)
        return head + self.output + error


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
        """Equal if every field of every receipt is, the error text included."""
        if isinstance(other, Receipts):
            return self.ends == other.ends and self.blob == other.blob
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

    def root(self) -> bytes:
        """32 bytes: the RFC 6962 root (SHA-256) over CometBFT's deterministic ExecTxResult, its `last_results_hash`."""
        return ioi_storage.receipts_merkle_root(*ioi_shm.receipt_leaves(self.blob, self.ends))

    def _at(self, index: int) -> Receipt:
        start = self._ends[index - 1] if index else 0
        code, output_len, error_len, _, gas_wanted, gas_used = _RECORD.unpack_from(self.blob, start)
        error_at = start + _RECORD.size + output_len
        assert error_at + error_len == self._ends[index], f"receipt {index}: its lengths do not add up"
        output = self.blob[error_at - output_len : error_at]
        error = self.blob[error_at : error_at + error_len]
        return Receipt(code, output, gas_wanted, gas_used, error.decode("utf-8", "replace"))


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
