"""What is kept in memory between stages changes nothing, whatever was staged before: committed or not, rolled back.

IOI_STORAGE_SEEDS widens the range of seeds; a failure names its seed (the test's parameter)."""

from __future__ import annotations

import random
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import effort
import pytest
from examined import examined
from ioi_storage import Staged, Store
from ioi_storage.disk.stale import records
from ioi_storage.trees import jellyfish
from naive_tree import naive_root

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=8, many=40)
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

Writes = dict[bytes, bytes | None]


def some_under(prefixes: list[str], number: int, first: int = 0) -> list[bytes]:
    """Keys whose hashes begin with one of these nibbles."""
    found: list[bytes] = []
    for key in (b"%d" % i for i in count(first)):
        if len(found) == number:
            return found
        if sha256(key).hexdigest().startswith(tuple(prefixes)):
            found.append(key)
    raise AssertionError


def content(staged: Staged) -> Any:
    stale = [record for key, row in staged.stale for record in records(key, row)]
    return staged.root, staged.keys, list(staged.nodes), list(staged.values), sorted(stale), staged.changes


def from_the_disk(store: Store, batch: list[Any]) -> Any:
    memory, store._memory = store._memory, None
    try:
        return content(store.stage(batch))
    finally:
        store._memory = memory


def test_writes_that_change_nothing_change_no_row(tmp_path: Path) -> None:
    """Rows are a function of what was there and what changed, as the memory takes for granted."""
    many, (one, other) = some_under(["71"], 60), some_under(["73"], 2)
    idle: list[tuple[bytes, bytes | None]] = [(key, None) for key in some_under(["7a"], 300)]
    changes = [(key, None) for key in many] + [(other, b"1")]
    with Store.create(tmp_path / "state", meta={}, genesis=[(key, b"0") for key in (*many, one)]) as store:
        few, large = sorted(changes), sorted(changes + idle)
        staged = store.stage(large)
        assert content(store.stage(few))[:3] == content(staged)[:3]
        store.commit(staged, **FIELDS)
        store.commit(store.stage([(one, b"2")]), **FIELDS)
    assert not examined(tmp_path / "state")


@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_lives(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(jellyfish, "_CUT", rng.choice([1, 20, 256]))
    monkeypatch.setattr(jellyfish, "MEMORY", rng.choice([0, 100_000, 1_000_000, 128 << 20]))
    prefixes = [f"{rng.choice('17f')}{rng.choice('01f')}{rng.choice(['', '3', '7c'])}" for _ in range(6)]
    keys = some_under(prefixes, rng.choice([3, 60, 600]), first=rng.randrange(10**6))

    def some_writes() -> Writes:
        touched, deleted = rng.choice([0.02, 0.2, 1]), rng.choice([0, 0.3, 0.8, 1])
        chosen = [key for key in keys if rng.random() < touched]
        return {key: None if rng.random() < deleted else rng.choice([b"0", b"1"]) for key in chosen}

    path = tmp_path / "state"
    history: list[Writes] = [{key: b"0" for key in keys if rng.random() < 0.7}]
    store = Store.create(path, meta={}, genesis=sorted(history[0].items()))  # type: ignore[type-var]
    try:
        for _ in range(12):
            staged = []
            for writes in (some_writes() for _ in range(rng.randrange(1, 4))):
                batch = sorted(writes.items())
                staged.append((writes, store.stage(batch)))
                assert content(staged[-1][1]) == from_the_disk(store, batch)
                if rng.random() < 0.3:  # the same, as far as the tree is concerned
                    gone = [key for key in keys if history[-1].get(key) is None]
                    more = sorted({**{key: None for key in gone}, **writes}.items())
                    assert list(store.stage(more).nodes) == list(staged[-1][1].nodes)
            with store.overlay() as overlay:
                overlay.commit(overlay.stage(sorted(some_writes().items())), **FIELDS)
                overlay.stage(sorted(some_writes().items()))
            writes, chosen = rng.choice(staged)
            store.commit(chosen, **FIELDS)
            after = {**history[-1], **writes}
            history.append({key: value for key, value in after.items() if value is not None})
            assert store.root == naive_root(history[-1])  # type: ignore[arg-type]
            turn = rng.random()
            if turn < 0.2 and store.version > store.oldest:
                store.rollback(rng.randrange(store.oldest, store.version))
                del history[store.version + 1 :]
            elif turn < 0.3:
                store.prune(rng.randrange(1, 4))
            elif turn < 0.4:
                store.close()
                store = Store.open(path)
    finally:
        store.close()
    assert not examined(path)
