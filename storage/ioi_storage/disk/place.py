"""Where an open state is, said so that no other can be taken for it.

A path names now this directory, now another: one is renamed away and another put in its place, or it is deleted and made anew.
So a state that is opened is held by a descriptor of its directory. Whoever else opens it, in this process or another that was
handed the descriptor, opens what is in that very directory, and compares the data file's device and inode, which are no other
file's as long as the first has it open. LMDB takes paths: /proc/self/fd/N is one, and its lock file is in the same directory.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Optional

import lmdb

from ..errors import StaleStage, StateMissing
from .descriptors import Descriptors, opened
from .environment import (
    data_file,
    open_environment,
    open_memory,
    translate,
    translated,
)

_HOLD = os.O_PATH | os.O_DIRECTORY
File = tuple[int, int]
"""Device and inode of a data file."""


def called(path: str | None) -> str:
    """A state in a message. path: None in memory."""
    return "the state in memory" if path is None else f"the state at {path}"


class Place(NamedTuple):
    """path: absolute, for messages; None in memory. fd: of the directory, or of the memory; None: found by path. named: what its
    owner calls it, absolute, but with all links in it, which may lead elsewhere one day."""

    path: Optional[str]
    fd: Optional[int]
    file: File
    map_size: int
    named: Optional[str] = None

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "fd": self.fd, "file": list(self.file), "map_size": self.map_size}

    @classmethod
    def of(cls, spec: dict[str, Any]) -> Place:
        device, inode = spec["file"]
        return cls(spec["path"], spec.get("fd"), (device, inode), spec["map_size"])

    def open(self, *, read_only: bool, metasync: bool = True) -> lmdb.Environment:
        """The environment of what is open there. StateMissing, StaleStage if it is there no more."""
        if self.path is None:
            assert self.fd is not None, "memory has no path"
            if file_of(os.fstat(self.fd)) != self.file:
                raise StaleStage("the descriptor is not the one of the state in memory that was to be opened: hand over inherit_fds()")
            return open_memory(self.fd, read_only=read_only, map_size=self.map_size)[0]
        where = self.path if self.fd is None else by_descriptor(self.fd)
        with translated(f"opening the state at {self.path}"):
            self._check(where, self.path)  # before LMDB would make a file that is missing
            env, _ = open_environment(where, read_only=read_only, map_size=self.map_size, metasync=metasync, shown=self.path)
            try:
                self._check(where, self.path)
            except BaseException:
                env.close()
                raise
            return env

    def check_named(self) -> None:
        """StateMissing or StaleStage if its name no longer leads to what is open, as far as this process may see that."""
        try:
            if self.path is not None:
                named = self.named or self.path
                self._check(named, named)
        except PermissionError:
            pass  # given up since, or another user's directory above it
        except OSError as error:
            raise translate(error, f"looking for the state at {self.path}") from error

    def _check(self, where: str, shown: str) -> None:
        try:
            there = file_in(where)
        except (FileNotFoundError, NotADirectoryError):
            raise StateMissing(
                f"the state that was opened at {shown} (device and inode {_shown(self.file)}) is no longer there: it was "
                "moved away or deleted. Close it, and open the state where it is now"
            ) from None
        if there != self.file:
            raise StaleStage(
                f"the state at {shown} was replaced by another: opened was device and inode {_shown(self.file)}, there now is "
                f"{_shown(there)}. Close it and open what is there"
            )


def _shown(file: File) -> str:
    return f"{file[0]}:{file[1]}"


def by_descriptor(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def file_in(directory: str) -> File:
    """Of the state in `directory`. Raises OSError."""
    return file_of(os.stat(data_file(directory)))


def file_of(status: os.stat_result) -> File:
    return status.st_dev, status.st_ino


def hold(directory: str, into: Descriptors) -> int:
    """A descriptor by which the directory is found whatever becomes of its name, in `into`."""
    return into.add(os.open, directory, _HOLD | os.O_CLOEXEC)


def held(directory: str) -> AbstractContextManager[int]:
    """The same as long as the `with` lasts."""
    return opened(directory, _HOLD)
