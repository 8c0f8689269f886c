"""A process that reads a state beside its engine: values, scans left half read, old versions, proofs, which it verifies.

It ends when its standard input does; with status 1 and a traceback if anything is not as it must be.
"""

from __future__ import annotations

import select
import signal
import sys
from random import Random
from time import monotonic

from ioi_shm import die_with_parent
from ioi_storage import verify

from ioi_exec import ExecutionMachine, VersionMissing

_KEYS = 20
_PAUSE = 0.05  # seconds between two reads
_OPEN_SECONDS = 5.0  # a machine stays open; then it is opened anew


def _read(machine: ExecutionMachine, rng: Random) -> None:
    scan = machine.scan()
    some = [pair for pair, _ in zip(scan, range(_KEYS))]
    key = rng.choice(some)[0] if some else b"none"
    version = rng.randint(machine.oldest, machine.version)
    try:
        with machine.pinned():
            value, proof, root = machine.get(key, version), machine.prove(key, version=version), machine.info_at(version).state_root
        verify.verify_many(root, machine.info.tree, {key: value}, proof)
    except VersionMissing:
        pass  # it was pruned meanwhile


def main(state: str, seed: int) -> None:
    die_with_parent(signal.SIGKILL)
    rng = Random(seed)
    while True:
        with ExecutionMachine.open(state, read_only=True, workers=0) as machine:
            end = monotonic() + _OPEN_SECONDS
            while monotonic() < end:
                _read(machine, rng)
                if select.select([sys.stdin], [], [], _PAUSE)[0]:
                    return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
