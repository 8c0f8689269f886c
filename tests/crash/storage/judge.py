"""A process that judges states one after another, and may be killed by one: a damaged file can crash its reader.

    judge.py SOURCE        lines on standard input: {"directory", "expected": {path: [descriptions]}, "kept": [chunks], "on": bool}
                           on standard output: [problem, ...]

Descriptions are those of crash_workload.py. on: also that the state can be gone on with.
"""

from __future__ import annotations

import json
import random
import sys
import traceback
from hashlib import sha256
from pathlib import Path
from typing import Any

from crash_workload import batch, body_digest, digest, fields, some_transactions
from ioi_storage import Manifest, Restore, RollbackUnfinished, Store
from ioi_storage.checking.examine import examine
from ioi_storage.disk.environment import data_file, open_environment, open_tables
from ioi_storage.disk.truncation import refuse_if_truncated


def examined(path: Path) -> list[str]:
    """As `check --deep` does in its own process."""
    found: list[str] = []
    refuse_if_truncated(data_file(str(path)))
    env, _ = open_environment(str(path), read_only=True)
    try:
        examine(env, open_tables(env, create=False), True, lambda finding: found.append(f"check: {finding}"), lambda *_: None)
    finally:
        env.close()
    return found


def described(store: Store, tree: str) -> dict[str, Any]:
    roots = {str(number): store.version_row(number).root.hex() for number in range(store.oldest, store.version + 1)}
    found = digest(store.scan())
    bodies = {}
    for number in range(store.oldest, store.version + 1):
        body = store.body(number)
        bodies[str(number)] = None if body is None else body_digest(list(body.txs))
        for index, tx in enumerate(body.txs if body is not None else ()):
            assert (number, index) in store.places(sha256(tx).digest()) and store.entry(number, index) == (tx, tx[:2])
    return {"version": store.version, "oldest": store.oldest, "digest": found, "roots": roots, "tree": tree, "bodies": bodies}


def judge_state(path: Path, allowed: list[Any], on: bool) -> list[str]:
    changed = on
    try:
        problems = examined(path)
    except RollbackUnfinished:
        problems, changed = [] if len(allowed) > 1 else ["a rollback that is over is unfinished"], True
    with Store.open(path) as store:
        found = described(store, store.tree)
        if found not in allowed:
            wanted = [known and (known["version"], known["oldest"]) for known in allowed]
            problems.append(f"version {found['version']}, oldest {found['oldest']}, of versions, oldest {wanted}; or its content")
        if not problems and on:
            pairs = dict(store.scan())
            rng = random.Random(store.version)
            for _ in range(3):
                writes = batch(rng, pairs, 90)
                store.commit(store.stage(sorted(writes.items())), **fields(some_transactions(rng)))
                pairs = {key: value for key, value in {**pairs, **writes}.items() if value is not None}
            store.prune(2)
            if dict(store.scan()) != pairs:
                problems.append("later versions are wrong")
    return problems + (examined(path) if changed else [])


def judge_nothing(path: Path, source: Path, allowed: list[Any], kept: list[int], on: bool) -> list[str]:
    if None not in allowed:
        return ["the state is gone"]
    if not on:
        return []
    if path.name == "state":
        Store.create(path, tree=allowed[-1]["tree"] if allowed[-1] else "jellyfish", meta={}, genesis=[(b"1", b"2")]).close()
        return examined(path)
    manifest = Manifest.decode((source / "manifest").read_bytes())
    with Restore(path, manifest, root=manifest.row.root) as restore:
        asked = []
        while missing := restore.missing():
            asked += missing
            for number in missing:
                restore.offer(number, (source / str(number)).read_bytes())
        restore.finish()
    lost = [f"the restore has lost the chunks {sorted(set(asked) & set(kept))}"] if set(asked) & set(kept) else []
    return lost + judge_state(path, allowed, False)


def judge(directory: Path, source: Path, expected: dict[str, Any], kept: list[int], on: bool) -> list[str]:
    problems = []
    for name, allowed in expected.items():
        path = directory / name
        try:
            if path.exists():
                problems += judge_state(path, allowed, on)
            else:
                problems += judge_nothing(path, source, allowed, kept, on)
        except Exception:
            problems.append(f"{name}: {traceback.format_exc()}")
    return problems


def main(source: Path) -> None:
    for line in sys.stdin:
        task = json.loads(line)
        problems = judge(Path(task["directory"]), source, task["expected"], task["kept"], task["on"])
        sys.stdout.write(json.dumps(problems) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
