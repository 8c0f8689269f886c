"""The channel between the engine and one of its processes: a socket pair, messages pickled, descriptors attached.

It is also the lifeline: a process that reads its end knows that the engine is gone. Pickle is safe here because both
ends are the same program's, connected by inheritance; nothing that came from outside travels on it.
"""

from __future__ import annotations

import errno
import os
import pickle
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from ioi_exec.limits import Limits
from ioi_exec.vm.code import Code

_HEAD = struct.Struct("<QI")  # length of the message, descriptors attached
MAX_FDS = 8


@dataclass(frozen=True)
class Setup:
    """What a worker needs for the blocks that name `number`, beside its VM: a state to read, limits.

    reader_spec: of the store. If it has an "fd", the descriptor travels beside it and gets a new number.
    cache: "size" of the cache of its values, whose "fd" travels last; empty if there is none.
    """

    number: int
    reader_spec: dict[str, Any]
    limits: Limits
    cache: dict[str, int] = field(default_factory=dict)

    def arrived(self, fds: list[int]) -> None:
        """With these descriptors."""
        if self.cache:
            self.cache["fd"] = fds.pop()
        if fds:
            self.reader_spec["fd"] = fds[0]

    def close_fds(self) -> None:
        """Close the descriptors that came with it, if any and if still open."""
        for where in (self.reader_spec, self.cache):
            fd = where.pop("fd", None)
            if fd is not None:
                os.close(fd)


@dataclass(frozen=True)
class Fork:
    """To a process that has a single thread: fork one that loads a VM first if it is given one, and goes on in `role`.

    carried: pickled, of vm/carrying.py; environ and directory are this process's then. arguments: of the role's function, after
    the VM, to which the descriptors that came are added. output: whether the first descriptor is its standard output and error.
    clock: by how many seconds its clock is ahead.
    """

    role: str
    arguments: tuple[Any, ...] = ()
    carried: bytes | None = None
    environ: dict[str, str] | None = None
    directory: str | None = None
    output: bool = False
    clock: int = 0


@dataclass(frozen=True)
class Forked:
    """The answer; the process's pidfd comes with it."""

    pid: int


@dataclass(frozen=True)
class Ready:
    """A template has loaded its VM. code: of vm/code.py. alone: why it must not be forked, "" if it may."""

    code: Code
    alone: str


@dataclass(frozen=True)
class Forget:
    """No block will name this setup any more."""

    number: int


@dataclass(frozen=True)
class Complaint:
    """Why a worker could not do its part of a block.

    kind: "setup" (the VM cannot be loaded, or is not the machine's), "cache" (it cannot be mapped), "stale" (the state moved on),
    "storage" (reading it failed; error is the name of the storage's exception) or "fault" (anything else).
    """

    worker: int
    kind: str
    text: str
    error: str = ""


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a new channel. They wait, whatever socket.setdefaulttimeout says in this process."""
    ours, theirs = socket.socketpair()
    ours.settimeout(None)
    theirs.settimeout(None)
    return ours, theirs


def channel_at(fd: int) -> socket.socket:
    """The end of a channel that came as a descriptor. It waits."""
    channel = socket.socket(fileno=fd)
    channel.settimeout(None)
    return channel


def send(channel: socket.socket, message: object, fds: list[int] | None = None) -> None:
    """Send a message. Raises OSError if the other end is gone."""
    body = pickle.dumps(message)
    fds = fds or []
    # The descriptors ride on the head alone, so that the receiver knows with which bytes they come.
    socket.send_fds(channel, [_HEAD.pack(len(body), len(fds))], fds)
    channel.sendall(body)


def receive(channel: socket.socket) -> tuple[Any, list[int]]:
    """The next message and the descriptors that came with it. Raises EOFError when the other end is gone, OSError (EMFILE) when
    this process may have no more descriptors: then they are lost, and the channel is of no use any more."""
    head, fds, _, _ = socket.recv_fds(channel, _HEAD.size, MAX_FDS)  # which passes no flags on
    try:
        for fd in fds:
            os.set_inheritable(fd, False)  # nothing that a VM or the embedding program starts is to hold one open
        if not head:
            raise EOFError("the control channel was closed")
        head += _exactly(channel, _HEAD.size - len(head))
        length, count = _HEAD.unpack(head)
        if len(fds) != count:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return pickle.loads(_exactly(channel, length)), list(fds)
    except BaseException:
        for fd in fds:  # the other end may have died between a message's head, which brought them, and its body
            os.close(fd)
        raise


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = channel.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EOFError("the control channel was closed in the middle of a message")
        parts += part
    return bytes(parts)
