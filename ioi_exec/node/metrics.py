"""A node's metrics for Prometheus: what its counts and its machine say at the moment that somebody asks.

They are what only this engine has. Those of the consensus (rounds, peers, intervals between blocks, its mempool) are CometBFT's own.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from typing import Callable, Iterable, Iterator, Mapping

from ioi_exec._version import __version__
from ioi_exec.errors import InputError
from ioi_exec.node.application import Application
from ioi_exec.node.counts import BOUNDS

try:
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.metrics_core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise InputError(f"metrics need prometheus-client: pip install 'ioi-exec[node]' ({error})") from None


class Metrics(Collector):
    """Of one application. state: its directory; connections: how many there are to the node that it serves; None, each: there is no such."""

    def __init__(self, application: Application, *, state: Path | None = None, connections: Callable[[], int] | None = None) -> None:
        self._application = application
        self._state = state
        self._connections = connections
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> tuple[bytes, str]:
        """In Prometheus's text format, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterable[Metric]:
        yield from self._of_the_chain()
        yield from self._of_execution()
        yield from self._of_calls()
        yield from self._of_memory()

    def _of_the_chain(self) -> Iterator[Metric]:
        info, counts = self._application.machine_info, self._application.counts
        yield InfoMetricFamily(
            "ioi_build", "The engine, its chain and VM.",
            value={"version": __version__, "chain_id": info.chain_id or "", "vm": str(info.vm), "tree": info.tree},
        )
        yield _gauge("ioi_height", "Height of the newest committed block.", info.height if info.version else 0)
        yield _gauge("ioi_version", "The newest version of the state.", info.version)
        yield _gauge("ioi_oldest_version", "The oldest version of the state that can be read and proven.", info.oldest)
        if (newest := counts.newest) is not None:
            yield _gauge("ioi_block_timestamp_seconds", "The newest block's own time.", newest.time_ns / 1e9)
            yield _gauge("ioi_block_age_seconds", "Since a block was committed here last.", monotonic() - newest.committed)
        if self._state is not None:
            yield _gauge("ioi_state_bytes", "What the state takes on disk.", _bytes_on_disk(self._state))

    def _of_execution(self) -> Iterator[Metric]:
        counts = self._application.counts
        yield _counter(
            "ioi_blocks", "Blocks committed, by how they were executed: sequential, solo (most of it by one worker alone) or parallel.",
            "mode", {"sequential": 0, "solo": 0, "parallel": 0, **counts.blocks},
        )
        yield _counter("ioi_transactions", "Transactions in committed blocks.", "result", {"done": 0, "failed": 0, **counts.transactions})
        for name, said in (
            ("executions", "Executions of transactions, each incarnation counted, for committed blocks."),
            ("again", "Executions beyond the first of a transaction."),
            ("validations", "Validations of what was read."),
            ("aborts", "Executions thrown away, since what they read had changed."),
            ("suspensions", "Waits of one transaction for another."),
            ("retries", "Blocks executed again as a whole: a worker died, or shared memory ran out."),
        ):
            shown = {"again": "ioi_reexecutions", "retries": "ioi_block_retries"}.get(name, f"ioi_{name}")
            yield _counter(shown, said, None, {"": counts.execution[name]})
        yield _counter("ioi_worker_busy_seconds", "Time that workers executed and validated, all together.", None, {"": counts.busy_seconds})
        phases = HistogramMetricFamily("ioi_block_phase_seconds", "Wall time of a committed block by phase.", labels=["phase"])
        for phase, durations in dict(counts.phases).items():
            total, buckets = 0, []
            for bound, many in zip((*map(str, BOUNDS), "+Inf"), list(durations.buckets)):
                total += many
                buckets.append((bound, total))
            phases.add_metric([phase], buckets, durations.seconds)
        yield phases

    def _of_calls(self) -> Iterator[Metric]:
        counts = self._application.counts
        checks = CounterMetricFamily("ioi_check_tx", "Answers of CheckTx; again: of a transaction that waited already.", labels=["kind", "result"])
        for again in (False, True):
            for let_in in (True, False):
                checks.add_metric(["again" if again else "new", "accepted" if let_in else "refused"], counts.checks[again, let_in])
        yield checks
        yield _gauge("ioi_pending_transactions", "Transactions that wait for a block; 0 where the VM checks none.", self._application.pending)
        yield _counter(
            "ioi_queries", "Answers of Query.", "result", {"answered": counts.queries[True], "refused": counts.queries[False]}
        )
        yield _counter(
            "ioi_proposals", "Blocks proposed here (empty: none could be executed), and what was voted on those of others and our own.", "result",
            {name: counts.proposals[name] for name in ("proposed", "empty", "accepted", "rejected", "failed")},
        )
        yield _counter(
            "ioi_taken_out_transactions", "Transactions that were taken out of blocks that this node proposed.", "kind",
            {"fault": 0, "refused": 0, "size": 0, **counts.taken_out},
        )
        if (snapshots := self._application.snapshots) is not None:
            yield _counter("ioi_snapshots_taken", "Snapshots that were taken.", None, {"": snapshots.taken})
            yield _counter("ioi_snapshots_failed", "Snapshots that were due and not taken; the log says why.", None, {"": snapshots.failed})
            yield _counter("ioi_snapshot_chunks_served", "Chunks handed out to nodes that join.", None, {"": snapshots.chunks_served})
            yield _gauge("ioi_snapshot_seconds", "What the last snapshot took to be taken.", snapshots.last_seconds)
            yield _gauge("ioi_snapshots", "Snapshots there are.", len(listed := snapshots.listed()))
            yield _gauge("ioi_snapshot_height", "Height of the newest snapshot; 0: there is none.", listed[0].height if listed else 0)
        if self._connections is not None:
            yield _gauge("ioi_abci_connections", "Connections of CometBFT: a node has four.", self._connections())

    def _of_memory(self) -> Iterator[Metric]:
        taken = self._application.footprint
        yield _gauge("ioi_memory_bytes", "What this process and its workers take, shared pages counted once.", taken["processes"])
        yield _gauge("ioi_arena_bytes", "Shared memory taken for blocks.", taken["arena"])
        yield _gauge("ioi_arena_limit_bytes", "The most that blocks may take; what is free, where there is no limit.", taken["arena_most"])
        yield _gauge("ioi_cache_bytes", "Shared memory taken for committed values.", taken["cache"])
        yield _gauge("ioi_cache_limit_bytes", "The most that committed values may take.", taken["cache_most"])
        yield _gauge("ioi_workers", "Worker processes there are now.", len(self._application.worker_pids))


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)


def _counter(name: str, said: str, label: str | None, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, said, labels=[] if label is None else [label])
    for value, many in values.items():
        family.add_metric([] if label is None else [value], many)
    return family


def _bytes_on_disk(folder: Path) -> int:
    total = 0
    for entry in os.scandir(folder):
        if entry.is_file(follow_symlinks=False):
            total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
