"""`state` as a transaction sees it when blocks run one by one: its own buffered writes over those before it."""

from __future__ import annotations

from types import TracebackType
from typing import Iterator

from ioi_exec.errors import LimitExceeded
from ioi_exec.execution.faults import BlockStopped
from ioi_exec.execution.overlay import Overlay
from ioi_exec.limits import Limits
from ioi_exec.state.ranges import key_range, merged, scan_limit, within


class TxView:
    """The StateView of one transaction. Its writes stay in `writes` until the executor takes them."""

    __slots__ = ("_below", "_limits", "writes", "_write_bytes", "_undo", "_checkpoints", "_scans", "_open", "fault")

    def __init__(self, below: Overlay, limits: Limits) -> None:
        self._below = below
        self._limits = limits
        self.writes: dict[bytes, bytes | None] = {}
        self._write_bytes = 0
        # What to put back, newest last, while a checkpoint is open: (key, value before, whether it was written before).
        self._undo: list[tuple[bytes, bytes | None, bool]] = []
        self._checkpoints: list[Checkpoint] = []
        self._scans: list[Scan] = []
        self._open = True
        self.fault: Exception | None = None
        """Why the state below could not be read: whatever the VM made of it, the block is over."""

    def get(self, key: bytes) -> bytes | None:
        _check_key(key)
        self._check_open()
        if key in self.writes:
            return self.writes[key]
        try:
            return self._below.get(key)
        except Exception as error:
            raise self._stopped(error) from error

    def exists(self, key: bytes) -> bool:
        return self.get(key) is not None

    def put(self, key: bytes, value: bytes) -> None:
        if not isinstance(value, bytes):
            raise TypeError(f"put: the value is {type(value).__name__}, not bytes")
        self._write(key, value)

    def delete(self, key: bytes) -> None:
        self._write(key, None)

    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        start, end = key_range(start, end, prefix)
        limit = scan_limit(limit)
        self._check_open()
        own = sorted((item for item in self.writes.items() if within(item[0], start, end)), reverse=bool(reverse))
        scan = Scan(self, merged(iter(own), self._scan_below(start, end, bool(reverse)), bool(reverse)), limit)
        self._scans.append(scan)
        return scan

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self)

    def close(self) -> None:
        """End the transaction: nothing may be read or written through this view any more."""
        self._open = False
        for scan in self._scans:
            scan.close()
        self._scans.clear()

    def _write(self, key: bytes, value: bytes | None) -> None:
        _check_key(key)
        self._check_open()
        limits = self._limits
        if not key:
            raise ValueError("the key is empty")
        if len(key) > limits.key_bytes:
            raise LimitExceeded(f"a key of {len(key)} bytes: at most {limits.key_bytes} (Limits.key_bytes)")
        if value is not None and len(value) > limits.value_bytes:
            raise LimitExceeded(f"a value of {len(value)} bytes: at most {limits.value_bytes} (Limits.value_bytes)")
        written = key in self.writes
        before = self.writes.get(key)
        size = self._write_bytes + len(value or b"") - len(before or b"")
        if not written:
            size += len(key)
            if len(self.writes) >= limits.tx_keys:
                raise LimitExceeded(f"a transaction writes at most {limits.tx_keys} keys (Limits.tx_keys)")
        if size > limits.tx_write_bytes:
            raise LimitExceeded(f"a transaction writes at most {limits.tx_write_bytes} bytes (Limits.tx_write_bytes)")
        if self._checkpoints:
            self._undo.append((key, before, written))
        self.writes[key] = value
        self._write_bytes = size

    def _roll_back(self, mark: int) -> None:
        for key, before, written in reversed(self._undo[mark:]):
            self._write_bytes += len(before or b"") - len(self.writes[key] or b"")
            if written:
                self.writes[key] = before
            else:
                del self.writes[key]
                self._write_bytes -= len(key)
        del self._undo[mark:]

    def _scan_below(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from self._below.scan(start, end, reverse)
        except Exception as error:
            raise self._stopped(error) from error

    def _stopped(self, error: Exception) -> BlockStopped:
        self.fault = error
        return BlockStopped()

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("the state was used after its transaction ended: a VM keeps nothing between transactions")


class Scan:
    """An iterator over (key, value) that ends with its transaction."""

    def __init__(self, view: TxView, items: Iterator[tuple[bytes, bytes]], limit: int | None) -> None:
        self._view = view
        self._items = items
        self._left = limit

    def __iter__(self) -> Scan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        self._view._check_open()
        if self._left is not None:
            if self._left == 0:
                raise StopIteration
            self._left -= 1
        return next(self._items)

    def close(self) -> None:
        self._items = iter(())


class Checkpoint:
    """`with state.checkpoint():` an exception leaving the block undoes the writes made in it, then propagates."""

    def __init__(self, view: TxView) -> None:
        self._view = view
        self._mark = -1

    def __enter__(self) -> None:
        view = self._view
        view._check_open()
        if self._mark >= 0:
            raise RuntimeError("a checkpoint is entered once: call state.checkpoint() again")
        if len(view._checkpoints) >= view._limits.checkpoint_depth:
            depth = view._limits.checkpoint_depth
            raise LimitExceeded(f"at most {depth} checkpoints inside each other (Limits.checkpoint_depth)")
        self._mark = len(view._undo)
        view._checkpoints.append(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        view = self._view
        if not view._checkpoints or view._checkpoints[-1] is not self:
            raise RuntimeError("checkpoints end in the reverse order of their beginning")
        view._checkpoints.pop()
        if kind is not None:
            view._roll_back(self._mark)


def _check_key(key: bytes) -> None:
    if not isinstance(key, bytes):
        raise TypeError(f"the key is {type(key).__name__}, not bytes")
