"""The options that say how a workload is run: the same for every command that runs one."""

from __future__ import annotations

import argparse
from typing import Any

from ioi_exec.cli.options import whole_number
from ioi_exec.policy import Policy
from ioi_stress.cli.values import checked
from ioi_stress.notation.policy_text import parse_policy
from ioi_stress.plan import Plan


def add_plan(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how it is run")
    group.add_argument("--workers", type=whole_number, metavar="N", help="worker processes (default: one per core; 0: one by one)")
    add_policy(group)
    add_measuring(group)


def add_measuring(group: argparse._ArgumentGroup, repeat: int | None = Plan.repeat, said: str = "%(default)s") -> None:
    """All but workers and policy. repeat: the default; said: how help calls it."""
    group.add_argument(
        "--repeat", type=whole_number, default=repeat, metavar="N",
        help=f"repetitions of all blocks from genesis on (default: {said})",
    )
    group.add_argument(
        "--warmup", type=whole_number, default=Plan.warmup, metavar="N",
        help="more of them before, not measured (default: %(default)s)",
    )
    group.add_argument(
        "--no-sequential", dest="sequential", action="store_false", help="do not execute each block one by one as well"
    )
    group.add_argument(
        "--verify", action=argparse.BooleanOptionalAction, default=None,
        help="compare roots and receipts with those of sequential execution (default: on; with --no-sequential only if that takes "
        "less than half a minute)",
    )
    group.add_argument("--tree", choices=["jellyfish", "iavl"], default=Plan.tree, help="of the state (default: %(default)s)")
    group.add_argument(
        "--state", metavar="DIR",
        help="keep the state on disk, in a directory that is not there yet and is removed afterwards (default: in memory)",
    )
    group.add_argument("--no-pin", dest="pin", action="store_false", help="let workers move between cores")
    group.add_argument("--quiet", action="store_true", help="no live view, on a terminal either")


def add_policy(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--policy", type=checked(parse_policy), default=Policy.named("default"), metavar="POLICY",
        help=f"of the scheduler: {', '.join(Policy.names())}, or one's own such as window=0,run=1 or paper,window=64, of window, "
        "run, validation=value|version, estimates=on|off, solo=on|off and small_block (default: default)",
    )


def chosen_options(options: argparse.Namespace) -> dict[str, Any]:
    """What `ioi_stress.run` and `sweep` take of them."""
    names = ("workers", "policy", "repeat", "warmup", "sequential", "verify", "tree", "state", "pin")
    return {name: getattr(options, name) for name in names}
