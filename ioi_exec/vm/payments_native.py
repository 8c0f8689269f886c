"""`payments` as the engine runs it: in C from decoding to receipt."""

from __future__ import annotations

from ioi_shm import payments_vm


class Payments:
    """The VM named "payments". vm/payments.py has its formats, vm/payments_reference.py the same in plain Python."""

    def native(self) -> object:
        return payments_vm()
