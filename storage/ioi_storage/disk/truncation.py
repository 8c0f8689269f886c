"""Refusing a data file shorter than its pages: LMDB maps it, and touching a missing page kills the process (SIGBUS).

The newest meta page names the last page ever used. A file that reaches it is whole. A shorter one is usually truncated,
but not always: a page taken last and given back within one transaction is counted and never written. So then, and only
then, the pages in use are walked.

Layout (LMDB 0.9, mdb.c), little endian. Page: number u64 | pad u16 | flags u16 | lower u16, upper u16 (or, of a large
value, its number of pages u32) | offsets of nodes u16... Meta, on pages 0 and 1: 16 bytes of header | magic u32 |
version u32 | address u64 | map size u64 | two trees, 48 bytes each | last page u64 | transaction u64. Tree: pad u32 (of
the first: the page size) | flags, depth u16 | three counts u64 | entries u64 | root u64. Node: low u16 | high u16 | flags
u16 | key size u16 | key | data; in a branch, low, high and flags are the child's number.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from ..errors import FormatMismatch, StateCorrupt
from .descriptors import opened
from .environment import translated

_META = struct.Struct("<16x II 16x 48s 48s QQ")
_TREE = struct.Struct("<I36xQ")
_PAGE = struct.Struct("<10xHHH")
_NODE = struct.Struct("<HHHH")
_MAGIC = 0xBEEFC0DE
_DATA_VERSION = 1
_NO_PAGE = 2**64 - 1
_BRANCH, _LEAF, _LARGE_PAGE = 0x01, 0x02, 0x04  # page flags
_LARGE, _SUBTREE = 0x01, 0x02  # node flags


class _Meta(NamedTuple):
    page_size: int
    roots: tuple[int, int]  # of the free list and of the table of tables
    last_page: int
    transaction: int


def refuse_if_truncated(file: str, shown: str | None = None) -> None:
    """StateCorrupt if `file` lacks a page that is in use, or is no LMDB file. shown: what errors call it."""
    path = shown or file
    with translated(f"reading {path}"):
        with opened(file, os.O_RDONLY) as fd:
            newest = _newest_meta(fd, path)
            while True:
                size = os.fstat(fd).st_size  # after the meta page: a writer beside lets the file grow before that
                needed = (newest.last_page + 1) * newest.page_size
                if size >= needed or _has_all_pages(fd, newest, size // newest.page_size):
                    return
                looked_at, newest = newest, _newest_meta(fd, path)
                if newest == looked_at:  # else a writer beside may have changed pages while we looked
                    raise StateCorrupt(f"{path} is truncated: {size} bytes of {needed}; restore it from a backup")


def _newest_meta(fd: int, path: str) -> _Meta:
    first = _read_meta(os.pread(fd, _META.size, 0), path)
    second = _read_meta(os.pread(fd, _META.size, first.page_size), path)
    return max(first, second, key=lambda meta: meta.transaction)


def _read_meta(page: bytes, path: str) -> _Meta:
    if len(page) < _META.size:
        raise StateCorrupt(f"{path} is truncated inside its first pages; restore it from a backup")
    magic, version, free, main, last_page, transaction = _META.unpack(page)
    if magic != _MAGIC:
        raise StateCorrupt(f"{path} is not an LMDB file, or its first pages are damaged; restore it from a backup")
    if version != _DATA_VERSION:
        raise FormatMismatch(f"{path} was written by another LMDB (format {version}, here {_DATA_VERSION})")
    page_size, free_root = _TREE.unpack(free)
    _, main_root = _TREE.unpack(main)
    if not 512 <= page_size <= 65536 or page_size & (page_size - 1):
        raise StateCorrupt(f"{path} has a page size of {page_size}; restore it from a backup")
    return _Meta(page_size, (free_root, main_root), last_page, transaction)


def _has_all_pages(fd: int, meta: _Meta, pages: int) -> bool:
    """Whether all that can be reached lies within the first `pages` pages. What makes no sense does not."""
    waiting = [root for root in meta.roots if root != _NO_PAGE]
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        if number >= pages or number in seen:
            return False
        seen.add(number)
        page = os.pread(fd, meta.page_size, number * meta.page_size)
        try:
            flags, lower, count = _PAGE.unpack_from(page)
            if flags & _LARGE_PAGE:
                if number + (count << 16 | lower) > pages:
                    return False
            elif flags & (_BRANCH | _LEAF):
                waiting += _references(page, bool(flags & _BRANCH), (lower - _PAGE.size) // 2)
            else:
                return False
        except struct.error:
            return False
    return True


def _references(page: bytes, is_branch: bool, nodes: int) -> list[int]:
    """The pages that a page points to."""
    found = []
    for offset in struct.unpack_from(f"<{nodes}H", page, _PAGE.size):
        low, high, flags, key_size = _NODE.unpack_from(page, offset)
        data = offset + _NODE.size + key_size
        if is_branch:
            found.append(low | high << 16 | flags << 32)
        elif flags & _SUBTREE:
            _, root = _TREE.unpack_from(page, data)
            if root != _NO_PAGE:
                found.append(root)
        elif flags & _LARGE:
            found.append(*struct.unpack_from("<Q", page, data))
    return found
