"""The processes that workers are forked from. None of them ever has a second thread, opens a state or executes anything.

The first one, the root, is a fresh interpreter under the stated settings (settings.py), and has the engine's modules. Of each VM
one is forked from it that loads the VM and forks the workers: they start in milliseconds, whenever they do, with exactly that
code, and share its memory. A VM that leaves a thread or a descriptor behind when it is loaded (forking would break the one
and share the other) says so; its workers are then forked from the root, load it each for themselves, and prove that it is the same.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import sys
import time
import traceback
from io import TextIOWrapper
from typing import Any

from ioi_shm import die_with_parent

from ioi_exec.execution.faults import no_debugger
from ioi_exec.execution.workers.control import Fork, Forked, Ready, channel_at, receive, send
from ioi_exec.vm.carrying import Carried, received
from ioi_exec.vm.code import code_of
from ioi_exec.vm.loading import LoadedVM

TEMPLATE = "template"
ROLES = {
    "worker": "ioi_exec.execution.workers.process",
    "sequential": "ioi_exec.execution.one_by_one.process",
    "cross-check": "ioi_exec.execution.cross_check.process",
}
"""The modules whose `main(vm, *arguments, *descriptors)` a forked process can become. The last descriptor is its channel."""


def root(channel_fd: int, parent: int) -> None:
    """The life of the first process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _named("ioi-root")
    _die_with(parent)
    faulthandler.enable()
    sys.breakpointhook = no_debugger
    for module in ROLES.values():
        importlib.import_module(module)
    _serve(channel_at(channel_fd), None)


def _serve(channel: socket.socket, vm: LoadedVM | None) -> None:
    """Fork whenever the engine asks, until it is gone. Does not return."""
    children: dict[int, int] = {}  # by pidfd
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    gc.collect()
    gc.freeze()  # or the first collection in a child would write to, and so copy, every page with an object
    try:
        while True:
            for fd, _ in waiting.poll():
                if fd in children:
                    os.waitpid(children.pop(fd), 0)
                    waiting.unregister(fd)
                    os.close(fd)
                    continue
                request, fds = receive(channel)
                parent = os.getpid()
                pid = os.fork()
                if pid == 0:
                    _die_with(parent)
                    channel.close()
                    for child in children:
                        os.close(child)
                    _become(request, fds, vm)
                pidfd = os.pidfd_open(pid)
                children[pidfd] = pid
                waiting.register(pidfd, select.POLLIN)
                for fd in fds:
                    os.close(fd)
                send(channel, Forked(pid), [pidfd])
    except (EOFError, OSError):
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _become(request: Fork, fds: list[int], vm: LoadedVM | None) -> None:
    """The life of a forked process, from its first moment on. Does not return."""
    try:
        _named(f"ioi-{request.role}")
        if request.output:
            os.dup2(fds[0], 1)  # a VM that prints must not mix into the engine's own results
            os.dup2(fds[0], 2)
            os.close(fds.pop(0))
            assert isinstance(sys.stdout, TextIOWrapper)
            sys.stdout.reconfigure(line_buffering=True)  # it ends without a last flush
        if request.environ is not None:
            os.environ.clear()
            os.environ.update(request.environ)
            time.tzset()
        if request.clock:
            _set_clock(request.clock)
        if request.directory is not None:
            try:
                os.chdir(request.directory)
            except OSError:
                pass  # it is gone, and nothing is promised about it
        if request.role == TEMPLATE:
            assert request.carried is not None
            _template(channel_at(fds[0]), request.carried)
        if request.carried is not None:
            vm = _loaded(request.carried, fds[-1])
        importlib.import_module(ROLES[request.role]).main(vm, *request.arguments, *fds)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _template(channel: socket.socket, pickled: bytes) -> None:
    before = _descriptors()
    try:
        carried: Carried = pickle.loads(pickled)
        vm = received(carried)
        code = code_of(type(vm.instance))
    except BaseException as error:
        _say(channel, error_text(error))
        os._exit(0)
    threads = len(os.listdir("/proc/self/task"))
    alone = ""
    if threads > 1:
        alone = f"loading it left {threads - 1} thread{'s' * (threads > 2)} running"
    elif _descriptors() - before:
        alone = "loading it left files or connections open"
    _say(channel, Ready(code, alone))
    _serve(channel, vm)


def _descriptors() -> set[int]:
    """Those that are open, without the one it takes to find out."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
            found.add(int(name))
        except OSError:
            pass
    return found


def _loaded(pickled: bytes, channel_fd: int) -> LoadedVM:
    """A VM that this process loads for itself, if it is the same as the template's; says on its channel what came of it."""
    with channel_at(os.dup(channel_fd)) as channel:
        try:
            carried: Carried = pickle.loads(pickled)
            vm = received(carried)
            code = code_of(type(vm.instance))
        except BaseException as error:
            _say(channel, error_text(error))
            os._exit(0)
        _say(channel, Ready(code, ""))
        return vm


def _say(channel: socket.socket, message: object) -> None:
    """What came of loading a VM, which may have taken a while."""
    try:
        send(channel, message)
    except OSError:
        os._exit(0)  # the engine is gone, or does not want it any more


def error_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _die_with(parent: int) -> None:
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(0)


def _set_clock(seconds: int) -> None:
    """Before a VM is loaded: its time is so much later than it is."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + seconds * 10**9


def _named(name: str) -> None:
    """For ps and top."""
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(name)
    except OSError:
        pass


def main(*arguments: Any) -> None:
    """Of the command that starts the root."""
    root(*map(int, sys.argv[1:3]))
