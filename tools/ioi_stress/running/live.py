"""What a run is doing, on a terminal: a picture with the `rich` extra, a line now and then without; on standard error alone.

It draws what the observer's calls bring, in the thread that measures: between blocks, where no clock runs, and a few times a second
while a block is executed in parallel.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Callable, Iterator, TextIO

from ioi_exec import Progress
from ioi_stress.notation.text import short, significant
from ioi_stress.plan import Plan
from ioi_stress.results.result import BlockMeasurement
from ioi_stress.running.measure import Observer

if TYPE_CHECKING:
    from rich.console import RenderableType

DRAW_SECONDS = 0.25  # of a picture
LINE_SECONDS = 2.0


@contextmanager
def live_view(wanted: bool, stream: TextIO | None = None) -> Iterator[Observer | None]:
    """An observer that shows; None if standard error is no terminal, or it is not wanted."""
    stream = sys.stderr if stream is None else stream
    if not wanted or not stream.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:
        console = None
    else:
        console = Console(file=stream)
    if console is None or console.is_dumb_terminal:
        yield _Watching(lambda now: print(line(now), file=stream, flush=True), LINE_SECONDS)
        return
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        yield _Watching(lambda now: live.update(picture(now), refresh=True), DRAW_SECONDS, at_once=True)


@dataclass
class Now:
    """How far a run is, and how the block went that is being executed or was the last one."""

    plan: Plan
    total: int | None
    done: int = 0
    repetition: int | None = None
    block: int = 0
    transactions: int = 0
    watermark: int = 0
    executions: int = 0
    aborts: int = 0
    suspensions: int = 0
    rate: float = 0.0
    occupancy: list[float] = field(default_factory=list)
    """Of each worker, the share of the block's time it was executing or validating."""
    memory_bytes: int = 0
    commit_seconds: float = 0.0

    @property
    def running(self) -> bool:
        return self.watermark < self.transactions

    @property
    def share(self) -> float:
        """Of all that is to be executed, 0 to 1."""
        if not self.total:
            return 0.0
        return min((self.done + (self.watermark / self.transactions if self.running else 0.0)) / self.total, 1.0)

    @property
    def where(self) -> str:
        number, plan = self.repetition, self.plan
        if number is None:
            return "making the state"
        which = f"repetition {number} of {plan.repeat}" if number >= 1 else f"warm-up {number + plan.warmup} of {plan.warmup}"
        return f"{which}, block {self.block}"


class _Watching:
    """An Observer that keeps `Now` and shows it, at most once in `every` seconds."""

    def __init__(self, show: Callable[[Now], None], every: float, *, at_once: bool = False) -> None:
        self._show = show
        self._every = every
        self._at_once = at_once
        self._shown = monotonic()
        self._now: Now | None = None
        self._block_began = 0.0
        self._running: tuple[int, int] | None = None
        self._looks = 0
        self._busy: list[int] = []  # of each worker, the looks that found it at a transaction

    def began(self, plan: Plan, total_blocks: int | None) -> None:
        self._now = Now(plan, total_blocks)
        if self._at_once:
            self._show(self._now)

    def progress(self, repetition: int, block: int, progress: Progress) -> None:
        now = self._now
        assert now is not None
        if self._running != (repetition, block):
            self._running, self._block_began = (repetition, block), monotonic()
            self._looks, self._busy = 0, [0] * len(progress.busy)
        if progress.watermark < progress.transactions:
            self._looks += 1
            self._busy = [looks + (tx is not None) for looks, tx in zip(self._busy, progress.busy)]
            now.occupancy = [looks / self._looks for looks in self._busy]
        now.repetition, now.block = repetition, block
        for name in ("transactions", "watermark", "executions", "aborts", "suspensions"):
            setattr(now, name, getattr(progress, name))
        seconds = monotonic() - self._block_began
        now.rate = progress.watermark / seconds if seconds > 0 else 0.0
        self._perhaps_show(now)

    def finished(self, repetition: int, block: int, measured: BlockMeasurement) -> None:
        now = self._now
        assert now is not None
        now.done += 1
        now.repetition, now.block = repetition, block
        now.transactions = now.watermark = measured.transactions
        now.executions, now.aborts, now.suspensions = measured.executions, measured.aborts, measured.suspensions
        now.rate = measured.transactions / max(measured.seconds["total"], 1e-9)
        executing = max(measured.seconds.get("execute", 0.0), 1e-9)
        now.occupancy = [min(seconds / executing, 1.0) for seconds in measured.busy_seconds]
        now.memory_bytes, now.commit_seconds = measured.memory_bytes, measured.commit_seconds
        self._perhaps_show(now)

    def _perhaps_show(self, now: Now) -> None:
        if monotonic() - self._shown >= self._every:
            self._show(now)
            self._shown = monotonic()


def facts(now: Now) -> list[tuple[str, str]]:
    """(what, how much) of the block, but for bars."""
    n = max(now.transactions, 1)
    return [
        ("transactions/s", short(now.rate)),
        ("watermark", f"{now.watermark:,} of {now.transactions:,}"),
        ("re-executions", f"{max(now.executions - now.transactions, 0):,}"),
        ("aborts", f"{now.aborts:,} ({now.aborts / n:.1%})"),
        ("suspensions", f"{now.suspensions:,}"),
        ("memory", f"{now.memory_bytes / (1 << 20):,.0f} MiB"),
        ("commit", f"{significant(1000 * now.commit_seconds)} ms"),
    ]


def line(now: Now) -> str:
    shares = ", ".join(f"{share:.0%}" for share in now.occupancy)
    parts = [f"{what} {how_much}" for what, how_much in facts(now)] + ([f"workers busy {shares}"] if shares else [])
    done = f"{now.share:.0%} " if now.total else ""
    return f"ioi-stress: {done}{now.where}: {'; '.join(parts)}"


def picture(now: Now) -> RenderableType:
    from rich.columns import Columns
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    top = Table.grid(padding=(0, 1))
    top.add_row(ProgressBar(1.0, now.share, width=40), f"{now.share:.0%}" if now.total else f"{now.done:,} blocks", now.where)
    told = Columns([Text.assemble((what, "dim"), " ", (how_much, "bold")) for what, how_much in facts(now)], padding=(0, 2))
    workers = []
    for number, share in enumerate(now.occupancy):
        bar = Table.grid(padding=(0, 1))
        bar.add_row(Text(f"worker {number}", "dim"), ProgressBar(1.0, share, width=10), f"{share:4.0%}")
        workers.append(bar)
    return Group(top, told, Columns(workers, padding=(0, 2)))
