"""Bodies: what a block was made of, its transactions and what became of each, for versions that were committed with one.

    bodies  version u64 | first u32            -> a part: consecutive transactions from the first on      | seal
    found   sha256 of a transaction | version u64 | index u32 -> nothing                                  | seal

A part is their number u32, where each transaction ends u32 ..., where each outcome ends u32 ..., the transactions, the outcomes. Outcomes
are the caller's: bytes. No root depends on bodies, and no snapshot has them. Table `bodies` is written with its version. Table `found`,
whose order is random, follows behind: mark `found` says up to which version it has all; whoever looks for a transaction looks
through those of later versions one by one. Both go with their version, when it is pruned or rolled back.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from itertools import accumulate, pairwise
from operator import add
from typing import NamedTuple

import lmdb

from ..errors import corrupt
from ..trees.keys import u64
from . import marks
from .environment import Begin, Tables, begin_reading
from .rows import seal, unseal
from .steps import in_steps

PART = 1 << 16  # bytes of a part, about: one transaction is read with those beside it
STEP = 4_000  # rows a transaction
SWEEP = 200_000  # transactions noted together: neighbours share pages, and their hashes are some 20 MB

_U32, _PLACE = struct.Struct(">I"), struct.Struct(">QI")
_HASH = 32


class Body(NamedTuple):
    """txs: the transactions. outcomes: of each, one after another; ends: where each ends, u64 in bytes of this machine's order."""

    txs: Sequence[bytes]
    outcomes: bytes
    ends: bytes

    def outcome(self, index: int) -> bytes:
        ends = memoryview(self.ends).cast("Q")
        return self.outcomes[ends[index - 1] if index else 0 : ends[index]]


class Part(NamedTuple):
    """first: which transaction of its version the first one is."""

    first: int
    txs: list[bytes]
    outcomes: list[bytes]


def rows_of(version: int, body: Body) -> list[tuple[bytes, bytes]]:
    """The rows of table `bodies`. ValueError if the ends do not fit."""
    ends = memoryview(body.ends).cast("Q")
    if len(ends) != len(body.txs) or (ends[-1] if len(ends) else 0) != len(body.outcomes):
        raise ValueError(f"a body of {len(body.txs)} transactions has {len(ends)} ends of outcomes, or they do not fit those")
    tx_ends = array("Q", accumulate(map(len, body.txs)))
    sizes = array("Q", map(add, tx_ends, ends))
    rows, at = [], 0
    while True:
        before = sizes[at - 1] if at else 0
        end = min(len(sizes), max(at + 1, bisect_right(sizes, before + PART, at)))
        key, start, tx_start = _PLACE.pack(version, at), ends[at - 1] if at else 0, tx_ends[at - 1] if at else 0
        part = b"".join((
            _U32.pack(end - at),
            _big([e - tx_start for e in tx_ends[at:end]]),
            _big([e - start for e in ends[at:end]]),
            *body.txs[at:end],
            body.outcomes[start : ends[end - 1] if end else 0],
        ))
        rows.append((key, seal(key, part)))
        at = end
        if at == len(sizes):
            return rows


def decode(key: bytes, row: bytes) -> Part:
    """A row of table `bodies`. StateCorrupt."""
    part = unseal("bodies", key, row)
    count = _U32.unpack_from(part)[0] if len(part) >= _U32.size else -1
    head = _U32.size + 8 * count
    if len(key) != _PLACE.size or not 0 <= count <= len(part) or head > len(part):
        raise corrupt("bodies", key, "wrong size")
    ends = [0, *_little(part[_U32.size : _U32.size + 4 * count])]
    outcome_ends = [0, *_little(part[_U32.size + 4 * count : head])]
    middle = head + ends[-1]
    if middle + outcome_ends[-1] != len(part) or any(a > b for all_ends in (ends, outcome_ends) for a, b in pairwise(all_ends)):
        raise corrupt("bodies", key, "its lengths do not add up")
    txs = [part[head + a : head + b] for a, b in pairwise(ends)]
    return Part(_PLACE.unpack(key)[1], txs, [part[middle + a : middle + b] for a, b in pairwise(outcome_ends)])


def _big(numbers: list[int]) -> bytes:
    packed = array("I", numbers)
    if sys.byteorder == "little":
        packed.byteswap()
    return packed.tobytes()


def _little(data: bytes) -> array[int]:
    numbers = array("I", data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


# ---- reading ----


def parts(txn: lmdb.Transaction[bytes], tables: Tables, version: int) -> Iterator[Part]:
    """All of a version, none if it was committed without a body. StateCorrupt."""
    if "bodies" not in tables:
        return
    prefix, at = u64(version), 0
    with txn.cursor(tables["bodies"]) as cursor:
        there = cursor.set_range(prefix)
        _check_beside(cursor, "bodies", there)
        while there and cursor.key()[:8] == prefix:
            part = decode(*cursor.item())
            if part.first != at:
                raise corrupt("bodies", cursor.key(), f"the part of version {version} from transaction {at} on is missing")
            at += len(part.txs)
            yield part
            there = cursor.next()
        if there:
            unseal("bodies", *cursor.item())  # it may be of this version, its key damaged


def body(txn: lmdb.Transaction[bytes], tables: Tables, version: int) -> Body | None:
    """None: the version was committed without one."""
    found = list(parts(txn, tables, version))
    if not found:
        return None
    outcomes = [outcome for part in found for outcome in part.outcomes]
    ends = array("Q", accumulate(map(len, outcomes))).tobytes()
    return Body([tx for part in found for tx in part.txs], b"".join(outcomes), ends)


def entry(txn: lmdb.Transaction[bytes], tables: Tables, version: int, index: int) -> tuple[bytes, bytes] | None:
    """A transaction and its outcome; None if there is no body, or no such transaction in it."""
    if "bodies" not in tables:
        return None
    after = _PLACE.pack(version, index + 1)
    with txn.cursor(tables["bodies"]) as cursor:
        there = cursor.set_range(after)
        _check_beside(cursor, "bodies", there)
        if not (cursor.prev() if there else cursor.last()) or cursor.key()[:8] != after[:8]:
            return None
        part = decode(*cursor.item())
    at = index - part.first
    return (part.txs[at], part.outcomes[at]) if at < len(part.txs) else None


def places(txn: lmdb.Transaction[bytes], tables: Tables, digest: bytes, oldest: int, newest: int) -> list[tuple[int, int]]:
    """(version, index) of every transaction with this hash in kept versions, ascending."""
    if "found" not in tables:
        return []
    there: list[tuple[int, int]] = []
    with txn.cursor(tables["found"]) as cursor:
        begins = cursor.set_range(digest)
        _check_beside(cursor, "found", begins)
        while begins:
            key, row = cursor.item()
            unseal("found", key, row)
            if key[:_HASH] != digest:
                break
            if len(key) != _HASH + _PLACE.size:
                raise corrupt("found", key, "its key has the wrong size")
            there.append(_PLACE.unpack(key[_HASH:]))
            begins = cursor.next()
    mark = marks.read(txn, tables, marks.FOUND) or 0
    for version in range(max(mark + 1, oldest), newest + 1):
        for part in parts(txn, tables, version):
            there += [(version, part.first + i) for i, tx in enumerate(part.txs) if sha256(tx).digest() == digest]
    return sorted({place for place in there if oldest <= place[0] <= newest})


def _check_beside(cursor: lmdb.Cursor[bytes], table: str, found: bool) -> None:
    """Where a search has ended, the row there and the one before are whole: neither is one of those sought, whose damaged key led the
    search astray. Leaves the cursor where it was."""
    if found:
        unseal(table, *cursor.item())
    if cursor.prev() if found else cursor.last():
        unseal(table, *cursor.item())
        cursor.next()
    elif found:
        cursor.first()


# ---- what follows behind ----


def find_steps(env: lmdb.Environment, begin: Begin, tables: Tables, version: int) -> Iterator[int]:
    """Brings table `found` up to a version; each next() is one transaction, begun by `begin`, and returns how many rows it wrote."""
    if "found" not in tables:
        return
    while True:
        with begin_reading(env) as txn:
            mark, oldest = marks.read(txn, tables, marks.FOUND) or 0, marks.read(txn, tables, marks.OLDEST) or 0
            keys: list[bytes] = []
            upto = max(mark, oldest - 1)
            while upto < version and len(keys) < SWEEP:
                upto += 1
                keys += keys_of(txn, tables, upto)
        if upto <= mark:
            return
        yield from in_steps(sorted(keys), STEP, env, begin, partial(_note, tables, mark, upto))


def _note(tables: Tables, mark: int, upto: int, txn: lmdb.Transaction[bytes], keys: Sequence[bytes], last: bool) -> int:
    # What was pruned since the keys were read is not there any more, and nobody would delete them again.
    oldest = u64(marks.read(txn, tables, marks.OLDEST) or 0)
    with txn.cursor(tables["found"]) as cursor:
        cursor.putmulti([(key, seal(key, b"")) for key in keys if key[_HASH : _HASH + 8] >= oldest])
    if last or mark == 0:  # where there are rows there is a mark
        marks.write(txn, tables, marks.FOUND, upto if last else mark)
    return len(keys)


def keys_of(txn: lmdb.Transaction[bytes], tables: Tables, version: int) -> Iterator[bytes]:
    """The rows of table `found` for a version."""
    for part in parts(txn, tables, version):
        for index, tx in enumerate(part.txs, part.first):
            yield found_key(tx, version, index)


def key_of(version: int, first: int) -> bytes:
    return _PLACE.pack(version, first)


def found_key(tx: bytes, version: int, index: int) -> bytes:
    return sha256(tx).digest() + _PLACE.pack(version, index)


def forget_steps(begin: Begin, tables: Tables) -> Iterator[int]:
    """Deletes what versions before mark `oldest` have, from the first on."""
    return _delete(begin, tables, lambda txn: (marks.read(txn, tables, marks.OLDEST) or 0) - 1, first=True)


def cut_off_steps(begin: Begin, tables: Tables, version: int) -> Iterator[int]:
    """Deletes what versions after this one have, from the last back, and moves mark `found` back."""
    yield from _delete(begin, tables, lambda _: version, first=False)
    with begin() as txn:
        mark = marks.read(txn, tables, marks.FOUND)
        if mark is not None and mark > version:
            marks.write(txn, tables, marks.FOUND, version)
    yield 1


def _delete(begin: Begin, tables: Tables, bound: Callable[[lmdb.Transaction[bytes]], int], *, first: bool) -> Iterator[int]:
    """A part a transaction at a time, or several small ones, with the rows of table `found` that lead to it."""
    if "bodies" not in tables:
        return
    while True:
        with begin() as txn, txn.cursor(tables["bodies"]) as cursor:
            version, deleted = bound(txn), 0
            while deleted < STEP and (cursor.first() if first else cursor.last()):
                key, row = cursor.item()
                if (int.from_bytes(key[:8], "big") <= version) != first:
                    break
                part = decode(key, row)
                for index, tx in enumerate(part.txs, part.first):
                    txn.delete(found_key(tx, int.from_bytes(key[:8], "big"), index), db=tables["found"])
                cursor.delete()
                deleted += 1 + len(part.txs)
        if not deleted:
            return
        yield deleted
