"""The page of a run: a Result, and a recorded block of it, if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ioi_stress.figures import FIGURES
from ioi_stress.interval import Interval
from ioi_stress.raw import columns, rows
from ioi_stress.recording import Recording
from ioi_stress.report import verdicts
from ioi_stress.report.again import block, run_command
from ioi_stress.report.bars import strip
from ioi_stress.report.cells import MIB, around, heading, shown
from ioi_stress.report.machine import machine_section
from ioi_stress.report.markup import Child, Markup, tag
from ioi_stress.report.page import definitions, folded, page, section, table
from ioi_stress.report.recorded import SCRIPT, recorded_sections
from ioi_stress.report.run_charts import blocks_in_order, phases, repetitions
from ioi_stress.result import Result
from ioi_stress.text import counted, significant
from ioi_stress.words import confidence, engine

RAW_ROWS = 2_000
"""Of single blocks in one page: more are left to --csv."""
_CARDS = (
    "transactions_per_second",
    "speedup",
    "speedup_total",
    "executions_per_transaction",
    "aborts_per_transaction",
    "occupancy",
)


def run_page(result: Result, recording: Recording | None = None, unrecorded: str = "") -> str:
    """The page, the same bytes for the same arguments. unrecorded: why there is no recording, in a sentence."""
    workload = result.parameters["workload"]
    scripts, data = [], []
    if recording is not None:
        recorded, its_data = recorded_sections(recording)
        scripts, data = [SCRIPT], [its_data]
    else:
        recorded = [section("block", "One block, step by step", tag("p", unrecorded or "No block was recorded."))]
    measured = result.summary()
    parts = [
        *_measured(result, measured),
        *recorded,
        _raw(result),
        _parameters(result),
        machine_section(result.machine),
    ]
    title = f"{workload['name']}: {_size(result)}"
    return page(
        f"{title} \u2013 ioi-stress",
        [_header(result, measured, title, recording is not None), tag("main", parts)],
        scripts,
        data,
    )


def _size(result: Result) -> str:
    blocks = max((repetition.blocks for repetition in result.repetitions), key=len, default=[])
    transactions = sum(block.transactions for block in blocks)
    each = f"{counted(len(blocks), 'block')} of {transactions // max(len(blocks), 1):,} transactions"
    workers = {block.workers for block in blocks}
    return f"{each}, {_workers(max(workers))}" if workers else "nothing was executed"


def _workers(workers: int) -> str:
    return counted(workers, "worker") if workers else "one by one"


def _header(result: Result, measured: Mapping[str, Interval], title: str, recorded: bool) -> Markup:
    run = result.parameters["run"]
    what = (
        f"{counted(len(result.repetitions), 'repetition')} after {run['warmup']} to warm up, policy "
        f"{run['policy']['name']}, state tree {run['tree']} "
        f"{'in memory' if run['state'] == 'memory' else 'on disk'}, VM {result.parameters['workload']['vm']}"
    )
    again = block(
        run_command(result),
        "This workload was made by a program, so no command line runs it again; its parameters are below.",
    )
    links = [
        ("figures", "Figures"),
        ("block", "One block"),
        *([("why", "Why")] if recorded else []),
        ("raw", "Every repetition"),
        ("parameters", "Parameters"),
        ("machine", "Machine"),
    ]
    if not measured:
        links = links[1:]
    return tag(
        "header",
        tag("h1", title),
        tag("p", what, class_="about"),
        verdicts.of_run(result),
        _lead(measured),
        _cards(measured),
        again,
        tag("nav", [tag("a", name, href=f"#{identity}") for identity, name in links], aria_label="sections"),
    )


def _lead(measured: Mapping[str, Interval]) -> Markup | None:
    """The one figure that most come for, with as much certainty as there is."""
    speedup = measured.get("speedup_total")
    if speedup is None:
        return None
    times = f"{significant(speedup.median)} times as fast"
    unclear = speedup.low <= 1 <= speedup.high and speedup.n > 1
    text = f"No difference from executing one by one is shown: {times}" if unclear else f"{times} as one by one"
    return tag("p", f"{text} ({around(speedup)}), the state root included.", class_="lead")


def _cards(measured: Mapping[str, Interval]) -> Markup | None:
    if not measured:
        return tag("p", "Nothing was measured.", class_="lead")
    items = [
        tag(
            "li",
            tag("span", FIGURES[name].label, class_="name"),
            tag("b", significant(measured[name].median)),
            tag("span", FIGURES[name].unit, class_="unit"),
            tag("span", around(measured[name]), class_="around"),
        )
        for name in _CARDS
        if name in measured
    ]
    return tag("ul", items, class_="cards")


def _measured(result: Result, measured: Mapping[str, Interval]) -> list[Markup]:
    if not measured:
        return []
    whole = result.whole()
    lines = []
    for name, interval in measured.items():
        figure = FIGURES[name]
        values = [repetition.figures()[name] for repetition in whole]
        lines.append(
            [
                figure.label,
                *map(significant, (interval.median, interval.low, interval.high)),
                figure.unit,
                strip(values, interval, figure.label),
            ]
        )
    peaks = Interval.of(repetition.peak_memory_bytes / MIB for repetition in whole)
    lines.append(
        [
            "memory at most",
            *map(significant, (peaks.median, peaks.low, peaks.high)),
            "MiB",
            strip([repetition.peak_memory_bytes / MIB for repetition in whole], peaks, "memory"),
        ]
    )
    figures = table(["figure", "median", "low", "high", "unit", "each repetition"], lines, (0, 4, 5), "figures")
    notes = [
        f"Of each figure, {confidence(next(iter(measured.values())))}.",
        *(verdicts.sentence(line) for line in engine(result)),
    ]
    told = tag("div", figures, tag("p", " ".join(notes), class_="soft"))
    charts = tag("div", phases(result), repetitions(result), blocks_in_order(result))
    return [section("figures", "Figures", tag("div", told, charts, class_="beside uneven"))]


def _raw(result: Result) -> Markup:
    names = [name for name in FIGURES if any(name in repetition.figures() for repetition in result.repetitions)]
    lines: list[list[Child]] = []
    for repetition in result.repetitions:
        figures = repetition.figures()
        row: list[Child] = [f"{repetition.number}", f"{len(repetition.blocks):,}", f"{repetition.transactions:,}"]
        lines.append(
            [
                *row,
                *(significant(figures[name]) if name in figures else "\u2013" for name in names),
                f"{repetition.peak_memory_bytes / MIB:,.0f}",
            ]
        )
    heads = ["repetition", "blocks", "transactions", *map(heading, names), "memory, MiB"]
    blocks = [[_cell(value) for value in row.values()] for row, _ in zip(rows(result), range(RAW_ROWS))]
    total = sum(len(repetition.blocks) for repetition in result.repetitions)
    left_out = f" The first {RAW_ROWS:,} of {total:,}: --csv writes all of them." if total > RAW_ROWS else ""
    named = [name.replace("_", " ") for name in columns()]
    return section(
        "raw",
        "Every repetition",
        table(heads, lines, (), "raw"),
        folded(
            f"Every block of every repetition, raw ({counted(total, 'row')})",
            tag("p", f"Times are seconds.{left_out}", class_="soft"),
            table(named, blocks, (), "raw"),
        ),
    )


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _parameters(result: Result) -> Markup:
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
    return section(
        "parameters",
        "Parameters",
        tag("h3", f"Workload {workload['name']}"),
        definitions([("VM", workload["vm"]), *own]),
        tag("h3", "How it was run"),
        definitions(planned),
        tag("h3", f"Policy {run['policy']['name']}"),
        definitions(policy),
    )
