"""What a state says of itself, what was noted about it, and what processes say to each other."""

from __future__ import annotations

import json
import os
import pickle
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from decoder import Decoder
from states import MEMORY

from ioi_exec import Limits, StateError
from ioi_exec.execution.workers import control
from ioi_exec.state import given
from ioi_exec.state.identity import Identity
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import VMSpec

_INTERPRETER = Interpreter("CPython 3.11", {"recursion_limit": 1000}, {"numpy": "2.0"})


def check_identity(data: bytes) -> None:
    """The meta of a state, which is JSON by then."""
    try:
        meta = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(meta, dict):
        return
    try:
        identity = Identity.from_meta(meta)
    except StateError:
        return
    assert Identity.from_meta(json.loads(json.dumps(identity.to_meta(), allow_nan=False))) == identity
    for shown in (str(identity.vm), str(identity.interpreter)):
        assert shown.isprintable(), "what it says cannot be shown"


def identities() -> Iterator[bytes]:
    for vm in (VMSpec("payments", {}, "1"), VMSpec("shop:Shop", {"a": [1, {"b": None}]}, "2"), VMSpec("x:Y", None, "")):
        for interpreter in (None, _INTERPRETER):
            yield json.dumps(Identity(vm, 7, Limits().consensus(), interpreter).to_meta()).encode()


_STATE = "/somewhere/state"


def check_note(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="ioi-fuzz-", dir=MEMORY) as folder, patch.dict(os.environ, XDG_STATE_HOME=folder):
        file = Path(given._note_file(_STATE))
        file.parent.mkdir(parents=True)
        file.touch(0o600)
        file.write_bytes(data)
        found = given._noted(_STATE)
    if found is not None:
        assert found.origin is None or isinstance(found.origin, str)
        assert str(found.vm).isprintable() and VMSpec.said(json.loads(json.dumps(found.vm.to_json()))) == found.vm


def notes() -> Iterator[bytes]:
    for origin in (None, "/somewhere/shop.py"):
        yield json.dumps({"state": _STATE, "vm": VMSpec("shop:Shop", [1, 2], "2").to_json(), "origin": origin}).encode()


_MESSAGES = [
    control.Setup(3, {"path": "/x"}, Limits()), control.Fork("worker", (1, 2)), control.Forked(7), control.Forget(3),
    control.Complaint(0, "stale", "it moved on"),
]
_PICKLED = [pickle.dumps(message) for message in _MESSAGES]
_HEAD = struct.Struct("<QI")


def check_control(data: bytes) -> None:
    """What comes over the channel when the other end dies at any moment. First byte: how many descriptors come along."""
    if not data:
        return
    count, stream = data[0] % 4, data[1:]
    if len(stream) >= _HEAD.size:
        length, _ = _HEAD.unpack_from(stream)
        body = stream[_HEAD.size : _HEAD.size + length]
        if len(body) == length and body not in _PICKLED:
            return  # it would be unpickled, and only the same program writes there
    before = len(os.listdir("/proc/self/fd"))
    ours, theirs = control.channel_pair()
    with ours:
        with theirs:
            if stream:
                socket.send_fds(theirs, [stream[: _HEAD.size]], [0] * count)
                theirs.sendall(stream[_HEAD.size :])
        try:
            message, fds = control.receive(ours)
        except (EOFError, OSError):
            pass
        else:
            assert message in _MESSAGES and len(fds) == count
            for fd in fds:
                os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before, "descriptors are left open"


def controls() -> Iterator[bytes]:
    for count, body in enumerate(_PICKLED):
        yield bytes([count % 4]) + _HEAD.pack(len(body), count % 4) + body
    yield b"\2" + _HEAD.pack(1 << 63, 2) + b"short"


IDENTITY = Decoder("identity", "StateError, or what is said of a VM: printable, the same once written", check_identity, identities)
NOTE = Decoder("note", "no note, or a VM and a file: printable, the same once written", check_note, notes)
CONTROL = Decoder(
    "control", "a whole message with its descriptors, or EOFError or OSError; no descriptor is left open, whatever length is said",
    check_control, controls,
)
