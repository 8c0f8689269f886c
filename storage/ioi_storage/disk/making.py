"""Making and opening the environment of a state: beside its place until it is whole, locked while it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Union

import lmdb

from ..errors import RootMismatch
from ..moving import genesis, loading
from ..trees.seam import tree_named
from ..trees.staged import version_row
from . import directory, lock
from .environment import (
    data_file,
    open_environment,
    open_memory,
    open_tables,
    translated,
)
from .rows import Creation, VersionRow
from .truncation import refuse_if_truncated

StrPath = Union[str, "os.PathLike[str]"]
Pairs = Iterable[tuple[bytes, bytes]]
WriteFirst = Callable[[lmdb.Environment, "str | None"], None]
"""write(env, its directory or None): everything of version 0"""


class Made(NamedTuple):
    """path: absolute, None in memory. fds: the lock, or the memory; whoever closes env closes them too."""

    path: str | None
    env: lmdb.Environment
    map_size: int
    read_only: bool
    fds: list[int]


def make(path: StrPath | None, write: WriteFirst) -> Made:
    """A new state, durable on return; None: in memory. StateExists."""
    if path is None:
        return _make_in_memory(write)
    final = os.path.realpath(path)
    with directory.created_beside(final) as (beside, lock_fd):
        env, _ = open_environment(beside, read_only=False, sync=False)
        try:
            write(env, beside)
            with translated("writing version 0", beside):
                env.sync(True)
        finally:
            env.close()
    return _locked(final, [lock_fd], read_only=False)


def _make_in_memory(write: WriteFirst) -> Made:
    with translated("creating a state in memory"):
        fd = os.memfd_create("ioi-state", os.MFD_CLOEXEC)
        try:
            env, map_size = open_memory(fd, read_only=False)
            write(env, None)
        except BaseException:
            os.close(fd)
            raise
    return Made(None, env, map_size, False, [fd])


def open_made(path: StrPath, read_only: bool) -> Made:
    """StateMissing, StateInUse, StateCorrupt."""
    final = os.path.realpath(path)
    directory.refuse_if_missing(final)
    if not read_only:
        with translated(f"opening the state at {final}"):
            directory.sync_name(final)
    return _locked(final, [] if read_only else [lock.take(final)], read_only)


def _locked(path: str, fds: list[int], read_only: bool) -> Made:
    try:
        refuse_if_truncated(data_file(path))
        env, map_size = open_environment(path, read_only=read_only)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return Made(path, env, map_size, read_only, fds)


# ---- version 0 ----


def genesis_writer(
    tree: str, meta: dict[str, Any], pairs: Pairs, height: int, header: bytes, root: bytes | None
) -> WriteFirst:
    """Checks all arguments now."""
    plugin = tree_named(tree)
    version0 = genesis.stage(plugin, pairs)
    if root is not None and version0.root != root:
        raise RootMismatch(f"these keys have the root {version0.root.hex()}, expected was {root.hex()}: no state was created")
    creation = genesis.creation_record(plugin, version0, meta)
    row = version_row(version0, receipts_root=genesis.NO_RECEIPTS, height=height, header=header, transactions=0, failed=0)

    def write(env: lmdb.Environment, path: str | None) -> None:
        with translated("writing version 0", path):
            genesis.write(env, open_tables(env, create=True), version0, creation, row)

    return write


def loader(tree: str, meta: dict[str, Any], pairs: Pairs, height: int, root: bytes | None) -> WriteFirst:
    """For more pairs than fit into memory: checked as they come."""
    plugin, creation = tree_named(tree), Creation(tree, b"", meta)
    row = VersionRow(0, b"", genesis.NO_RECEIPTS, height, b"", 0, 0, 0, 0, b"")

    def write(env: lmdb.Environment, path: str | None) -> None:
        with translated("writing version 0", path):
            loading.write(env, open_tables(env, create=True), plugin, pairs, creation, row, root)

    return write
