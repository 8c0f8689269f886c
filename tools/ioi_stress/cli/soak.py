"""ioi-stress soak: everything at once for hours, and whether anything grows that should not."""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
import time
from contextlib import ExitStack

from ioi_exec import Diverged, Error, InputError, StateCorrupt
from ioi_exec.cli.options import (
    Commands,
    add_command,
    print_json,
    vm_may_print,
    whole_number,
)
from ioi_exec.cli.streams import output_file
from ioi_stress.chaos import FAULTS, named_faults
from ioi_stress.cli.outputs import check_outputs
from ioi_stress.notation.text import counted, significant, table
from ioi_stress.nothing import NothingJudged
from ioi_stress.reporting import soak_page
from ioi_stress.reporting.rendering import check_templates
from ioi_stress.soaking import Mix, SoakPlan, SoakReport, soak
from ioi_stress.soaking.report import RULE, Judged

_EPILOG = f"""An engine in a process of its own executes and commits blocks of several workloads in turns, on a state whose honest size is
level, and prunes. Beside it one process reads and proves, others are killed while they read, and check, dump, snapshot and restore
follow each other. The last fifth of every cycle (five minutes, or a sixth of the time) is a storm of the faults of `ioi-stress chaos`;
those that kill the engine come in every third storm. Every root is compared with that of executing one by one, as there.

All the while it looks at memory, descriptors, processes, threads, the file, reader slots and the times of durable commits.

{RULE}

Exit status: 0 flat, 1 something grows or went wrong (or Ctrl-C, after what was seen was told), 5 and 6 as everywhere, 7 too short to
tell: with the allowances as they are that is anything below about half an hour. A night of it:

  ioi-stress soak --hours 8 --allowance 0.2 -o night.html"""
_LINES_EVERY = 30.0  # seconds


def register(commands: Commands) -> None:
    command = add_command(
        commands, "soak", "Run everything at once for hours, and tell whether memory, descriptors, file or commit times grow.",
        _EPILOG, needs_state=False,
        example="ioi-stress soak --seconds 20 --rate 0 --allowance 1000000 -o soak.html",
    )
    time_group = command.add_mutually_exclusive_group()
    time_group.add_argument("--hours", type=float, metavar="H", help="how long (default: 1)")
    time_group.add_argument("--seconds", type=float, metavar="N", help="the same in seconds")
    command.add_argument(
        "--duty", type=float, default=SoakPlan.duty, metavar="SHARE", help="of the time in which it works; else it sleeps (default: 1)"
    )
    command.add_argument(
        "--allowance", type=float, default=SoakPlan.allowance, metavar="X",
        help="allow X times as much growth in an hour: less than 1 for soaks of many hours (default: 1)",
    )
    command.add_argument("--vm", choices=["python", "native"], default=Mix.vm_name, help="that executes the mix (default: %(default)s)")
    command.add_argument("--seed", type=whole_number, default=1, metavar="N", help="of blocks and faults (default: 1)")
    command.add_argument(
        "--faults", type=lambda text: text.split(","), default=["all"], metavar="NAME,...",
        help=f"which there are: all (the default), or some of {', '.join(FAULTS)}",
    )
    command.add_argument(
        "--rate", type=float, default=SoakPlan.rate, metavar="R",
        help="faults in a block of a storm, on average; 0: none (default: %(default)s)",
    )
    command.add_argument("--workers", type=whole_number, metavar="N", help="worker processes (default: one per core)")
    command.add_argument("--tree", choices=["jellyfish", "iavl"], default=SoakPlan.tree, help="of the state (default: %(default)s)")
    command.add_argument(
        "--keep", type=whole_number, default=SoakPlan.keep, metavar="N",
        help="keep the newest N versions readable and prune the others meanwhile (default: %(default)s)",
    )
    command.add_argument(
        "--state", metavar="DIR", help="where the state is made and stays (default: a temporary directory, kept on failure)"
    )
    command.add_argument("--no-pin", dest="pin", action="store_false", help="let workers move between cores")
    command.add_argument("-o", "--output", metavar="FILE", help="write the drawings and the verdict as one page (HTML)")
    command.add_argument("--quiet", action="store_true", help="no lines of progress, on a terminal either")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.output == "-":
        raise InputError("-o - would mix with the table, or with --json: give -o a file")
    check_outputs([options.output], [])
    if options.output is not None:
        check_templates()
    seconds = options.seconds if options.seconds is not None else 3600 * (options.hours if options.hours is not None else 1.0)
    plan = SoakPlan(
        seconds=seconds, duty=options.duty, faults=named_faults(options.faults), rate=options.rate, seed=options.seed,
        allowance=options.allowance, workers=options.workers, tree=options.tree, state=options.state, keep=options.keep, pin=options.pin,
    )
    shown = not options.quiet and not options.json and sys.stderr.isatty()
    command = shlex.join(["ioi-stress", *sys.argv[1:]])
    with ExitStack() as files:
        # Opened before, so that a directory that is not there is not found out after hours.
        output = files.enter_context(output_file(options.output)) if options.output is not None else None
        with vm_may_print():
            report = soak(plan, Mix(options.seed, options.vm), _Lines() if shown else None, command)
        if output is not None:
            output.write(soak_page(report, command))
    if options.json:
        print_json(report.to_json())
    else:
        print(_summary(report), flush=True)
    status, words = report.verdict
    if report.chaos.interrupted and not report.chaos.defects:
        raise KeyboardInterrupt
    if status:
        raise _error(report, status, words)
    return 0


class _Lines:
    """A line of progress now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, report: SoakReport) -> None:
        if time.monotonic() < self._last + _LINES_EVERY or not report.looks:
            return
        self._last = time.monotonic()
        values = report.looks[-1].values
        print(
            f"{report.looks[-1].seconds:.0f} s: {counted(report.chaos.committed, 'block')}, {counted(report.chaos.injected, 'fault')}; "
            f"memory {values['memory']:.1f} MiB, {counted(int(values['descriptors']), 'descriptor')}, file {values['file']:.1f} MiB, "
            f"{counted(int(values['slots']), 'reader slot')}",
            file=sys.stderr, flush=True,
        )


def _error(report: SoakReport, status: int, words: str) -> Error:
    cls: dict[int, type[Error]] = {
        each.exit_status: each for each in (Diverged, StateCorrupt, NothingJudged)
    }
    left = f"\n  what is left of it: {report.chaos.evidence}" if report.chaos.evidence is not None else ""
    again = "".join(f"\n  again: {command}" for command in report.chaos.replay)
    return cls.get(status, Error)(f"{words}{left}{again}")


def _summary(report: SoakReport) -> str:
    chaos = report.chaos
    rows = [_row(each) for each in report.judged()]
    visits = ", ".join(f"{what} {count:,}" for what, count in report.visits.items()) or "none"
    return "\n".join([
        f"{chaos.seconds:.0f} s, {counted(chaos.committed, 'block')} committed ({counted(chaos.transactions, 'transaction')}), "
        f"{chaos.verified:,} verified, {counted(len(report.looks), 'look')}",
        f"{counted(chaos.injected, 'fault')} in {counted(report.storms, 'storm')}, {counted(chaos.engine_starts, 'engine')} started, "
        f"{counted(chaos.reopened, 'time')} the state was opened again, lost commits {chaos.lost_commits}, orphans {chaos.orphans}",
        f"beside the engine: {visits}",
        "",
        table(["", "level", "an hour", "from", "to", "allowed", "", ""], rows, left=(0, 6, 7)),
        "",
        textwrap.fill(RULE, 110),
        "",
        report.verdict[1],
    ])  # fmt: skip


def _row(judged: Judged) -> list[str]:
    found, quantity = judged.trend, judged.quantity
    if found is None or judged.allowed is None:
        return [quantity.label, "", "", "", "", "", quantity.unit, judged.verdict]
    numbers = [significant(each) for each in (found.level, found.slope, found.low, found.high, judged.allowed)]
    return [quantity.label, *numbers, quantity.unit, judged.verdict]
