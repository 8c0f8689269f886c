"""A worker's part in a block: execute what the scheduler hands out, with a native VM or one in Python."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, Iterator, Sequence

import ioi_storage
from ioi_shm import TASK_LEAVE, Arena, Cache, View, Worker

from ioi_exec.block.context import BlockContext, TxContext
from ioi_exec.block.decided import unpacked
from ioi_exec.block.hook import Hook
from ioi_exec.block.receipt import Receipt, Receipts
from ioi_exec.errors import LimitExceeded
from ioi_exec.execution.faults import fault_trace
from ioi_exec.execution.settings import StatedSettings
from ioi_exec.execution.transaction import Abandoned, HookCall, refused, run_hook, settled
from ioi_exec.execution.workers.control import Setup
from ioi_exec.limits import Limits
from ioi_exec.vm.interpreter import RECURSION_LIMIT
from ioi_exec.vm.loading import LoadedVM


class NoCache(Exception):
    """The cache of committed values cannot be mapped here."""


class Committed:
    """Reading what is committed beneath the blocks of a setup. Knows nothing of its part, so that no cycle keeps the memory of a
    machine that is closed."""

    def __init__(self, reader: ioi_storage.Reader, arena: Arena) -> None:
        self._reader = reader
        self._arena = arena

    def get(self, key: bytes) -> bytes | None:
        """None also where no key like this can be stored."""
        return self._reader.get(key) if 0 < len(key) <= ioi_storage.key_limit else None

    def getmulti(self, keys: list[bytes]) -> Sequence[bytes | None]:
        """The same of some keys, ascending."""
        if keys[0] and max(map(len, keys)) <= ioi_storage.key_limit:
            return self._reader.getmulti(keys)
        return list(map(self.get, keys))

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        if self._arena.cached:  # then what lags is not all beneath the block, where a scan would meet it
            self._reader.catch_up()
        return self._reader.scan(start, end, reverse)


class Part(ABC):
    """What a setup asks of this worker. `run` may be called while `reader` is in a transaction of the parent version."""

    def __init__(self, setup: Setup, worker: Worker, arena: Arena) -> None:
        # What lags is in the cache or beneath the block.
        self.reader = ioi_storage.Reader(setup.reader_spec, lag=False)
        try:
            self.cache = Cache(setup.cache["fd"], setup.cache["size"]) if setup.cache else None
        except OSError as error:
            self.reader.close()
            raise NoCache(str(error)) from error
        setup.close_fds()  # both are open or mapped here
        self._committed = Committed(self.reader, arena)
        self._worker = worker
        self._arena = arena
        self._limits: Limits = setup.limits

    @abstractmethod
    def run(self) -> None:
        """Work until the block is over."""

    def close(self) -> None:
        self.reader.close()


class NativePart(Part):
    """The interpreter is entered only where committed values are missing: one sorted batch of hinted ones per run of transactions, and
    each of the others as it is read."""

    def __init__(self, setup: Setup, worker: Worker, arena: Arena, vm: LoadedVM) -> None:
        super().__init__(setup, worker, arena)
        self._vm, self._chain_id = vm.native, vm.chain_id.encode()
        self._verify = vm.verifier()
        self._settings = StatedSettings()

    def run(self) -> None:
        if self._verify is None:
            return self._run(None)
        with self._settings:
            self._run(self._check)

    def _run(self, check: Callable[[int, bytes], tuple[int, bytes, bool] | None] | None) -> None:
        worker = self._worker
        worker.native(self._vm, self._limits.of_transaction(), self._chain_id)
        while (missing := worker.run(self._committed.get, self._committed.scan, check)) is not None:
            worker.bring(self._committed.getmulti(missing))

    def _check(self, _: int, tx: bytes) -> tuple[int, bytes, bool] | None:
        """None: the transaction may be executed. Else the code and text of its receipt; or what stops the block."""
        assert self._verify is not None
        receipt, fault = refused(self._verify, tx, self._limits)
        self._settings.renew()
        if fault is not None:
            return 1, fault_trace(fault).encode("utf-8", "backslashreplace"), True
        return None if receipt is None else (receipt.code, receipt.error.encode(), False)


class PythonPart(Part):
    """One transaction after another through `VM.execute`."""

    def __init__(self, setup: Setup, worker: Worker, arena: Arena, vm: LoadedVM) -> None:
        super().__init__(setup, worker, arena)
        self._loaded, self._vm = vm, vm.instance
        self._ante = "ante" if vm.ante else None
        self._decode = vm.decoder()
        self._keys = getattr(self._vm, "keys", None)
        self._decoded: dict[int, Any] = {}  # a transaction decoded here is decoded for all its incarnations
        self._settings = StatedSettings()
        of_transaction = self._limits.of_transaction()
        self._view = View(worker, of_transaction, self._committed.get, self._committed.scan, LimitExceeded, Abandoned)

    def run(self) -> None:
        with self._settings:
            self._run()

    def _run(self) -> None:
        """Raises what reading the committed state raised."""
        given = self._worker.context()
        context = BlockContext(
            given["height"], given["time_ns"], given["proposer"], given["extra"], given["parent_root"], b"", self._loaded.chain_id,
            *unpacked(given["decided"]),
        )
        fields = tuple(context.of_transaction(0))[:-1]
        self._decoded.clear()
        decode = None if self._decode is None else self._transaction
        hint = None if self._keys is None else self._hint
        renewed, most = self._settings.renewed, self._limits.output_bytes
        turns = self._view.turns
        while turns(self._vm, self._ante, decode, hint, self._settle, renewed, TxContext, fields, most, RECURSION_LIMIT) != TASK_LEAVE:
            self._hook(context)

    def _settle(self, output: object, error: BaseException | None, refused: bool) -> None:
        """Publish an incarnation that failed, or returned what is not plainly bytes. refused: before `ante` had let it in."""
        self._finish(*settled(self._view, output, error, refused, self._limits))

    def _hook(self, context: BlockContext) -> None:
        view, worker = self._view, self._worker
        txs = [worker.transaction(i) for i in range(self._arena.transactions)]
        state = view.begin(self._arena.transactions)
        call = HookCall(Hook(self._arena.hook), context, txs, Receipts(*worker.receipts()))
        self._finish(*run_hook(view, state, self._loaded, call))

    def _finish(self, receipt: Receipt, fault: BaseException | None) -> None:
        """Publish what an incarnation came to; nothing if it was cut short."""
        view = self._view
        if view.broken is not None:
            raise view.broken
        if view.cut:
            return
        text = receipt.error if fault is None else fault_trace(fault)
        error = text.encode("utf-8", "backslashreplace") if text else b""
        trace = receipt.traceback.encode() if receipt.traceback else b""
        view.finish(receipt.code, receipt.output, error, receipt.gas_wanted, receipt.gas_used, fault is not None, trace, receipt.refused)

    def _transaction(self, tx: int) -> Any:
        """What `execute` is given: what `decode` made of the transaction. What it raised is not kept, nor what that holds."""
        if self._decode is None:
            return self._worker.transaction(tx)
        if tx not in self._decoded:
            self._decoded[tx] = self._settings.call(self._decode, self._worker.transaction(tx))
        return self._decoded[tx]

    def _hint(self, first: int, end: int) -> None:
        """Fetch the committed values that a run of transactions will likely read, at once."""
        view = self._view
        view.begin(first)
        keys: list[bytes] = []
        for tx in range(first, end):
            try:
                keys += self._settings.call(self._likely, self._transaction(tx))
            except BaseException:
                continue  # a hint; if there is something wrong, execute will say so
        missing = view.hint(keys)
        if missing:
            view.bring(missing, list(self._committed.getmulti(missing)))
        view.end()

    def _likely(self, tx: Any) -> list[bytes]:
        assert self._keys is not None
        return list(self._keys(tx))  # here, for it may be a generator


def make_part(vm: LoadedVM, setup: Setup, worker: Worker, arena: Arena) -> Part:
    if vm.native is not None:
        return NativePart(setup, worker, arena, vm)
    return PythonPart(setup, worker, arena, vm)
