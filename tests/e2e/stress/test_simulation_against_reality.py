"""What is simulated beside what is: transactions that sleep, which many workers can do at once on few cores, and two workers that compute.

Medians of real executions: a measurement, so only with IOI_REALITY=1, on a machine that has nothing else to do.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import closing

import psutil
import pytest

from ioi_exec.cores import available_cores
from ioi_exec.execution.executors import SharedPools
from ioi_exec.policy import Policy
from ioi_stress import Plan, run, simulate
from ioi_stress.running.measure import measure
from ioi_stress.workloads import make

pytestmark = pytest.mark.skipif("IOI_REALITY" not in os.environ, reason="IOI_REALITY is not set")

BUSY = 0.3  # of all cores, by others
COMPUTING_BUSY = 0.08
ACCOUNTS = {10_000: 8, 1_000: 16, 100: 32}
"""And how many workers."""


def others_busy() -> float:
    """Share of all cores that is in use, or that the host of a virtual machine has taken, over half a second."""
    times = psutil.cpu_times_percent(interval=0.5)
    return 1 - times.idle / 100 - times.iowait / 100


@pytest.mark.long
@pytest.mark.parametrize("accounts", ACCOUNTS)
def test_sleeping_transactions(accounts: int) -> None:
    if (busy := others_busy()) > BUSY:
        pytest.skip(f"other programs use {busy:.0%} of the {os.cpu_count()} cores: real times would say nothing")
    workers = ACCOUNTS[accounts]
    workload = make("uniform", accounts=accounts, block_size=1_000, cost="sleep", cost_us=1_000)
    policy = Policy.named("all-workers")
    blocks = [each.blocks[0] for each in run(workload, Plan(workers=workers, policy=policy, repeat=5)).repetitions]
    real = statistics.median((block.sequential_seconds or {})["execute"] / block.seconds["execute"] for block in blocks)
    executions = statistics.median(block.executions for block in blocks) / 1_000
    point = simulate(workload, workers=(workers,), policy=policy, seeds=4, own_cores=False).at(workers)
    said = (
        f"real {real:.1f} times, {executions:.2f} executions; simulated {point.speedup:.1f} ({point.low:.1f}..{point.high:.1f}), "
        f"{point.executions:.2f}"
    )
    print(said)
    if others_busy() > BUSY:
        pytest.skip(f"other programs came in between: {said}")
    assert real == pytest.approx(point.speedup, rel=0.1), said
    assert executions == pytest.approx(point.executions, rel=0.05), said


def used() -> tuple[float, float, float]:
    """Seconds: on the clock, of all cores by whoever, of these by this process and those it started, which are there still."""
    times, this = psutil.cpu_times(), psutil.Process()
    whoever = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    own = sum(sum(each.cpu_times()[:2]) for each in (this, *this.children(recursive=True)))
    return time.monotonic(), whoever, own


@pytest.mark.long
@pytest.mark.parametrize("accounts", [10_000, 100])
def test_two_workers_that_compute(accounts: int) -> None:
    """Who computes needs his core all the time, so others are looked for all the time."""
    if available_cores() < 2:
        pytest.skip("two workers that compute need two cores")
    if (busy := others_busy()) > COMPUTING_BUSY:
        pytest.skip(f"other programs use {busy:.0%} of the {os.cpu_count()} cores: real times would say nothing")
    workload = make("uniform", accounts=accounts, block_size=1_000, cost_us=100)
    with closing(SharedPools()) as pools:
        before = used()
        blocks = [each.blocks[0] for each in measure(workload, Plan(workers=2, repeat=7), pools=pools).repetitions]
        wall, whoever, own = (after - then for after, then in zip(used(), before))
    others = (whoever - own) / (wall * (os.cpu_count() or 1))
    real = statistics.median((block.sequential_seconds or {})["execute"] / block.seconds["execute"] for block in blocks)
    point = simulate(workload, workers=(2,), seeds=4).at(2)
    said = f"real {real:.2f} times; simulated {point.speedup:.2f} ({point.low:.2f}..{point.high:.2f}); others took {others:.0%}"
    print(said)
    if others > COMPUTING_BUSY:
        pytest.skip(f"other programs came in between: {said}")
    assert real == pytest.approx(point.speedup, rel=0.1), said
