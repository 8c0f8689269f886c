"""The seam between the machine and those that execute blocks: one by one, or on all cores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Protocol, Sequence

from ioi_storage import Stand

from ioi_exec.block.context import BlockContext
from ioi_exec.block.hook import Hook
from ioi_exec.block.measured import Measured, RecordRows
from ioi_exec.block.progress import OnProgress
from ioi_exec.block.receipt import DONE, Receipt, Receipts
from ioi_exec.block.result import Stats
from ioi_exec.policy import DEFAULT, Policy
from ioi_exec.state.cache import CommittedCache, Lookup

OnReceipt = Callable[[int, Receipt], None]


class Enough(Exception):
    """Raised by a callback of the engine's own that knows enough of the block: it ends, and workers go on living."""


@dataclass(frozen=True)
class Block:
    """A block that was checked: bytes within the limits, where it stands, and how to go about it."""

    txs: Sequence[bytes]
    context: BlockContext
    policy: Policy = DEFAULT
    record: bool = False
    hints: Sequence[bytes] = ()
    """Keys that transactions will likely touch, ascending, each of a length that a store takes."""
    one_worker: bool = False
    """Leave it to one of the workers, however many there are."""
    hook: Hook = Hook.END_BLOCK
    """What follows the last transaction, if the VM has it. One that comes before the first is a block without any."""


@dataclass
class Outcome:
    """writes: the last write of every key, ascending by key, None for a deletion; also those that changed nothing.
    record: if the block asked for it. before: the same of each hook that came before the transactions. end: what the hook came to: its
    output is an EndBlock's, its events are the block's."""

    writes: Sequence[tuple[bytes, bytes | None]]
    receipts: Receipts
    stats: Stats = field(default_factory=Stats)
    measured: Measured = field(default_factory=Measured)
    record: RecordRows | None = None
    before: tuple[RecordRows, ...] = ()
    end: Receipt = DONE


class Readable(Protocol):
    """What lies below the transactions of a block that is executed one by one."""

    def get(self, key: bytes) -> bytes | None: ...
    def scan(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]: ...


class BaseState(Readable, Protocol):
    """The committed state a block is executed on. In a sandbox: the store below, and the writes on top of it.

    Its methods raise ioi_exec.Error; an executor lets that end the block and never lets a VM see it.
    """

    @property
    def store_stand(self) -> Stand:
        """Which committed state the store below is at: readers in other processes must find the same."""

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]: ...
    def lookup(self) -> Lookup | None:
        """For reading in this process: the cache and what it lacks. None where something lies over the store. Between blocks."""

    def reader_spec(self) -> dict[str, Any]:
        """What `ioi_storage.Reader` in another process needs to read the store below."""

    def inherit_fds(self) -> list[int]: ...
    def forget_dead_readers(self) -> None:
        """After workers died: their read transactions would keep old pages in use, and their places taken."""

    def overlay_writes(self) -> dict[bytes, bytes | None]:
        """What lies on top of the table of latest values of the store below."""

    @property
    def cache(self) -> CommittedCache | None:
        """Of the store below."""

    def fetch(self, keys: Sequence[bytes]) -> None:
        """Bring committed values, of keys that ascend, into the cache, if there is one. Between blocks."""

    def beneath(self) -> tuple[dict[bytes, bytes | None], bool]:
        """What of `overlay_writes` is not in the cache, which is made to fit; and whether there is one. Between blocks."""


class Executor(Protocol):
    """Executes blocks of one VM. `on_receipt` is called in order, in the caller's thread, exactly once for each
    transaction, `on_progress` about every 50 ms and at the end; what they raise ends the block and propagates."""

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The processes it has now. For any thread, also while `run` goes on in another."""

    @property
    def arena_bytes(self) -> int:
        """Shared memory that they have for a block. For any thread."""

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome: ...
    def close(self) -> None: ...
