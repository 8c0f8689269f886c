"""`payments` as the engine runs it: in C from decoding to receipt."""

from __future__ import annotations

from typing import Callable

from ioi_shm import payments_vm

from ioi_exec.arguments import flag
from ioi_exec.vm import signatures
from ioi_exec.vm.payments import check_signed


class Payments:
    """The VM named "payments". vm/payments.py has its formats, vm/payments_reference.py the same in plain Python.

    signed: transfers carry signatures, which a library verifies (ImportError without it) before the C code sees them.
    """

    verify: Callable[[bytes, str], None] | None = None

    def __init__(self, signed: bool = False) -> None:
        self._signed = flag("payments: signed", signed)
        if signed:
            signatures.library()
            self.verify = check_signed

    def native(self) -> object:
        return payments_vm(self._signed)
