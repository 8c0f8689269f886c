"""A snapshot of a version: its chunks, made while the state moves on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from ..disk.rows import VersionRow
from ..history.versions import value_of
from ..latest.snapshot import RowReader
from ..trees.seam import Tree, TreeHead
from .chunks import CHUNK_LIMIT, Chunk, cut


def check_chunk_bytes(chunk_bytes: int) -> None:
    """ValueError unless chunks may be this long."""
    if not 1 <= chunk_bytes <= CHUNK_LIMIT:
        raise ValueError(f"chunk_bytes must be from 1 to {CHUNK_LIMIT}, not {chunk_bytes}")


def chunks_of(
    tree: Tree, walking: Callable[[], AbstractContextManager[RowReader]], row: VersionRow, chunk_bytes: int
) -> Iterator[Chunk]:
    """Of about `chunk_bytes` each, chunk 0 last. Lazy: a walk from the first to the last of them."""
    with walking() as rows:
        row = rows.same(row)
        top = tree.top(rows.nodes, TreeHead(row.root, row.head))
        yield from cut(tree, rows.nodes, lambda leaf: value_of(leaf, rows.value), top, row.keys, chunk_bytes)
