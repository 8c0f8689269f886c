"""A pool of worker processes over one arena, alive across blocks and states, and as long as their VM is the same.

Never repaired: whatever goes wrong with a worker, all are killed and the next block gets fresh processes over a fresh
arena. What they were doing is not committed, so nothing is lost but time.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from typing import Any

from ioi_shm.memory import STEP_BYTES, SharedArena

from ioi_exec.cores import allowed_cores
from ioi_exec.execution.workers.control import Complaint, Forget, Setup, channel_pair, receive, send
from ioi_exec.execution.workers.pinning import Claims, Unpinned, put, unpin
from ioi_exec.execution.workers.starting import CHANNEL_SECONDS, Process, in_starter
from ioi_exec.execution.workers.templates import Template
from ioi_exec.limits import Limits

log = logging.getLogger("ioi_exec")

SPINS = 1000  # turns of a worker with a core of its own before it sleeps

_pin_warned = False


class Pool:
    """`workers` processes. Not safe for several threads; ExecutionMachine sees to that."""

    def __init__(self, workers: int, pin: bool, arena_bytes: int | None = None, initial_bytes: int = STEP_BYTES) -> None:
        """arena_bytes: most shared memory ever reserved; None: what is free. initial_bytes: reserved to begin with."""
        self.workers = workers
        self._pin = pin
        self._arena_bytes = arena_bytes
        self._initial_bytes = initial_bytes
        self._template: Template | None = None
        self._processes: list[Process] = []
        self._channels: list[socket.socket] = []
        self._memory: SharedArena | None = None
        self.busy = False  # a block is under way, or was interrupted: its workers may still be at it
        self.in_use = False  # an executor is running a block on it, as callbacks of that block are
        self.up = False  # whether all of the present processes have been seen in a block
        self.starts = 0  # of processes, all at once: whoever finds it changed knows that the former ones are dead
        self._setups: dict[int, tuple[Setup, list[int]]] = {}
        self._numbers = 0
        self._pid = os.getpid()
        self._claims = Claims()
        self.spins = SPINS if workers <= len(allowed_cores()) else 0  # a worker without a core of its own must not spin

    @property
    def arena_bytes(self) -> int:
        """What is reserved of the arena; 0 before it is made. For any thread."""
        memory = self._memory
        return 0 if memory is None else memory.reserved

    @property
    def memory(self) -> SharedArena:
        """The arena; workers are started first if there are none. Raises ArenaExhausted, OSError, ProcessLost, VMError."""
        if self._pid != os.getpid():  # in a forked child: the workers are the parent's
            self._drop()
        if self._memory is None:
            self._start()
        assert self._memory is not None
        return self._memory

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def serve(self, template: Template) -> None:
        """The VM of the blocks to come: workers of another end."""
        if template is not self._template:
            self.kill()
            self._template = template

    @property
    def lost(self) -> bool:
        """Whether the workers ended with what they were forked from, and for no reason of their own."""
        return self._template is not None and self._template.lost

    def setup(self, reader_spec: dict[str, Any], fds: list[int], limits: Limits, cache: tuple[int, int] | None = None) -> int:
        """Tell the workers, and those that come after them, about a state; the number that blocks name it by.

        fds: to read the state by. cache: the descriptor and the size of the cache of its values."""
        self._numbers += 1
        setup = Setup(self._numbers, reader_spec, limits)
        if cache is not None:
            setup.cache["size"] = cache[1]
            fds = [*fds, cache[0]]
        self._setups[setup.number] = setup, fds
        if self._memory is not None:
            self._tell_or_kill(setup, fds)
        return setup.number

    def forget(self, number: int) -> None:
        if self._setups.pop(number, None) is not None and self._memory is not None and os.getpid() == self._pid:
            self._tell_or_kill(Forget(number), [])

    def dead(self) -> list[int]:
        """Workers that are no more."""
        return [i for i, process in enumerate(self._processes) if process.ended()]

    def stopped(self) -> bool:
        """Whether somebody has stopped a worker."""
        return any(process.stopped() for process in self._processes)

    def complaints(self) -> list[Complaint]:
        """What workers said since last asked."""
        said = []
        for channel in self._channels:
            waiting = select.poll()
            waiting.register(channel, select.POLLIN)
            try:
                while waiting.poll(0):
                    said.append(receive(channel)[0])
            except (EOFError, OSError):
                continue  # it died; what it said before is kept
        return said

    def kill(self) -> None:
        """End the workers now and drop the arena. The next use starts afresh. Idempotent."""
        try:
            if os.getpid() == self._pid:
                for process in self._processes:
                    process.kill()  # all at once, before the first is waited for
        finally:
            self._drop()

    def close(self) -> None:
        """Let the workers end, or end them. Idempotent."""
        if self._memory is not None and os.getpid() == self._pid:
            self._memory.arena.shutdown(self.workers)
            for process in self._processes:
                if not process.ended(1.0):
                    break
        self.kill()
        self._setups.clear()

    def _drop(self) -> None:
        self.busy = False
        for process in self._processes:
            process.close() if os.getpid() == self._pid else process.forget()
        self._processes.clear()
        self._claims.release()
        for channel in self._channels:
            channel.close()
        self._channels.clear()
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _tell(self, message: object, fds: list[int]) -> None:
        for channel, process in zip(self._channels, self._processes):
            try:
                send(channel, message, fds)
            except OSError:
                process.kill()  # it is dead, or takes no messages, and half of one is worse than none

    def _tell_or_kill(self, message: object, fds: list[int]) -> None:
        """Interrupted in the middle, a channel holds half a message: start afresh then."""
        try:
            self._tell(message, fds)
        except BaseException:
            self.kill()
            raise

    def _start(self) -> None:
        self._pid = os.getpid()
        self.up = False
        self.starts += 1
        assert self._template is not None, "serve comes first"
        try:
            self._template.prepare()
            in_starter(self._start_processes)
            for channel in self._channels:
                self._template.wait_for(channel)
            if self._pin:
                self._pin_workers()
            for setup, fds in self._setups.values():
                self._tell(setup, fds)
        except BaseException:
            self.kill()
            raise

    def _start_processes(self) -> None:
        # Not in the caller's thread: Ctrl-C could come between the making of a descriptor and its keeping.
        self._memory = SharedArena(self._initial_bytes, self._arena_bytes)
        assert self._template is not None
        for worker in range(self.workers):
            ours, theirs = channel_pair()
            with theirs:
                arguments = self._memory.size, worker, self.spins > 0
                try:
                    self._processes.append(self._template.fork("worker", arguments, [self._memory.fd, theirs.fileno()]))
                except BaseException:
                    ours.close()
                    raise
            ours.settimeout(CHANNEL_SECONDS)
            self._channels.append(ours)

    def _pin_workers(self) -> None:
        """Each worker on a core that no other engine has. Never required: without, the system places them."""
        global _pin_warned
        try:
            for process, core in zip(self._processes, self._claims.take(self.workers)):
                put(process.pid, [core])
        except Unpinned as error:
            if not _pin_warned:
                _pin_warned = True
                log.info("workers run unpinned: %s", error)
            self._claims.release()
            for process in self._processes:
                unpin(process.pid)
