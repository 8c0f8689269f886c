"""ioi-stress run: execute a workload, measure and verify it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from typing import TextIO

from ioi_exec import Diverged, Error, InputError
from ioi_exec.cli.options import Commands, add_command, print_json, vm_may_print
from ioi_exec.cli.streams import name_stream, output_file
from ioi_stress.cli.outputs import check_outputs, files_read
from ioi_stress.cli.plan_options import add_plan, chosen_options
from ioi_stress.cli.report_options import add_run_report, check_report, write_run_report
from ioi_stress.cli.summary import summary
from ioi_stress.cli.workload_options import (
    add_parameters,
    add_workloads,
    chosen_workload,
)
from ioi_stress.library import plan_of
from ioi_stress.library import run as measured
from ioi_stress.results.raw import write_csv
from ioi_stress.results.result import Result
from ioi_stress.running.difference import Mismatch
from ioi_stress.running.live import live_view
from ioi_stress.running.measure import measured_before
from ioi_stress.running.shrink import shrink
from ioi_stress.running.verify import found, write_shrunk
from ioi_stress.workloads import WORKLOADS

EPILOG = """Every repetition executes all blocks from genesis on. Each block is executed in parallel and one by one in turns, so
that the ratio of the two does not depend on what else the machine does. A block that ends otherwise in parallel is shrunk to the
least that still does, written to two files, and the command that replays them is printed (exit 5). Ctrl-C prints what was measured
so far (exit 1)."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "run", "Execute a workload in parallel, measure it, and verify every result.",
        EPILOG + "\n\n`ioi-stress run WORKLOAD --help` lists what a workload takes, and how it can be run.", needs_state=False,
        example="ioi-stress run uniform --block-size 200 --repeat 3\n"
        "ioi-stress run zipf --s 1.2 --block-size 200 --policy paper --workers 2 --json\n"
        "ioi-stress run chain --block-size 100 --blocks 2 --repeat 6 --csv raw.csv --save chain.json\n"
        "ioi-stress run zipf --block-size 200 --report zipf.html",
    )
    add_workloads(command, add_run)
    command.set_defaults(run=run)


def register_one(commands: Commands, workload: str, summary: str, example: str) -> None:
    """`ioi-stress WORKLOAD` for `ioi-stress run WORKLOAD`."""
    details = WORKLOADS[workload].details
    epilog = f"{details}\n\nThe same as `ioi-stress run {workload}`.\n\n{EPILOG}".strip()
    command = add_command(commands, workload, summary, epilog, example=example, needs_state=False)
    add_parameters(command, workload)
    add_run(command)
    command.set_defaults(run=run)


def add_run(parser: argparse.ArgumentParser) -> None:
    add_plan(parser)
    group = parser.add_argument_group("what comes out")
    group.add_argument("-o", "--save", metavar="FILE", help="write the result as --json has it, for compare, report and plot")
    group.add_argument(
        "--csv", metavar="FILE", help="write raw figures, a row for each block of each repetition; - is standard output"
    )
    add_run_report(group)
    group.add_argument(
        "--mismatch-dir", default="", metavar="DIR", help="where the files of a block that differed are written (default: here)"
    )


def run(options: argparse.Namespace) -> int:
    if options.save == "-":
        raise InputError("--save - would mix with the table: use --json")
    if options.csv == "-" and options.json:
        raise InputError("--csv - and --json both print: give --csv a file")
    check_report(options)
    check_outputs([options.save, options.csv, options.report], files_read(options))
    if options.mismatch_dir and not os.path.isdir(options.mismatch_dir):
        raise InputError(f"--mismatch-dir: there is no directory {options.mismatch_dir}: make it first")
    workload = chosen_workload(options)
    plan = plan_of(workload, **chosen_options(options))
    mismatches: list[Mismatch] = []
    failure: Error | None = None
    with ExitStack() as last:
        report = last.enter_context(output_file(options.report)) if options.report is not None else None
        with ExitStack() as files:
            # Opened before, so that a directory that is not there is not found out at the end.
            save = files.enter_context(output_file(options.save)) if options.save is not None else None
            csv = files.enter_context(output_file(options.csv)) if options.csv is not None else None
            with vm_may_print():
                try:
                    with live_view(not options.quiet and not options.json) as observer:
                        result = measured(workload, plan, observer, on_mismatch=mismatches.append)
                except Error as error:
                    before = measured_before(error)
                    if before is None or not before.repetitions:
                        raise
                    result, failure = before, error
                if mismatches:
                    _shrink(mismatches[0], result, options)
            _write(result, save, csv)
        _print(result, options)  # when the files are whole: standard output may be full, or gone
        cut = report is not None and write_run_report(report, result, workload, plan, options.report_block)
    if result.verification.mismatches:
        raise Diverged(_diverged(result))
    if failure is not None:
        raise failure
    if result.interrupted or cut:
        raise KeyboardInterrupt
    return 0


def _shrink(mismatch: Mismatch, result: Result, options: argparse.Namespace) -> None:
    """Write what shows the mismatch again, and say in the result where."""
    if not options.quiet and not options.json:
        print(f"ioi-stress: {mismatch.what}; looking for the least that still does so (Ctrl-C: enough)", file=sys.stderr)
    shrunk = shrink(mismatch)
    result.verification.shrunk = found(shrunk)
    try:
        result.verification.files, result.verification.replay = write_shrunk(shrunk, options.mismatch_dir)
    except OSError as error:
        result.verification.shrunk += f"; it could not be written: {error}"


def _diverged(result: Result) -> str:
    verification = result.verification
    lines = [verification.mismatches[0]]
    if verification.shrunk:
        lines.append(verification.shrunk)
    if verification.replay:
        lines.append(f"replay it: {verification.replay}")
    elif verification.files:
        lines.append(f"its VM cannot be imported by name, so execute {' and '.join(verification.files)} through the library")
    return "\n  ".join(lines)


def _write(result: Result, save: TextIO | None, csv: TextIO | None) -> None:
    if save is not None:
        json.dump(result.to_json(), save)
        save.write("\n")
    if csv is not None:
        write_csv(csv, result)


def _print(result: Result, options: argparse.Namespace) -> None:
    try:
        if options.json:
            print_json(result.to_json())
        elif options.csv != "-":
            print(summary(result), flush=True)
    except OSError as error:
        name_stream(error)  # here, where it is not taken for the report's
        raise
