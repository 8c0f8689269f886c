"""Making and opening the environment of a state: beside its place until it is whole, locked while it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Union

import lmdb

from . import directory, lock, namespace, place
from .descriptors import Descriptors
from .environment import (
    data_file,
    open_environment,
    open_memory,
    translated,
)
from .handle import Handle
from .place import Place, by_descriptor
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
    with ExitStack() as until_made:
        with directory.created_beside(final) as (beside, files):
            env, _ = open_environment(beside, read_only=False, sync=False)
            try:
                write(env, beside)
                with translated("writing version 0", beside):
                    env.sync(True)
            finally:
                env.close()
            until_made.callback(files.close)
            held = place.hold(beside, files)
        until_made.pop_all()
    return _opened(path, final, held, files, read_only=False)


def _make_in_memory(write: WriteFirst) -> Handle:
    with translated("creating a state in memory"):
        files = Descriptors()
        try:
            fd = files.add(os.memfd_create, "ioi-state", os.MFD_CLOEXEC)
        except PermissionError as error:
            raise OSError(
                error.errno, "the system refuses memfd_create, in which a state in memory lives: allow it, or give a path"
            ) from error
        try:
            env, map_size = open_memory(fd, read_only=False)
            write(env, None)
        except BaseException:
            files.close()
            raise
    where = Place(None, fd, place.file_of(os.fstat(fd)), map_size)
    return Handle(where, env, files, read_only=False)


def open_made(path: StrPath, read_only: bool) -> Handle:
    """StateMissing, StateInUse, StateCorrupt."""
    final = os.path.realpath(path)
    directory.refuse_if_missing(final)
    if not read_only:
        with translated(f"opening the state at {final}"):
            directory.sync_name(final)
    files = Descriptors()
    try:
        with translated(f"opening the state at {final}"):
            held = place.hold(final, files)
            directory.refuse_if_linked(by_descriptor(held), final, read_only=read_only)
        if not read_only:
            lock.take(by_descriptor(held), files, shown=final)
    except BaseException:
        files.close()
        raise
    return _opened(path, final, held, files, read_only)


def _opened(given: StrPath, path: str, held: int, files: Descriptors, read_only: bool) -> Handle:
    """held: of the directory; it and the lock are in `files`. From here on its path is for messages: another directory may have its name by now."""
    here = by_descriptor(held)
    try:
        refuse_if_truncated(data_file(here), shown=data_file(path))
        opened = partial(open_environment, here, read_only=read_only, shown=path)
        env, map_size = opened() if read_only else namespace.patiently(opened)
        with translated(f"opening the state at {path}"):
            named = os.path.join(os.getcwd(), given) if not os.path.isabs(given) else os.fspath(given)
            where = Place(path, held, place.file_in(here), map_size, named)
    except BaseException:
        files.close()
        raise
    return Handle(where, env, files, read_only=read_only)
