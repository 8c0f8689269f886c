"""A command in a process of its own, without the start of an interpreter: forked from one that has imported it already.

    warm.py MODULE SOCKET     what Warm starts; it answers until the other end of the socket, a descriptor, is closed

Arguments, environment, working directory, standard streams and exit status are the command's own, and whatever it does to
its process ends with it. That the command starts without this, other tests here see.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PATIENCE = 120  # seconds
TOO_LONG = 64 * 1024  # bytes of a request: a socket takes it in one piece


class Warm:
    """Started by the first command."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], folder: Path, stdin: str) -> subprocess.CompletedProcess[str]:
        """As subprocess.run of python -m MODULE. Raises socket.timeout after PATIENCE."""
        if self._process is None:
            self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with other:
                command = [sys.executable, __file__, self.module, str(other.fileno())]
                self._process = subprocess.Popen(command, pass_fds=[other.fileno()])
        request = json.dumps({"arguments": arguments, "folder": str(folder), "environment": dict(os.environ)}).encode()
        assert len(request) < TOO_LONG
        with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            given.write(stdin)
            given.seek(0)
            socket.send_fds(self._socket, [request], [given.fileno(), out.fileno(), err.fileno()])
            self._socket.settimeout(PATIENCE)
            status = int(self._socket.recv(100))
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess([self.module, *arguments], status, out.read(), err.read())

    def close(self) -> None:
        if self._process is not None:
            self._socket.close()
            self._process.wait()


def main(module: str, descriptor: str) -> None:
    with socket.socket(fileno=int(descriptor)) as requests:
        package = importlib.import_module(f"{module}.cli")
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)
        while True:
            request, streams, _, _ = socket.recv_fds(requests, TOO_LONG, 3)
            if not request:
                return
            child = os.fork()
            if child == 0:
                requests.close()
                become(module, json.loads(request), streams)
            for stream in streams:
                os.close(stream)
            requests.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def become(module: str, request: dict[str, Any], streams: list[int]) -> None:
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    sys.argv[1:] = request["arguments"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    main(*sys.argv[1:])
