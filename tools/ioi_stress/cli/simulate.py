"""ioi-stress simulate: how fast a block would be on machines of many cores."""

from __future__ import annotations

import argparse
from typing import Any

from ioi_exec import InputError
from ioi_exec.cli.options import Commands, add_command, print_json, vm_may_print, whole_number
from ioi_stress.cli.cost_options import add_costs, chosen_costs
from ioi_stress.cli.plan_options import add_policy
from ioi_stress.cli.recording_options import positive
from ioi_stress.cli.values import checked
from ioi_stress.cli.workload_options import add_workloads, chosen_workload
from ioi_stress.simulation import simulate
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
    add_costs(parser.add_argument_group("what things take (default: measured here)"))


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


def run(options: argparse.Namespace) -> int:
    workload = chosen_workload(options)
    chosen: dict[str, Any] = {"scheduler": options.scheduler} if options.scheduler else {"policy": options.policy}
    with vm_may_print():
        found = simulate(
            workload, workers=options.workers, costs=chosen_costs(options.costs, calibrated), seeds=options.seeds, block=options.block,
            own_cores=options.own_cores, **chosen,
        )
    if options.json:
        print_json(found.to_json())
    else:
        print(found)
    return 0
