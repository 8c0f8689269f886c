"""Run under the shim by the replay test: the life of a state, with a mark in the log around whatever is acknowledged.

    crash_workload.py ROOT SOURCE SEED TREE [SABOTAGE]

ROOT: an empty directory. SOURCE: one for what is not part of a state. A mark is a JSON object:

    {"path": name, "begin": description}    from now on the path may hold this
    {"path": name, "end": description}      and now nothing else
    {"kept": number}                        a restore has acknowledged this chunk

A description is null (no state is there) or {"version", "oldest", "digest" of all pairs, "roots" and "bodies" of the kept versions}. Of one
history, whose last marks but one say of both what may be there.
"""

from __future__ import annotations

import json
import random
import sys
import time
from array import array
from collections.abc import Callable, Iterable
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any, Optional, TypeVar

import lmdb
import shimmed
from ioi_storage import Body, DiskFull, Restore, Store
from ioi_storage.disk import bodies, directory, stale
from ioi_storage.latest import keeper, upkeep

T = TypeVar("T")

FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"header", failed=0)
KEYS = [b"key%03d" % number for number in range(150)]
LONG = 5000  # bytes: such a value has pages of its own

Pairs = dict[bytes, bytes]
Description = Optional[dict[str, Any]]


def digest(pairs: Iterable[tuple[bytes, bytes]]) -> str:
    return sha256(repr(sorted(pairs)).encode()).hexdigest()


def value(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([0, 20, 20, 20, 20, 100, 100, LONG] if rng.random() < 0.3 else [30]))


def batch(rng: random.Random, pairs: Pairs, most: int) -> dict[bytes, Optional[bytes]]:
    keys = rng.sample(KEYS, rng.choice([0, 1, 10, most]))
    return {key: None if key in pairs and rng.random() < 0.3 else value(rng) for key in keys}


def some_transactions(rng: random.Random) -> Optional[list[bytes]]:
    """None: no body is kept."""
    return [value(rng) for _ in range(rng.choice([0, 1, 7]))] if rng.random() < 0.8 else None


def fields(txs: Optional[list[bytes]]) -> dict[str, Any]:
    if txs is None:
        return {**FIELDS, "transactions": 3}
    outcomes = [tx[:2] for tx in txs]
    ends = array("Q", accumulate(map(len, outcomes))).tobytes()
    return {**FIELDS, "transactions": len(txs), "body": Body(txs, b"".join(outcomes), ends)}


def body_digest(txs: Optional[list[bytes]]) -> Optional[str]:
    return None if txs is None else sha256(repr((txs, b"".join(tx[:2] for tx in txs))).encode()).hexdigest()


class Life:
    """A state, and beside it a model of its versions."""

    def __init__(self, path: Path, rng: random.Random, tree: str) -> None:
        self.path, self.rng, self.tree = path, rng, tree
        self.versions: list[tuple[str, Pairs, Optional[list[bytes]]]] = []  # root, pairs, transactions where there is a body
        self.oldest = 0

    def describe(self) -> Description:
        version = len(self.versions) - 1
        roots = {number: self.versions[number][0] for number in range(self.oldest, version + 1)}
        pairs = self.versions[version][1]
        kept = {number: body_digest(self.versions[number][2]) for number in range(self.oldest, version + 1)}
        return {"version": version, "oldest": self.oldest, "digest": digest(pairs.items()), "roots": roots, "tree": self.tree, "bodies": kept}

    def mark(self, when: str, description: Description) -> None:
        shimmed.mark(json.dumps({"path": self.path.name, when: description}))

    def create(self) -> None:
        pairs = {key: value(self.rng) for key in KEYS[::2]}
        with Store.create(None, tree=self.tree, meta={}, genesis=pairs.items()) as memory:
            self.versions.append((memory.root.hex(), pairs, None))
        self.mark("begin", self.describe())
        self.store = self.again(lambda: Store.create(self.path, tree=self.tree, meta={}, genesis=pairs.items()))
        self.mark("end", self.describe())

    def commit(self) -> None:
        pairs = self.versions[-1][1]
        writes = batch(self.rng, pairs, 90)
        staged, txs = self.store.stage(sorted(writes.items())), some_transactions(self.rng)
        self.versions.append((staged.root.hex(), {k: v for k, v in {**pairs, **writes}.items() if v is not None}, txs))
        oldest = self.oldest
        if self.store.keep is not None:
            self.oldest = max(self.oldest, staged.version - self.store.keep + 1)
        self.mark("begin", self.describe())
        try:
            self.store.commit(staged, **fields(txs))
        except DiskFull:
            self.versions.pop()
            self.oldest = oldest
            return
        self.mark("end", self.describe())

    def prune(self) -> None:
        keep = self.rng.randint(1, 4)
        self.oldest = max(self.oldest, len(self.versions) - keep)
        self.mark("begin", self.describe())
        self.again(lambda: self.store.prune(keep))
        self.mark("end", self.describe())

    def rollback(self) -> None:
        version = self.rng.randint(self.oldest, len(self.versions) - 1)
        del self.versions[version + 1 :]
        self.mark("begin", self.describe())
        try:
            self.store.rollback(version)
        except DiskFull:  # which leaves it unfinished, or not begun
            self.reopen()
            self.store.rollback(version)
        self.mark("end", self.describe())

    def settle(self) -> None:
        self.again(self.store.settle)

    def again(self, do: Callable[[], T]) -> T:
        """If the disk is full, once more."""
        try:
            return do()
        except DiskFull:
            return do()

    def reopen(self) -> None:
        self.store.close()
        self.store = self.again(lambda: Store.open(self.path))

    def let_upkeep_finish(self) -> None:
        while not self.store.lagging():
            self.commit()
        self.store._keeper.upkeep.ask(flat=self.store.version, prune=self.store.oldest)
        while self.store._keeper.upkeep.alive and self.store.lagging():
            time.sleep(0.01)

    def live(self, steps: int) -> None:
        """Commits most of the time."""
        rare = [*[self.let_upkeep_finish] * 3, self.prune, self.rollback, self.settle, self.reopen]
        self.rng.shuffle(rare)
        for step in range(steps):
            self.store.keep = self.rng.choice([None, 2, 2, 4])
            for _ in range(self.rng.choice([1, 3, 6])):
                self.commit()
                time.sleep(self.rng.choice([0, 0, 0.02]))
            rare[step % len(rare)]()


def restore(life: Life, path: Path, source: Path, chunk_bytes: int = 4000) -> Life:
    """The newest version again, from its chunks."""
    version = life.store.version
    chunks = {chunk.number: chunk.data for chunk in life.store.snapshot(chunk_bytes=chunk_bytes)}
    manifest = life.store.manifest(version, len(chunks), 0)
    (source / "manifest").write_bytes(manifest.encode())
    for number, data in chunks.items():
        (source / str(number)).write_bytes(data)
    made = Life(path, life.rng, life.tree)
    made.versions, made.oldest = [(root, pairs, None) for root, pairs, _ in life.versions], version
    made.mark("begin", made.describe())

    def offer(begun: Restore, number: int) -> None:
        life.again(lambda: begun.offer(number, chunks[number]))
        shimmed.mark(json.dumps({"kept": number}))

    def began() -> Restore:
        return life.again(lambda: Restore(path, manifest, root=life.store.root))

    with began() as begun:
        offer(begun, 0)
        for number in life.rng.sample(begun.missing(), len(begun.missing()) // 2):
            offer(begun, number)
    with began() as begun:
        for number in begun.missing():
            offer(begun, number)
        life.again(begun.finish)
    made.mark("end", made.describe())
    made.store = made.again(lambda: Store.open(path))
    return made


def sabotage(how: str) -> None:
    """What the replay must find."""
    opened = lmdb.open
    if how in ("sync", "metasync"):
        lmdb.open = lambda path, **options: opened(path, **{**options, how: False})
    elif how == "directory":
        directory.sync = lambda path: None
    else:
        raise ValueError(how)


def small() -> None:
    """The upkeep process has something to do all the time, in many transactions."""
    keeper.UPKEEP_WRITES, keeper.LAG_WRITES, keeper.LAG_VERSIONS, keeper.BATCH_VERSIONS = 30, 600, 12, 3
    keeper.WAITING, stale.SWEEP = 12, 60  # and is waited for
    keeper.FIND_TRANSACTIONS, keeper.FIND_ORDERS, bodies.PART = 12, 3, 300
    imports = "from ioi_storage.latest import catchup; from ioi_storage.disk import bodies, stale; "
    exec(imports, {})  # there nobody would see them fail
    shrink = imports + "catchup.STEP = 40; stale.STEP, stale.SWEEP = 60, 200; bodies.STEP, bodies.SWEEP = 5, 20; "
    upkeep._BOOT = upkeep._BOOT.replace("from ioi_storage.latest.upkeep", shrink + "from ioi_storage.latest.upkeep")


def main(root: Path, source: Path, seed: int, tree: str) -> None:
    rng = random.Random(seed)
    small()
    life = Life(root / "state", rng, tree)
    life.create()
    life.live(8)
    restored = restore(life, root / "restored", source)
    life.store.close()
    restored.live(2)
    restored.store.close()


if __name__ == "__main__":
    if len(sys.argv) > 5:
        sabotage(sys.argv[5])
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
