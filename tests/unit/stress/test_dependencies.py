"""The critical path against all paths there are, and the bounds against schedules."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace

import numpy as np
import pytest
from simulated_schedule import Tx, random_block, simulate

from ioi_exec.block.record import READ, WRITE
from ioi_stress.explaining.dependencies import Dependencies, Path, bound
from ioi_stress.tracing.timeline import Timeline


def random_graph(seed: int, n: int, keys: int = 4) -> Dependencies:
    rng = random.Random(seed)
    edges = sorted(
        (reader, writer, rng.randrange(keys))
        for reader in range(n)
        for writer in range(reader)
        if rng.random() < 2.5 / n
    )
    parts = np.array(edges, np.int64).reshape(-1, 3)
    return Dependencies(
        np.array([rng.randrange(0, 50) for _ in range(n)], np.int64), parts[:, 0], parts[:, 1], parts[:, 2]
    )


def longest(graph: Dependencies, without: set[int]) -> int:
    """By looking at every path."""
    after: dict[int, list[int]] = {}
    for reader, writer, key in zip(graph.reader.tolist(), graph.writer.tolist(), graph.key.tolist()):
        if key not in without:
            after.setdefault(writer, []).append(reader)

    def best(tx: int) -> int:
        return int(graph.work[tx]) + max(map(best, after.get(tx, ())), default=0)

    return max(map(best, range(len(graph.work))), default=0)


def check(path: Path, graph: Dependencies, without: set[int]) -> None:
    """It is a path, and as long as it says."""
    edges = set(zip(graph.reader.tolist(), graph.writer.tolist(), graph.key.tolist()))
    assert path.nanoseconds == sum(graph.work[path.transactions].tolist())
    for writer, reader, key in zip(path.transactions[:-1], path.transactions[1:], path.keys, strict=True):
        assert (reader, writer, key) in edges and key not in without


@pytest.mark.parametrize("seed", range(60))
def test_critical_path(seed: int) -> None:
    graph = random_graph(seed, n=seed % 16)
    for without in (set(), {0}, {1, 2}):
        path = graph.critical_path(without)
        assert path.nanoseconds == longest(graph, without)
        check(path, graph, without)


def greedy(graph: Dependencies, cores: int) -> int:
    """The end of a schedule that begins the lowest transaction that may begin whenever a core is free."""
    missing = [0] * len(graph.work)
    after: dict[int, list[int]] = {}
    for reader, writer in zip(graph.reader.tolist(), graph.writer.tolist()):
        missing[reader] += 1
        after.setdefault(writer, []).append(reader)
    ready = [tx for tx, count in enumerate(missing) if count == 0]
    running: list[tuple[int, int]] = []
    now = 0
    while ready or running:
        while ready and len(running) < cores:
            tx = heapq.heappop(ready)
            heapq.heappush(running, (now + int(graph.work[tx]), tx))
        now, done = heapq.heappop(running)
        for reader in after.get(done, ()):
            missing[reader] -= 1
            if missing[reader] == 0:
                heapq.heappush(ready, reader)
    return now


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("cores", [1, 2, 5, 100])
def test_schedules_are_within_the_bounds(seed: int, cores: int) -> None:
    graph = random_graph(seed, n=40)
    work, path = int(graph.work.sum()), graph.critical_path().nanoseconds
    limits = bound(work, path, cores)
    assert limits.at_least - 1e-9 <= work / greedy(graph, cores) <= limits.at_most + 1e-9
    assert 1 - 1e-9 <= limits.at_least <= limits.at_most + 1e-9 and limits.at_most <= min(cores, work / path) + 1e-9


def test_of_a_record_without_end_block() -> None:
    record, truth = simulate(random_block(3))
    n = record.transactions
    reads = np.append(record.reads, np.array([(n, 0, n - 1, False)], READ))  # what end_block reads comes after all
    work = Timeline.of(record).work()
    graph = Dependencies.of(replace(record, reads=reads), np.append(work[:n], 10**9))
    expected = sorted((tx, writer, key) for (tx, key), writer in truth.writers.items() if writer >= 0)
    assert sorted(zip(graph.reader.tolist(), graph.writer.tolist(), graph.key.tolist())) == expected
    check(graph.critical_path(), graph, set())
    assert 0 < graph.critical_path().nanoseconds < 10**9


def adding(n: int, reads: list[tuple[int, int, int, bool]], puts: tuple[int, ...] = ()) -> Dependencies:
    """Transactions that all take 1 and write the one key, all but `puts` by adding, and what they read."""
    record, _ = simulate([Tx((), (0,))] * n)
    writes = np.array([(tx, 0, False, tx not in puts) for tx in range(n)], WRITE)
    return Dependencies.of(replace(record, reads=np.array(reads, READ), writes=writes), np.ones(n + 1, np.int64))


def test_adds_depend_on_nobody_who_adds() -> None:
    n = 50
    graph = adding(n, [(tx, 0, -1, True) for tx in range(n)])
    assert graph.critical_path() == Path(1, [0], []) and bound(int(graph.work.sum()), 1, n).at_most == n


def test_adds_on_top_of_a_put_depend_on_it_alone() -> None:
    graph = adding(20, [(tx, 0, 9, True) for tx in range(10, 20)], puts=(9,))
    path = graph.critical_path()
    assert path.nanoseconds == 2 and path.transactions[0] == 9 and path.keys == [0]


def test_who_reads_a_counter_depends_on_all_that_was_added() -> None:
    """In so many steps as there are reads that add, too; and the sums of each are no more than what was added since the one before."""
    n = 3000
    graph = adding(n, [(tx, 0, tx - 1 if tx % 2 else -1, tx % 2 == 0) for tx in range(n)])
    path = graph.critical_path()
    assert path.nanoseconds == n // 2 + 1 and len(path.transactions) == n // 2 + 1 and path.keys == [0] * (n // 2)
    assert path.transactions[-1] == n - 1 and all(tx % 2 for tx in path.transactions[1:])
    assert len(graph.reader) < 3 * n and graph.critical_path({0}).nanoseconds == 1


def test_a_sum_ends_at_the_last_put() -> None:
    slow = np.ones(8, np.int64)
    slow[1] = 100  # added before transaction 3 put another value
    record, _ = simulate([Tx((), (0,))] * 7)
    writes = np.array([(tx, 0, False, tx != 3) for tx in range(6)], WRITE)
    for reads, longest_path in (([(6, 0, 5, False)], 100), ([(2, 0, 1, False), (6, 0, 5, False)], 101), ([(6, 0, 2, False)], 101)):
        graph = Dependencies.of(replace(record, reads=np.array(reads, READ), writes=writes), slow)
        assert graph.critical_path().nanoseconds == longest_path


def test_nothing_at_all() -> None:
    nothing = np.array([], np.int64)
    assert Dependencies(nothing, nothing, nothing, nothing).critical_path() == Path(0, [], [])
    assert bound(0, 0, 4).at_most == bound(0, 0, 4).at_least == 1
