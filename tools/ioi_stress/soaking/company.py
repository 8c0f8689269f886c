"""Who uses a state beside its engine: a reader that stays, readers that are killed, and commands, one after another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Sequence

from ioi_stress.chaos.report import Defect

_KILLED_AFTER = 2.0  # seconds
_PATIENCE = 600.0


@dataclass
class _Running:
    what: str
    process: subprocess.Popen[bytes]
    began: float
    kill_after: float | None


class Company:
    """folder: theirs. vm: options that choose the VM of the state; None: it has no name, and no state is restored. pause: seconds
    between the end of one and the beginning of the next.

    visits: how often each has ended as it should."""

    def __init__(self, folder: Path, state: str, vm: Sequence[str] | None, pause: float, seed: int) -> None:
        self.visits: dict[str, int] = {}
        self._folder = folder
        self._state = state
        self._vm = vm
        self._pause = pause
        self._seed = seed
        self._log: IO[bytes] = open(folder / "log", "ab")
        self._reader: subprocess.Popen[bytes] | None = None
        self._running: _Running | None = None
        self._next = 0.0
        self._turns = 0
        self._root = ""

    @property
    def reader_pid(self) -> int | None:
        return self._reader.pid if self._reader is not None else None

    def look_after(self) -> None:
        """Start who is not there, and see how those have ended that were. Raises Defect."""
        if self._reader is None:
            self._reader = self._start_reader(self._seed)
        elif self._reader.poll() is not None:
            raise self._wrong("the reader", self._reader)
        if self._running is not None:
            self._see(self._running)
        elif monotonic() >= self._next:
            self._running = self._begin()
            self._turns += 1

    def close(self) -> None:
        """End them all. Idempotent."""
        for process in (self._reader, self._running.process if self._running is not None else None):
            if process is not None:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        self._reader = self._running = None
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> _Running:
        snap, copy = str(self._folder / "snapshot"), str(self._folder / "copy")
        commands: list[tuple[str, list[str]]] = [
            ("killed reader", []),
            ("check", ["check", self._state]),
            ("dump", ["dump", self._state, "-o", str(self._folder / "dump")]),
            ("snapshot", ["snapshot", self._state, snap]),
        ]
        if self._vm is not None:
            commands += [
                ("restore", ["restore", copy, snap, "--root", self._root, *self._vm]),
                ("check of the restored", ["check", copy, "--deep"]),
            ]
        what, words = commands[self._turns % len(commands)]
        if what in ("killed reader", "snapshot"):
            for path in (snap, copy):
                shutil.rmtree(path, ignore_errors=True)
        if not words:
            return _Running(what, self._start_reader(self._seed + self._turns), monotonic(), _KILLED_AFTER)
        self._log.truncate(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "ioi_exec", *words, "--json"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True, env=_environment(),
        )
        return _Running(what, process, monotonic(), None)

    def _see(self, running: _Running) -> None:
        since = monotonic() - running.began
        status = running.process.poll()
        if status is None:
            if running.kill_after is not None and since >= running.kill_after:
                running.process.send_signal(signal.SIGKILL)
            elif since >= _PATIENCE:
                raise Defect("no answer", f"{running.what} beside the engine has not ended for {since:.0f} s")
            return
        if status != (0 if running.kill_after is None else -signal.SIGKILL):
            raise self._wrong(running.what, running.process)
        if running.what == "snapshot":
            self._root = json.loads(self._words())["state_root"]
        if running.process.stdin is not None:
            running.process.stdin.close()
        self.visits[running.what] = self.visits.get(running.what, 0) + 1
        self._running, self._next = None, monotonic() + self._pause

    def _start_reader(self, seed: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "ioi_stress.soaking.reader", self._state, str(seed)],
            stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, start_new_session=True, env=_environment(),
        )

    def _wrong(self, what: str, process: subprocess.Popen[bytes]) -> Defect:
        kind = "corrupt" if process.returncode == 6 else "refused without cause"
        return Defect(kind, f"{what} beside the engine ended with status {process.returncode}:\n{self._words()[-2000:]}")

    def _words(self) -> str:
        return Path(self._log.name).read_bytes().decode(errors="replace")


def _environment() -> dict[str, str]:
    """So that modules are found where this process finds them."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
