"""--report, for commands that measure."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TextIO

from ioi_exec import Error, InputError
from ioi_exec.cli.options import vm_may_print, whole_number
from ioi_stress.plan import Plan
from ioi_stress.reporting import run_page
from ioi_stress.reporting.rendering import check_templates
from ioi_stress.results.result import Result
from ioi_stress.running.recording import Recording, record_block
from ioi_stress.workload import Workload

_QUICK_SECONDS = 1.0  # a block that takes less is recorded several times, so that what others did meanwhile counts less
_TURNS = 5


def add_report(group: argparse._ArgumentGroup, of: str) -> None:
    group.add_argument("--report", metavar="FILE", help=f"write {of} as one page (HTML) that needs no network")


def add_run_report(group: argparse._ArgumentGroup) -> None:
    add_report(group, "all of it, and the timeline of a block recorded for that,")
    group.add_argument(
        "--report-block",
        type=whole_number,
        default=0,
        metavar="N",
        help="which block the report records, from 0 on (default: %(default)s)",
    )


def check_report(options: argparse.Namespace) -> None:
    """Raises InputError before anything is measured."""
    if options.report == "-":
        raise InputError("--report - would mix with the table: give it a file")
    if options.report is not None:
        check_templates()


def write_run_report(stream: TextIO, result: Result, workload: Workload, plan: Plan, block: int) -> bool:
    """Record the block and write the page, which says why there is no recording if there is none. Whether Ctrl-C ended
    the recording."""
    recording, why, interrupted = None, "", False
    try:
        recording, why = _recorded(result, workload, plan, block)
    except KeyboardInterrupt:
        why, interrupted = "Recording a block was interrupted.", True
    except Error as error:
        why = f"Recording block {block} failed: {error}"
    stream.write(run_page(result, recording, why))
    return interrupted


def _recorded(result: Result, workload: Workload, plan: Plan, block: int) -> tuple[Recording | None, str]:
    """Raises what recording raises. The state is in memory whatever that of the run was, which is gone by now."""
    if plan.workers == 0:
        return None, "It was executed one by one in one process, where there is no schedule to record."
    if result.interrupted or result.error or result.verification.mismatches:
        return None, "The run did not end as it should, so no block was recorded afterwards."
    measured = [each for repetition in result.repetitions for each in repetition.blocks if each.block == block]
    if not measured:
        return None, f"There is no block {block} to record."
    seconds = max(each.seconds["total"] + (each.sequential_seconds or {"total": 0.0})["total"] for each in measured)
    turns = _TURNS if seconds < _QUICK_SECONDS else 1
    with vm_may_print():
        return record_block(workload, block, replace(plan, repeat=turns, warmup=1, state=None)), ""
