"""The options that say what things take on a simulated machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

from ioi_exec import InputError
from ioi_exec.cli.options import whole_number
from ioi_stress.cli.values import checked
from ioi_stress.simulation import Costs

Given = dict[str, int]


def add_costs(group: argparse._ArgumentGroup) -> None:
    """All of them gather in `options.costs`, which is None where none is given."""
    group.add_argument(
        "--line-ns", dest="costs", action="append", type=_line, metavar="NS", help="moving a cache line from one core to another"
    )
    group.add_argument(
        "--wake-us", dest="costs", action="append", type=checked(_wake), metavar="US[,US]",
        help="a wake call, and from there until the sleeper runs (default of that: four times as much)",
    )
    group.add_argument(
        "--own-ns", dest="costs", action="append", type=checked(_own), metavar="NS[,NS]",
        help="the engine's own work in an execution; the same executing one by one (default of that: the same)",
    )


def chosen_costs(given: Sequence[Given] | None, others: Callable[[], Costs]) -> Costs:
    """What was given, and the rest as `others` has it, asked only if anything is missing."""
    merged: Given = {name: value for each in given or () for name, value in each.items()}
    return replace(Costs() if {"line", "wake", "work"} <= merged.keys() else others(), **merged)


def _line(text: str) -> Given:
    return {"line": whole_number(text)}


def _wake(text: str) -> Given:
    call, latency = _pair(text)
    return {"wake": round(1000 * call), "latency": round(1000 * (4 * call if latency is None else latency))}


def _own(text: str) -> Given:
    own, sequential = _pair(text)
    return {"work": round(own), "sequential": round(own if sequential is None else sequential)}


def _pair(text: str) -> tuple[float, float | None]:
    try:
        first, *rest = (float(part) for part in text.split(","))
    except ValueError:
        first, rest = -1.0, []
    if len(rest) > 1 or not all(0 <= each < 1e6 for each in (first, *rest)):
        raise InputError(f"{text!r}: give a number, or two with a comma between")
    return first, rest[0] if rest else None
