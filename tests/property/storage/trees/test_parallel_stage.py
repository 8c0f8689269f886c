"""Staging in several threads gives, byte for byte, what one gives: random batches of all sizes, on disk, in memory and in
overlays, on both trees; and the same errors.

IOI_STORAGE_SEEDS widens the range of seeds; a failure names its seed (the test's parameter)."""

from __future__ import annotations

import random
import threading
from typing import Any

import effort
import pytest
from ioi_storage import OverlayStore, StateCorrupt, StorageIOError, Store
from ioi_storage.trees.staged import Staged
from ioi_storage.trees.threads import Threads

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=6, many=50)
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
PATIENCE = 60.0


class Together(Threads):
    """None takes a second task before all have begun their first, so that they really work at the same time."""

    def __call__(self, function: Any, tasks: Any) -> Any:
        listed = list(tasks)
        barrier = threading.Barrier(min(self.threads, max(1, len(listed))))
        mine = threading.local()

        def task(one: Any) -> Any:
            if not hasattr(mine, "begun"):
                mine.begun = True
                barrier.wait(PATIENCE)
            return function(one)

        return super().__call__(task, listed)


@pytest.fixture(scope="module", params=[2, 3, 8])
def together(request):
    threads = Together(request.param)
    yield threads
    threads.close()


def content(staged: Staged) -> dict[str, Any]:
    fields = {name: getattr(staged, name) for name in ("version", "root", "pointer", "writes", "keys", "changes")}
    return {**fields, "nodes": list(staged.nodes), "values": list(staged.values), "stale": stale_records(staged)}


def stale_records(staged: Staged) -> list[bytes]:
    """Sorted, for their order tells which rows the tree still had in memory: kind | version u64 | size u8 | path."""
    records = []
    for _, row in staged.stale:
        rest = row[:-8]
        while rest:
            records.append(rest[: 10 + rest[9]])
            rest = rest[10 + rest[9] :]
    assert len(set(records)) == len(records)
    return sorted(records)


def some_batch(rng: random.Random, keys: list[bytes]) -> list[tuple[bytes, bytes | None]]:
    deleted, size = rng.choice([0, 0.1, 0.5, 1]), rng.choice([0, 1, 2, 17, 255, 600, 2500, 6000])
    chosen = set(rng.sample(keys, min(len(keys), size)))
    if rng.random() < 0.5:
        chosen |= {rng.randbytes(rng.randrange(1, 40)) for _ in range(rng.randrange(size + 1))}
    return [(key, None if rng.random() < deleted else rng.choice([b"", b"0", rng.randbytes(9)])) for key in sorted(chosen)]


@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_threads_stage_what_one_stages(seed: int, together: Together, tmp_path) -> None:
    rng = random.Random(seed)
    keys = [b"%d" % number for number in range(rng.choice([0, 1, 40, 3000, 12_000]))]
    tree = rng.choice(["jellyfish", "jellyfish", "iavl"])
    path = tmp_path / "state" if rng.random() < 0.3 else None
    with Store.create(path, tree=tree, meta={}, genesis=[(key, b"0") for key in keys]) as store:
        state: Any = store
        for _ in range(5):
            batch = some_batch(rng, keys or [b"k"])
            alone = state.stage(batch)
            many = state.stage(batch, map=together)  # the memory of the tree now has rows of the one before
            assert content(alone) == content(many)
            assert content(state.stage(batch)) == content(many)
            if rng.random() < 0.8:
                state.commit(rng.choice([alone, many]), **FIELDS)
            if rng.random() < 0.2:
                state = state.overlay()
        assert state.root == (alone.root if state.version == alone.version else alone.parent.root)
        while isinstance(state, OverlayStore):
            state.close()
            state = state._base


def damaged(store: Store, rows: set[bytes]) -> None:
    """From now on these rows of nodes are read with a flipped bit; the tree's memory is empty."""
    read = store._nodes

    def nodes(keys: Any) -> list[bytes]:
        return [bytes([row[0], row[1] ^ 1]) + row[2:] if key in rows else row for key, row in zip(keys, read(keys))]

    store._nodes = nodes  # type: ignore[method-assign]
    store._memory = store._tree.memory()


def test_the_first_damaged_row_is_named_whoever_meets_it(together: Together) -> None:
    rng = random.Random(1)
    batch = [(b"%05d" % number, b"1") for number in range(8000)]
    with Store.create(None, meta={}, genesis=[(key, b"0") for key, _ in batch]) as store:
        good = content(store.stage(batch))
        nodes = [key for key, _ in store.stage(batch).nodes]
        below = sorted(bytes(8) + key[8:] for key in nodes if len(key) > 8)
        assert len(below) > 100
        for _ in range(10):
            damaged(store, wrong := set(rng.sample(below, 3)))
            texts = []
            for how in (map, together, together):
                store._memory = store._tree.memory()
                with pytest.raises(StateCorrupt) as caught:
                    store.stage(batch, map=how)
                texts.append((str(caught.value), caught.value.row))
            assert texts[0] == texts[1] == texts[2] and texts[0][1] in wrong
            del store._nodes  # type: ignore[method-assign]
        assert content(store.stage(batch, map=together)) == good


def test_a_failing_disk_is_what_every_thread_says(together: Together) -> None:
    """The first to see it closes the store; none of the others may report that instead."""
    batch = [(b"%05d" % number, b"1") for number in range(8000)]
    with Store.create(None, meta={}, genesis=[(key, b"0") for key, _ in batch]) as store:
        calls = 0

        def nodes(keys: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls < 5:
                return Store._nodes(store, keys)
            if calls == 5:
                store.close()
                raise StorageIOError("the disk is on fire")
            store._check()

        store._nodes, store._memory = nodes, store._tree.memory()  # type: ignore[method-assign]
        with pytest.raises(StorageIOError, match="on fire"):
            store.stage(batch, map=together)
        assert calls == 5 and store.closed


def test_an_interrupted_stage_leaves_no_trace(together: Together) -> None:
    batch = [(b"%05d" % number, b"1") for number in range(8000)]
    main = threading.main_thread()
    with Store.create(None, meta={}, genesis=[(key, b"0") for key, _ in batch]) as store:
        expected = content(store.stage(batch))
        for when in range(3):  # each thread has at least one task of each of the three calls of `map`
            seen = 0

            def interrupted(function: Any, tasks: Any) -> Any:
                def task(one: Any) -> Any:
                    nonlocal seen
                    result = function(one)
                    if threading.current_thread() is main:
                        seen += 1
                        if seen > when:
                            raise KeyboardInterrupt
                    return result

                return together(task, tasks)

            with pytest.raises(KeyboardInterrupt):
                store.stage(batch, map=interrupted)
            assert content(store.stage(batch, map=together)) == expected
