"""The channel between the engine and its processes, when an end dies at a bad moment."""

from __future__ import annotations

import os
import pickle
import socket

import pytest

from ioi_exec.execution.workers.control import _HEAD, Forked, channel_pair, receive, send


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_descriptors_come_with_their_message() -> None:
    ours, theirs = channel_pair()
    with ours, theirs:
        send(theirs, Forked(7), [theirs.fileno()])
        message, (fd,) = receive(ours)
        assert message == Forked(7) and os.path.sameopenfile(fd, theirs.fileno()) and not os.get_inheritable(fd)
        os.close(fd)


@pytest.mark.parametrize("sent", [0, 1, 20])
def test_what_came_with_half_a_message_is_closed(sent: int) -> None:
    """The other end was killed between a message's head, which brings the descriptors, and the end of its body."""
    body = pickle.dumps(Forked(7))
    assert len(body) > 20
    ours, theirs = channel_pair()
    with ours, theirs:
        before = open_descriptors()
        socket.send_fds(theirs, [_HEAD.pack(len(body), 2)], [theirs.fileno(), theirs.fileno()])
        theirs.sendall(body[:sent])
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            receive(ours)
        assert open_descriptors() == before


def test_what_came_with_rubbish_is_closed() -> None:
    ours, theirs = channel_pair()
    with ours, theirs:
        before = open_descriptors()
        socket.send_fds(theirs, [_HEAD.pack(3, 1)], [theirs.fileno()])
        theirs.sendall(b"\0\0\0")
        with pytest.raises(pickle.UnpicklingError):
            receive(ours)
        assert open_descriptors() == before
