"""The grid of a sweep: which points there are, in which order their repetitions run, and what tells one grid from
another.

The order: round after round, each of which runs every point once, in an order shuffled anew by a seed. A machine drifts
(it warms up, a neighbour wakes): were all repetitions of a point run together, one point would be measured in the good
minutes and another in the bad ones, and the drift would look like a difference between them. So it hits all points
alike, and widens their intervals.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence, TypeAlias

import numpy as np

from ioi_exec import InputError, InputTypeError
from ioi_exec.cores import available_cores
from ioi_exec.policy import Policy
from ioi_stress.notation.policy_text import parse_policy, policy_text
from ioi_stress.plan import Plan
from ioi_stress.simulation.costs import Costs
from ioi_stress.sweeps.rows import COLUMNS, SIMULATED, as_text
from ioi_stress.workload import Workload, lacking
from ioi_stress.workloads import WORKLOADS, make, parameters_of
from ioi_stress.workloads.parameters import TEXTS

WorkloadMaker: TypeAlias = "Callable[..., Workload]"


@dataclass(frozen=True)
class Point:
    """One point: what the workload is made with, and how it is run."""

    parameters: Mapping[str, Any]
    workers: int
    policy: Policy

    @property
    def columns(self) -> dict[str, Any]:
        """What its rows begin with."""
        return {**self.parameters, "workers": self.workers, "policy": self.policy.name}

    @property
    def key(self) -> tuple[str, ...]:
        """The same as a file has it."""
        return tuple(as_text(value) for value in self.columns.values())


@dataclass(frozen=True)
class Grid:
    """Every combination of the values of all axes. Made by `of`, which checks it and makes every workload."""

    workload: str | WorkloadMaker
    axes: Mapping[str, Sequence[Any]]
    """Of the workload's parameters, those with one value too."""
    workers: Sequence[int]
    policies: Sequence[Policy]
    plan: Plan
    _made: Mapping[tuple[Any, ...], Workload] = field(repr=False)
    identity: str
    """Twelve hex digits that change with anything that decides what a row measures; the number of repetitions does
    not."""
    costs: Costs | None = None
    """Of the simulated machine; None: it is measured on this one."""

    @classmethod
    def of(
        cls,
        workload: str | WorkloadMaker,
        parameters: Mapping[str, Any],
        workers: Any = None,
        policies: Any = "default",
        plan: Plan | None = None,
        costs: Costs | None = None,
    ) -> Grid:
        """A value that is a list, tuple, range or array is an axis, any other is fixed. Raises InputError or
        InputTypeError."""
        whole = _lists(workload)
        axes = {name: [tuple(value)] if name in whole else _values(name, value) for name, value in parameters.items()}
        for name in axes:
            if name in COLUMNS or name in SIMULATED:
                raise InputError(
                    f"a parameter cannot be called {name}, as a column of every row is: give it another name"
                )
        chosen = [_policy(each) for each in _values("policies", policies, (str, Policy))]
        if len({policy.name for policy in chosen}) < len(chosen):
            raise InputError("two policies of the sweep have one name: give each a name of its own, Policy(name=...)")
        made = {}
        for values in product(*axes.values()):
            made[values] = _made(workload, dict(zip(axes, values)))
        grid = cls(
            workload, axes, [_workers(each) for each in _values("workers", workers)], chosen, plan or Plan(), made, "", costs
        )
        return replace(grid, identity=grid._identify())

    @property
    def names(self) -> list[str]:
        """What its workloads are called; the function that makes them may call them differently."""
        return list(dict.fromkeys(made.name for made in self._made.values()))

    @property
    def points(self) -> list[Point]:
        combined = product(*self.axes.values(), self.workers, self.policies)
        return [Point(dict(zip(self.axes, values)), workers, policy) for *values, workers, policy in combined]

    def workload_of(self, point: Point) -> Workload:
        return self._made[tuple(point.parameters.values())]

    def rounds(self, repeat: int) -> Iterator[tuple[int, list[Point]]]:
        """(repetition from 1 on, all points in the order of that round)."""
        points = self.points
        for repetition in range(1, repeat + 1):
            shuffled = list(points)
            random.Random(f"{self.identity} {repetition}").shuffle(shuffled)
            yield repetition, shuffled

    def _identify(self) -> str:
        plan = {
            name: value for name, value in self.plan.to_json().items() if name in ("sequential", "tree", "state", "pin")
        }
        seen = []
        for point in self.points:
            made = self.workload_of(point)
            seen.append(
                _json([made.name, dict(made.parameters), dict(point.parameters), point.workers, point.policy.to_json()])
            )
        assumed = [] if self.costs is None else [self.costs.to_json()]
        return hashlib.sha256(_json([plan, sorted(seen), *assumed]).encode()).hexdigest()[:12]


def _lists(workload: str | WorkloadMaker) -> set[str]:
    """The parameters of a named workload whose values are lists, and so never axes."""
    known = WORKLOADS.get(workload) if isinstance(workload, str) else None
    return set() if known is None else {each.name for each in parameters_of(known) if each.kind == TEXTS}


def _made(workload: str | WorkloadMaker, parameters: Mapping[str, Any]) -> Workload:
    """Raises InputError, InputTypeError, or what the caller's function raises."""
    if isinstance(workload, str):
        return make(workload, **parameters)
    if not callable(workload):
        raise InputTypeError(
            f"the workload is {type(workload).__name__}: give the name of one, or a function that makes one of the grid's parameters"
        )
    made = workload(**parameters)
    if missing := lacking(made):
        raise InputTypeError(
            f"the workload function returned {type(made).__name__}, which is no workload: it has no {', '.join(missing)} "
            "(ioi_stress.FixedWorkload makes one of a state and blocks)"
        )
    return made


def _json(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except TypeError as error:
        raise InputTypeError(f"the parameters of the workload are not what JSON can have: {error}") from None


def _values(name: str, value: Any, kinds: tuple[type, ...] = (str, int, float, bool, type(None))) -> list[Any]:
    values = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    values = list(values) if isinstance(values, (list, tuple, range)) else [values]
    values = [each.item() if isinstance(each, np.generic) else each for each in values]
    if not values:
        raise InputError(f"{name} has no values: give at least one")
    for each in values:
        if not isinstance(each, kinds):
            raise InputTypeError(
                f"{name} has a value of type {type(each).__name__}, which a column cannot hold: give numbers or text"
            )
    if len({each if isinstance(each, Policy) else as_text(each) for each in values}) < len(values):
        raise InputError(f"{name} has a value twice")
    return values


def _policy(value: str | Policy) -> Policy:
    if isinstance(value, Policy):
        return value if value.name != "custom" else replace(value, name=policy_text(value))
    return parse_policy(value)


def _workers(value: Any) -> int:
    if value is None:
        return available_cores()
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputTypeError(f"workers has a value of type {type(value).__name__}: give integers")
    if value < 0:
        raise InputError(f"workers is {value}: give 0 (one by one, in this process) or more")
    return value


def describe_values(values: Iterable[Any]) -> str:
    return ", ".join(as_text(value) for value in values)
