"""The life of the process that executes one by one: wait for a block, execute it, say what came of it; it ends with the engine.

It holds nothing of what workers share: what it executes is the sequential executor over a map of its own.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import threading
import traceback
from time import monotonic_ns

import ioi_storage
from ioi_shm import Plain

from ioi_exec.block.context import TxContext
from ioi_exec.block.receipt import PackedReceipts, Receipt, Receipts
from ioi_exec.errors import VMFault
from ioi_exec.execution.executor import Block
from ioi_exec.execution.one_by_one.committed import Committed
from ioi_exec.execution.one_by_one.messages import Faulted, Finished, Kept, Streamed, Task
from ioi_exec.execution.sequential import SequentialExecutor
from ioi_exec.execution.workers.control import Complaint, Forget, Setup, channel_at, receive, send
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM

STREAM_NS = 1_000_000  # how long receipts may wait to be told
KEEP_NS = 30_000_000  # how often what is done is told, where processes are killed
KEEP_SHARE = 4  # at most one part in so many of the time goes into that
BEAT_BYTES = mmap.PAGESIZE


def main(vm: LoadedVM, beat_fd: int, channel_fd: int) -> None:
    """beat_fd: a page in which it says what it is at."""
    channel = channel_at(channel_fd)
    threading.Thread(target=_end_with, args=(channel,), name="ioi-lifeline", daemon=True).start()
    page = mmap.mmap(beat_fd, BEAT_BYTES)
    os.close(beat_fd)
    try:
        _serve(vm, channel, page)
    except (EOFError, OSError):
        pass  # of the channel: the engine is gone
    finally:
        os._exit(0)  # nothing of value is left here, and threads of a VM must not hold the process up


def _serve(vm: LoadedVM, channel: socket.socket, page: mmap.mmap) -> None:
    waiting: dict[int, Setup] = {}
    readers: dict[int, ioi_storage.Reader] = {}
    home = os.getpid()
    while True:
        message, fds = receive(channel)
        if isinstance(message, Setup):
            if fds:
                message.reader_spec["fd"] = fds[0]
            waiting[message.number] = message
        elif isinstance(message, Forget):
            if message.number in waiting:
                waiting.pop(message.number).close_fds()
            if message.number in readers:
                readers.pop(message.number).close()
        else:
            answer = _answer(vm, message, waiting, readers, channel, page)
            if os.getpid() != home:
                os._exit(1)  # as in _Watched: of a hook, or of a fault
            send(channel, answer)


def _answer(
    vm: LoadedVM, task: Task, setups: dict[int, Setup], readers: dict[int, ioi_storage.Reader],
    channel: socket.socket, page: mmap.mmap,
) -> Finished | Faulted | Complaint:
    setup = setups[task.setup]
    keeper = _Keeper(channel, task.done) if task.keep else None
    executor = _Watched(vm, setup.limits, memoryview(page).cast("Q"), keeper)
    stream = _Stream(channel) if task.stream else None
    try:
        if task.setup not in readers:
            readers[task.setup] = ioi_storage.Reader(setup.reader_spec, lag=False)
            setup.close_fds()  # the reader has opened the file for itself
        reader = readers[task.setup]
        now = reader.begin()
        try:
            if now != task.parent:
                return Complaint(0, "stale", task.parent.moved_to(now))
            base = Committed(reader, task.overlay)
            block = Block(task.txs, task.context, hook=task.hook)
            outcome = executor.run(block, base, None if stream is None else stream.add)
        finally:
            reader.end()
    except ioi_storage.StorageError as error:
        return Complaint(0, "storage", str(error), type(error).__name__)
    except VMFault as error:
        cause = error.__cause__
        return Faulted(error.tx_index, str(error), "" if cause is None else "".join(traceback.format_exception(cause)))
    if stream is not None:
        stream.flush()
    receipts, stats = outcome.receipts, outcome.stats
    return Finished(
        ioi_storage.Writes.of(outcome.writes), receipts.blob, receipts.ends, outcome.measured.alone, stats.seconds, stats.busy_seconds,
        outcome.end,
    )


class _Watched(SequentialExecutor):
    """Says what it is at: 0 nothing, i + 1 transaction i, the number of transactions + 1 the hook."""

    def __init__(self, vm: LoadedVM, limits: Limits, beat: memoryview, keeper: _Keeper | None) -> None:
        super().__init__(vm, limits)
        self._pid = os.getpid()
        self._beat = beat
        self._keeper = keeper

    def transaction(self, tx: bytes, plain: Plain, ctx: TxContext) -> Receipt:
        if self._keeper is not None and ctx.tx_index < len(self._keeper.done):
            return self._keeper.done[ctx.tx_index]
        self._beat[0] = ctx.tx_index + 1
        receipt = super().transaction(tx, plain, ctx)
        if os.getpid() != self._pid:
            os._exit(1)  # the VM forked and came back in the child: two must not speak to the engine
        self._beat[0] = ctx.tx_index + 2
        if self._keeper is not None:
            self._keeper.add(receipt, plain)
        return receipt

    def hook(self, block: Block, plain: Plain, receipts: Receipts) -> Receipt:
        self._beat[0] = len(block.txs) + 1
        return super().hook(block, plain, receipts)


class _Keeper:
    """Tells what is done. done: what was when this process began."""

    def __init__(self, channel: socket.socket, done: tuple[bytes, bytes]) -> None:
        self._channel = channel
        self.done = Receipts(*done)
        self._receipts = list(self.done)
        self._next_ns = 0

    def add(self, receipt: Receipt, plain: Plain) -> None:
        self._receipts.append(receipt)
        began = monotonic_ns()
        if began >= self._next_ns:
            receipts = Receipts.of(self._receipts)
            send(self._channel, Kept(plain.batch(), receipts.blob, receipts.ends))
            now = monotonic_ns()
            self._next_ns = now + max(KEEP_NS, KEEP_SHARE * (now - began))


class _Stream:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._packed = PackedReceipts()
        self._since = monotonic_ns()

    def add(self, index: int, receipt: Receipt) -> None:
        self._packed.append(receipt)
        if monotonic_ns() - self._since >= STREAM_NS:
            self.flush()

    def flush(self) -> None:
        receipts, self._packed = self._packed.finish(), PackedReceipts()
        if len(receipts):
            send(self._channel, Streamed(receipts.blob, receipts.ends))
        self._since = monotonic_ns()


def _end_with(channel: socket.socket) -> None:
    """End this process, whatever it is at, when the other end of the channel is closed."""
    waiting = select.poll()
    waiting.register(channel, select.POLLRDHUP)
    waiting.poll()
    os._exit(0)
