"""Overlays: versions in memory on top of a state that never notices."""

from __future__ import annotations

import pytest
from ioi_storage import OverlayStore, StaleStage, StorageClosed, Store, VersionMissing

GENESIS = {b"a": b"1", b"c": b"3", b"e": b"5"}
FIELDS = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)


@pytest.fixture
def store():
    with Store.create(None, meta={}, genesis=GENESIS.items()) as store:
        yield store


def test_an_overlay_reads_and_commits_like_a_store(store, commit) -> None:
    commit(store, {b"a": b"x"})
    before = store.latest
    with store.overlay() as overlay:
        assert isinstance(overlay, OverlayStore)
        assert (overlay.version, overlay.root, overlay.latest) == (1, store.root, before)
        commit(overlay, {b"b": b"2", b"c": None}, header=b"h", height=9)
        commit(overlay, {b"b": b"22", b"e": b"5", b"zz": None})
        assert (overlay.version, overlay.version_row(2).header, overlay.version_row(1)) == (3, b"h", before)
        assert [overlay.get(b"b"), overlay.get(b"c"), overlay.get(b"a")] == [b"22", None, b"x"]
        assert [overlay.get(b"b", v) for v in range(4)] == [None, None, b"2", b"22"]
        assert [overlay.get(b"c", v) for v in range(4)] == [b"3", b"3", None, None]
        assert [overlay.get(b"a", v) for v in range(4)] == [b"1", b"x", b"x", b"x"]
        assert list(overlay.scan()) == [(b"a", b"x"), (b"b", b"22"), (b"e", b"5")]
        assert list(overlay.scan(b"b", b"e", reverse=True)) == [(b"b", b"22")]
        assert overlay.writes() == {b"b": b"22", b"c": None}
        with pytest.raises(VersionMissing):
            overlay.version_row(4)
        root = overlay.root
    assert store.latest == before and dict(store.scan()) == {**GENESIS, b"a": b"x"}
    commit(store, {b"b": b"2", b"c": None})
    commit(store, {b"b": b"22"})
    assert store.root == root


def test_closing_drops_everything_and_is_final(store, commit) -> None:
    overlay = store.overlay()
    commit(overlay, {b"b": b"2"})
    overlay.close()
    overlay.close()
    assert overlay.closed
    for use in (
        lambda: overlay.get(b"a"),
        lambda: overlay.scan(),
        lambda: overlay.writes(),
        lambda: overlay.latest,
        lambda: overlay.stage([]),
        lambda: overlay.overlay(),
    ):
        with pytest.raises(StorageClosed):
            use()
    assert store.get(b"b") is None


def test_overlays_stack(store, commit) -> None:
    with store.overlay() as lower:
        commit(lower, {b"b": b"2", b"a": None})
        with lower.overlay() as upper:
            commit(upper, {b"a": b"again", b"e": None})
            assert list(upper.scan()) == [(b"a", b"again"), (b"b", b"2"), (b"c", b"3")]
            assert upper.writes() == {b"a": b"again", b"e": None}
            assert [upper.get(b"a", v) for v in range(3)] == [b"1", None, b"again"]
        assert dict(lower.scan()) == {b"b": b"2", b"c": b"3", b"e": b"5"}
    assert dict(store.scan()) == GENESIS


def test_an_overlay_is_useless_once_its_base_moved_on(store, commit) -> None:
    overlay = store.overlay()
    commit(overlay, {b"b": b"2"})
    commit(store, {b"b": b"3"})
    for use in (lambda: overlay.get(b"b"), lambda: overlay.scan(), lambda: overlay.version, lambda: overlay.stage([])):
        with pytest.raises(StaleStage, match="another overlay"):
            use()
    overlay.close()


def test_staged_batches_do_not_cross(store, commit) -> None:
    with store.overlay() as overlay, store.overlay() as twin:
        staged = overlay.stage([(b"b", b"2")])
        for other in (store, twin):
            with pytest.raises(StaleStage, match="another"):
                other.commit(staged, **FIELDS)
        overlay.commit(staged, **FIELDS)
        with pytest.raises(StaleStage):
            overlay.commit(staged, **FIELDS)


def test_a_scan_does_not_outlive_its_version(store, commit) -> None:
    with store.overlay() as overlay:
        scan = overlay.scan()
        assert next(scan) == (b"a", b"1")
        commit(overlay, {b"c": None})
        with pytest.raises(StaleStage, match="scan again"):
            next(scan)


def test_deleting_everything_in_an_overlay(store, commit) -> None:
    with store.overlay() as overlay:
        commit(overlay, {key: None for key in GENESIS})
        assert list(overlay.scan()) == list(overlay.scan(reverse=True)) == []
        assert overlay.root == b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
        commit(overlay, dict(GENESIS))
        assert overlay.root == store.root
