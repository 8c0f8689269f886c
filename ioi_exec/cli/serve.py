"""ioi-exec serve: the application of a CometBFT node."""

from __future__ import annotations

import argparse

from ioi_exec.cli.options import Commands, add_accept, add_command, find_own_code, print_fields, print_json, vm_may_print
from ioi_exec.state.given import is_noted_here
from ioi_exec.vm.loading import BUILT_IN

_EPILOG = """Prints where it listens, for the proxy_app of CometBFT (0.38, 0.40 or 1.0), and goes on until SIGTERM, SIGINT or SIGHUP, which
it obeys when the block at hand is committed (status 0). What it says while it runs goes to standard error; with --json as JSON lines.

A node ends with its application, and may stay as a zombie that only SIGKILL ends: supervise both, and start this one first."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "serve", "Be the application of a CometBFT node.", _EPILOG, example="ioi-exec serve home", needs_state=False
    )
    command.add_argument("home", metavar="HOME", help="what node init made")
    add_accept(command)
    command.add_argument(
        "--cross-check", action="store_true",
        help="execute every transaction of a VM in Python twice more in fresh processes: one that differs ends the daemon, named with its key (status 5)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ioi_exec.node.daemon import Daemon
    from ioi_exec.node.home import Home

    home = Home(options.home)
    if home.config.chain.vm not in BUILT_IN or is_noted_here(home.state):  # an upgrade may lead from the one to the other
        find_own_code()
    with vm_may_print():
        daemon = Daemon(
            home, log_format="json" if options.json else None, accept_interpreter=options.accept_interpreter, accept_vm=options.accept_vm,
            cross_check=options.cross_check,
        )
    with daemon:
        (print_json if options.json else print_fields)(daemon.described())
        with vm_may_print():
            daemon.run()
    return 0
