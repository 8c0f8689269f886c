"""The options of commands that record one block of a workload."""

from __future__ import annotations

import argparse

from ioi_exec import InputError
from ioi_exec.cli.options import whole_number
from ioi_stress.cli.plan_options import add_policy
from ioi_stress.cli.workload_options import chosen_workload
from ioi_stress.plan import Plan
from ioi_stress.running.recording import Recording, record_block


def add_recording(parser: argparse.ArgumentParser, repeat: int) -> None:
    group = parser.add_argument_group("how it is run")
    group.add_argument(
        "--block", type=whole_number, default=0, metavar="N", help="which block, from 0 on (default: %(default)s)"
    )
    group.add_argument(
        "--workers", type=whole_number, metavar="N", help="worker processes, at least 1 (default: one per core)"
    )
    add_policy(group)
    group.add_argument(
        "--repeat",
        type=whole_number,
        default=repeat,
        metavar="N",
        help="execute the block so often one by one, in parallel and recorded, in turns; the least of each counts, and the "
        "quickest recorded one is shown (default: %(default)s)",
    )
    group.add_argument(
        "--warmup",
        type=whole_number,
        default=1,
        metavar="N",
        help="executions before, not measured (default: %(default)s)",
    )
    group.add_argument("--no-pin", dest="pin", action="store_false", help="let workers move between cores")


def chosen_recording(options: argparse.Namespace) -> Recording:
    """Raises InputError, Diverged, and the engine's errors."""
    plan = Plan(
        workers=options.workers, policy=options.policy, repeat=options.repeat, warmup=options.warmup, pin=options.pin
    )
    if options.workers == 0:
        raise InputError(
            "--workers 0 executes one by one in this process, where there is no schedule to record: give at least 1"
        )
    return record_block(chosen_workload(options), options.block, plan)


def positive(text: str) -> int:
    """For argparse: a number from 1 on."""
    number = whole_number(text)
    if number == 0:
        raise argparse.ArgumentTypeError("the value is 0: give at least 1")
    return number
