"""Any number of scans and walks may be left open: those of one moment share a transaction, of how many moments is bounded, and where
there is no room for more that is an error which loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest
from ioi_storage import Store, TooManyReaders
from ioi_storage.latest import view

FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
KEYS = [b"%02d" % number for number in range(20)]

READS: dict[str, Callable[[Store], Iterator[Any]]] = {
    "scan": lambda store: store.scan(),
    "reverse": lambda store: store.scan(reverse=True),
    "past": lambda store: store.scan(version=0),
    "pairs": lambda store: store.pairs(),
    "snapshot": lambda store: store.snapshot(),
    "diff": lambda store: store.diff(0, store.version),
}


def commit(store: Store) -> dict[bytes, bytes]:
    value = b"%d" % (store.version + 1)
    store.commit(store.stage([(key, value) for key in KEYS]), **FIELDS)
    return {key: value for key in KEYS}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "state", tree="iavl", meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        yield store


def readers(store: Store) -> int:
    return store._handle.env.readers().count("\n") - 1


@pytest.mark.parametrize("read", READS)
def test_of_one_moment(store: Store, read: str) -> None:
    model = commit(store)
    begun = []
    for _ in range(1100):  # LMDB has room for 1,024
        begun.append(READS[read](store))
        next(begun[-1])
    assert readers(store) <= 3
    assert dict(store.scan()) == model
    model = commit(store)
    assert dict(store.scan()) == model
    left = [sum(1 for _ in walk) for walk in begun if read not in ("scan", "reverse")]
    assert len(set(left)) <= 1, "those of past versions read on, each for itself"
    assert not store._view._walked or read in ("scan", "reverse")
    begun.clear()
    assert not store._view._walked


def test_of_many_moments(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MOMENTS", 5)
    begun = []
    for version in range(5):
        begun.append(store.pairs(version))
        next(begun[-1])
        model = commit(store)
    for _ in range(2):
        with pytest.raises(TooManyReaders, match="5 versions .* let go of them"):
            next(store.pairs())
        assert store.get(KEYS[0]) == model[KEYS[0]]
        model = commit(store)
    assert {value for _, value in begun[0]} == {b"0"}  # which ends it
    assert dict(store.scan()) == model
    begun.clear()
    assert dict(store.scan()) == model and not store._view._walked


def test_no_room_in_the_table_of_readers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    model = commit(store)
    walk = store.pairs()
    next(walk)
    others = []
    with pytest.raises(lmdb.ReadersFullError):
        while True:
            others.append(store._handle.env.begin())
    for _ in range(2):
        with pytest.raises(TooManyReaders, match="1024 read transactions"):
            store.settle() or dict(store.scan())
        assert not store.closed
    assert len(list(walk)) == len(KEYS) - 1
    for other in others:
        other.abort()
    assert dict(store.scan()) == model
    model = commit(store)
    assert dict(store.scan()) == model


def test_what_was_read_before_a_version_is_not_read_from_after_it(tmp_path: Path) -> None:
    """A write transaction may be through, and not yet known to be: what others have read meanwhile must not come again."""
    with Store.create(tmp_path / "state", tree="iavl", meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        moments = store._moments
        before, idle = moments.take(), moments.take()
        moments.give(idle)
        with store._handle.begin():
            moments.give(before)
            meanwhile = moments.take()
            assert meanwhile not in (before, idle)
            moments.give(meanwhile)
            assert not before.is_open and not idle.is_open and not meanwhile.is_open
        again = moments.take()
        moments.give(again)
        assert again.is_open and moments.take() is again, "nothing is written any more"
