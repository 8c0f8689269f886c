"""The engine under attack: a process that opens the state, executes and commits what it is told, and may die at any moment.

A second thread says which workers there are while a block executes. When its pipe ends the supervisor is gone, and so is this process.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ioi_storage
from ioi_shm import die_with_parent

from ioi_exec import BlockResult, Error, ExecutionMachine, Policy
from ioi_exec.files.snapshots import MANIFEST, chunk_name
from ioi_exec.state.base import storage_errors
from ioi_exec.vm.carrying import received
from ioi_exec.vm.loading import load_vm
from ioi_stress.chaos import messages
from ioi_stress.chaos.messages import (
    Broken,
    Commit,
    Committed,
    End,
    Ended,
    Executed,
    Make,
    Open,
    Opened,
    Refused,
    Restore,
    RollBack,
    Run,
    Workers,
)
from ioi_stress.chaos.slow import slowed


class Engine:
    def __init__(self) -> None:
        self.machine: ExecutionMachine | None = None
        self._result: BlockResult | None = None

    def answer(self, message: object) -> object:
        try:
            if isinstance(message, Open):
                return self._open(message)
            if isinstance(message, Run):
                return self._run(message)
            if isinstance(message, Make):
                return _made(message)
            if isinstance(message, RollBack):
                return self._roll_back(message)
            if isinstance(message, Restore):
                return _restored(message)
            if isinstance(message, Commit):
                assert self.machine is not None and self._result is not None, "commit without a result"
                return Committed(self.machine.commit(self._result))
            assert isinstance(message, End), message
            self._close()
            return Ended()
        except Error as error:
            return Refused(type(error).__name__, str(error)[: messages.TEXT_MOST], error.exit_status, self._is_closed())
        except Exception:
            return Broken(traceback.format_exc()[-messages.TEXT_MOST :])

    def worker_pids(self) -> tuple[int, ...]:
        machine = self.machine
        return machine.worker_pids if machine is not None else ()

    def _open(self, message: Open) -> Opened:
        self._close()
        vm, args = _vm(message)
        if message.slow is not None:
            loaded = load_vm(vm, args)
            vm, args = slowed(loaded.instance, loaded.spec.name, message.slow), None
        self.machine = ExecutionMachine.open(
            message.path, vm=vm, vm_args=args, limits=message.limits, workers=message.workers, pin=message.pin, keep=message.keep,
            policy=Policy.named("all-workers"),  # faults are for those that take part
        )
        return Opened(self.machine.version, self.machine.root)

    def _run(self, message: Run) -> Executed:
        assert self.machine is not None, "run without a state"
        with open(message.file, "rb") as file:
            txs, header = pickle.load(file)
        self._result = None
        result = self._result = self.machine.execute(txs, header)
        stats = result.stats
        return Executed(
            result.version, result.state_root, result.receipts_root, result.failed, stats.mode, stats.retries, dict(stats.seconds)
        )

    def _roll_back(self, message: RollBack) -> Opened:
        assert self.machine is not None, "rollback without a state"
        self.machine.rollback(message.version)
        return Opened(self.machine.version, self.machine.root)

    def _close(self) -> None:
        machine, self.machine, self._result = self.machine, None, None
        if machine is not None:
            machine.close()

    def _is_closed(self) -> bool:
        if self.machine is None:
            return True
        try:
            _ = self.machine.version
        except Error:  # closed, or a rollback has begun that opening it again will finish
            return True
        return False


def _made(message: Make) -> Opened:
    opening = message.opening
    vm, args = _vm(opening)
    with open(message.genesis, "rb") as file:
        genesis = pickle.load(file)
    with ExecutionMachine.create(
        opening.path, vm, message.tree, genesis, vm_args=args, workers=0, limits=opening.limits
    ) as machine:
        return Opened(machine.version, machine.root)


def _restored(message: Restore) -> Opened:
    snapshot = Path(message.snapshot)
    with storage_errors():
        manifest = ioi_storage.Manifest.decode((snapshot / MANIFEST).read_bytes())
        with ioi_storage.Restore(message.path, manifest, root=message.root) as restore:
            while missing := restore.missing():  # the first chunk says how many there are
                for number in missing:
                    restore.offer(number, (snapshot / chunk_name(number)).read_bytes())
            restore.finish()
        with ioi_storage.Store.open(message.path, read_only=True) as store:
            return Opened(store.latest.version, store.latest.root)


def _vm(message: Open) -> tuple[Any, Any]:
    """(vm, its arguments)."""
    return (message.vm, message.vm_args) if message.vm is not None else (_unpickled(message.vm_file), None)


def _unpickled(file: str) -> Any:
    with open(file, "rb") as carried:
        return received(pickle.load(carried)).instance


def _answer_about_workers(engine: Engine, side: Connection) -> None:
    try:
        while True:
            side.send(Workers(side.recv().number, engine.worker_pids()))
    except (EOFError, OSError):
        os._exit(1)


def main(pipe: int, side: int, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)  # how the supervisor learns where one that does not answer is
    for fd in (pipe, side):
        os.set_inheritable(fd, False)
    engine, connection = Engine(), Connection(pipe)
    threading.Thread(target=_answer_about_workers, args=(engine, Connection(side)), daemon=True).start()
    try:
        while True:
            message = connection.recv()
            connection.send(engine.answer(message))
            if isinstance(message, End):
                return
    except (EOFError, OSError):
        os._exit(1)
