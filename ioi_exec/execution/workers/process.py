"""The life of a worker process: wait for a block, take part, and end with the engine.

Forked from a template that has its VM (template.py), which it ends with by PR_SET_PDEATHSIG; and the end of file of its control
channel says that the engine itself is gone. What cannot be forked, threads, maps and the state's environment, is made here.
Ctrl-C is the engine's business; workers ignore it.
"""

from __future__ import annotations

import os
import socket
import threading
import traceback

import ioi_storage
from ioi_shm import Arena, Worker

from ioi_exec.execution.workers.control import Complaint, Forget, Setup, channel_at, receive, send
from ioi_exec.execution.workers.part import NoCache, Part, make_part
from ioi_exec.vm.loading import LoadedVM

# Blocks come in rows, and waking a sleeping process takes longer than a small block: look out for the next one a while.
SPIN_NS = 75_000
TEXT_MOST = 10_000  # of a complaint: it must fit the socket's buffer, for nobody reads while the block runs


class Parts:
    """What this worker can do, by setup number; filled by the control channel's thread."""

    def __init__(self, vm: LoadedVM, worker: Worker, arena: Arena) -> None:
        self._vm = vm
        self._worker = worker
        self._arena = arena
        self._setups: dict[int, Setup] = {}
        self._made: dict[int, Part] = {}
        self._arrived = threading.Condition()

    def listen(self, channel: socket.socket) -> None:
        """Take messages until the parent is gone, then end this process at once."""
        try:
            while True:
                message, fds = receive(channel)
                with self._arrived:
                    if isinstance(message, Setup):
                        message.arrived(fds)
                        self._setups[message.number] = message
                        self._arrived.notify()
                    elif isinstance(message, Forget):
                        setup = self._setups.pop(message.number, None)
                        if setup is not None:
                            setup.close_fds()
                        part = self._made.pop(message.number, None)
                        if part is not None:
                            part.close()
        finally:
            os._exit(0)

    def get(self, number: int) -> Part:
        """The part of this setup, made on first use. Raises NoCache, and what opening the state raises."""
        with self._arrived:
            while number not in self._setups:
                self._arrived.wait()
            part = self._made.get(number)
            if part is None:
                part = self._made[number] = make_part(self._vm, self._setups[number], self._worker, self._arena)
            return part


def main(vm: LoadedVM, arena_size: int, worker_id: int, spin: bool, arena_fd: int, channel_fd: int) -> None:
    channel = channel_at(channel_fd)
    arena = Arena(arena_fd, arena_size)
    os.close(arena_fd)
    worker, home = Worker(arena, worker_id), os.getpid()
    parts = Parts(vm, worker, arena)
    threading.Thread(target=parts.listen, args=(channel,), name="ioi-control", daemon=True).start()
    while worker.await_block(SPIN_NS if spin else 0):
        complaint = take_part(worker_id, worker, parts, arena)
        if os.getpid() != home:
            os._exit(1)  # the VM forked and came back in the child: two must not speak to the engine
        if complaint is not None:
            send(channel, complaint)
            arena.abandon()
        worker.leave()
    os._exit(0)  # nothing of value is left here, and threads of a VM must not hold the process up


def take_part(worker_id: int, worker: Worker, parts: Parts, arena: Arena) -> Complaint | None:
    """Work on the block until it is over; what went wrong with this worker's part, if anything."""

    def complaint(kind: str, text: str, error: str = "") -> Complaint:
        return Complaint(worker_id, kind, text[-TEXT_MOST:], error)

    try:
        part = parts.get(arena.setup)
    except ioi_storage.StorageError as error:
        return complaint("storage", str(error), type(error).__name__)
    except NoCache as error:
        return complaint("cache", str(error))
    except BaseException as error:
        return complaint("setup", f"{type(error).__name__}: {error}")
    try:
        now, base = part.reader.begin(), ioi_storage.Stand.unpacked(arena.base)
        try:
            if now != base:
                return complaint("stale", base.moved_to(now))
            worker.use(part.cache)
            worker.enter()  # only now: until here no transaction is to blame for the time
            part.run()
        finally:
            part.reader.end()
    except ioi_storage.StorageError as error:
        return complaint("storage", str(error), type(error).__name__)
    except BaseException:
        return complaint("fault", traceback.format_exc())
    return None
