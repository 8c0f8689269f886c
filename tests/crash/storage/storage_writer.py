"""Run by the crash tests: creates or opens a state and commits for ever, one line on stdout per durable version.

Version v's batch follows from v alone, so that any version's content can be computed again."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from ioi_storage import StateMissing, Store

KEYS = [b"key%05d" % i for i in range(2000)]


def genesis() -> dict[bytes, bytes]:
    return {key: b"genesis" for key in KEYS[::2]}


def batch(version: int) -> dict[bytes, bytes | None]:
    rng = random.Random(version)
    return {key: rng.choice([None, rng.randbytes(30)]) for key in rng.sample(KEYS, rng.choice([1, 50, 1000]))}


def header(version: int) -> bytes:
    return b"header of %d" % version


def main(path: Path) -> None:
    try:
        store = Store.open(path)
    except StateMissing:
        store = Store.create(path, meta={}, genesis=genesis().items(), header=header(0))
    print(store.version, flush=True)
    while True:
        version = store.version + 1
        staged = store.stage(sorted(batch(version).items()))
        store.commit(
            staged, receipts_root=bytes(32), height=version, header=header(version), transactions=version, failed=0
        )
        print(version, flush=True)


if __name__ == "__main__":
    # The parent's death is ours, however it dies.
    if os.getppid() == 1:
        sys.exit(1)
    main(Path(sys.argv[1]))
