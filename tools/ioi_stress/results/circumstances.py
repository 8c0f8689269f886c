"""What else two results differ in than their figures: how they were made, on what, and in what they ended with."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

import numpy as np

from ioi_stress.results.change import SEQUENTIAL, compared_figures
from ioi_stress.results.result import Result
from ioi_stress.results.significance import LEVEL, adjusted_p, can_show, change_of_medians

# Facts of a machine that change by themselves, or vary from one calibration to the next.
_PASSING = ("load", "memory_free_bytes", "python_loop_ns", "sha256_ns")
_CALIBRATIONS = {"python_loop_ns": "a loop in Python", "sha256_ns": "a hash"}
_CALIBRATION_TOLERANCE = 0.2
_WORTH_SAYING = 0.02  # of the speed of sequential execution
_LOADED = 0.25  # of the cores: busy with something else


def warnings(a: Result, b: Result) -> Iterator[str]:
    """Why A and B may differ for other reasons than the one meant."""
    for name, one, other in _differences("", a.parameters.get("workload", {}), b.parameters.get("workload", {})):
        yield f"the workloads differ: {name} is {one} in A, {other} in B"
    for name, one, other in _differences("", a.parameters.get("run", {}), b.parameters.get("run", {})):
        if name not in ("repeat", "verify"):
            yield f"they ran differently: {name} is {one} in A, {other} in B"
    for name, one, other in _differences("", a.machine, b.machine):
        if name not in _PASSING:
            yield f"the machines differ: {name} is {one} in A, {other} in B"
    for name, what in _CALIBRATIONS.items():
        times = [result.machine.get(name) for result in (a, b)]
        if all(isinstance(each, (int, float)) and each > 0 for each in times):
            change = times[1] / times[0]  # type: ignore[operator]
            if not 1 / (1 + _CALIBRATION_TOLERANCE) <= change <= 1 + _CALIBRATION_TOLERANCE:
                yield f"the machine was not equally fast: {what} took {change:.2f} times as long before B as before A"
    for side, result in (("A", a), ("B", b)):
        load, cores = result.machine.get("load"), result.machine.get("cores")
        if isinstance(load, (int, float)) and isinstance(cores, int) and load > _LOADED * cores:
            yield f"the machine was loaded when {side} began: load {load} on {cores} cores (a run just before counts too)"
        if result.interrupted or result.error:
            yield f"{side} did not run to its end: {result.error or 'interrupted'}"
        if not result.verification.ok:
            yield f"{side} is not verified: {'; '.join(result.verification.mismatches[:1]) or 'not everything was compared'}"
    yield from _sequential_warning(a, b)


def _sequential_warning(a: Result, b: Result) -> Iterator[str]:
    """Tested by itself: were it one of many figures, a machine that changed would be noticed less easily."""
    sides = [[compared_figures(repetition).get(SEQUENTIAL) for repetition in result.whole()] for result in (a, b)]
    if None in sides[0] + sides[1] or not can_show(len(sides[0]), len(sides[1])):
        return
    one, other = (np.array(side, dtype=np.float64) for side in sides)
    low, high = change_of_medians(one, other, ratio=True)
    change = float(np.median(other) / np.median(one))
    if (
        abs(change - 1) >= _WORTH_SAYING
        and not low <= 1 <= high
        and adjusted_p(one[:, None], other[:, None])[0] <= LEVEL
    ):
        yield (
            f"sequential execution itself went {change:.2f} times as fast in B: the machine was in another condition, or "
            "the code changed that both ways of execution share; trust the speedup rather than the throughput"
        )


def _differences(prefix: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(name, in a, in b) of everything that differs, at any depth."""
    for name in [*a, *(name for name in b if name not in a)]:
        one, other = a.get(name), b.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(f"{prefix}{name}.", one, other)
        elif one != other:
            yield prefix + name, one, other


def diverged(a: Result, b: Result) -> Iterator[str]:
    """Blocks of one workload that ended with different roots. State roots of different trees are not compared."""
    if a.parameters.get("workload") != b.parameters.get("workload"):
        return
    trees = [result.parameters.get("run", {}).get("tree") for result in (a, b)]
    for name in ("state_root", "receipts_root") if trees[0] == trees[1] else ("receipts_root",):
        roots: dict[int, set[str]] = {}
        for result in (a, b):
            for repetition in result.repetitions:
                for block in repetition.blocks:
                    roots.setdefault(block.block, set()).add(getattr(block, name))
        for number, found in sorted(roots.items()):
            if len(found) > 1:
                yield (
                    f"block {number} of the same workload and seed ended with {len(found)} different "
                    f"{name.replace('_', ' ')}s: {', '.join(sorted(found))}"
                )
                break
