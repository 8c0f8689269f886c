"""A disk that loses what was not synced: what may be on it after a power cut at some point of a recorded log.

The model, harsher than any file system known:

    data    Of the writes to a file since its last sync each page (4 KiB) by itself is on the disk, or not, or torn: some of
            its sectors (512 bytes) are. Only what lies in one sector is never torn, which LMDB relies on for its meta page.
            A file is as long as what is there needs; what was never written reads as zeros.
    names   What was made, renamed or removed in a directory since its last sync happened up to some point, each
            directory by itself, or not at all. A rename happens in both directories or in none. Syncing a file does not
            make its name durable.
    errors  What a failed sync should have written may be there or not, and no later sync writes it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Union

from shimmed import Record

PAGE = 4096
SECTOR = 512


class Piece(NamedTuple):
    """A part of a write, within one page."""

    offset: int
    data: bytes


class Cut(NamedTuple):
    """The file was cut or extended to this size."""

    size: int


Change = Union[Piece, Cut]


class Renaming(NamedTuple):
    """A change of names. `made` is a new thing; `source` what is renamed or removed."""

    directories: frozenset[int]
    source: Optional[tuple[int, str]]
    target: Optional[tuple[int, str]]
    made: Optional[int]


Tree = dict[int, dict[str, int]]
Chooser = Callable[[Sequence[Change]], list[Change]]


class Disk:
    """root: a directory's inode number. Everything in it must have been made on record."""

    def __init__(self, root: int) -> None:
        self._ids = {root: 0}  # inode numbers are used again, these are not
        self._next = 1
        self._names: Tree = {0: {}}
        self._renamings: list[Renaming] = []
        self._files: dict[int, bytearray] = {}
        self._changes: dict[int, list[Change]] = {}

    @property
    def unsynced(self) -> int:
        return len(self._renamings) + sum(map(len, self._changes.values()))

    # ---- what happened ----

    def apply(self, record: Record, rng: random.Random) -> None:
        """rng decides what a failed sync left."""
        kind = record.kind
        assert kind != "!", f"the log does not tell all: {record.name}"
        if kind == "W":
            self._write(self._ids[record.file], record.offset, record.data, synced=bool(record.flag))
        elif kind == "T":
            self._changes[self._ids[record.file]].append(Cut(record.offset))
        elif kind == "S":
            self._sync(self._ids[record.file], failed=bool(record.flag), rng=rng)
        elif kind in "CD":
            made = self._ids[record.file] = self._next
            self._next += 1
            if kind == "D":
                self._names[made] = {}
            else:
                self._files[made], self._changes[made] = bytearray(), []
            directory = self._ids[record.directory]
            self._renamings.append(Renaming(frozenset([directory]), None, (directory, record.name), made))
        elif kind == "U":
            directory = self._ids[record.directory]
            self._renamings.append(Renaming(frozenset([directory]), (directory, record.name), None, None))
        elif kind == "R":
            source, target = self._ids[record.directory], self._ids[record.directory2]
            both = frozenset([source, target])
            self._renamings.append(Renaming(both, (source, record.name), (target, record.name2), None))

    def _write(self, file: int, offset: int, data: bytes, *, synced: bool) -> None:
        changes, end = self._changes[file], offset + len(data)
        if synced:  # and so is whatever else was in these pages
            first, last = offset // PAGE, (end - 1) // PAGE
            kept: list[Change] = []
            for change in changes:
                if isinstance(change, Piece) and first <= change.offset // PAGE <= last:
                    _put(self._files[file], change)
                else:
                    kept.append(change)
            self._changes[file] = kept
            _put(self._files[file], Piece(offset, data))
            return
        at = offset
        while at < end:
            upto = min(end, (at // PAGE + 1) * PAGE)
            changes.append(Piece(at, data[at - offset : upto - offset]))
            at = upto

    def _sync(self, id: int, *, failed: bool, rng: random.Random) -> None:
        if id in self._files:
            changes, self._changes[id] = self._changes[id], []
            for change in _chooser(rng)(changes) if failed else changes:
                _put(self._files[id], change)
        elif not failed:
            needed, later = {id}, []
            for renaming in reversed(self._renamings):  # and what those rest on
                if needed & renaming.directories:
                    needed |= renaming.directories
                else:
                    later.append(renaming)
            durable = [renaming for renaming in self._renamings if renaming not in later]
            _rename(self._names, durable)
            self._renamings = later[::-1]

    # ---- what is left ----

    def crash(self, rng: random.Random) -> dict[str, Optional[bytes]]:
        """Path -> content, None a directory: one of the things that may be there if the power went now."""
        choose = _chooser(rng)
        names = {directory: dict(entries) for directory, entries in self._names.items()}
        _rename(names, self._happened(rng))
        found: dict[str, Optional[bytes]] = {}

        def walk(directory: int, path: str) -> None:
            for name, id in names[directory].items():
                if id in names:
                    found[path + name] = None
                    walk(id, path + name + "/")
                else:
                    content = bytearray(self._files[id])
                    for change in choose(self._changes[id]):
                        _put(content, change)
                    found[path + name] = bytes(content)

        walk(0, "")
        return found

    def _happened(self, rng: random.Random) -> list[Renaming]:
        """Each directory's up to some point."""
        chance, stopped, happened = rng.choice([0.0, 0.5, 0.9, 1.0]), set(), []
        for renaming in self._renamings:
            if renaming.directories & stopped or rng.random() >= chance:
                stopped |= renaming.directories
            else:
                happened.append(renaming)
        return happened


def _rename(names: Tree, renamings: list[Renaming]) -> None:
    for renaming in renamings:
        id = renaming.made
        if renaming.source is not None:
            directory, name = renaming.source
            id = names[directory].pop(name)
        if renaming.target is not None:
            directory, name = renaming.target
            assert id is not None
            names[directory][name] = id


def _put(content: bytearray, change: Change) -> None:
    if isinstance(change, Cut):
        content[change.size :] = bytes(max(0, change.size - len(content)))
        return
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : change.offset + len(change.data)] = change.data


def _chooser(rng: random.Random) -> Chooser:
    """One way in which changes get lost: what it leaves of a row of them, in their order."""
    chance = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])
    torn = rng.choice([0.0, 0.0, 0.1, 0.5])
    way = rng.choice(["each", "first", "last", "all but one", "one"])

    def choose(changes: Sequence[Change]) -> list[Change]:
        if not changes:
            return []
        at = rng.randrange(len(changes) + 1)
        if way == "each":
            left = [change for change in changes if rng.random() < chance]
        elif way == "first":
            left = list(changes[:at])
        elif way == "last":
            left = list(changes[at:])
        elif way == "one":
            left = list(changes[at : at + 1])
        else:
            left = [*changes[:at], *changes[at + 1 :]]
        return [part for change in left for part in (_tear(change, rng) if rng.random() < torn else [change])]

    return choose


def _tear(change: Change, rng: random.Random) -> list[Change]:
    if isinstance(change, Cut):
        return [change]
    end, at, sectors = change.offset + len(change.data), change.offset, []
    while at < end:
        upto = min(end, (at // SECTOR + 1) * SECTOR)
        sectors.append(Piece(at, change.data[at - change.offset : upto - change.offset]))
        at = upto
    return [sector for sector in sectors if rng.random() < 0.5]


def lay_out(image: dict[str, Optional[bytes]], directory: Path) -> None:
    """Makes the files of an image in an empty directory."""
    for path, content in image.items():  # a directory comes before what is in it
        place = os.path.join(directory, path)
        if content is None:
            os.mkdir(place)
        else:
            with open(place, "wb") as file:
                file.write(content)
