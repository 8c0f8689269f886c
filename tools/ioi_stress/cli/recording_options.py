"""The options of commands that record one block of a workload."""

from __future__ import annotations

import argparse
from typing import Any

from ioi_exec.cli.options import whole_number
from ioi_stress.cli.plan_options import add_policy
from ioi_stress.cli.workload_options import chosen_parameters


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


def chosen_options(options: argparse.Namespace) -> dict[str, Any]:
    """What `ioi_stress.explain` and `trace` take beside their own."""
    names = ("workload", "block", "workers", "policy", "repeat", "warmup", "pin")
    return {**chosen_parameters(options), **{name: getattr(options, name) for name in names}}


def positive(text: str) -> int:
    """For argparse: a number from 1 on."""
    number = whole_number(text)
    if number == 0:
        raise argparse.ArgumentTypeError("the value is 0: give at least 1")
    return number
