"""Run under the shim: does something to a state again and again, each time with another call to the system failing.

    fault_sweep.py ROOT TREE OPERATION ACTION,ACTION... STRIDE

ROOT: an empty directory. OPERATION, ACTION: see OPERATIONS, and ACTION in shim.h; with a + behind it all calls fail from the
N-th on. STRIDE: only each so manieth call. On standard output a JSON object for each run that was not as it should be, and
after each action {"action", "runs": how many, "errors": {class: how often}}.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import ioi_storage.moving.writer
import shimmed
from crash_workload import fields, some_transactions
from ioi_storage import (
    DiskFull,
    Restore,
    StorageClosed,
    StorageError,
    StorageIOError,
    Store,
)
from ioi_storage.disk import stale
from ioi_storage.history import rollback
from ioi_storage.latest import catchup
from ioi_storage.moving import genesis
from judge import examined

Pairs = dict[bytes, bytes]
KEYS = [b"key%02d" % number for number in range(60)]
SEED = os.environ.get("IOI_SEED", "1")  # where among the first calls a sweep begins


def writes(version: int) -> dict[bytes, Optional[bytes]]:
    rng = random.Random(version)
    return {key: rng.choice([None, rng.randbytes(30), rng.randbytes(3000)]) for key in rng.sample(KEYS, 25)}


def content(version: int) -> Pairs:
    pairs = {key: b"genesis" for key in KEYS[::2]}
    for number in range(1, version + 1):
        pairs = {key: value for key, value in {**pairs, **writes(number)}.items() if value is not None}
    return pairs


def commit(store: Store) -> None:
    store.commit(store.stage(sorted(writes(store.version + 1).items())), **fields(some_transactions(random.Random(store.version))))


def small_steps() -> None:
    """Many transactions."""
    catchup.STEP, stale.STEP, stale.SWEEP, rollback.STEP = 15, 20, 70, 5
    ioi_storage.moving.writer._PAIRS = genesis._CHUNK = 20


class Run:
    """A state at `path`, version 3, nothing caught up; and what is needed to do something to it."""

    def __init__(self, root: Path, tree: str) -> None:
        self.path, self.tree = root / "state", tree
        self.store: Optional[Store] = None
        self._template, self._chunks = root / "template", {}
        with Store.create(self._template, tree=tree, meta={}, genesis=content(0).items()) as store:
            for _ in range(3):
                commit(store)
            chunks = list(store.snapshot(chunk_bytes=4000))
            self._chunks = {chunk.number: chunk.data for chunk in chunks}
            self._manifest = store.manifest(3, len(chunks), 0)

    def begin(self, *, there: bool) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(self.path.with_name(".state.restoring"), ignore_errors=True)
        if there:
            shutil.copytree(self._template, self.path)
            self.store = Store.open(self.path)

    def create(self) -> None:
        self.store = Store.create(self.path, tree=self.tree, meta={}, genesis=content(0).items())

    def commit(self) -> None:
        assert self.store is not None
        commit(self.store)

    def settle(self) -> None:
        assert self.store is not None
        self.store.settle()

    def prune(self) -> None:
        assert self.store is not None
        self.store.prune(1)

    def rollback(self) -> None:
        assert self.store is not None
        self.store.rollback(1)

    def restore(self) -> None:
        with Restore(self.path, self._manifest, root=self._manifest.row.root) as restore:
            while missing := restore.missing():
                for number in missing:
                    restore.offer(number, self._chunks[number])
            restore.finish()
        self.store = Store.open(self.path)

    def open(self) -> None:
        assert self.store is not None
        self.store.close()
        self.store = None
        self.store = Store.open(self.path)


# What may be there after it failed, and what must be after it did not; None: no state.
OPERATIONS: dict[str, tuple[Callable[[Run], None], tuple[Optional[int], int]]] = {
    "create": (Run.create, (None, 0)),
    "commit": (Run.commit, (3, 4)),
    "settle": (Run.settle, (3, 3)),
    "prune": (Run.prune, (3, 3)),
    "rollback": (Run.rollback, (3, 1)),
    "restore": (Run.restore, (None, 3)),
    "open": (Run.open, (3, 3)),
}


def faulty(run: Run, shim: shimmed.Shim, operation: str, fault: str) -> tuple[int, Optional[StorageError], list[str]]:
    """(calls there were, what was raised, what was wrong)"""
    do, (before, after) = OPERATIONS[operation]
    run.begin(there=before is not None)
    shim.arm(fault)
    error: Optional[StorageError] = None
    try:
        do(run)
    except StorageError as raised:
        error = raised
    calls = shim.calls()
    problems = []
    if error is not None and not is_right(error, fault):
        problems.append("it raised another error")
    store, allowed = run.store, [after] if error is None else [before, after]
    if store is not None and isinstance(error, StorageIOError):
        problems += must_be_closed(store)
    shim.arm(None)
    if store is not None and isinstance(error, DiskFull) and operation != "rollback":
        # There is room again; a rollback, once begun, is finished when the state is opened.
        try:
            do(run)
            commit(store)
            store.settle()
            allowed = [after + 1]
        except (StorageIOError, StorageClosed):  # LMDB goes no further when it could not write its meta page
            problems += must_be_closed(store)
            allowed = [before, after]
    if store is not None:
        store.close()
    run.store = None
    problems += reopened(run, allowed)
    if not run.path.exists():
        do(run)  # what is left does not stand in its way
        assert run.store is not None
        run.store.close()
        run.store = None
        problems += reopened(run, [after])
    return calls, error, problems


def is_right(error: StorageError, fault: str) -> bool:
    if "ENOSPC" in fault:
        return isinstance(error, DiskFull)
    # LMDB takes the first write to a new file, if it is cut short, for a full disk.
    return isinstance(error, StorageIOError) or (isinstance(error, DiskFull) and "short" in fault)


def must_be_closed(store: Store) -> list[str]:
    try:
        commit(store)
        return ["a commit went through after an I/O error"]
    except StorageClosed:
        return []


def reopened(run: Run, allowed: list[Optional[int]]) -> list[str]:
    if not run.path.exists():
        return [] if None in allowed else ["the state is gone"]
    with Store.open(run.path) as store:
        version = store.version
        problems = [] if version in allowed else [f"version {version}, not {allowed}"]
        if dict(store.scan()) != content(version):
            problems.append(f"wrong pairs in version {version}")
    problems += examined(run.path)
    with Store.open(run.path) as store:
        commit(store)
        if dict(store.scan()) != content(version + 1):
            problems.append("the next version is wrong")
    return problems + examined(run.path)


def sweep(run: Run, shim: shimmed.Shim, operation: str, action: str, stride: int) -> None:
    calls = "write" if action == "short" else "open" if operation == "open" else "all"
    n, runs, errors = random.Random(f"{SEED} {operation} {action}").randrange(stride) + 1, 0, Counter[str]()
    on, name = action.endswith("+"), action.rstrip("+")
    while True:
        fault = f"{calls}:{n}{'+' * on}:{name}"
        try:
            count, error, problems = faulty(run, shim, operation, fault)
        except Exception:
            count, error, problems = n, None, [traceback.format_exc()]
            shim.arm(None)
        if count < n:
            break
        runs, n = runs + 1, n + stride
        errors[type(error).__name__] += 1
        if problems:
            print(json.dumps({"fault": fault, "error": repr(error), "problems": problems}), flush=True)
    print(json.dumps({"action": action, "runs": runs, "errors": errors}), flush=True)


def main(root: Path, tree: str, operation: str, actions: str, stride: int) -> None:
    small_steps()
    shim, run = shimmed.Shim(), Run(root, tree)
    for action in actions.split(","):
        sweep(run, shim, operation, action, stride)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
