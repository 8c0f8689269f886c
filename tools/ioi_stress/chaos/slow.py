"""A virtual machine in Python some of whose transactions sleep: the same results, later."""

from __future__ import annotations

import time
from typing import Any
from zlib import crc32

from ioi_stress.chaos.messages import Slow


def sleeps(tx: bytes, slow: Slow) -> bool:
    return crc32(tx, slow.salt) % 1000 < slow.share


def slowed(vm: Any, name: str, slow: Slow) -> Any:
    """An instance that does what `vm`, an instance of a VM in Python, does. name: what the state calls the VM, as "module:Class": to
    the state it is the same one, as it must be."""
    module, _, qualname = name.partition(":")
    decode = getattr(vm, "decode", None)

    def execute(self: Any, tx: Any, state: Any, ctx: Any) -> Any:
        raw, decoded = tx
        if sleeps(raw, slow):
            time.sleep(slow.seconds)
        return vm.execute(decoded() if decode is not None else raw, state, ctx)

    def decoding(self: Any, tx: bytes) -> Any:
        # An exception of `decode` is the transaction's own, and `execute` is where it counts.
        made: list[Any] = []

        def decoded() -> Any:
            if not made:
                made.append(decode(tx))  # type: ignore[misc]
            return made[0]

        return tx, decoded

    members: dict[str, Any] = {"execute": execute, "decode": decoding, "__module__": module}
    if hasattr(vm, "version"):
        members["version"] = vm.version
    if getattr(vm, "keys", None) is not None:
        members["keys"] = lambda self, tx: vm.keys(tx[1]() if decode is not None else tx[0])
    if getattr(vm, "begin_block", None) is not None:
        members["begin_block"] = lambda self, state, ctx: vm.begin_block(state, ctx)
    if getattr(vm, "end_block", None) is not None:
        members["end_block"] = lambda self, state, ctx, receipts: vm.end_block(state, ctx, receipts)
    made = type(qualname.rpartition(".")[2], (), members)
    made.__qualname__ = qualname
    return made()
