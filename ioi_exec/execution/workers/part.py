"""A worker's part in a block: execute what the scheduler hands out, with a native VM or one in Python."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from typing import Any, Iterator, Sequence

import ioi_storage
from ioi_shm import BLOCK_RUNNING, TASK_END_BLOCK, TASK_LEAVE, Arena, Worker

from ioi_exec.block.context import BlockContext
from ioi_exec.block.receipt import DONE, Receipt, Receipts
from ioi_exec.errors import LimitExceeded
from ioi_exec.execution.faults import done_receipt, failed_receipt
from ioi_exec.execution.settings import StatedSettings, apart
from ioi_exec.execution.workers.control import Setup
from ioi_exec.execution.workers.view import IncarnationEnded, WorkerView
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import load_payload, native_of


class Part(ABC):
    """What a setup asks of this worker. `run` may be called while `reader` is in a transaction of the parent version."""

    def __init__(self, setup: Setup, worker: Worker, arena: Arena) -> None:
        self.reader = ioi_storage.Reader(setup.reader_spec, lag=False)  # the coordinator lays it into the arena
        setup.close_fd()  # the reader has opened the file for itself
        self._worker = worker
        self._arena = arena
        self._limits: Limits = setup.limits

    @abstractmethod
    def run(self) -> None:
        """Work until the block is over."""

    def close(self) -> None:
        self.reader.close()

    def _committed(self, keys: list[bytes]) -> Sequence[bytes | None]:
        """The committed values of some keys, ascending; None also where no key like this can be stored."""
        if keys[0] and max(map(len, keys)) <= ioi_storage.key_limit:
            return self.reader.getmulti(keys)
        return [self.reader.get(key) if 0 < len(key) <= ioi_storage.key_limit else None for key in keys]


class NativePart(Part):
    """The interpreter is entered only where committed values are missing: one sorted batch per run of transactions."""

    def __init__(self, setup: Setup, worker: Worker, arena: Arena, capsule: object) -> None:
        super().__init__(setup, worker, arena)
        self._vm = capsule

    def run(self) -> None:
        worker = self._worker
        worker.native(self._vm, self._limits.of_transaction())
        while (missing := worker.run()) is not None:
            worker.bring(self._committed(missing))


class PythonPart(Part):
    """One transaction after another through `VM.execute`."""

    def __init__(self, setup: Setup, worker: Worker, arena: Arena, vm: Any) -> None:
        super().__init__(setup, worker, arena)
        self._vm = vm
        self._decode = getattr(self._vm, "decode", None)
        self._keys = getattr(self._vm, "keys", None)
        self._broken: Exception | None = None  # why the base could not be read

        class PartView(WorkerView):
            __slots__ = ()
            scan_base = staticmethod(self._scan)

        self._views = PartView(worker, self._limits.of_transaction(), self._fetch, LimitExceeded, IncarnationEnded)

    def run(self) -> None:
        with StatedSettings() as settings:
            self._run(settings)

    def _run(self, settings: StatedSettings) -> None:
        self._broken = None
        worker = self._worker
        context = BlockContext(**worker.context(), block_id=b"")
        decoded: dict[int, Any] = {}  # a transaction decoded here is decoded for all its incarnations
        hinted = range(0)
        while True:
            task, tx = worker.next()
            if task == TASK_LEAVE:
                return
            if task == TASK_END_BLOCK:
                self._end_block(context)
                continue
            if self._keys is not None and tx not in hinted:
                hinted = range(tx, worker.run_end(tx))
                self._hint(hinted, decoded)
            while not self._execute(tx, context, decoded) and self._arena.state == BLOCK_RUNNING:
                settings.renew()  # its reads were overtaken while it ran: once more
            settings.renew()

    def _execute(self, tx: int, context: BlockContext, decoded: dict[int, Any]) -> bool:
        """One incarnation. False if it was cut short."""
        view = self._views._begin(tx)
        error_text = ""
        fault = False
        receipt = DONE
        try:
            output = apart(self._vm.execute, self._decoded(tx, decoded), view, context.of_transaction(tx))
            receipt = done_receipt(output, self._limits)
        except BaseException as error:
            failed = None if view._cut or self._broken else failed_receipt(error)
            if failed is not None:
                receipt = failed
            else:
                fault, error_text = True, _fault_text(error)
        if self._broken is not None:
            raise self._broken
        if view._cut:
            return False
        _finish(view, receipt, fault, error_text)
        return True

    def _end_block(self, context: BlockContext) -> None:
        view = self._views._begin(self._arena.transactions)
        txs = [self._worker.transaction(i) for i in range(self._arena.transactions)]
        fault, error_text = False, ""
        try:
            apart(self._vm.end_block, view, context.of_end(txs), Receipts(*self._worker.receipts()))
        except BaseException as error:
            fault, error_text = True, _fault_text(error)
        if self._broken is not None:
            raise self._broken
        if not view._cut:
            _finish(view, DONE, fault, error_text)

    def _decoded(self, tx: int, decoded: dict[int, Any]) -> Any:
        """What `decode` made of the transaction; an exception of it is raised anew each time, as `execute`'s own."""
        if self._decode is None:
            return self._worker.transaction(tx)
        if tx not in decoded:
            try:
                decoded[tx] = apart(self._decode, self._worker.transaction(tx))
            except Exception as error:
                decoded[tx] = _Raised(error)
        value = decoded[tx]
        if type(value) is _Raised:
            raise value.error
        return value

    def _hint(self, txs: range, decoded: dict[int, Any]) -> None:
        """Fetch the committed values the transactions of a run will likely read, at once."""
        view = self._views._begin(txs.start)
        keys: list[bytes] = []
        for tx in txs:
            try:
                keys.extend(apart(self._keys, self._decoded(tx, decoded)))
            except BaseException:
                continue  # a hint; if there is something wrong, execute will say so
        try:
            missing = view._hint(keys)
            if missing:
                view._bring(missing, self._committed(missing))
        except IncarnationEnded:
            pass  # the arena is full, and the block over
        finally:
            view._end()

    def _fetch(self, key: bytes) -> bytes | None:
        """The committed value of a key, for the view. A VM never gets to see why this failed."""
        try:
            return self._committed([key])[0]
        except Exception as error:
            self._broken = error
            raise IncarnationEnded from error

    def _scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """The committed pairs of a range, for the view; the same about failures."""
        try:
            yield from self.reader.scan(start, end, reverse)
        except Exception as error:
            self._broken = error
            raise IncarnationEnded from error


class _Raised:
    """An exception kept in the place of a decoded transaction."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def make_part(setup: Setup, worker: Worker, arena: Arena) -> Part:
    """Raises what unpickling or building the VM raises."""
    vm = load_payload(setup.payload)
    capsule = native_of(vm)
    return PythonPart(setup, worker, arena, vm) if capsule is None else NativePart(setup, worker, arena, capsule)


def _finish(view: WorkerView, receipt: Receipt, fault: bool, fault_text: str) -> None:
    # The receipt's own text is kept short already, where it was made (faults.py).
    error = (fault_text if fault else receipt.error).encode("utf-8", "backslashreplace")
    view._finish(receipt.code, receipt.output, error, receipt.gas_wanted, receipt.gas_used, fault)


def _fault_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
