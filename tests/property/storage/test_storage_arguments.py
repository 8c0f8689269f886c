"""Whatever the storage is handed, it answers, or raises a StorageError, a TypeError or a ValueError, and nothing has happened.
A verifier never takes another type for bytes: of a number, bytes() makes zeros."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from ioi_storage import StorageError, Store, check, verify, verify_ics23

WRONG: dict[str, Any] = {
    "none": None, "true": True, "negative": -1, "zero": 0, "u64": 1 << 64, "huge": 10**5000, "float": 1.5, "nan": float("nan"), "text": "x",
    "nul": "a\0b", "surrogate": "\ud800", "nothing": b"", "long": bytes(600), "list": [5], "pairs": [(b"a", 5)], "dict": {"a": 5},
    "object": object(), "class": int, "complex": 1j,
}
GENESIS = [(b"a", b"1"), (b"b", b"2")]
COMMIT = {"receipts_root": bytes(32), "height": 1, "header": b"", "transactions": 1, "failed": 0}


def calls(store: Store, value: Any) -> dict[str, Callable[[], Any]]:
    def create(**given: Any) -> None:
        Store.create(None, **({"tree": "iavl", "meta": {}, "genesis": []} | given)).close()

    found: dict[str, Callable[[], Any]] = {f"create {name}": partial(create, **{name: value}) for name in ("tree", "meta", "genesis", "height")}
    for name in ("get", "getmulti", "scan", "pairs", "prove", "prove_ics23", "prove_range", "stage", "version_row", "found", "snapshot"):
        found[name] = partial(getattr(store, name), value)
    for name in ("prune", "rollback"):
        if value not in (0, True):
            found[name] = partial(getattr(store, name), value)
    staged = store.stage([(b"c", b"x")])
    for name in COMMIT:
        if value not in (0, True, b"") and not (name == "header" and value == bytes(600)):
            found[f"commit {name}"] = partial(store.commit, staged, **(COMMIT | {name: value}))
    found |= {
        "commit": partial(store.commit, value, **COMMIT),
        "get version": partial(store.get, b"a", value),
        "prove version": partial(store.prove, [b"a"], value),
        "scan limit": partial(store.scan, limit=value),
        "scan version": partial(store.scan, version=value),
        "range limit": partial(store.prove_range, limit=value),
        "stage value": partial(store.stage, [(b"a", value)]),
        "stage key": partial(store.stage, [(value, b"a")]),
        "diff": partial(store.diff, value, 0),
        "chunks": partial(store.snapshot, chunk_bytes=value),
        "open": partial(Store.open, value),
        "check": partial(check, value),
        "overlay": partial(store.overlay().version_row, value),
    }
    return found


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_store(tree: str, value: Any) -> None:
    with Store.create(None, tree=tree, meta={}, genesis=GENESIS) as store:
        before = store.stand, list(store.pairs())
        for name, call in calls(store, value).items():
            try:
                answer = call()
                if hasattr(answer, "__next__"):
                    list(answer)
            except (StorageError, TypeError, ValueError):
                pass
            except Exception as error:
                raise AssertionError(f"{name}: {error!r}") from error
            assert (store.stand, list(store.pairs())) == before, name


NO_BYTES = {name: value for name, value in WRONG.items() if not isinstance(value, bytes)}


@pytest.mark.parametrize("value", NO_BYTES.values(), ids=NO_BYTES)
@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_verifiers(tree: str, value: Any) -> None:
    with Store.create(None, tree=tree, meta={}, genesis=[*GENESIS, (b"\0" * 5, b"\0" * 5)]) as store:
        root, zeros = store.root, b"\0" * 5
        proof, ics23, absent, everything = store.prove([zeros]), store.prove_ics23(zeros), store.prove_ics23(b"z"), store.prove_range()
        claims: dict[Callable[..., None], list[Any]] = {
            verify.verify_existence: [root, tree, zeros, zeros, proof],
            verify.verify_absence: [root, tree, b"z", store.prove([b"z"])],
            verify.verify_many: [root, tree, {zeros: zeros}, proof],
            verify.verify_range: [root, tree, None, None, everything.pairs, everything.proof],
            verify_ics23.verify_existence: [root, tree, zeros, zeros, ics23],
            verify_ics23.verify_absence: [root, tree, b"z", absent],
        }
        for check_claim, good in claims.items():
            check_claim(*good)
            for at in range(len(good)):
                for wrong in (value, 5):
                    if wrong is None and good[at] is None:
                        continue
                    with pytest.raises((TypeError, ValueError)):
                        check_claim(*good[:at], wrong, *good[at + 1 :])
            with pytest.raises(TypeError):
                check_claim(*good[:-1], 5)
