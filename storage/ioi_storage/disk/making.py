"""Making and opening the environment of a state: beside its place until it is whole, locked while it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Union

import lmdb

from . import directory, lock
from .environment import (
    data_file,
    open_environment,
    open_memory,
    translated,
)
from .handle import Handle
from .truncation import refuse_if_truncated

StrPath = Union[str, "os.PathLike[str]"]
Pairs = Iterable[tuple[bytes, bytes]]
WriteFirst = Callable[[lmdb.Environment, "str | None"], None]
"""write(env, its directory or None): everything of version 0"""


def make(path: StrPath | None, write: WriteFirst) -> Handle:
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


def _make_in_memory(write: WriteFirst) -> Handle:
    with translated("creating a state in memory"):
        fd = os.memfd_create("ioi-state", os.MFD_CLOEXEC)
        try:
            env, map_size = open_memory(fd, read_only=False)
            write(env, None)
        except BaseException:
            os.close(fd)
            raise
    return Handle(None, env, map_size, read_only=False, fds=[fd])


def open_made(path: StrPath, read_only: bool) -> Handle:
    """StateMissing, StateInUse, StateCorrupt."""
    final = os.path.realpath(path)
    directory.refuse_if_missing(final)
    if not read_only:
        with translated(f"opening the state at {final}"):
            directory.sync_name(final)
    return _locked(final, [] if read_only else [lock.take(final)], read_only)


def _locked(path: str, fds: list[int], read_only: bool) -> Handle:
    try:
        refuse_if_truncated(data_file(path))
        env, map_size = open_environment(path, read_only=read_only)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return Handle(path, env, map_size, read_only=read_only, fds=fds)
