"""The page of a run: a Result, and a recorded block of it, if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from ioi_stress.notation.text import counted, significant
from ioi_stress.reporting import verdicts
from ioi_stress.reporting.again import as_pasted, run_command
from ioi_stress.reporting.bars import strip
from ioi_stress.reporting.cells import MIB, around, heading, shown
from ioi_stress.reporting.machine import machine_facts_shown
from ioi_stress.reporting.page import page
from ioi_stress.reporting.recorded import SCRIPT, recorded_sections
from ioi_stress.reporting.run_charts import blocks_in_order, phases, repetitions
from ioi_stress.results.figures import FIGURES, FIRST_FIGURES
from ioi_stress.results.interval import Interval
from ioi_stress.results.raw import columns, rows
from ioi_stress.results.result import Result
from ioi_stress.results.words import confidence, engine
from ioi_stress.running.recording import Recording

if TYPE_CHECKING:
    from markupsafe import Markup

RAW_ROWS = 2_000
"""Of single blocks in one page: more are left to --csv."""


def run_page(result: Result, recording: Recording | None = None, unrecorded: str = "") -> str:
    """The page, the same bytes for the same arguments. unrecorded: why there is no recording, in a sentence."""
    title = f"{result.parameters['workload']['name']}: {_size(result)}"
    measured = result.summary()
    recorded, data = (None, None) if recording is None else recorded_sections(recording)
    return page(
        "run.html",
        [] if recording is None else [SCRIPT],
        title=title,
        about=_about(result),
        verdicts=verdicts.of_run(result),
        lead=_lead(measured),
        cards=_cards(measured),
        command=as_pasted(run_command(result)),
        links=_links(bool(measured), recording is not None),
        figures=_figures(result, measured) if measured else [],
        notes=_notes(result, measured) if measured else [],
        charts=[phases(result), repetitions(result), blocks_in_order(result)] if measured else [],
        recorded=recorded,
        unrecorded=unrecorded or "No block was recorded.",
        raw=_raw(result),
        parameters=_parameters(result),
        machine=machine_facts_shown(result.machine),
        data=data,
    )


def _size(result: Result) -> str:
    blocks = max((repetition.blocks for repetition in result.repetitions), key=len, default=[])
    transactions = sum(block.transactions for block in blocks)
    each = f"{counted(len(blocks), 'block')} of {transactions // max(len(blocks), 1):,} transactions"
    workers = {block.workers for block in blocks}
    return f"{each}, {_workers(max(workers))}" if workers else "nothing was executed"


def _workers(workers: int) -> str:
    return counted(workers, "worker") if workers else "one by one"


def _about(result: Result) -> str:
    run = result.parameters["run"]
    return (
        f"{counted(len(result.repetitions), 'repetition')} after {run['warmup']} to warm up, policy "
        f"{run['policy']['name']}, state tree {run['tree']} "
        f"{'in memory' if run['state'] == 'memory' else 'on disk'}, VM {result.parameters['workload']['vm']}"
    )


def _links(measured: bool, recorded: bool) -> list[tuple[str, str]]:
    return [
        *([("figures", "Figures")] if measured else []),
        ("block", "One block"),
        *([("why", "Why")] if recorded else []),
        ("raw", "Every repetition"),
        ("parameters", "Parameters"),
        ("machine", "Machine"),
    ]


def _lead(measured: Mapping[str, Interval]) -> str:
    """The one figure that most come for, with as much certainty as there is."""
    speedup = measured.get("speedup_total")
    if speedup is None:
        return ""
    times = f"{significant(speedup.median)} times as fast"
    unclear = speedup.low <= 1 <= speedup.high and speedup.n > 1
    text = f"No difference from executing one by one is shown: {times}" if unclear else f"{times} as one by one"
    return f"{text} ({around(speedup)})"


def _cards(measured: Mapping[str, Interval]) -> list[dict[str, str]]:
    return [
        {
            "label": FIGURES[name].label,
            "median": significant(measured[name].median),
            "unit": FIGURES[name].unit,
            "around": around(measured[name]),
        }
        for name in FIRST_FIGURES
        if name in measured
    ]


def _figures(result: Result, measured: Mapping[str, Interval]) -> list[list[str | Markup]]:
    """Rows: a figure, its median and interval, its unit, and every repetition drawn."""

    def row(label: str, interval: Interval, unit: str, values: list[float], what: str) -> list[str | Markup]:
        numbers = map(significant, (interval.median, interval.low, interval.high))
        return [label, *numbers, unit, strip(values, interval, what)]

    whole = result.whole()
    lines = [
        row(
            FIGURES[name].label,
            interval,
            FIGURES[name].unit,
            [repetition.figures()[name] for repetition in whole],
            FIGURES[name].label,
        )
        for name, interval in measured.items()
    ]
    peaks = [repetition.peak_memory_bytes / MIB for repetition in whole]
    return [*lines, row("memory at most", Interval.of(peaks), "MiB", peaks, "memory")]


def _notes(result: Result, measured: Mapping[str, Interval]) -> list[str]:
    about = f"Of each figure, {confidence(next(iter(measured.values())))}."
    return [about, *(verdicts.sentence(line) for line in engine(result))]


def _raw(result: Result) -> dict[str, Any]:
    names = [name for name in FIGURES if any(name in repetition.figures() for repetition in result.repetitions)]
    lines = []
    for repetition in result.repetitions:
        figures = repetition.figures()
        lines.append(
            [
                f"{repetition.number}",
                f"{len(repetition.blocks):,}",
                f"{repetition.transactions:,}",
                *(significant(figures[name]) if name in figures else "\u2013" for name in names),
                f"{repetition.peak_memory_bytes / MIB:,.0f}",
            ]
        )
    total = sum(len(repetition.blocks) for repetition in result.repetitions)
    return {
        "heads": ["repetition", "blocks", "transactions", *map(heading, names), "memory, MiB"],
        "repetitions": lines,
        "total": counted(total, "row"),
        "left_out": f" The first {RAW_ROWS:,} of {total:,}: --csv writes all of them." if total > RAW_ROWS else "",
        "columns": [name.replace("_", " ") for name in columns()],
        "blocks": [[_cell(value) for value in row.values()] for row in islice(rows(result), RAW_ROWS)],
    }


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _parameters(result: Result) -> dict[str, Any]:
    workload, run = result.parameters["workload"], result.parameters["run"]
    own = [(name.replace("_", " "), shown(value)) for name, value in workload["parameters"].items()]
    if workload.get("vm_args"):
        own.append(("arguments of the VM", shown(workload["vm_args"])))
    planned = [(name, shown(value)) for name, value in run.items() if name != "policy"]
    planned = [
        ("workers" if name == "workers" else name, "one per core" if name == "workers" and value == "\u2013" else value)
        for name, value in planned
    ]
    policy = [
        (name.replace("_", " "), "automatic" if value is None else shown(value))
        for name, value in run["policy"].items()
    ]
    return {
        "name": workload["name"],
        "workload": [("VM", workload["vm"]), *own],
        "run": planned,
        "policy_name": run["policy"]["name"],
        "policy": policy,
    }
