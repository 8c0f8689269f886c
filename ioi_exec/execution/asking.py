"""What a VM in Python is asked between blocks, in the calling process: whether it would let a transaction in, and what it knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Hashable, Iterator

from ioi_shm import Plain

from ioi_exec.block.context import BlockContext
from ioi_exec.block.receipt import Receipt
from ioi_exec.errors import LimitExceeded, VMError
from ioi_exec.execution.executor import Readable
from ioi_exec.execution.faults import fault_trace
from ioi_exec.execution.settings import HERE, StatedSettings
from ioi_exec.execution.transaction import Abandoned, kept, run_transaction
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM


class _Below:
    """A committed state, however it is read this time."""

    now: Readable

    def get(self, key: bytes) -> bytes | None:
        return self.now.get(key)

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return self.now.scan(start, end, reverse)


class Checks:
    """On top of a committed state what the transactions wrote that were let in since. stand: which state that is. For one thread at a
    time."""

    def __init__(self, vm: LoadedVM, limits: Limits, context: BlockContext, stand: Hashable) -> None:
        self._vm, self._limits, self._context = vm, limits, context
        self._below = _Below()
        self._plain = _plain(limits, self._below)
        self._count = 0
        self.stand = stand

    def check(self, tx: bytes, base: Readable) -> Receipt:
        """What `check`, or `ante` where there is none, came to; what it wrote is pending if it raised nothing. base: reads the state.
        Raises VMError, and what reading the state raises."""
        self._below.now = base
        vm = self._vm.instance
        of_vm = vm.check if self._vm.check else vm.ante
        receipt = _asked(self._plain, of_vm, self._vm.decoder(), tx, self._context.of_transaction(self._count), self._limits, "check")
        receipt, _ = kept(self._plain, receipt)
        self._count += receipt.ok
        return receipt


def query(vm: LoadedVM, limits: Limits, base: Readable, path: str, data: bytes) -> Receipt:
    """What `query` came to: its answer is the output. Raises as `Checks.check`."""

    def answer(given: bytes, state: Any, _: Any) -> Any:
        return vm.instance.query(path, given, state)

    return _asked(_plain(limits, base), answer, None, data, None, limits, "query")


def _plain(limits: Limits, base: Readable) -> Plain:
    return Plain(limits.of_transaction(), base.get, base.scan, LimitExceeded, Abandoned)


def _asked(
    plain: Plain, of_vm: Callable[..., Any], decode: Callable[[bytes], Any] | None, given: bytes, ctx: Any, limits: Limits, what: str
) -> Receipt:
    with HERE, StatedSettings():
        receipt, fault = run_transaction(plain, plain.begin(), SimpleNamespace(execute=of_vm), decode, given, ctx, limits, what=what)
    if plain.broken is not None:
        raise plain.broken
    if fault is not None:
        try:
            if not issubclass(type(fault), Exception):
                raise fault  # Ctrl-C, say
            raise VMError(f"{what} was stopped: {fault_trace(fault).rpartition(chr(10))[2]}. This is a fault of the machine") from fault
        finally:
            del fault  # this frame is in its traceback
    return receipt
