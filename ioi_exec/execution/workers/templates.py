"""A template for each VM: the process that holds it, and that all which execute it are forked from (template.py is its side)."""

from __future__ import annotations

import logging
import os
import pickle
import select
import socket
from collections import OrderedDict
from time import monotonic
from typing import Any

from ioi_exec.errors import VMError
from ioi_exec.execution.settings import interpreter_environment
from ioi_exec.execution.workers.control import Fork, Ready, channel_pair, receive
from ioi_exec.execution.workers.pinning import unpin
from ioi_exec.execution.workers.starting import CHANNEL_SECONDS, START_SECONDS, Process, ProcessLost, Server, in_starter, root
from ioi_exec.vm.carrying import Carried, carry
from ioi_exec.vm.code import Code, difference
from ioi_exec.vm.loading import LoadedVM

log = logging.getLogger("ioi_exec")

# By hash seed, of processes that look for what a VM must not depend on: how far the clock is ahead, and the time zone. It is never
# the same day in both of these.
OTHER_TIMES = {1: (86_400, "IOI-14"), 2: (86_400 * 1000, "IOI+12")}


class Template:
    """Where the processes of one VM come from. What was loaded first is what all of them execute."""

    def __init__(self, vm: LoadedVM, carried: Carried, hash_seed: int = 0) -> None:
        self.vm = vm
        self.carried = carried
        self._hash_seed = hash_seed
        self._root = root(hash_seed)
        self._server: Server | None = None
        self._code: Code | None = None  # as the first one loaded it
        self._pid = os.getpid()
        self.alone = ""
        """Why each process loads the VM for itself, "" if none does."""

    @property
    def lost(self) -> bool:
        """Whether what its processes came from ended by itself, and they with it."""
        return not self._root.alive if self.alone else self._server is not None and not self._server.alive

    def prepare(self) -> None:
        """Load the VM, if no process has. Raises VMError, ProcessLost, OSError."""
        if self._pid != os.getpid():
            self.close()
            self._pid = os.getpid()
        if self.alone or self._server is not None and self._server.alive:
            return
        self.close()
        try:
            in_starter(self._start)
            assert self._server is not None
            ready = self._loaded(self._server.channel)
        except BaseException:
            self.close()
            raise
        self._code = ready.code
        if ready.alone:
            self.alone = ready.alone
            log.warning("each worker loads the VM %s for itself, which takes longer: %s", self.vm.spec.name, self.alone)
            self.close()

    def fork(self, role: str, arguments: tuple[Any, ...], fds: list[int]) -> Process:
        """A process in this role. In the starter's thread, after `prepare`. Raises ProcessLost, OSError."""
        if self.alone:
            process = self._root.fork(self._loading(role, arguments), fds)
        elif self._server is None:
            raise ProcessLost("the VM's template is gone")
        else:
            process = self._server.fork(Fork(role, arguments), fds)
        unpin(process.pid)
        return process

    def wait_for(self, channel: socket.socket) -> None:
        """For what `fork` made, at the other end of the channel, to have the VM. Raises VMError, ProcessLost."""
        if self.alone:
            self._loaded(channel)

    def close(self) -> None:
        """End it, and all that came from it. Idempotent."""
        if self._server is not None:
            if self._pid == os.getpid():
                self._server.close()
            else:
                self._server.forget()
            self._server = None

    def _start(self) -> None:
        ours, theirs = channel_pair()
        with theirs:
            try:
                process = self._root.fork(self._loading("template", ()), [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        ours.settimeout(CHANNEL_SECONDS)
        self._server = Server(process, ours)

    def _loading(self, role: str, arguments: tuple[Any, ...]) -> Fork:
        try:
            directory = os.getcwd()
        except OSError:
            directory = None
        environment = interpreter_environment(self._hash_seed)
        clock, zone = OTHER_TIMES.get(self._hash_seed, (0, ""))
        if zone:
            environment["TZ"] = zone
        return Fork(role, arguments, pickle.dumps(self.carried), environment, directory, clock=clock)

    def _loaded(self, channel: socket.socket) -> Ready:
        waiting = select.poll()
        waiting.register(channel, select.POLLIN)
        patience = monotonic() + START_SECONDS
        try:
            while not waiting.poll(1000):
                if monotonic() > patience:
                    raise ProcessLost(f"the VM was not loaded within {START_SECONDS:.0f} s")
            ready: Ready | str = receive(channel)[0]
        except (EOFError, OSError) as error:
            raise ProcessLost("the process that loads the VM ended") from error
        if isinstance(ready, str):
            raise VMError(f"a worker cannot load the VM {self.vm.spec.name}: {ready}")
        self._check(ready.code)
        return ready

    def _check(self, code: Code) -> None:
        first = self._code is None
        other = difference(self.carried.code if self._code is None else self._code, code)
        if other is None:
            return
        name = self.vm.spec.name
        if first:
            raise VMError(
                f"the VM {name} is not the same in its workers as here: {other}. Its file changed since it was imported, or "
                "something was set after: give what configures a VM as arguments (vm_args), or as an instance. Or the VM changed it "
                "itself when it executed in this process, but it must keep nothing between transactions"
            )
        raise VMError(
            f"the VM {name} changed since this machine began to execute, which goes on with what it was given or not at all: "
            f"{other}. Open the machine again to execute with what is there now"
        )


class Templates:
    """Of several machines: VMs that are the same share one. most: how many are kept beyond their last use."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._made: OrderedDict[object, Template] = OrderedDict()

    def get(self, vm: LoadedVM, hash_seed: int = 0) -> Template:
        """Raises VMError if the VM cannot be carried to other processes."""
        carried = carry(vm)
        key = hash_seed, carried.key
        template = self._made.pop(key, None) or Template(vm, carried, hash_seed)
        self._made[key] = template
        while len(self._made) > self._most:
            self._made.popitem(last=False)[1].close()
        return template

    def close(self) -> None:
        while self._made:
            self._made.popitem()[1].close()
