"""Upkeep: what need not happen on the commit path, done by a process of its own beside the store.

A thread would not do: py-lmdb gives up the interpreter lock at every row it reads or writes, and two threads that take
turns at each row are slower than either alone. The process writes in bounded transactions, between which a commit gets
its turn (LMDB has one write lock for all processes). It is told what to do by JSON lines on its standard input:

    {"flat": 12}       bring the flat table up to version 12
    {"found": 12}      bring table `found` up to version 12
    {"prune": 100}     delete what only versions below 100, which is the mark `oldest` already, needed

    {"end": 0}         end; closing the input is not enough, for a forked child of the parent may have it open too

and ends with its parent. It may be killed at any moment. In each transaction it looks whether its parent still lives,
so that nothing of it is left once another process can have opened the state. Before it ends for another reason it says so
on its standard output: {"error": [class, message]}.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

import lmdb

from .. import errors
from ..disk import bodies, marks, reserve, stale
from ..disk.environment import (
    Begin,
    Tables,
    begin_reading,
    open_tables,
    translated,
)
from ..disk.place import Place
from ..errors import NumberTaken, StorageError, StorageIOError
from . import catchup

_PATIENCE = 60.0  # seconds it may take to finish a transaction
_LOOK = 5.0  # seconds between looks whether the parent lives, while there is nothing to do
# Before anything is imported: of the path, not of the working directory, which python -c puts first.
_BOOT = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; sys.path[:] = json.loads(sys.argv[1]); "
    "from ioi_storage.latest.upkeep import main; main(*sys.argv[2:])"
)

Job = Callable[[lmdb.Environment, Begin, Tables, int], Iterator[Any]]


class Upkeep:
    """The parent's side. A store whose upkeep cannot start, is killed or fails does its own."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended without being told to; `stop` says with what."""
        return self._process is not None and self._process.poll() is not None

    def ask(self, **job: int) -> bool:
        """Starts the process if there is none. False: it will not be done, for the process cannot be started or has failed."""
        try:
            if self.failed:
                return False
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, *map(json.dumps, (sys.path, self._place.to_json(), os.getpid()))],
                    pass_fds=[] if self._place.fd is None else [self._place.fd],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in a terminal goes to the whole group: not to this one
                )
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
            return True
        except OSError:
            return False

    def stop(self) -> Optional[StorageError]:
        """Ends the process after the transaction it is at; returns what it has failed with. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(b'{"end": 0}\n')
            process.stdin.close()
        except OSError:
            pass  # it is gone already
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                return StorageIOError("the upkeep process cannot be ended: the disk does not answer")
        with process.stdout:
            return self._error(process.returncode, process.stdout.read())

    def _error(self, status: int, said: bytes) -> Optional[StorageError]:
        if said.endswith(b"\n"):
            name, message = json.loads(said)["error"]
            return errors.named(name)(message)
        if status < 0 and -status not in (signal.SIGKILL, signal.SIGTERM):
            return StorageIOError(
                f"the upkeep process of {self._place.path} crashed ({signal.Signals(-status).name}), as whoever reads a damaged "
                "file does: check the state, then open it again"
            )
        return None


def _catch_up(env: lmdb.Environment, begin: Begin, tables: Tables, version: int) -> Iterator[int]:
    def now(txn: lmdb.Transaction[bytes]) -> tuple[Optional[int], Optional[int]]:
        return marks.read(txn, tables, marks.FLAT), marks.read(txn, tables, marks.ROLLBACKS)

    with begin_reading(env) as txn:
        before = now(txn)
        flat, _ = before
        assert flat is not None, "every state has this mark"
        values = catchup.load(txn, tables, range(flat + 1, version + 1))

    @contextmanager
    def begin_unless_moved() -> Iterator[Any]:
        with begin() as txn:
            # Whoever has opened the state since may have brought up newer values: these are old then. A parent's lock
            # is free a moment before it can be seen to be dead.
            if now(txn) != before:
                raise SystemExit(0)
            yield txn

    if flat < version:
        yield from catchup.steps(env, begin_unless_moved, tables, values, version)


def _find(env: lmdb.Environment, begin: Begin, tables: Tables, version: int) -> Iterator[int]:
    with begin_reading(env) as txn:
        before = marks.read(txn, tables, marks.ROLLBACKS)

    @contextmanager
    def begin_unless_moved() -> Iterator[Any]:
        with begin() as txn:
            if marks.read(txn, tables, marks.ROLLBACKS) != before:  # as above: these may be transactions that are no more
                raise SystemExit(0)
            yield txn

    yield from bodies.find_steps(env, begin_unless_moved, tables, version)


def _prune(env: lmdb.Environment, begin: Begin, tables: Tables, oldest: int) -> Iterator[int]:
    return stale.steps(env, begin, tables)


JOBS: dict[str, Job] = {"flat": _catch_up, "prune": _prune, "found": _find}


class _Orders:
    """What is still to be done: of each kind the newest order counts."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self._rest = b""

    def read(self, patience: float) -> None:
        """Takes in what has come, or comes within so many seconds. SystemExit when nothing more will come."""
        while select.select([0], [], [], patience)[0]:
            patience = 0
            got = os.read(0, 65536)
            if not got:
                raise SystemExit(0)
            *lines, self._rest = (self._rest + got).split(b"\n")
            for line in lines:
                self.jobs.update(json.loads(line))
            if "end" in self.jobs:
                raise SystemExit(0)


def main(place: str, parent: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        where = Place.of(json.loads(place))
        with translated(f"keeping up the state at {where.path}", where.path):
            _serve(where, int(parent))
    except NumberTaken:
        raise SystemExit(0) from None  # the store does it, under its own number
    except StorageError as error:
        sys.stdout.write(json.dumps({"error": [type(error).__name__, str(error)]}) + "\n")
        raise SystemExit(1) from None


def _serve(place: Place, parent: int) -> None:
    # Without a sync of the meta page a power cut may take the last transaction back: wholly, and it is done again. It
    # takes no commit with it, for whoever commits next syncs the whole file before its own meta page.
    env = place.open(read_only=False, metasync=False)
    tables = open_tables(env, create=False)

    def check_parent() -> None:
        if os.getppid() != parent:
            raise SystemExit(0)

    @contextmanager
    def begin() -> Iterator[Any]:
        with env.begin(write=True) as txn:
            check_parent()
            yield txn

    @contextmanager
    def begin_growing() -> Iterator[Any]:
        with begin() as txn, reserve.held(env, txn, tables, place.map_size):
            yield txn

    def start(name: str, version: int) -> Iterator[Any]:
        return JOBS[name](env, begin if name == "prune" else begin_growing, tables, version)

    orders = _Orders()
    running: dict[str, Iterator[Any]] = {}
    while True:
        orders.read(patience=0 if running or orders.jobs else _LOOK)
        check_parent()
        take_turn(orders.jobs, running, start)


def take_turn(orders: dict[str, int], running: dict[str, Iterator[Any]], start: Callable[[str, int], Iterator[Any]]) -> None:
    """One step of a job, after which it is the last in `running`: a job that is ordered again and again keeps no other waiting."""
    for name in JOBS:
        if name in orders and name not in running:
            running[name] = start(name, orders.pop(name))
    for name in [*running][:1]:
        steps = running.pop(name)
        if next(steps, "over") != "over":
            running[name] = steps
