"""The command line that does the same again."""

from __future__ import annotations

import math
import shlex
from itertools import product
from typing import Any, Mapping, Sequence

from ioi_exec import Error
from ioi_exec.policy import Policy
from ioi_stress.notation.policy_text import parse_policy, policy_text
from ioi_stress.plan import Plan
from ioi_stress.results.result import Result
from ioi_stress.sweeps import Grid, Sweep
from ioi_stress.sweeps.rows import as_text
from ioi_stress.workloads import WORKLOADS, parameters_of
from ioi_stress.workloads.base import Seeded
from ioi_stress.workloads.parameters import TEXTS

_DISK = "STATE"  # where a state was does not matter, and is not kept
_WIDTH = 110
_POINTS = 100_000  # more would take long to compare


def run_command(result: Result) -> list[str]:
    """Words, grouped by option. Every parameter is given, whatever the defaults are where it is run, and as many
    workers as there were. Empty for a workload that a program made, which no command line names."""
    workload, run = result.parameters["workload"], result.parameters["run"]
    options = _workload_options(workload["name"], {name: [value] for name, value in workload["parameters"].items()})
    if options is None:
        return []
    policy = Policy(**run["policy"])
    workers = next((block.workers for repetition in result.repetitions for block in repetition.blocks), run["workers"])
    workers = run["workers"] if run["workers"] is not None else workers
    return [
        f"ioi-stress run {workload['name']}",
        *options,
        *([] if workers is None else [f"--workers {workers}"]),
        f"--policy {shlex.quote(policy_text(policy))}",
        f"--repeat {run['repeat']}",
        *_plan_options(run),
        "--verify" if run["verify"] else "--no-verify",
    ]


def sweep_command(sweep: Sweep) -> list[str]:
    """The same for a sweep. The identity of its grid, which every row has, proves that it is of that grid; empty where
    none is."""
    identities = {row["grid"] for row in sweep.rows}
    names = {row["workload"] for row in sweep.rows}
    name = min(names, default="")
    # Only what is made from a seed: what a file says must not have code run or other files read.
    if len(identities) != 1 or len(names) != 1 or name not in WORKLOADS or not issubclass(WORKLOADS[name], Seeded):
        return []
    axes = {
        column: list(dict.fromkeys(row[column] for row in sweep.rows))
        for column in (*sweep.parameters, "workers", "policy")
    }
    axes = {
        column: sorted(values) if all(isinstance(value, (int, float)) for value in values) else values
        for column, values in axes.items()
    }
    if math.prod(map(len, axes.values())) > _POINTS:
        return []
    parameters = {column: axes[column] for column in sweep.parameters}
    beside = any(row["sequential_total_seconds"] is not None for row in sweep.rows)
    options = _workload_options(name, parameters)
    if options is None or not all(isinstance(policy, str) for policy in axes["policy"]):
        return []
    for tree, state, pin in product(("jellyfish", "iavl"), (None, _DISK), (True, False)):
        plan = Plan(tree=tree, state=state, pin=pin, sequential=beside)
        try:
            grid = Grid.of(name, parameters, axes["workers"], [parse_policy(policy) for policy in axes["policy"]], plan)
        except Error:
            return []  # files that it names are not here, say
        if grid.identity in identities:
            policies = [policy for policy in axes["policy"] if "=" not in policy]
            return [
                f"ioi-stress sweep {name}",
                *options,
                f"--workers {','.join(map(str, axes['workers']))}",
                *([f"--policy {','.join(policies)}"] if policies else []),
                *(f"--policy {shlex.quote(policy)}" for policy in axes["policy"] if "=" in policy),
                f"--repeat {max(row['repetition'] for row in sweep.rows)}",
                *_plan_options({**plan.to_json(), "warmup": None}),
            ]
    return []


def as_pasted(command: Sequence[str]) -> str:
    """As it is pasted into a shell; empty where there is none."""
    lines = list(command[:1])
    for option in command[1:]:
        if len(lines[-1]) + len(option) < _WIDTH:
            lines[-1] += f" {option}"
        else:
            lines.append(f"    {option}")
    return " \\\n".join(lines)


def _workload_options(name: str, given: Mapping[str, Sequence[Any]]) -> list[str] | None:
    """What is no parameter (what its files hold, say) is left out. None: there is no such workload."""
    if name not in WORKLOADS:
        return None
    first, others = [], []
    for parameter in parameters_of(WORKLOADS[name]):
        values = [value for value in given.get(parameter.name, ()) if value is not None]
        if parameter.kind == TEXTS:
            values = [each for value in values for each in value]
        if not values:
            continue
        words = (
            " ".join(map(shlex.quote, values))
            if parameter.kind == TEXTS
            else shlex.quote(",".join(map(as_text, values)))
        )
        if parameter.positional:
            first.append(words)
        else:
            others.append(f"--{parameter.name.replace('_', '-')} {words}")
    return first + others


def _plan_options(run: Mapping[str, Any]) -> list[str]:
    return [
        *([] if run["warmup"] is None else [f"--warmup {run['warmup']}"]),
        *([] if run["sequential"] else ["--no-sequential"]),
        f"--tree {run['tree']}",
        *([] if run["state"] == "memory" else [f"--state {_DISK}"]),
        *([] if run["pin"] else ["--no-pin"]),
    ]
