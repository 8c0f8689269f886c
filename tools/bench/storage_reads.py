"""Reads and proofs of one key, on a state nobody writes to."""

from __future__ import annotations

import time

from ioi_storage import Store
from ioi_storage.verify import verify_absence, verify_existence

from tools.bench.figures import Figure, all_us, each_us
from tools.bench.storage_load import Load, Timed

_ROUNDS = 51


def reads(path: str, load: Load) -> dict[str, Figure]:
    with Store.open(path) as store:
        store.settle()
        keys = load.rounds(_ROUNDS, 1_000)
        each_us(store.get, keys[:5])  # warm
        version = store.version
        figures = {
            "get us": each_us(store.get, keys),
            "get us, absent": each_us(store.get, [[b"absent/" + key for key in some] for some in keys]),
            "getmulti us a key, 1,000 ascending": all_us(store.getmulti, [sorted(some) for some in keys]),
            "get us, of a version": each_us(lambda key: store.get(key, version), [some[:100] for some in keys]),
        }
        Timed().block(store, load)
        store.get(keys[0][0])  # the lag is merged when it is first read
        figures["get us, while the flat table lags"] = each_us(store.get, keys)
        store.settle()
    with Store.open(path, read_only=True) as store:
        figures["get us, opened read-only"] = each_us(store.get, [some[:200] for some in keys])
    return figures


def proofs(path: str, load: Load) -> dict[str, Figure]:
    with Store.open(path) as store:
        keys = load.rounds(_ROUNDS, 100)
        root, tree = store.root, store.tree
        figures = {
            "prove us": each_us(lambda key: store.prove([key]), keys),
            "prove us, absent": each_us(lambda key: store.prove([b"absent/" + key]), keys),
            "prove us a key, 100 together": all_us(lambda some: store.prove(some), keys),
        }
        proven, sizes = [], []
        for some in keys:
            made = [(key, store.get(key), store.prove([key])) for key in some]
            sizes += [len(proof) for _, _, proof in made]
            began = time.thread_time()
            for key, value, proof in made:
                assert value is not None
                verify_existence(root, tree, key, value, proof)
            proven.append(1e6 * (time.thread_time() - began) / len(some))
        verify_absence(root, tree, b"absent/", store.prove([b"absent/"]))
    return {**figures, "verify us": Figure.of(proven), "proof bytes": Figure.of(sizes)}
