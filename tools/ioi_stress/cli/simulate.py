"""ioi-stress simulate: how fast a block would be on machines of many cores."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from ioi_exec import InputError
from ioi_exec.cli.options import Commands, add_command, print_json, vm_may_print, whole_number
from ioi_stress.cli.plan_options import add_policy
from ioi_stress.cli.recording_options import positive
from ioi_stress.cli.values import checked
from ioi_stress.cli.workload_options import add_workloads, chosen_workload
from ioi_stress.simulation import Costs, simulate
from ioi_stress.simulation.calibration import calibrated
from ioi_stress.simulation.plays import SEEDS, WORKERS, WORKERS_MAX

_EPILOG = f"""The engine's own scheduler, versions and view run under virtual time, each worker on a core of its own, up to {WORKERS_MAX}:
docs/scaling.md says how, and how far to believe it. Memory bandwidth, hyper-threads, clocks, staging and commit are not in it: what
it says is an upper bound. What a cache line, a wake-up and the engine's own work take is measured on this machine first, unless it
is given; the answer is a range."""


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "simulate",
        "Predict the speed-up on machines of many cores.",
        _EPILOG,
        needs_state=False,
        example="ioi-stress simulate uniform --block-size 1000 --workers 1,8..32 --line-ns 100 --wake-us 2,8 --own-ns 500,350 --seeds 2\n"
        "ioi-stress simulate hot --block-size 200 --workers 4 --scheduler oracle --seeds 2 --line-ns 80",
    )
    add_workloads(command, _options)
    command.set_defaults(run=run)


def _options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is simulated")
    group.add_argument(
        "--workers", type=checked(_workers), default=list(WORKERS), metavar="N,A..B,...",
        help="numbers of workers, and powers of two from A to B with both (default: 1..128)",
    )
    group.add_argument("--block", type=whole_number, default=0, metavar="N", help="which block, from 0 on (default: %(default)s)")
    add_policy(group)
    group.add_argument(
        "--scheduler", metavar="NAME",
        help="instead of the engine's: sequential; oracle, which knows all dependencies beforehand; or the path of a library of "
        "your own (docs/schedulers.md)",
    )
    group.add_argument(
        "--shared-cores", dest="own_cores", action="store_false",
        help="workers share cores, and so do not spin before they sleep: for transactions that sleep",
    )
    group.add_argument("--seeds", type=positive, default=SEEDS, metavar="N", help="plays of everything (default: %(default)s)")
    group = parser.add_argument_group("what things take (default: measured here)")
    group.add_argument("--line-ns", type=whole_number, metavar="NS", help="moving a cache line from one core to another")
    group.add_argument(
        "--wake-us", type=checked(_pair), metavar="US[,US]",
        help="a wake call, and from there until the sleeper runs (default of that: four times as much)",
    )
    group.add_argument(
        "--own-ns", type=checked(_pair), metavar="NS[,NS]",
        help="the engine's own work in an execution; the same executing one by one (default of that: the same)",
    )


def _workers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        ends = [first, last] if dots else [first]
        if not all(each.isascii() and each.isdigit() and 1 <= int(each) <= WORKERS_MAX for each in ends):
            raise InputError(f"{part.strip()!r}: give numbers from 1 to {WORKERS_MAX}, or two of them as 1..{WORKERS_MAX}")
        low, high = int(ends[0]), int(ends[-1])
        found += [low, *(1 << k for k in range(8) if low < 1 << k < high), high]
    return sorted(set(found))


def _pair(text: str) -> tuple[float, float | None]:
    try:
        first, *rest = (float(part) for part in text.split(","))
    except ValueError:
        first, rest = -1.0, []
    if len(rest) > 1 or not all(0 <= each < 1e6 for each in (first, *rest)):
        raise InputError(f"{text!r}: give a number, or two with a comma between")
    return first, rest[0] if rest else None


def run(options: argparse.Namespace) -> int:
    workload = chosen_workload(options)
    chosen: dict[str, Any] = {"scheduler": options.scheduler} if options.scheduler else {"policy": options.policy}
    with vm_may_print():
        found = simulate(
            workload, workers=options.workers, costs=_costs(options), seeds=options.seeds, block=options.block,
            own_cores=options.own_cores, **chosen,
        )
    if options.json:
        print_json(found.to_json())
    else:
        print(found)
    return 0


def _costs(options: argparse.Namespace) -> Costs:
    """What was given, and the rest as this machine has it, if anything is missing."""
    given: dict[str, int] = {}
    if options.line_ns is not None:
        given["line"] = options.line_ns
    if options.wake_us is not None:
        call, latency = options.wake_us
        given.update(wake=round(1000 * call), latency=round(1000 * (4 * call if latency is None else latency)))
    if options.own_ns is not None:
        own, sequential = options.own_ns
        given.update(work=round(own), sequential=round(own if sequential is None else sequential))
    return replace(Costs() if {"line", "wake", "work"} <= given.keys() else calibrated(), **given)
