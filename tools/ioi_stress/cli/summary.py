"""A result for people: what was run, its figures with their intervals, what the engine did, and the verdict."""

from __future__ import annotations

from typing import Any

from ioi_stress.notation.text import counted, short, significant, table
from ioi_stress.results.figures import FIGURES
from ioi_stress.results.result import Result
from ioi_stress.results.words import confidence, engine
from ioi_stress.running.verify import verdict

MISMATCHES_SHOWN = 5


def summary(result: Result) -> str:
    parts = [_what(result), _figures(result), "\n".join(engine(result)), _verification(result)]
    if result.interrupted:
        parts.append("interrupted: these are the figures of what was executed until then")
    if result.error:
        parts.append(f"it ended with an error: {result.error}")
    return "\n\n".join(part for part in parts if part)


def _what(result: Result) -> str:
    workload, plan, machine = result.parameters["workload"], result.parameters["run"], result.machine
    parameters = ", ".join(f"{name} {_shown(value)}" for name, value in workload["parameters"].items() if value is not None)
    workers = {None: "one worker per core", 0: "no workers"}.get(plan["workers"]) or counted(plan["workers"], "worker")
    lines = [
        f"{workload['name']}" + (f": {parameters}" if parameters else ""),
        f"{workers}, policy {plan['policy']['name']}, {plan['tree']} {'in memory' if plan['state'] == 'memory' else 'on disk'}, "
        f"VM {workload['vm']}, {counted(len(result.repetitions), 'repetition')} after {plan['warmup']} to warm up",
        f"{machine['cpu'] or machine['architecture']}, {counted(machine['cores_available'], 'core')}, "
        f"load {machine['load']} before",
    ]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _figures(result: Result) -> str:
    measured = result.summary()
    if not measured:
        return "nothing was measured"
    lines = []
    for name, figure in FIGURES.items():
        if name in measured:
            interval = measured[name]
            lines.append([figure.label, *map(significant, (interval.median, interval.low, interval.high)), figure.unit])
    peak = max(repetition.peak_memory_bytes for repetition in result.whole())
    lines.append(["memory at most", short(peak / (1 << 20)), "", "", "MiB"])
    return table(["", "median", "low", "high", ""], lines, left=(0, 4)) + "\n" + confidence(next(iter(measured.values())))


def _verification(result: Result) -> str:
    found = result.verification
    shown = [f"  {line}" for line in found.mismatches[:MISMATCHES_SHOWN]]
    if len(found.mismatches) > MISMATCHES_SHOWN:
        shown.append(f"  and {len(found.mismatches) - MISMATCHES_SHOWN:,} more")
    return "\n".join([verdict(found), *shown])
