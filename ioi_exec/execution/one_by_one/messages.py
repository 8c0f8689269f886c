"""What the engine and the process that executes one by one say to each other, beside Setup, Forget and Complaint of control.py."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_storage import Stand, Writes

from ioi_exec.block.context import BlockContext
from ioi_exec.block.hook import Hook
from ioi_exec.block.receipt import Receipt


@dataclass(frozen=True)
class Task:
    """A block to execute. overlay: what lies over the state that `setup` names, as it is at `parent`. stream: tell each receipt.

    keep: say now and then what is done, so that the next process can go on from there if this one ends. done: receipts of the
    first transactions, packed, which an earlier one has executed and `overlay` holds the writes of."""

    setup: int
    parent: Stand
    overlay: dict[bytes, bytes | None]
    txs: list[bytes]
    context: BlockContext
    stream: bool
    keep: bool = False
    done: tuple[bytes, bytes] = b"", b""
    hook: Hook = Hook.END_BLOCK


@dataclass(frozen=True)
class Streamed:
    """The next receipts, packed."""

    blob: bytes
    ends: bytes


@dataclass(frozen=True)
class Kept:
    """The block is executed up to here. writes: of this process; blob, ends: receipts from the block's first on."""

    writes: list[tuple[bytes, bytes | None]]
    blob: bytes
    ends: bytes


@dataclass(frozen=True)
class Finished:
    """The block is executed; the fields are an Outcome's, the writes of this process alone. each_ns: u64 of each transaction."""

    writes: Writes
    blob: bytes
    ends: bytes
    each_ns: bytes
    seconds: dict[str, float]
    busy_seconds: list[float]
    end: Receipt


@dataclass(frozen=True)
class Faulted:
    """The block was stopped, by transaction `tx_index` (the number of transactions: by its hook). text: of the VMFault;
    cause: the traceback of what was raised."""

    tx_index: int
    text: str
    cause: str
