"""What the engine, the checking process and its children say to each other, beside Setup and Task."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_exec.block.receipt import Receipt


@dataclass(frozen=True)
class Execution:
    """What one execution came to. writes: ascending by key. fault: what is no receipt, "" if there was none."""

    receipt: Receipt
    writes: list[tuple[bytes, bytes | None]]
    fault: str = ""


@dataclass(frozen=True)
class Checked:
    """The next transaction (after the last one, the hook): in a fresh process, and once more in the same."""

    first: Execution
    second: Execution


@dataclass(frozen=True)
class Get:
    """From a child, which has no reader of its own: the value of a key."""

    key: bytes


@dataclass(frozen=True)
class Scan:
    """From a child: the next pairs of a scan, which this begins if `number` is new."""

    number: int
    start: bytes | None
    end: bytes | None
    reverse: bool
