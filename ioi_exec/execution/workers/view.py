"""`state` as a VM in Python sees it in a worker: the C view, with checkpoints and scans on top."""

from __future__ import annotations

from types import TracebackType
from typing import Callable, Iterator

from ioi_shm import View

from ioi_exec.state.ranges import key_range, merged, scan_limit, within

ScanBase = Callable[[bytes | None, bytes | None, bool], Iterator[tuple[bytes, bytes]]]


class IncarnationEnded(BaseException):
    """Raised into a VM whose incarnation is of no use any more. No Exception: `except Exception` must not stop it, and a
    VM that swallows it all the same meets it again at its next step and is thrown away at the end."""


class WorkerView(View):
    """The StateView of one incarnation. Blocks where it meets an ESTIMATE."""

    __slots__ = ()
    scan_base: ScanBase  # set on a subclass for each part: every incarnation shares it

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self)

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
        return Scan(self, start, end, bool(reverse), limit)


class Scan:
    """An iterator over (key, value) that ends with its transaction. Looks no further, and records no more, than it is asked."""

    __slots__ = ("_view", "_items", "_left")

    def __init__(self, view: WorkerView, start: bytes | None, end: bytes | None, reverse: bool, limit: int | None) -> None:
        recorded = view._range_open(start, end, reverse)  # also says so if the transaction is over
        own = sorted((item for item in view._own().items() if within(item[0], start, end)), reverse=reverse)
        empty = start is not None and end is not None and start >= end
        below = iter(()) if empty else _below(view, recorded, start, end, reverse)
        self._view = view
        self._items = merged(iter(own), below, reverse)
        self._left = limit

    def __iter__(self) -> Scan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        if self._left is not None:
            if self._left == 0:
                raise StopIteration
            self._left -= 1
        self._view._usable()
        return next(self._items)

    def close(self) -> None:
        self._items = iter(())


def _below(
    view: WorkerView, recorded: int, start: bytes | None, end: bytes | None, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """What lies below this transaction: the base and the block's writes merged, each key pinned as it is met.

    A key is resolved first and only then counted as reached: should it have to wait there, nothing is claimed about it.
    """
    base = view.scan_base(start, end, reverse)
    base_key, base_value = next(base, (None, None))
    at = end if reverse else start
    met = False  # whether `at` is a key that was met, and not a bound
    while True:
        written = view._written_before(at) if reverse else view._written_from(at, met)
        if written is not None and not within(written, start, end):
            written = None
        if base_key is None and written is None:
            view._range_reached(recorded, None)
            return
        if base_key is None or (written is not None and written != base_key and (written < base_key) != reverse):
            assert written is not None
            key, base_here = written, None
        else:
            key, base_here = base_key, base_value
            base_key, base_value = next(base, (None, None))
        value = view._below(key, base_here)
        view._range_reached(recorded, key)
        at, met = key, True
        if value is not None:
            yield key, value


class Checkpoint:
    """`with state.checkpoint():` an exception leaving the block undoes the writes made in it, then propagates."""

    __slots__ = ("_view", "_mark", "_open")

    def __init__(self, view: WorkerView) -> None:
        self._view = view
        self._mark: int | None = None
        self._open = False

    def __enter__(self) -> None:
        if self._mark is not None:
            self._view._usable()
            raise RuntimeError("a checkpoint is entered once: call state.checkpoint() again")
        self._mark = self._view._mark()
        self._open = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._open or self._mark is None or not self._view._close(self._mark, kind is not None):
            raise RuntimeError("checkpoints end in the reverse order of their beginning")
        self._open = False
