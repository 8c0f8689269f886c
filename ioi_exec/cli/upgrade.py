"""ioi-exec upgrade: another VM takes over at a height."""

from __future__ import annotations

import argparse

from ioi_exec.cli.describe import upgrade_object
from ioi_exec.cli.maintenance import opened_store
from ioi_exec.cli.options import (
    Commands,
    add_command,
    add_vm,
    given_vm,
    print_fields,
    print_json,
    whole_number,
)
from ioi_exec.errors import InputError
from ioi_exec.files.strict_json import written
from ioi_exec.state.given import note
from ioi_exec.state.identity import Identity
from ioi_exec.state.opening import checked_upgrade

_EPILOG = """The block of that height is the first that the new VM executes, and it begins with the VM's migrate(state, ctx, from_version). Give
the same on every replica before it gets there: one that has not the VM stops at that height, and says so. A pending upgrade is replaced.
After a rollback to below its height an upgrade is pending again. `ioi-exec info` shows all of them.

To rehearse one, make a state of its own: `ioi-exec export`, `init` with the new VM, `run`."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "upgrade", "Let another VM take over at a height.", _EPILOG,
        example="ioi-exec upgrade state --vm payments --vm-args '{\"signed\": true}' --height 1000\nioi-exec upgrade state --cancel",
    )
    add_vm(command, "the VM that takes over: payments, or package.module:Class of your own")
    command.add_argument("--height", type=whole_number, metavar="H", help="the first block that it executes, not committed yet")
    command.add_argument("--accept-vm", action="store_true", help="also a VM with the name, arguments and version of the one before it")
    command.add_argument("--cancel", action="store_true", help="forget the upgrade that is pending")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.cancel:
        if options.vm is not None or options.vm_args is not None or options.height is not None or options.accept_vm:
            raise InputError("--cancel forgets what is pending: give nothing else")
    elif options.vm is None or options.height is None:
        raise InputError("give --vm and --height, or --cancel")
    with opened_store(options, read_only=False) as store:
        identity, committed = Identity.from_meta(store.meta), store.latest.height
        if options.cancel:
            if not identity.pending(committed):
                raise InputError(f"--cancel: no upgrade is pending at height {committed}")
            identity = identity.upgraded(None, committed)
        else:
            assert options.height is not None
            identity = checked_upgrade(identity, given_vm(options), options.height, committed, options.accept_vm)
        store.set_meta(identity.to_meta())
    pending = identity.pending(committed)
    if pending:
        note(options.state, pending[0].vm, upgrade=True)
    now = identity.vm_at(committed)
    shown = {
        "state": options.state, "height": written(committed), "vm": now.name, "vm_args": now.args, "vm_version": now.version,
        "upgrade": upgrade_object(pending[0]) if pending else None,
    }
    (print_json if options.json else print_fields)(shown)
    return 0
