"""Programs that another one starts, watches and ends: none is left when it is gone, whatever ended it."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Mapping, Sequence

import ioi_shm

_LINES = 20
_TAIL = 1 << 16  # bytes of a log that the last lines are looked for in


class Child:
    """A program in a session of its own, so that Ctrl-C in a terminal is not for it. What it prints goes to the end of its log.

    The kernel kills it when the thread that started it ends, even by SIGKILL: start it in the main thread."""

    def __init__(self, command: Sequence[str | os.PathLike[str]], log: Path, environment: Mapping[str, str]) -> None:
        """environment: besides that of this process. Raises OSError where it cannot be started."""
        parent = os.getpid()

        def bind() -> None:
            ioi_shm.die_with_parent(signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)  # which ended before that was said

        self.log = log
        with open(log, "ab") as out:
            self._from = out.tell()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment},
                start_new_session=True, preexec_fn=bind,
            )
        self.pid = self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for the signal that ended it; None: it runs."""
        return self._process.poll()

    def last_lines(self) -> list[str]:
        """Of what it printed."""
        with open(self.log, "rb") as file:
            file.seek(max(self._from, self.log.stat().st_size - _TAIL))
            return file.read().decode("utf-8", "replace").splitlines()[-_LINES:]

    def ask_to_end(self) -> None:
        self._process.terminate()

    def end(self, seconds: float = 0.0) -> int:
        """Wait so long for its end, then kill it. Returns its status."""
        with suppress(subprocess.TimeoutExpired):
            if seconds > 0:
                self._process.wait(seconds)
        self._process.kill()
        return self._process.wait()


class Port:
    """A port of loopback that no other program is given while this is held.

    A socket is bound to it that does not listen. Linux lets a program that says SO_REUSEADDR (Go's listeners do, and `ioi-exec serve`)
    listen there all the same, and picks it for nobody who asks for any port that is free."""

    def __init__(self) -> None:
        self._held = socket.socket()
        try:
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held.bind(("127.0.0.1", 0))
        except BaseException:
            self._held.close()
            raise
        self.number: int = self._held.getsockname()[1]

    def answers(self) -> bool:
        """Whether somebody listens."""
        with socket.socket() as trying:
            trying.settimeout(1.0)
            return trying.connect_ex(("127.0.0.1", self.number)) == 0

    def close(self) -> None:
        self._held.close()


class Bell:
    """What a signal's handler rings, and a program waits for. A ring is not lost, whenever it comes."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> bool:
        """Whether it has been rung, or is in time."""
        return bool(select.select([self._read], [], [], seconds)[0])

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)
