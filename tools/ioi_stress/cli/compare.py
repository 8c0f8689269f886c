"""ioi-stress compare: two saved results side by side, and which of their differences are any."""

from __future__ import annotations

import argparse

from ioi_exec.cli.options import Commands, add_command, print_json
from ioi_exec.errors import Diverged
from ioi_stress.results.comparison import compare

_EPILOG = """Both files hold what `ioi-stress run ... --json` printed. A figure is called different only if repetitions
dealt out to A and B at random hardly ever differ so much (a permutation test, the chance of any false difference among
all figures held to 5 %); otherwise the noise is shown that a difference would have to exceed. That takes four
repetitions of each; ten see 10 % through a noise of 3 %. A steady drift of the machine over both is
allowed for; what changed at once between them cannot be told from a difference, which `ioi-stress sweep` can. Exit status: 0 compared, whatever came out; 2 results that
cannot be compared; 5 the same workload ended with different roots."""


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "compare",
        "Compare two saved results, and tell differences from noise.",
        _EPILOG,
        needs_state=False,
        example="ioi-stress compare before.json after.json",
    )
    command.add_argument("a", metavar="A.json", help="result of a run")
    command.add_argument("b", metavar="B.json", help="the one it is compared with")
    command.add_argument("--force", action="store_true", help="even if they are of different workloads")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    compared = compare(options.a, options.b, force=options.force)
    if options.json:
        print_json(compared.to_json())
    else:
        print(compared)
    return Diverged.exit_status if compared.diverged else 0
