"""A native VM that is wrong, where transactions execute one by one."""

from __future__ import annotations

import ctypes

import pytest
from ioi_shm import _core

from ioi_exec import Limits

Execute = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_void_p] * 3)


class VM(ctypes.Structure):
    """ioi_vm of ABI 1."""

    _fields_ = [
        ("abi", ctypes.c_uint32),
        ("version", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("execute", Execute),
        ("keys", ctypes.c_void_p),
        ("end_block", ctypes.c_void_p),
    ]


def test_a_stop_without_a_reason_is_an_error() -> None:
    """It would be executed again for ever."""
    calls = []

    def execute(*_: object) -> int:
        calls.append(None)
        return -1 if len(calls) < 1000 else 0  # IOI_STOP

    vm = VM(1, 1, b"stops", Execute(execute))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = new(ctypes.addressof(vm), b"ioi_shm.vm", None)
    with pytest.raises(RuntimeError, match="returned IOI_STOP though no operation"):
        _core.run_sequential(capsule, [b"a"], Limits().of_transaction(), lambda keys: [None] * len(keys), 1, 1, b"", b"", bytes(32), b"", b"", 0)
    assert len(calls) == 1
