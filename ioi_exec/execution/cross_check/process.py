"""The process that executes a block for a cross-check: each transaction in a child of its own, forked for it, and there twice.

So nothing that a VM kept, in an instance, a class, a module or anywhere else in the process, comes from one transaction to the
next; and what it keeps shows in the second execution. The children have no reader: the state's environment must not be used after
a fork, so they ask this process, which has a single thread.
"""

from __future__ import annotations

import os
import signal
import socket
from itertools import islice
from typing import Any, Callable, Iterator

import ioi_storage
from ioi_shm import Plain, die_with_parent

from ioi_exec.block.context import TxContext
from ioi_exec.block.receipt import DONE, PackedReceipts
from ioi_exec.errors import LimitExceeded
from ioi_exec.execution.cross_check.messages import Checked, Execution, Get, Scan
from ioi_exec.execution.one_by_one.committed import Committed
from ioi_exec.execution.one_by_one.messages import Task
from ioi_exec.execution.settings import StatedSettings
from ioi_exec.execution.transaction import Abandoned, HookCall, kept, run_hook, run_transaction
from ioi_exec.execution.workers.control import Complaint, Setup, channel_at, channel_pair, receive, send
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM

AT_ONCE = 100  # pairs of a scan


def main(vm: LoadedVM, channel_fd: int) -> None:
    channel = channel_at(channel_fd)
    try:
        setup, fds = receive(channel)
        task, _ = receive(channel)
        assert isinstance(setup, Setup) and isinstance(task, Task)
        if fds:
            setup.reader_spec["fd"] = fds[0]
        try:
            _check(vm, setup, task, channel)
        except ioi_storage.StorageError as error:
            send(channel, Complaint(0, "storage", str(error), type(error).__name__))
    except (EOFError, OSError):
        pass  # of the channel: the engine is gone
    finally:
        os._exit(0)


def _check(vm: LoadedVM, setup: Setup, task: Task, channel: socket.socket) -> None:
    reader = ioi_storage.Reader(setup.reader_spec, lag=False)
    setup.close_fds()
    now = reader.begin()
    if now != task.parent:
        return send(channel, Complaint(0, "stale", task.parent.moved_to(now)))
    state = Committed(reader, task.overlay)
    packed = PackedReceipts()
    for index, tx in enumerate(task.txs):
        checked = _in_child(vm, setup.limits, state, tx, task.context.of_transaction(index), channel)
        state.apply(checked.first.writes)
        packed.append(checked.first.receipt)
        send(channel, checked)
    if vm.has(task.hook):
        call = HookCall(task.hook, task.context, task.txs, packed.finish())
        send(channel, _in_child(vm, setup.limits, state, b"", call, channel))


def _in_child(
    vm: LoadedVM, limits: Limits, state: Committed, tx: bytes, ctx: TxContext | HookCall, channel: socket.socket
) -> Checked:
    ours, theirs = channel_pair()
    with ours:
        with theirs:
            parent = os.getpid()
            child = os.fork()
            if child == 0:
                try:
                    die_with_parent(signal.SIGKILL)
                    if os.getppid() == parent:
                        channel.close()
                        ours.close()
                        asked = _Asked(theirs)
                        asked.answer(_executed_twice(vm, limits, asked, tx, ctx))
                finally:
                    os._exit(0)
        try:
            return _answered(ours, state)
        except (EOFError, OSError):
            gone = Execution(DONE, [], "it ended its process")
            return Checked(gone, gone)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _answered(channel: socket.socket, state: Committed) -> Checked:
    """Answer a child's questions until it is done."""
    scans: dict[int, Iterator[tuple[bytes, bytes]]] = {}
    while True:
        message, _ = receive(channel)
        if isinstance(message, Checked):
            return message
        if isinstance(message, Get):
            send(channel, state.get(message.key))
        else:
            if message.number not in scans:
                scans[message.number] = state.scan(message.start, message.end, message.reverse)
            send(channel, list(islice(scans[message.number], AT_ONCE)))


class _Asked:
    """The state, in a child."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._pid = os.getpid()
        self._scans = 0

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._ask(Get(key))
        return value

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        self._scans += 1
        question = Scan(self._scans, start, end, reverse)
        while pairs := self._ask(question):
            yield from pairs

    def answer(self, checked: Checked) -> None:
        """Say what came of it."""
        self._send(checked)

    def _ask(self, question: object) -> Any:
        self._send(question)
        return receive(self._channel)[0]

    def _send(self, message: object) -> None:
        self.end_if_forked()
        send(self._channel, message)

    def end_if_forked(self) -> None:
        """If the VM forked and came back in the child: two must not speak in one's place."""
        if os.getpid() != self._pid:
            os._exit(1)


def _executed_twice(
    vm: LoadedVM, limits: Limits, base: _Asked, tx: bytes, ctx: TxContext | HookCall
) -> Checked:
    """And once more, if all is well so far, as in a worker where its reads were overtaken: after `keys`, with what `decode` made."""
    made: list[Any] = []
    of_vm = vm.decoder()

    def decode(tx: bytes) -> Any:
        made.append(tx if of_vm is None else settings.call(of_vm, tx))
        return made[-1]

    def same(tx: bytes) -> Any:
        if vm.keys:
            try:
                settings.call(lambda: list(vm.instance.keys(made[-1])))
            except BaseException:
                pass  # a hint
        return made[-1]

    with StatedSettings() as settings:
        first = _executed(vm, limits, base, decode, tx, ctx)
        settings.renew()
        second = _executed(vm, limits, base, decode, tx, ctx)
        if made and (vm.decode or vm.keys) and second == first:
            settings.renew()
            second = _executed(vm, limits, base, same, tx, ctx)
        return Checked(first, second)


def _executed(
    vm: LoadedVM, limits: Limits, base: _Asked, decode: Callable[[bytes], Any], tx: bytes, ctx: TxContext | HookCall
) -> Execution:
    plain = Plain(limits.of_transaction(), base.get, base.scan, LimitExceeded, Abandoned)
    receipt = DONE
    if isinstance(ctx, TxContext):
        receipt, fault = run_transaction(plain, plain.begin(), vm.instance, decode, tx, ctx, limits, vm.ante)
    else:
        receipt, fault = run_hook(plain, plain.begin(), vm, ctx)
    base.end_if_forked()
    if plain.broken is not None:
        raise plain.broken
    if fault is not None:
        name = type(fault).__name__
        del fault  # this frame is in its traceback
        return Execution(DONE, [], name)
    receipt, _ = kept(plain, receipt)
    return Execution(receipt, plain.batch())
