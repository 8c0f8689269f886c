"""What a VM is asked between blocks, in the calling process: whether it would let a transaction in, and what it knows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Callable, Hashable, Iterator, NoReturn, Protocol

from ioi_shm import Plain, run_sequential
from ioi_storage import Writes

from ioi_exec.block.context import BlockContext
from ioi_exec.block.hook import Hook
from ioi_exec.block.receipt import Receipt, Receipts
from ioi_exec.errors import LimitExceeded, VMError
from ioi_exec.execution.executor import Readable
from ioi_exec.execution.faults import fault_trace
from ioi_exec.execution.one_by_one.committed import Committed
from ioi_exec.execution.settings import HERE, StatedSettings
from ioi_exec.execution.transaction import Abandoned, kept, refused, run_transaction
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM

_CHECK, _QUERY = 1, 2  # asking.h


class _Below:
    """A committed state, however it is read this time."""

    now: Readable

    def get(self, key: bytes) -> bytes | None:
        return self.now.get(key)

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return self.now.scan(start, end, reverse)


class Checks(Protocol):
    """On top of a committed state what the transactions wrote that were let in since. stand: which state that is. For one thread at a
    time."""

    stand: Hashable

    def check(self, tx: bytes, base: Readable) -> Receipt:
        """What `check`, or `ante` where there is none, came to; what it wrote is pending if it raised nothing. base: reads the state.
        Raises VMError, and what reading the state raises."""


def checks(vm: LoadedVM, limits: Limits, context: BlockContext, stand: Hashable) -> Checks:
    return (ChecksInPython if vm.native is None else ChecksInC)(vm, limits, context, stand)


class ChecksInPython:
    def __init__(self, vm: LoadedVM, limits: Limits, context: BlockContext, stand: Hashable) -> None:
        self._vm, self._limits, self._context = vm, limits, context
        self._below = _Below()
        self._plain = _plain(limits, self._below)
        self._count = 0
        self.stand = stand

    def check(self, tx: bytes, base: Readable) -> Receipt:
        self._below.now = base
        vm = self._vm.instance
        of_vm = vm.check if self._vm.check else vm.ante
        receipt = _asked(self._plain, of_vm, self._vm.decoder(), tx, self._context.of_transaction(self._count), self._limits, "check")
        receipt, _ = kept(self._plain, receipt)
        self._count += receipt.ok
        return receipt


class ChecksInC:
    def __init__(self, vm: LoadedVM, limits: Limits, context: BlockContext, stand: Hashable) -> None:
        self._vm, self._limits, self._context = vm, limits, context
        self._below = _Below()
        self._over = Committed(self._below, {})
        self._count = 0
        self.stand = stand

    def check(self, tx: bytes, base: Readable) -> Receipt:
        self._below.now = base
        receipt, writes = _asked_in_c(self._vm, self._limits, self._context, self._over, tx, index=self._count)
        if receipt.ok:
            self._over.apply(list(writes))
            self._count += 1
        return receipt


def query(vm: LoadedVM, limits: Limits, base: Readable, context: BlockContext, path: str, data: bytes) -> Receipt:
    """What `query` came to: its answer is the output. Raises as `Checks.check`."""
    if vm.native is not None:
        return replace(_asked_in_c(vm, limits, context, base, data, path=path)[0], packed_events=b"")

    def answer(given: bytes, state: Any, _: Any) -> Any:
        return vm.instance.query(path, given, state)

    return _asked(_plain(limits, base), answer, None, data, None, limits, "query")


def _asked_in_c(
    vm: LoadedVM, limits: Limits, context: BlockContext, base: Readable, given: bytes, *, path: str | None = None, index: int = 0
) -> tuple[Receipt, Writes]:
    """A query where there is a path, else a check."""
    verify = vm.verifier() if path is None else None

    def look(_: int, tx: bytes) -> tuple[int, bytes, bool] | None:
        assert verify is not None
        receipt, fault = refused(verify, tx, limits)
        if fault is not None:
            _stopped("check", fault)
        return None if receipt is None else (receipt.code, receipt.error.encode(), False)

    with HERE, StatedSettings():
        writes, blob, ends, *_ = run_sequential(
            vm.native, [given], limits.of_transaction(), lambda keys: list(map(base.get, keys)), height=context.height,
            time_ns=context.time_ns, proposer=context.proposer, extra=context.extra, parent_root=context.parent_root,
            chain_id=context.chain_id.encode(), decided=b"", hook=Hook.NONE, range=base.scan, check=None if verify is None else look,
            question=_CHECK if path is None else _QUERY, path=path or "", index=index,
        )
    return Receipts(blob, ends)[0], Writes(*writes)


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
            _stopped(what, fault)
        finally:
            del fault  # this frame is in its traceback
    return receipt


def _stopped(what: str, fault: BaseException) -> NoReturn:
    if not issubclass(type(fault), Exception):
        raise fault  # Ctrl-C, say
    raise VMError(f"{what} was stopped: {fault_trace(fault).rpartition(chr(10))[2]}. This is a fault of the machine") from fault
