"""Refusing a data file shorter than its pages: LMDB maps it, and touching a missing page kills the process (SIGBUS).

Layout (LMDB 0.9, mdb.c): pages 0 and 1 each hold a 16-byte header, then MDB_meta: magic u32, version u32, address,
map size, two MDB_db of 48 bytes (the first field of the first is the page size), last page number, transaction id.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from .environment import translated
from .errors import FormatMismatch, StateCorrupt

_META = struct.Struct("<16x II 16x I 44x 48x QQ")
_MAGIC = 0xBEEFC0DE
_DATA_VERSION = 1


class _Meta(NamedTuple):
    page_size: int
    last_page: int
    transaction: int


def refuse_if_truncated(path: str) -> None:
    """StateCorrupt if the file at `path` is too short to be mapped safely, or is no LMDB file."""
    with translated(f"reading {path}"), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        first = _read_meta(file.read(_META.size), path)
        file.seek(first.page_size)
        second = _read_meta(file.read(_META.size), path)
    newest = max(first, second, key=lambda meta: meta.transaction)
    needed = (newest.last_page + 1) * newest.page_size
    if size < needed:
        raise StateCorrupt(f"{path} is truncated: {size} bytes of {needed}; restore it from a backup")


def _read_meta(page: bytes, path: str) -> _Meta:
    if len(page) < _META.size:
        raise StateCorrupt(f"{path} is truncated inside its first pages; restore it from a backup")
    magic, version, page_size, last_page, transaction = _META.unpack(page)
    if magic != _MAGIC:
        raise StateCorrupt(f"{path} is not an LMDB file, or its first pages are damaged; restore it from a backup")
    if version != _DATA_VERSION:
        raise FormatMismatch(f"{path} was written by another LMDB (format {version}, here {_DATA_VERSION})")
    if not 512 <= page_size <= 65536 or page_size & (page_size - 1):
        raise StateCorrupt(f"{path} has a page size of {page_size}; restore it from a backup")
    return _Meta(page_size, last_page, transaction)
