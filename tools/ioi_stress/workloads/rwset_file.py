"""Files of transactions declared as what they read, what they write and what they cost: see FORMAT."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any, Iterator

from ioi_exec import InputError
from ioi_exec.files.strict_json import Malformed, fields, json_object, number, parse
from ioi_stress.vm.encoding import COST_MAX_NS

FORMAT = """FILE is UTF-8, in one of two formats, told apart by its first character. Empty lines are skipped. Keys are any
text but none at all; cost_ns is at most ten minutes.

JSON lines, one transaction a line, every field optional but not all of them. A line with block alone begins a block; its
name, a number or text, is for people:

  {"block": 17}
  {"reads": ["alice", "bob"], "writes": ["bob"], "adds": ["fees"], "cost_ns": 12000}

CSV, one access a row. The first row names the columns in any order: tx, access, key, and if wanted cost_ns and block. The
rows of a transaction stand together, and so do those of a block. access is read, write or add (or r, w or a); a row without access
and key declares the transaction alone. cost_ns may be empty, and where it is not is the same in all rows of a transaction:

  block,tx,access,key,cost_ns
  17,0xab,read,alice,12000
  17,0xab,write,bob,

A key that is no text is written in hex after 0x, as `ioi-stress trace --rwset` does, and is those bytes again.
Every key that is read anywhere is there at first. A transaction reads its keys, takes its time, and writes values that
depend on all it read. It adds 1 to the counters it adds to, which makes it depend on nobody else who only adds. A key of more than 255 bytes is replaced by its SHA-256."""
"""What `ioi-stress run rwset --help` says."""

_COLUMNS = ("tx", "access", "key", "cost_ns", "block")
_ACCESS = {"read": "reads", "r": "reads", "write": "writes", "w": "writes", "add": "adds", "a": "adds"}


@dataclass
class Accesses:
    """One transaction. cost_ns: None if the file does not say. line: where it begins."""

    line: int
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    adds: list[str] = field(default_factory=list)
    cost_ns: int | None = None


def read_rwset(content: bytes, name: str) -> list[list[Accesses]]:
    """The blocks of a file: its transactions, block by block. name: how messages call it.

    Raises InputError for the first line that cannot be read, as "name:line: reason".
    """
    content = content.removeprefix(b"\xef\xbb\xbf")  # spreadsheets write one before CSV
    read = _json_lines if content.lstrip()[:1] == b"{" else _csv
    blocks: list[list[Accesses]] = [[]]
    for new_block, transaction in read(content, name):
        if new_block and blocks[-1]:
            blocks.append([])
        if transaction is not None:
            blocks[-1].append(transaction)
    if not blocks[-1]:
        blocks.pop()
    if not blocks:
        raise InputError(f"{name}: there is no transaction in it")
    return blocks


def _json_lines(content: bytes, name: str) -> Iterator[tuple[bool, Accesses | None]]:
    """(whether a block begins, the transaction if the line is one)"""
    for line_number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = json_object(parse(line), "a line")
            if "block" in value:
                fields(value, ("block",), ())
                if isinstance(value["block"], bool) or not isinstance(value["block"], (int, str)):
                    raise Malformed("block must be a number or text")
                yield True, None
                continue
            fields(value, ("reads", "writes", "adds", "cost_ns"), ())
            if not value:
                raise Malformed("it says nothing: give reads, writes, adds or cost_ns (or block)")
            cost = number(value["cost_ns"], "cost_ns", COST_MAX_NS) if "cost_ns" in value else None
            transaction = Accesses(line_number, _keys(value, "reads"), _keys(value, "writes"), _keys(value, "adds"), cost)
        except Malformed as error:
            raise InputError(f"{name}:{line_number}: {error}") from None
        yield False, transaction


def _keys(value: dict[str, Any], field_name: str) -> list[str]:
    keys = value.get(field_name, [])
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Malformed(f"{field_name} must be a list of texts")
    for key in keys:
        _check_key(key)
    return keys


def _check_key(key: str) -> None:
    if not key:
        raise Malformed("a key is empty")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise Malformed(f"the key {key!a} is no text: half of a surrogate pair") from None


def _csv(content: bytes, name: str) -> Iterator[tuple[bool, Accesses | None]]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{name}:{content.count(10, 0, error.start) + 1}: it is not UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from _transactions(rows)
    except (Malformed, csv.Error) as error:
        raise InputError(f"{name}:{max(rows.line_num, 1)}: {error}") from None


def _transactions(rows: Any) -> Iterator[tuple[bool, Accesses | None]]:
    columns: list[str] = []
    blocks_seen: set[str] = set()
    seen: set[str] = set()  # transactions of the block
    block: str | None = None
    tx, transaction = "", Accesses(0)
    for row in rows:
        if not any(row):
            continue
        if not columns:
            columns = _columns(row)
            continue
        if len(row) != len(columns):
            raise Malformed(f"{len(row)} columns: the first row names {len(columns)}")
        cells = dict(zip(columns, row))
        this_block = cells.get("block", "")
        if this_block != block:
            if this_block in blocks_seen:
                raise Malformed(f"block {this_block!a} was there before: the rows of a block stand together")
            if transaction.line:
                yield False, transaction
            yield True, None
            blocks_seen.add(this_block)
            seen.clear()
            block, transaction = this_block, Accesses(0)
        if cells["tx"] != tx or not transaction.line:
            if cells["tx"] in seen:
                raise Malformed(f"transaction {cells['tx']!a} was there before: the rows of one stand together")
            if transaction.line:
                yield False, transaction
            tx, transaction = cells["tx"], Accesses(rows.line_num)
            seen.add(tx)
        _add(transaction, cells)
    if not columns:
        raise Malformed("it is empty")
    if transaction.line:
        yield False, transaction


def _columns(row: list[str]) -> list[str]:
    for column in row:
        if column not in _COLUMNS:
            raise Malformed(f"unknown column {column[:40]!a} in the first row (known: {', '.join(_COLUMNS)})")
    for column in _COLUMNS[:3]:
        if column not in row:
            raise Malformed(f"the first row names no column {column!r} (needed: tx, access, key)")
    if len(set(row)) != len(row):
        raise Malformed("the first row names a column twice")
    return row


def _add(transaction: Accesses, cells: dict[str, str]) -> None:
    access, key = cells["access"].strip().lower(), cells["key"]
    if access or key:
        if access not in _ACCESS:
            raise Malformed(f"access {cells['access'][:40]!a}: give read, write or add")
        _check_key(key)
        getattr(transaction, _ACCESS[access]).append(key)
    if cells.get("cost_ns", "").strip():
        cost = number(cells["cost_ns"].strip(), "cost_ns", COST_MAX_NS)
        if transaction.cost_ns not in (None, cost):
            raise Malformed(f"cost_ns {cost}: a row of this transaction before says {transaction.cost_ns}")
        transaction.cost_ns = cost
