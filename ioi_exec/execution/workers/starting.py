"""How the engine comes by processes: one thread starts a root by exec, once, and all others are forked from it, or from what was."""

from __future__ import annotations

import atexit
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, Callable, TypeVar

import psutil
from ioi_storage.disk.descriptors import keep_standard

from ioi_exec.errors import ResourceError
from ioi_exec.execution.settings import interpreter_arguments, interpreter_environment
from ioi_exec.execution.workers.control import Fork, Forked, channel_pair, receive, send

CHANNEL_SECONDS = 10.0  # a process that answers or takes no message for so long is stopped or stuck
START_SECONDS = 60.0  # for new processes to come up and load a VM, on a machine that is busy
# The import path as it is here, but json itself not from there, where python -c would look first.
_BOOT = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; sys.path[:] = json.loads(sys.argv.pop()); "
    "from ioi_exec.execution.workers.template import main; main()"
)
_T = TypeVar("_T")


class ProcessLost(Exception):
    """A process that was to start others ended, or does not answer: all of its kind are to be started anew."""


def not_started(error: OSError) -> ResourceError:
    """What the system refused for workers, and what to do about it."""
    if error.errno == errno.EPERM:
        return ResourceError(f"workers cannot be started: {error}")
    return ResourceError(
        f"workers cannot be started: {error}. Free memory, processes or descriptors, or raise their limits (ulimit -v, -u, -n)"
    )


class _Starter:
    """One thread that starts all processes of this one and lives as long as it does.

    PR_SET_PDEATHSIG kills a process when the *thread* that started it ends, so it must not be the caller's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    def call(self, job: Callable[[], _T]) -> _T:
        """Have the thread do the job. Ctrl-C meanwhile is kept until it is done: a job left half done in another thread
        would go on starting processes that nobody knows of. Raises OSError where no thread can be had, and what the job raises."""
        with self._lock:
            if self._pid != os.getpid():  # not started yet, or in a forked child, which has no such thread
                jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
                try:
                    threading.Thread(target=self._run, args=(jobs,), name="ioi-starter", daemon=True).start()
                except RuntimeError as error:
                    raise OSError(errno.EAGAIN, str(error)) from error
                self._pid, self._jobs = os.getpid(), jobs
        future: Future[_T] = Future()
        interruption: BaseException | None = None
        while True:
            try:
                self._jobs.put((job, future))  # twice is once
                future.exception()
                break
            except BaseException as error:
                interruption = error
        if interruption is not None:
            raise interruption
        return future.result()

    @staticmethod
    def _run(jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]]) -> None:
        while True:
            job, future = jobs.get()
            if future.done():
                continue
            try:
                keep_standard()
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)


_starter = _Starter()


def in_starter(job: Callable[[], _T]) -> _T:
    """The job done, uninterrupted, in the thread that starts processes. What it makes it must keep itself: Ctrl-C comes right after."""
    return _starter.call(job)


class Process:
    """A process of the engine's that is no child of it: seen and ended through its pidfd, so never mistaken for another."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._fd = pidfd
        self._lock = threading.Lock()  # no signal through a number that is another descriptor's by now

    def stopped(self) -> bool:
        """Whether somebody has stopped it (SIGSTOP): then what it executes is not to blame for getting nowhere."""
        try:
            return psutil.Process(self.pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        except psutil.Error:
            return False

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it is no more, or comes to its end in time."""
        if self._fd < 0:
            return True
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    def send_signal(self, number: int) -> None:
        with self._lock:
            if self._fd >= 0:
                try:
                    signal.pidfd_send_signal(self._fd, number)
                except ProcessLookupError:
                    pass  # it has ended

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it if it has not, wait for that, and let go of it. Idempotent."""
        if self._fd >= 0:
            self.kill()
            while not self.ended(1.0):
                pass
            self.forget()

    def forget(self) -> None:
        """Let go of it as it is: in a forked child it is the parent's."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


class Server:
    """A process that forks others when asked: the root or a template. For the starter's thread alone, but `close` and `alive`."""

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self.process = process
        self.channel = channel

    @property
    def alive(self) -> bool:
        return self.channel.fileno() >= 0 and not self.process.ended()

    def fork(self, request: Fork, fds: list[int]) -> Process:
        """Raises ProcessLost, OSError where this process may have no more descriptors."""
        output = _output()
        try:
            send(self.channel, replace(request, output=True), [output, *fds])
            forked, received = receive(self.channel)
            assert isinstance(forked, Forked)
            return Process(forked.pid, received[0])
        except (EOFError, OSError) as error:
            self.close()  # it may be in the middle of an answer
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise ProcessLost(f"the process that starts workers does not answer: {error}") from error
        finally:
            os.close(output)

    def forget(self) -> None:
        """Let go of it, in a forked child: it is the parent's."""
        self.channel.close()
        self.process.forget()

    def close(self) -> None:
        """It ends when its channel does, and with it all that came from it. Idempotent."""
        self.channel.close()
        self.process.ended(1.0)
        self.process.close()


def _output() -> int:
    """A descriptor for what a VM prints: standard error, which another one may have taken the place of since.

    If it was closed when the program began, descriptor 2 may be any file of the program's, unless it says that it is that stream."""
    stream = sys.__stderr__ or sys.stderr
    try:
        if stream is not None and stream.fileno() == 2:
            return os.dup(2)
    except (AttributeError, OSError, ValueError):
        pass
    return os.open(os.devnull, os.O_RDWR)


class Root:
    """The first process, started when it is first needed, and again after it ended. hash_seed: of it and all that come from it."""

    def __init__(self, hash_seed: int) -> None:
        self._hash_seed = hash_seed
        self._server: Server | None = None

    def fork(self, request: Fork, fds: list[int]) -> Process:
        """In the starter's thread. Raises ProcessLost, OSError, VMError."""
        if not self.alive:
            self.close()
        if self._server is None:
            self._server = self._started()
        return self._server.fork(request, fds)

    @property
    def alive(self) -> bool:
        return self._server is not None and self._server.alive

    def close(self) -> None:
        """End it, and all that came from it. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def forget(self) -> None:
        """In a forked child: what ends the parent's processes must be the parent's end alone."""
        if self._server is not None:
            self._server.forget()
            self._server = None

    def _started(self) -> Server:
        path = [entry for entry in sys.path if isinstance(entry, str)]
        ours, theirs = channel_pair()
        output = _output()
        try:
            with theirs:
                popen = subprocess.Popen(
                    [*interpreter_arguments(), "-c", _BOOT, str(theirs.fileno()), str(os.getpid()), json.dumps(path)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=interpreter_environment(self._hash_seed),
                    start_new_session=True,  # Ctrl-C in a terminal goes to the whole group: not to these
                )
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(output)
        ours.settimeout(START_SECONDS)
        try:
            return Server(_Child(popen), ours)
        except BaseException:
            ours.close()
            raise


class _Child(Process):
    """The root is this process's child, and waited for as such."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        try:
            pidfd = os.pidfd_open(popen.pid)
        except BaseException:
            popen.kill()
            popen.wait()
            raise
        super().__init__(popen.pid, pidfd)

    def close(self) -> None:
        super().close()
        self._popen.wait()


_roots: dict[int, Root] = {}


def root(hash_seed: int) -> Root:
    return _roots.setdefault(hash_seed, Root(hash_seed))


def _forked() -> None:
    for each in _roots.values():
        each.forget()


def _closed() -> None:
    for each in _roots.values():
        each.close()


os.register_at_fork(after_in_child=_forked)
atexit.register(_closed)  # it would end anyway; whoever asks the interpreter for its warnings is not told of a child left behind
