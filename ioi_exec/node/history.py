"""What a key was, from block to block."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_exec.machine import ExecutionMachine

CHANGES_MOST = 100  # of one answer
LOOKED_AT = 2_000  # versions, for one answer: some 0.1 s
VALUE_BYTES = 4 << 20  # of one answer, about


@dataclass(frozen=True)
class Change:
    """The key has this value after the block of this height, and had another before it; None: it is absent."""

    height: int
    value: bytes | None


@dataclass(frozen=True)
class History:
    """changes: the newest first. Of the oldest height that is kept, what the key was there, unless it was absent. next: where to go on from;
    None: that was all. oldest: the oldest height that is kept."""

    changes: tuple[Change, ...]
    next: int | None
    oldest: int


def history(machine: ExecutionMachine, key: bytes, at: int | None = None) -> History:
    """at: the height to look back from; None: the newest. Raises InputError for what cannot be a key, VersionMissing."""
    with machine.pinned():
        version = machine.version if at is None else machine.at_height(at).version
        oldest = machine.info.oldest
        changes: list[Change] = []
        value, size, last = machine.get(key, version), 0, max(oldest, version - LOOKED_AT)
        while version > last and len(changes) < CHANGES_MOST and size < VALUE_BYTES:
            before = machine.get(key, version - 1)
            if before != value:
                changes.append(Change(machine.at(version).height, value))
                size += len(value or b"")
            version, value = version - 1, before
        here = machine.at(version).height
        if version == oldest and value is not None:
            changes.append(Change(here, value))
        return History(tuple(changes), None if version == oldest else here, here if version == oldest else machine.at(oldest).height)
