"""ioi-stress sweep: a workload measured over a grid of its parameters, workers and policies."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from ioi_exec import Diverged, InputError
from ioi_exec.cli.options import (
    Commands,
    add_command,
    add_json,
    print_json,
    vm_may_print,
    whole_number,
)
from ioi_exec.cli.streams import output_file
from ioi_exec.policy import Policy
from ioi_stress.cli.cost_options import add_costs, chosen_costs
from ioi_stress.cli.outputs import check_outputs, files_read
from ioi_stress.cli.plan_options import add_measuring, chosen_options
from ioi_stress.cli.report_options import add_report, check_report
from ioi_stress.cli.values import checked, several
from ioi_stress.cli.workload_options import PREFIX, add_workloads, chosen_parameters
from ioi_stress.library import report
from ioi_stress.notation.policy_text import parse_policy
from ioi_stress.notation.text import counted
from ioi_stress.results.figures import FIGURES
from ioi_stress.results.interval import Interval
from ioi_stress.simulation import Costs
from ioi_stress.sweeps import Sweep, sweep
from ioi_stress.sweeps.run import PAPER, REPEAT

_EPILOG = """Every option of the workload that takes a number or one of several words, and --workers and --policy, takes
several with commas between; every combination of all of them is a point. Each repetition of each point becomes one row.
Points take turns, in an order shuffled anew for every round, so that a machine that gets slower makes all of them
slower alike. With -o a row is in the file as soon as it is measured; after an interruption the same command goes on
where it ended, and with a larger --repeat adds to it.
Points that differ in one thing are compared round by round, which such a machine does not disturb, and differences told
from noise, from six repetitions on. With --simulated nothing is measured. `ioi-stress plot` draws the file. `ioi-stress sweep WORKLOAD --help` lists what a workload takes."""


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "sweep",
        "Measure a workload over a grid of its parameters, workers and policies.",
        _EPILOG,
        needs_state=False,
        example="ioi-stress sweep uniform --accounts 2,100 --block-size 100 --workers 1,2 --policy default,paper --repeat 2 "
        "-o sweep.csv\n"
        "ioi-stress sweep uniform --accounts 10,1000 --block-size 200 --workers 1,16,128 --simulated --repeat 1 -o many.csv\n"
        "ioi-stress sweep zipf --s 0.5,1.5 --block-size 100 --repeat 2",
    )
    choices = add_workloads(command, _add_sweep, lists=True)
    parser = choices.add_parser(
        PAPER,
        help="not a workload but a grid: that of the Block-STM paper's evaluation",
        allow_abbrev=False,
        description="The grid of the Block-STM paper's evaluation, for this engine: payments of 100 us between 2 to 10,000 "
        "accounts, in blocks of 1,000 to 10,000, on up to all cores, or with --simulated 1 to 128. `ioi-stress plot --figure paper` draws it.",
        epilog=f"example:\n\n  {command.prog} paper --quick -o paper.csv",
        formatter_class=command.formatter_class,
    )
    add_json(parser, default=argparse.SUPPRESS)
    parser.add_argument(
        "--quick",
        dest=f"{PREFIX}quick",
        action="store_true",
        help="small blocks and few repetitions: a minute or two, to see what it looks like",
    )
    _add_sweep(parser)
    command.set_defaults(run=run)


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how it is run")
    group.add_argument(
        "--workers",
        type=several(whole_number),
        metavar="N,...",
        help="worker processes (default: one per core; 0: one by one)",
    )
    group.add_argument(
        "--policy",
        type=_policies,
        action="extend",
        metavar="POLICY,...",
        help=f"of the scheduler: some of {', '.join(Policy.names())}; or one of your own, such as paper,window=64, each "
        "with a --policy of its own (default: default)",
    )
    add_measuring(group, None, str(REPEAT))
    group = parser.add_argument_group("many cores")
    group.add_argument(
        "--simulated",
        action="store_true",
        help="in virtual time instead, as `ioi-stress simulate` has it, for 1 to 128 workers; --repeat: seeds (default: 8), of three rows "
        "each, with cache lines as assumed, at half and twice that. An upper bound: docs/scaling.md",
    )
    add_costs(parser.add_argument_group("what things take there (default: a server, the same wherever it is simulated)"))
    group = parser.add_argument_group("what comes out")
    group.add_argument(
        "-o", "--output", metavar="FILE", help="CSV file of the rows, which is gone on with if it is there"
    )
    add_report(group, "all rows, with figures,")


@checked
def _policies(text: str) -> list[Policy]:
    """One policy where anything is set, else a list of names."""
    return [parse_policy(text)] if "=" in text else [parse_policy(name.strip()) for name in text.split(",")]


def run(options: argparse.Namespace) -> int:
    if options.output == "-":
        raise InputError("-o - : rows are appended to a file; without -o, --json prints them")
    check_report(options)
    if options.simulated and options.report is not None:
        raise InputError("there is no page of a simulated sweep: `ioi-stress plot` draws it")
    check_outputs([options.output, options.report], files_read(options))
    with ExitStack() as files:
        page = files.enter_context(output_file(options.report)) if options.report is not None else None
        with vm_may_print():
            found = sweep(
                options.workload, **chosen_parameters(options), **chosen_options(options), output=options.output,
                simulated=options.simulated, costs=chosen_costs(options.costs, Costs) if options.costs else None, progress=not (options.quiet or options.json),
            )
        if page is not None:
            page.write(report(found))
    _print(found, options)  # when the page is whole: standard output may be full, or gone
    if found.diverged:
        raise Diverged(_diverged(found.diverged))
    if found.interrupted:
        raise KeyboardInterrupt
    return 0


def _print(found: Sweep, options: argparse.Namespace) -> None:
    if options.json:
        points = [
            {name: value.to_json() if isinstance(value, Interval) else value for name, value in point.items()}
            for point in found.summary()
        ]
        compared = [each.to_json() for each in found.differences()]
        shown = {
            "file": found.file,
            "rows": len(found),
            "wanted": found.wanted,
            "skipped": found.skipped,
            "interrupted": found.interrupted,
        }
        print_json({**shown, "diverged": found.diverged, "figures": list(FIGURES), "points": points, "differences": compared})
        return
    print(found, flush=True)
    if found.skipped:
        print(
            f"ioi-stress: {counted(found.skipped, 'row')} of these were in {found.file} already and not run again",
            file=sys.stderr,
        )
    if found.interrupted and found.file:
        print(f"ioi-stress: what was measured is in {found.file}; the same command goes on from there", file=sys.stderr)


def _diverged(what: list[str]) -> str:
    more = f" (and {len(what) - 1:,} more)" if len(what) > 1 else ""
    return f"{what[0]}{more}; `ioi-stress run` with those parameters finds the least block that shows it"
