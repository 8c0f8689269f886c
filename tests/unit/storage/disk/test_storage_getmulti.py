"""Many keys at once: the same answers as one by one, in a store and in overlays on it."""

from __future__ import annotations

import pytest
from ioi_storage import Store

ROWS = {b"k%03d" % i: b"v%d" % i for i in range(0, 200, 2)}
KEYS = [b"k%03d" % i for i in range(200)]


def test_store_and_overlays() -> None:
    with Store.create(None, meta={}, genesis=ROWS.items()) as store:
        assert store.getmulti(KEYS) == [ROWS.get(key) for key in KEYS]
        assert store.getmulti([]) == []
        with store.overlay() as overlay:
            overlay.commit(
                overlay.stage([(b"k000", None), (b"k001", b"new")]),
                receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0,
            )
            assert overlay.getmulti(KEYS) == [overlay.get(key) for key in KEYS]
            assert overlay.getmulti([b"k000", b"k001", b"k002"]) == [None, b"new", b"v2"]
        assert store.getmulti([b"k000"]) == [b"v0"]


@pytest.mark.parametrize("key", [b"", b"x" * 600])
def test_keys_that_cannot_be(key: bytes) -> None:
    with Store.create(None, meta={}, genesis=()) as store, pytest.raises(ValueError):
        store.getmulti([key])
