"""The engine's process, as the supervisor holds it."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Pipe
from pathlib import Path
from time import monotonic

import psutil

from ioi_stress.chaos.messages import WhichWorkers, Workers
from ioi_stress.chaos.processes import MARK
from ioi_stress.chaos.report import Defect
from ioi_stress.chaos.timeline import Timeline

LOG = "engine.log"
TEMPORARY = "tmp"
_BOOT = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; sys.path[:] = json.loads(sys.argv[1]); "
    "from ioi_stress.chaos.engine import main; main(*map(int, sys.argv[2:]))"
)
_ANSWER_SECONDS = 0.25  # an engine that does not say which workers it has in this time is stopped: they are what they were
_LAST_WORDS = 2.0
_TURN = 1.0  # seconds at most between two looks at the timeline


class EngineProcess:
    """Started by the constructor; it ends with this process and with the thread that started it.

    mark: of its environment and that of all it starts. killed: whether a fault has ended it."""

    def __init__(self, folder: Path) -> None:
        self.mark = secrets.token_hex(16)
        self._log = folder / LOG
        self._pipe, theirs = Pipe()
        self._side, side_theirs = Pipe()
        with theirs, side_theirs, open(self._log, "ab") as log:
            fds = (theirs.fileno(), side_theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(sys.path), *map(str, (*fds, os.getpid()))],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, MARK: self.mark, "TMPDIR": str(folder / TEMPORARY)},
                start_new_session=True,  # Ctrl-C in a terminal is the supervisor's
            )
        self.handle = psutil.Process(self._process.pid)
        self.killed = False
        self._asked = 0
        self._pids: tuple[int, ...] = ()

    def send(self, message: object) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            pass  # it is dead, as `wait` will find

    def wait(self, timeline: Timeline, patience: float) -> object | None:
        """Its answer; None: it has ended, and `status` says how. What is due on the timeline happens meanwhile. Time in which this
        process itself was stopped (Ctrl-Z) hardly counts: what it had stopped was not let go on either."""
        left = patience
        while True:
            began = monotonic()
            timeline.do_what_is_due()
            if select.select([self._pipe], [], [], timeline.next_in(_TURN))[0]:
                try:
                    answer: object = self._pipe.recv()
                    return answer
                except (EOFError, OSError):
                    self._process.wait()
                    return None
            left -= min(monotonic() - began, 2 * _TURN)
            if left < 0:
                raise Defect("no answer", f"the engine has not answered for {patience:.0f} s; it was at:\n{self._where()}")

    @property
    def status(self) -> int | None:
        """As `Popen.returncode`; None while it lives."""
        return self._process.poll()

    @property
    def last_words(self) -> str:
        """The end of what it wrote on its standard error."""
        return self._log.read_bytes()[-3000:].decode(errors="replace")

    def workers(self) -> list[psutil.Process]:
        """Its worker processes, as it says itself; an engine that is stopped says nothing: then those that it last had."""
        self._asked += 1
        try:
            self._side.send(WhichWorkers(self._asked))
            end = monotonic() + _ANSWER_SECONDS
            while self._side.poll(max(0.0, end - monotonic())):
                answer = self._side.recv()
                assert isinstance(answer, Workers)
                if answer.number == self._asked:
                    self._pids = answer.pids
                    break
        except (EOFError, OSError):
            return []
        return [process for pid in self._pids if (process := self._child(pid)) is not None]

    def others(self) -> list[psutil.Process]:
        """Those that came from it and are no workers: those that workers are forked from, the state's helper."""
        workers = {process.pid for process in self.workers()}
        return [child for child in self.handle.children(recursive=True) if child.pid not in workers and child.status() != psutil.STATUS_ZOMBIE]

    def kill(self) -> None:
        """End it now. Idempotent."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self.close()

    def close(self) -> None:
        """It has ended."""
        self._pipe.close()
        self._side.close()

    def _child(self, pid: int) -> psutil.Process | None:
        """The number may be another's by now."""
        try:
            process = psutil.Process(pid)
            ours = self.handle.pid in (parent.pid for parent in process.parents())
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def _where(self) -> str:
        """The stacks of its threads."""
        before = self._log.stat().st_size
        for number in (signal.SIGCONT, signal.SIGUSR1):
            self._process.send_signal(number)
        time.sleep(_LAST_WORDS)
        with open(self._log, "rb") as log:
            log.seek(before)
            return log.read().decode(errors="replace")
