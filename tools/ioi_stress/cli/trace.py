"""ioi-stress trace: what every worker did while one block was executed."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from typing import Any

from ioi_exec import InputError
from ioi_exec.cli.options import Commands, add_command, print_json, vm_may_print
from ioi_stress.cli.outputs import check_outputs, files_read
from ioi_stress.cli.recording_options import add_recording, chosen_options
from ioi_stress.cli.values import checked
from ioi_stress.cli.workload_options import add_workloads
from ioi_stress.library import COST_ROUNDS, Trace, trace
from ioi_stress.notation.text import counted, short
from ioi_stress.results.interval import Interval
from ioi_stress.running.recording import Recording
from ioi_stress.tracing.picture import check_picture
from ioi_stress.tracing.summary import counts_line, shares_table, to_json
from ioi_stress.tracing.window import moment

FORMAT = "ioi-stress/trace/1"
_EPILOG = """The blocks before it are executed and committed, the block itself is executed one by one and recorded on all workers,
and both are compared. Without a file to write the timeline is drawn as text. Files for the Perfetto UI
(ui.perfetto.dev: Open trace file) have a lane for each worker; click on an abort to see which write caused it."""


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "trace",
        "Record one block and show what every worker did when.",
        _EPILOG,
        needs_state=False,
        example="ioi-stress trace zipf --block-size 200\n"
        "ioi-stress trace zipf --block-size 200 -o trace.json --picture timeline.png\n"
        "ioi-stress trace hot --block-size 300 --cost-us 20 --from tx100 --to tx140",
    )
    add_workloads(command, _options)
    command.set_defaults(run=run)


def _options(parser: argparse.ArgumentParser) -> None:
    add_recording(parser, repeat=1)
    group = parser.add_argument_group("what is made of it")
    group.add_argument(
        "-o", "--output", metavar="FILE", help="write a trace in JSON, for the Perfetto UI and chrome://tracing"
    )
    group.add_argument("--picture", metavar="FILE", help="draw it: .png, .svg or .pdf (needs matplotlib)")
    group.add_argument(
        "--rwset",
        metavar="FILE",
        help="write what each transaction read, wrote and took as JSON lines, which the workload rwset replays",
    )
    group.add_argument("--text", action="store_true", help="draw it as text, beside files too")
    group.add_argument(
        "--from",
        dest="begin",
        type=checked(moment),
        metavar="TIME",
        help="draw from here on: milliseconds, a number with a unit (300us) or the first execution of a transaction "
        "(tx120)",
    )
    group.add_argument(
        "--to", dest="end", type=checked(moment), metavar="TIME", help="draw up to here; tx120: the last execution of it"
    )
    group.add_argument("--width", type=_width, metavar="N", help="columns of the text (default: those of the terminal)")
    group.add_argument(
        "--recording-cost",
        dest="measure_cost",
        action="store_true",
        help=f"measure what recording costs: the block at least {COST_ROUNDS} times with and without it, in turns",
    )


def _width(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 40 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 40 to 1000")
    return int(text)


def run(options: argparse.Namespace) -> int:
    if options.picture is not None:
        check_picture(options.picture)
    named = [name for name in (options.output, options.picture, options.rwset) if name is not None]
    check_outputs(named, files_read(options))
    for name in named:
        if name == "-":
            raise InputError(f"{name}: standard output holds the summary: name a file of its own")
        if not os.path.isdir(os.path.dirname(name) or "."):
            raise InputError(f"{name}: there is no directory {os.path.dirname(name)}: make it first")
    with vm_may_print():
        found = trace(
            **chosen_options(options), output=options.output, picture=options.picture, rwset=options.rwset, begin=options.begin,
            end=options.end, measure_cost=options.measure_cost,
        )
    if options.json:
        print_json(_object(found))
        return 0
    print(found.title)
    if options.text or not found.files:
        width = options.width or shutil.get_terminal_size((100, 24)).columns
        print("\n" + found.text(width, ascii_only=not _can_print("\u2588\u2593\u2592\u2591")))
    print(f"\n{shares_table(found.timeline)}\n{counts_line(found.timeline)}")
    if options.measure_cost:
        print(_cost(found.recording))
    print("verified: state root and receipts equal those of sequential execution")
    for name, path, note in found.files:
        print(f"{name}: {path} ({note})")
    return 0


def _object(found: Trace) -> dict[str, Any]:
    recording = found.recording
    return {
        "format": FORMAT,
        **found.about,
        "transactions": recording.record.transactions,
        "failed": recording.result.failed,
        "workers": recording.record.workers,
        "mode": recording.result.stats.mode,
        "verified": True,
        "seconds": {"sequential": recording.sequential, "parallel": recording.parallel, "recorded": recording.recorded},
        "cost": recording.cost().to_json() if found.measured_cost else None,
        **to_json(found.timeline),
        "files": {name: path for name, path, _ in found.files},
    }


def _cost(recording: Recording) -> str:
    ratio = recording.cost()
    off, on = Interval.of(recording.parallel), Interval.of(recording.recorded)
    return (
        f"recording: {on.median * 1e3:,.3f} ms with it, {off.median * 1e3:,.3f} ms without, medians of "
        f"{counted(ratio.n, 'execution')} in turns; "
        f"ratio {short(ratio.median)}, {ratio.confidence:.0%} interval {short(ratio.low)} to {short(ratio.high)}"
    )


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
