"""What happens in a PID namespace of its own, where process numbers begin with 1: namespaced.py engine | reader | readers STATE."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import ioi_storage

from ioi_exec import ExecutionMachine


class Putting:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(tx, state.get(b"k") or b"none")


def engine(path: str) -> None:
    """Executes and commits, with workers, one by one and cross-checked."""
    from namespaced import Putting as VM  # by the name that the state has recorded

    with ExecutionMachine.open(path, vm=VM, workers=2, pin=False, cross_check=True) as machine:
        for block in range(2):
            machine.commit(machine.execute([b"%d-%d" % (block, i) for i in range(400)]))
        machine.commit(machine.execute([b"alone"], sequential=True))
        print("committed", machine.version, machine.get(b"1-399"), flush=True)


def reader(path: str) -> None:
    """Reads as long as it may."""
    with ioi_storage.Store.open(path, read_only=True) as store:
        assert store.get(b"k") == b"v"
        print("reading", flush=True)
        try:
            for _ in range(2000):
                time.sleep(0.05)
                store.get(b"k")
        except ioi_storage.StateInUse as error:
            print(type(error).__name__, error, flush=True)


def readers(path: str) -> None:
    """Processes 2 to 13 read once, and stay."""
    for _ in range(12):
        ours, theirs = os.pipe()
        if os.fork() == 0:
            store = ioi_storage.Store.open(path, read_only=True)
            assert store.get(b"k") == b"v"
            os.write(theirs, b"1")
            time.sleep(1000)
        os.read(ours, 1)
    print("reading", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    {"engine": engine, "reader": reader, "readers": readers}[sys.argv[1]](sys.argv[2])
