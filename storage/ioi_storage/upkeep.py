"""Upkeep: what need not happen on the commit path, done by a process of its own beside the store.

A thread would not do: py-lmdb gives up the interpreter lock at every row it reads or writes, and two threads that take
turns at each row are slower than either alone. The process writes in bounded transactions, between which a commit gets
its turn (LMDB has one write lock for all processes). It is told what to do by JSON lines on its standard input:

    {"flat": 12}       bring the flat table up to version 12
    {"prune": 100}     delete what only versions below 100, which is the mark `oldest` already, needed

    {"end": 0}         end; closing the input is not enough, for a forked child of the parent may have it open too

and ends with its parent. It may be killed at any moment. In each transaction it looks whether its parent still lives,
so that nothing of it is left once another process can have opened the state.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Optional

import lmdb

from . import catchup, marks, prune
from .environment import Tables, open_environment, open_tables
from .errors import StorageIOError

_PATIENCE = 60.0  # seconds it may take to finish a transaction
_LOOK = 5.0  # seconds between looks whether the parent lives, while there is nothing to do
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from ioi_storage.upkeep import main; main(*sys.argv[2:])"

Begin = Callable[[], "AbstractContextManager[lmdb.Transaction[bytes]]"]
Job = Callable[[lmdb.Environment, Begin, Tables, int], Iterator[Any]]


class Upkeep:
    """The parent's side. Nothing here can fail but the start: a store whose upkeep is gone does its own."""

    def __init__(self, path: str, map_size: int) -> None:
        self._arguments = [path, str(map_size), str(os.getpid())]
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, **job: int) -> None:
        """Starts the process if there is none."""
        try:
            if not self.alive:
                self.stop()
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, json.dumps(sys.path), *self._arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in a terminal goes to the whole group: not to this one
                )
            assert self._process is not None and self._process.stdin is not None
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self.stop()

    def stop(self) -> None:
        """Ends the process after the transaction it is at. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
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
                raise StorageIOError("the upkeep process cannot be ended: the disk does not answer") from None


def _catch_up(env: lmdb.Environment, begin: Begin, tables: Tables, version: int) -> Iterator[None]:
    with env.begin() as txn:
        flat = marks.read(txn, tables, marks.FLAT)
        assert flat is not None, "every state has this mark"
        values = catchup.load(txn, tables, range(flat + 1, version + 1))
    if flat < version:
        yield from catchup.steps(begin, tables, values, version)


def _prune(env: lmdb.Environment, begin: Begin, tables: Tables, oldest: int) -> Iterator[int]:
    return prune.steps(begin, tables)


JOBS: dict[str, Job] = {"flat": _catch_up, "prune": _prune}


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


def main(path: str, map_size: str, parent: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Without a sync of the meta page a power cut may take the last transaction back: wholly, and it is done again.
    env, _ = open_environment(path, read_only=False, map_size=int(map_size), metasync=False)
    tables = open_tables(env, create=False)

    def check_parent() -> None:
        if os.getppid() != int(parent):
            raise SystemExit(0)

    @contextmanager
    def begin() -> Iterator[Any]:
        with env.begin(write=True) as txn:
            check_parent()
            yield txn

    def start(name: str, version: int) -> Iterator[Any]:
        return JOBS[name](env, begin, tables, version)

    orders = _Orders()
    running: dict[str, Iterator[Any]] = {}
    while True:
        orders.read(patience=0 if running or orders.jobs else _LOOK)
        check_parent()
        take_turn(orders.jobs, running, start)


def take_turn(orders: dict[str, int], running: dict[str, Iterator[Any]], start: Callable[[str, int], Iterator[Any]]) -> None:
    """One step of the first of JOBS that has something to do: commits may come to wait for the flat table, for nothing
    else, so that pruning lets it go first."""
    for name in JOBS:
        if name not in running and name in orders:
            running[name] = start(name, orders.pop(name))
        if name in running:
            if next(running[name], "over") == "over":
                del running[name]
            return
