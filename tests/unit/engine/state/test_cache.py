"""The cache of committed values: who may write to it, how much of it there is, and that it is of use."""

from __future__ import annotations

import gc
import mmap
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from ioi_shm import Cache
from ioi_shm import cache as shared_cache
from ioi_shm.cache import SharedCache
from ioi_storage import Writes
from ioi_storage.disk.descriptors import Descriptors

from ioi_exec import ExecutionMachine, Limits, Policy, StateView, TxContext
from ioi_exec.block.record import EventKind
from ioi_exec.execution.executors import SharedPools
from ioi_exec.state.cache import CommittedCache

STAND = bytes(range(64))


class Reads:
    """A transaction is one key to read."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        value = state.get(tx)
        state.put(b"last", tx)
        return value or b"absent"


Pairs = list[tuple[bytes, "bytes | None"]]


def kept(shared: SharedCache, pairs: Pairs, version: int, flat: int) -> Pairs:
    """Those for which there was no room."""
    writes = Writes.of(pairs)
    return shared.write(writes.blob, writes.ends, version, flat)


@pytest.fixture
def made() -> Iterator[Callable[[int], SharedCache]]:
    files = Descriptors()
    yield lambda most: SharedCache(most, partial(files.add, os.memfd_create))
    files.close()


def test_workers_can_only_read_it(made: Callable[[int], SharedCache]) -> None:
    shared = made(1 << 20)
    assert kept(shared, [(b"k", b"v"), (b"gone", None)], 3, 0) == []
    shared.cache.stamp(STAND)
    theirs = Cache(shared.fd, shared.size)
    assert theirs.get(b"k") == (b"v", 3) and theirs.get(b"gone") == (None, 3) and theirs.get(b"other") is None
    assert theirs.is_of(STAND) and not theirs.is_of(STAND[::-1])
    kept(shared, [(b"k", b"w")], 4, 0)
    assert theirs.get(b"k") == (b"w", 4) and not theirs.is_of(STAND)
    with pytest.raises(PermissionError):
        mmap.mmap(shared.fd, 4096)
    with pytest.raises(PermissionError):
        os.ftruncate(shared.fd, 0)
    with pytest.raises(PermissionError):
        os.write(shared.fd, b"x")


def test_it_stays_within_its_limit_and_what_is_free(made: Callable[[int], SharedCache], monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: Pairs = [(b"key %d" % i, b"value") for i in range(200_000)]
    shared = made(10 << 20)
    refused = kept(shared, pairs, 1, 0)
    assert refused and shared.cache.reserved <= 10 << 20 and shared.cache.records + len(refused) == len(pairs)
    assert kept(shared, pairs, 2, 2) == []  # all of them may go now
    monkeypatch.setattr(shared_cache, "free_memory", lambda: 0)
    shared = made(10 << 20)
    refused = kept(shared, pairs, 1, 0)
    assert shared.cache.reserved == shared.cache.size == 4096 and shared.cache.records + len(refused) == len(pairs)


def test_none_and_too_little_is_none() -> None:
    for most in (0, 100):
        cache = CommittedCache(most)
        assert cache.handle is None and cache.bytes_taken == 0


def test_a_machine_without_descriptors_for_it_does_without(monkeypatch: pytest.MonkeyPatch, ioi_pools: SharedPools) -> None:
    def refused(*arguments: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(shared_cache, "SharedCache", refused)
    with ExecutionMachine.create(None, Reads, genesis={b"k": b"v"}, workers=1, pin=False, executors=ioi_pools.executors()) as machine:
        result = machine.execute([b"k"])
        assert result.receipts[0].output == b"v" and result.stats.memory["cache"] == 0


@pytest.mark.parametrize("cache_bytes", [0, Limits.cache_bytes])
def test_what_was_read_or_written_is_not_read_from_the_disk_again(ioi_pools: SharedPools, tmp_path: Path, cache_bytes: int) -> None:
    keys = [b"%d" % i for i in range(20)]
    genesis = {key: b"v" + key for key in keys[:10]}
    with ExecutionMachine.create(
        tmp_path / "s", Reads, genesis=genesis, workers=1, pin=False, executors=ioi_pools.executors(), limits=Limits(cache_bytes=cache_bytes)
    ) as machine:
        fetched = []
        for txs in (keys, keys, [*keys, b"last"]):
            result = machine.execute(txs, record=True)
            assert [receipt.output for receipt in result.receipts][:11] == [*genesis.values(), b"absent"]
            assert result.record is not None
            fetched.append(int((result.record.events["kind"] == EventKind.FETCH).sum()))
            machine.commit(result)
        assert fetched[0] >= 20 and (fetched[1:] == [0, 0]) == bool(cache_bytes)


class Nothing:
    """Without the garbage collector, in its workers."""

    def __init__(self) -> None:
        gc.disable()

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes | None:
        return state.get(tx)


@pytest.mark.parametrize("vm", [Nothing, "payments"])
def test_a_worker_lets_go_of_the_caches_of_machines_that_are_closed(vm: type | str) -> None:
    pools = SharedPools()
    collecting = gc.isenabled()
    try:
        workers = set()
        for _ in range(4):
            with ExecutionMachine.create(None, vm, workers=1, pin=False, executors=pools.executors()) as machine:
                machine.execute([b"%d" % i for i in range(20)], policy=Policy(choose=False))
                workers.update(machine.worker_pids)
        [worker] = workers
        # One may be of the last machine, and the worker may not have heard yet that the one before is closed.
        assert Path(f"/proc/{worker}/maps").read_text().count("memfd:ioi-cache") <= 2
    finally:
        if collecting:
            gc.enable()
        pools.close()


def has_open(inode: int) -> bool:
    def is_it(fd: str) -> bool:
        try:
            return os.stat(f"/proc/self/fd/{fd}").st_ino == inode
        except OSError:
            return False

    return any(is_it(fd) and "ioi-cache" in os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))


def test_a_cache_that_is_dropped_gives_up_its_descriptor() -> None:
    cache = CommittedCache(1 << 20)
    assert cache.handle is not None
    inode = os.fstat(cache.handle[0]).st_ino
    assert has_open(inode)
    del cache
    assert not has_open(inode)
    cache = CommittedCache(1 << 20)
    assert cache.handle is not None
    inode = os.fstat(cache.handle[0]).st_ino
    cache.close()
    assert not has_open(inode) and cache.handle is None
    other = os.open("/dev/null", os.O_RDONLY)  # likely the same number
    try:
        cache.close()
        del cache
        os.fstat(other)
    finally:
        os.close(other)


def test_closing_a_machine_closes_its_cache_also_where_something_else_cannot_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = SharedPools()
    try:
        executors = pools.executors()
        machine = ExecutionMachine.create(None, Reads, workers=1, pin=False, executors=executors)
        machine.execute([b"k"], policy=Policy(choose=False))
        handle = machine._cache.handle
        assert handle is not None
        inode = os.fstat(handle[0]).st_ino
        release = executors.release

        def broken() -> None:
            release()
            raise OSError("told to")

        monkeypatch.setattr(executors, "release", broken)
        with pytest.raises(OSError, match="told to"):
            machine.close()
        assert not has_open(inode)
    finally:
        pools.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_blocks_go_without_a_cache_that_workers_cannot_map(
    workers: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As under a limit of address space (ulimit -v)."""
    handle = CommittedCache.handle.fget
    assert handle is not None

    def too_large(cache: CommittedCache) -> tuple[int, int] | None:
        found = handle(cache)
        return None if found is None else (found[0], 1 << 47)

    monkeypatch.setattr(CommittedCache, "handle", property(too_large))
    with ExecutionMachine.create(None, Reads, genesis={b"k": b"v"}, workers=workers, pin=False) as machine:
        first = machine.execute([b"k", b"other"])
        assert [receipt.output for receipt in first.receipts] == [b"v", b"absent"]
        assert (first.stats.retries, first.stats.memory["cache"]) == (1, 0)
        machine.commit(first)
        again = machine.execute([b"last", b"k"])
        assert [receipt.output for receipt in again.receipts] == [b"other", b"v"] and again.stats.retries == 0
    assert [record.levelname for record in caplog.records if "without a cache" in record.getMessage()] == ["WARNING"]
