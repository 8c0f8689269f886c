"""closed_descriptors.py [NUMBERS]: the life of an engine in a program that began with some of descriptors 0 to 2 closed, or closes
NUMBERS here; it writes where they lead, in every process, to seen.json, and what a check found to found.json."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import ioi_storage
import psutil

from ioi_exec import ExecutionMachine


class Printing:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        print("printed", tx, flush=True)
        for number in (0, 1, 2):
            try:
                os.write(number, b"written by number\n" * 100)
            except OSError:
                pass  # as it is open for reading alone
        state.put(tx, b"x" * 50)


seen: set[str] = set()


def look(*_: object) -> None:
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        for number in (0, 1, 2):
            try:
                seen.add(os.readlink(f"/proc/{process.pid}/fd/{number}"))
            except FileNotFoundError:
                pass  # it has ended


def close(numbers: list[int]) -> None:
    for number in numbers:
        try:
            os.close(number)
        except OSError:
            pass  # nothing was opened since


def main() -> None:
    closed = list(map(int, "".join(sys.argv[1:])))
    close(closed)
    with ExecutionMachine.create("state", Printing, genesis={b"%d" % i: b"1" for i in range(3000)}, workers=2, pin=False) as machine:
        for block in range(3):
            close(closed)
            machine.commit(machine.execute([b"%d-%d" % (block, i) for i in range(100)], on_progress=look))
            look()
        machine.execute([b"alone"], sequential=True)
        look()
    with ExecutionMachine.open("state", vm=Printing, workers=0, cross_check=True) as machine:
        machine.commit(machine.execute([b"here"], on_progress=look))
        with ExecutionMachine.create(None, Printing, workers=1, pin=False) as in_memory:
            in_memory.commit(in_memory.execute([b"in memory"]))
            look()
    checked = ioi_storage.check("state", deep=True, on_progress=look)
    with ioi_storage.Store.open("state", read_only=True) as store:
        found = [checked.findings, store.version, sum(1 for _ in store.scan(None, None))]
    Path("found.json").write_text(json.dumps(found))
    Path("seen.json").write_text(json.dumps(sorted(seen)))


if __name__ == "__main__":
    main()
