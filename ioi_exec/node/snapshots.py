"""Snapshots for nodes that join: taken beside blocks, kept, and handed out in chunks.

    HOME/snapshots/H/           of height H: what `ioi-exec snapshot` wrote, and `offer`, an ABCI Snapshot
    HOME/snapshots/making-H/    one that is not whole

`ioi-exec snapshot` takes them, in a process of its own that blocks do not wait for; meanwhile their version is held back from pruning.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, perf_counter

import ioi_storage
from ioi_storage import Manifest
from ioi_storage.disk import directory

from ioi_exec.errors import Error, InputError
from ioi_exec.files.snapshots import MANIFEST, chunk_name
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.logs import told
from ioi_exec.node.messages import Snapshot
from ioi_exec.node.snapshot_metadata import CHUNK_BYTES, offered
from ioi_exec.node.wire import Malformed, decode, encode

log = logging.getLogger("ioi_exec.node")

LOADED_SECONDS = 300.0  # that a snapshot which a peer has just loaded a chunk of stays beyond its time
_OFFER, _MAKING = "offer", "making-"
_PATIENCE = 10.0
# The same program, which ends with the thread that waits for it, also where that ended before it could say so. The working directory is none of
# its business.
_TAKE = (
    "import os, signal, sys; sys.path[:] = filter(None, sys.path); import ioi_shm; ioi_shm.die_with_parent(signal.SIGKILL); "
    "os.getppid() == int(sys.argv.pop(1)) or sys.exit(1); from ioi_exec.cli import main; sys.exit(main())"
)


class Snapshots:
    """For any thread. Close it."""

    def __init__(self, folder: Path, state: Path, *, every: int, keep: int) -> None:
        """every: heights that it divides have one; 0: none has, and those that are there are handed out. keep: how many stay.
        Raises InputError where the folder cannot be read."""
        self._folder = folder
        self._state = state
        self._every = every
        self._keep = keep
        self._lock = threading.Lock()
        self._kept: dict[int, Snapshot] = {}
        self._loaded: dict[int, float] = {}
        self._taking: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self.taken = self.failed = self.chunks_served = 0
        self.last_seconds = 0.0
        try:
            found = sorted(folder.iterdir()) if folder.exists() else []
        except OSError as error:
            raise InputError(f"{folder}: the snapshots cannot be looked at: {error.strerror}") from None
        self._look(found)

    def _look(self, paths: list[Path]) -> None:
        for path in paths:
            if path.name.startswith(_MAKING):
                shutil.rmtree(path, ignore_errors=True)
                continue
            try:
                found = decode(Snapshot, (path / _OFFER).read_bytes())
            except (OSError, Malformed) as error:
                told(log, "what is no snapshot is left alone", logging.WARNING, path=str(path), error=str(error))
                continue
            if str(found.height) == path.name:
                self._kept[found.height] = found

    def listed(self) -> tuple[Snapshot, ...]:
        """The newest first."""
        with self._lock:
            return tuple(self._kept[height] for height in sorted(self._kept, reverse=True))

    @property
    def oldest(self) -> int | None:
        """The height of the oldest one."""
        with self._lock:
            return min(self._kept, default=None)

    def chunk(self, height: int, format: int, number: int) -> bytes:
        """Empty: there is none."""
        with self._lock:
            found = self._kept.get(height)
            if found is None or found.format != format or not 0 <= number < found.chunks:
                return b""
            self._loaded[height] = monotonic()
            self.chunks_served += 1
        try:
            return (self._folder / str(height) / chunk_name(number)).read_bytes()
        except OSError as error:
            told(log, "a chunk cannot be read", logging.ERROR, height=height, chunk=number, error=str(error))
            return b""

    def due(self, height: int) -> bool:
        return self._every > 0 and height % self._every == 0

    def take(self, height: int, version: int, consensus: Consensus, hold: Callable[[int | None], None]) -> None:
        """Begin one of the version that is the newest, before another is committed. hold: keeps a version from being pruned."""
        with self._lock:
            if self._closed or height in self._kept:
                return
            if self._taking is not None and self._taking.is_alive():
                told(log, "no snapshot is taken: the one before is still being taken", logging.WARNING, height=height)
                self.failed += 1
                return
            hold(version)
            self._taking = threading.Thread(target=self._take, args=(height, version, consensus, hold), name="snapshot", daemon=True)
            self._taking.start()

    def _take(self, height: int, version: int, consensus: Consensus, hold: Callable[[int | None], None]) -> None:
        began = perf_counter()
        making = self._folder / f"{_MAKING}{height}"
        try:
            self._folder.mkdir(exist_ok=True)
            shutil.rmtree(making, ignore_errors=True)
            try:
                self._run(making, version)
            finally:
                hold(None)
            found = self._described(making, consensus)
            directory.sync(str(making))
            os.rename(making, self._folder / str(height))
            directory.sync(str(self._folder))
        except (OSError, Error, ioi_storage.StorageError) as error:
            shutil.rmtree(making, ignore_errors=True)
            if not self._closed:
                self.failed += 1
                told(log, "no snapshot was taken", logging.ERROR, height=height, error=str(error))
            return
        with self._lock:
            self._kept[height] = found
            self.taken += 1
            self.last_seconds = perf_counter() - began
        told(log, "snapshot taken", height=height, chunks=found.chunks, seconds=round(self.last_seconds, 3))
        self._remove_old()

    def _run(self, making: Path, version: int) -> None:
        command = [sys.executable, "-c", _TAKE, str(os.getpid()), "snapshot", str(self._state), str(making), "--version", str(version)]
        with self._lock:
            if self._closed:
                raise InputError("the daemon ends")
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _, said = self._process.communicate()
        if self._process.returncode:
            raise InputError(said.strip()[-1000:] or f"ioi-exec snapshot ended with status {self._process.returncode}")

    def _described(self, making: Path, consensus: Consensus) -> Snapshot:
        found = offered(Manifest.decode((making / MANIFEST).read_bytes()), consensus)
        for number in range(found.chunks):
            path = making / chunk_name(number)
            if (size := path.stat().st_size) > CHUNK_BYTES:
                raise InputError(f"chunk {number} has {size} bytes, and CometBFT carries at most {CHUNK_BYTES}: a value is too large")
            directory.sync(str(path))
        with open(making / _OFFER, "xb") as file:
            file.write(encode(found))
            file.flush()
            os.fsync(file.fileno())
        return found

    def _remove_old(self) -> None:
        """Beyond those that are kept; what a peer has just loaded of stays for a while, at most as many again."""
        with self._lock:
            newest_first = sorted(self._kept, reverse=True)
            lately = monotonic() - LOADED_SECONDS
            gone = [
                height for place, height in enumerate(newest_first)
                if place >= 2 * self._keep or place >= self._keep and self._loaded.get(height, lately) <= lately
            ]
            for height in gone:
                del self._kept[height]
                self._loaded.pop(height, None)
        for height in gone:
            beside = self._folder / f"{_MAKING}{height}"  # not half there under its own name
            try:
                os.rename(self._folder / str(height), beside)
            except OSError as error:
                told(log, "an old snapshot cannot be removed", logging.WARNING, height=height, error=str(error))
            shutil.rmtree(beside, ignore_errors=True)

    def close(self) -> None:
        """What is being taken is given up."""
        with self._lock:
            self._closed = True
            process, taking = self._process, self._taking
        if process is not None:
            process.kill()
        if taking is not None:
            taking.join(_PATIENCE)
