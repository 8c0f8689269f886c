"""ioi-stress chaos: execute a workload while workers, engine, memory and disk are made to fail."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from typing import Mapping

from ioi_exec import Diverged, Error, StateCorrupt
from ioi_exec.cli.options import (
    Commands,
    add_command,
    print_json,
    vm_may_print,
    whole_number,
)
from ioi_stress.chaos import FAULTS, ChaosPlan, Report, named_faults
from ioi_stress.chaos import run as attack
from ioi_stress.chaos.disk import private_mounts
from ioi_stress.cli.workload_options import add_workloads, chosen_workload
from ioi_stress.notation.text import counted, table
from ioi_stress.nothing import NothingJudged

_EPILOG = """The engine executes and commits the workload in a process of its own, on a state on disk, while faults strike it. This process
knows what is true, for it has executed every block one by one. It compares the roots of every block before the commit and of every state
that is opened again, looks for lost commits and for processes that were left, and checks the state, deeply at the end. Faults also
strike while the state is made, and every ten blocks while it is rolled back (the blocks are then executed again) and while a snapshot
of it is restored: afterwards it must be what it was or what it was to become, or absent where it was to be made.

Which faults strike where follows from the seed; how the processes are timed cannot be repeated, so that a second run may meet other
moments. Exit status 7: no fault struck, so that there is nothing to judge."""
_BLOCKS, _BLOCK_SIZE = 100, 1_000
_LINES_EVERY = 5.0  # seconds


def register(commands: Commands) -> None:
    faults = "\n".join(f"  {name:<14} {cls.help}" for name, cls in FAULTS.items())
    command = add_command(
        commands, "chaos", "Execute a workload while workers, engine, memory and disk are made to fail, and verify everything.",
        f"{_EPILOG}\n\nfaults:\n\n{faults}\n\n`ioi-stress chaos WORKLOAD --help` lists what a workload takes, and what chaos does.",
        needs_state=False,
        example="ioi-stress chaos zipf --blocks 10 --block-size 200\n"
        "ioi-stress chaos market --seconds 3 --faults kill-engine,full-disk --rate 1 --json",
    )
    add_workloads(command, _add_options, {"blocks": _BLOCKS, "block_size": _BLOCK_SIZE})
    command.set_defaults(run=run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("chaos")
    group.add_argument("--seconds", type=float, metavar="N", help="go on for so long: after the last block begin again, on a new state")
    group.add_argument(
        "--faults", type=lambda text: text.split(","), default=["all"], metavar="NAME,...",
        help=f"which there are: all (the default), or some of {', '.join(FAULTS)}",
    )
    group.add_argument(
        "--rate", type=float, default=ChaosPlan.rate, metavar="R", help="faults in a block, on average (default: %(default)s)"
    )
    group.add_argument("--fault-seed", type=whole_number, metavar="N", help="of the faults (default: that of the workload)")
    group.add_argument("--workers", type=whole_number, metavar="N", help="worker processes (default: one per core)")
    group.add_argument(
        "--stall-seconds", type=float, default=ChaosPlan.stall_seconds, metavar="S",
        help="without progress for so long, workers count as dead (default: %(default)s)",
    )
    group.add_argument("--tree", choices=["jellyfish", "iavl"], default=ChaosPlan.tree, help="of the state (default: %(default)s)")
    group.add_argument(
        "--keep", type=whole_number, default=ChaosPlan.keep, metavar="N",
        help="keep the newest N versions readable and prune the others meanwhile; 0 keeps all (default: %(default)s)",
    )
    group.add_argument(
        "--state", metavar="DIR", help="where the state is made and stays (default: a temporary directory, kept on failure)"
    )
    group.add_argument(
        "--disk", type=whole_number, metavar="MIB",
        help="put the state on a disk of its own, of so many MiB: an ext4 in a file (root only)",
    )
    group.add_argument("--no-pin", dest="pin", action="store_false", help="let workers move between cores")
    group.add_argument("--quiet", action="store_true", help="no lines of progress, on a terminal either")


def run(options: argparse.Namespace) -> int:
    workload = chosen_workload(options)
    seed = options.fault_seed if options.fault_seed is not None else workload.parameters.get("seed", 1)
    plan = ChaosPlan(
        faults=named_faults(options.faults), rate=options.rate, seed=seed, seconds=options.seconds, workers=options.workers,
        tree=options.tree, state=options.state, keep=options.keep or None, stall_seconds=options.stall_seconds,
        disk_mib=options.disk, pin=options.pin,
    )
    if plan.disk_mib is not None:
        private_mounts()
    shown = not options.quiet and not options.json and sys.stderr.isatty()
    with vm_may_print():
        report = attack(workload, plan, _Lines() if shown else None, shlex.join(["ioi-stress", *sys.argv[1:]]))
    if options.json:
        print_json(report.to_json())
    else:
        print(_summary(report), flush=True)
    if report.defects:
        raise _error(report)
    if report.interrupted:
        raise KeyboardInterrupt
    if not report.ok:
        raise NothingJudged(_nothing(report))
    return 0


class _Lines:
    """A line of progress now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, report: Report) -> None:
        if time.monotonic() < self._last + _LINES_EVERY:
            return
        self._last = time.monotonic()
        print(
            f"{report.seconds:.0f} s: {counted(report.committed, 'block')} committed, {counted(report.injected, 'fault')}, "
            f"{counted(report.engine_starts, 'engine')} started",
            file=sys.stderr, flush=True,
        )


def _error(report: Report) -> Error:
    """The first defect, with the exit status of the worst."""
    kind, text = report.defects[0]
    cls: dict[int, type[Error]] = {Diverged.exit_status: Diverged, StateCorrupt.exit_status: StateCorrupt}
    left = f"\n  what is left of it: {report.evidence}" if report.evidence is not None else ""
    again = "".join(f"\n  again: {command}" for command in report.replay)
    return cls.get(report.exit_status, Error)(f"{kind}: {text}{left}{again}")


def _summary(report: Report) -> str:
    chaos = report.parameters["chaos"]
    rows = [
        [name, f"{counts.injected:,}", f"{counts.missed:,}", f"{counts.effective:,}", _counted(counts.followed)]
        for name, counts in report.faults.items()
    ]
    lines = [
        f"{report.parameters['workload']['name']}, fault seed {chaos['seed']}, {chaos['rate']:g} faults a block, {report.seconds:.1f} s"
        + (f", {counted(report.rounds, 'round')}" if chaos["seconds"] is not None else ""),
        "",
        table(["fault", "struck", "missed", "took effect", "what followed, in so many cases"], rows, left=(0, 4)),
        "",
        f"{counted(report.executed, 'block')} executed, {report.verified:,} verified, {report.committed:,} committed "
        f"({counted(report.transactions, 'transaction')})",
        f"{counted(report.engine_starts, 'engine')} started, {counted(report.reopened, 'time')} the state was opened again, "
        f"{counted(report.unacknowledged, 'commit')} found that the engine had not lived to acknowledge",
        f"under attack: {_counted(report.passages) or 'nothing but blocks'}; {counted(report.rolled_back, 'version')} rolled back",
        f"{counted(report.checks, 'check')} and {counted(report.deep_checks, 'deep check')} of the state, "
        f"{counted(report.read_again, 'version')} read again at the end",
        f"lost commits {report.lost_commits}, orphans {report.orphans}",
        "",
        _verdict(report),
    ]
    return "\n".join(lines)


def _counted(followed: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in sorted(followed.items(), key=lambda item: -item[1]))


def _verdict(report: Report) -> str:
    if report.defects:
        return "\n".join(f"FAILED: {kind}: {text}" for kind, text in report.defects)
    if report.interrupted:
        return "interrupted: nothing was wrong until then"
    if not report.ok:
        return f"NOTHING JUDGED: {_nothing(report)}"
    unused = f"; never struck: {', '.join(report.unused)}" if report.unused else ""
    return f"everything verified, through {counted(report.injected, 'fault')}{unused}"


def _nothing(report: Report) -> str:
    if not report.verified:
        return "no block was executed"
    return (
        f"no fault struck; {counted(report.verified, 'block')} verified without one say nothing of faults: give a higher --rate, more "
        "--blocks or --seconds, or --faults that find something to strike"
    )
