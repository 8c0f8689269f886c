"""ioi-exec get: the value of a key, or an account."""

from __future__ import annotations

import argparse
import sys

from ioi_exec.cli.options import (
    Commands,
    add_command,
    hex_value,
    print_fields,
    print_json,
    whole_number,
)
from ioi_exec.errors import InputError
from ioi_exec.files.strict_json import written
from ioi_exec.machine import ExecutionMachine
from ioi_exec.vm.payments import ADDRESS_BYTES, account_key, decode_account


def register(commands: Commands) -> None:
    command = add_command(
        commands, "get", "Print the value of a key.",
        "A key that is absent: exit status 1, with --json also a value of null. An account that is absent is shown as empty.",
        example=f"ioi-exec get state {'bb' * 32} --account\nioi-exec get state {'bb' * 32} --account --version 1",
    )
    command.add_argument("key", metavar="KEY", type=hex_value, help="the key in hex")
    command.add_argument("--account", action="store_true", help="KEY is the address of an account of payments")
    command.add_argument("--version", type=whole_number, metavar="N", help="as of version N (default: the newest)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with ExecutionMachine.open(options.state, read_only=True, workers=0) as machine, machine.pinned():
        if options.account:
            return _account(machine, options)
        version = machine.version if options.version is None else options.version
        value = machine.get(options.key, version)
        shown = None if value is None else value.hex()
        if options.json:
            print_json({"version": version, "key": options.key.hex(), "value": shown})
        elif shown is not None:
            print(shown)
        else:
            print(f"ioi-exec: there is no value under {options.key.hex()} at version {version}", file=sys.stderr)
        return 0 if value is not None else 1


def _account(machine: ExecutionMachine, options: argparse.Namespace) -> int:
    if machine.info.vm.name != "payments":
        raise InputError(f"--account: this state belongs to {machine.info.vm}, only payments has accounts")
    if len(options.key) != ADDRESS_BYTES:
        raise InputError(f"--account: an address has {ADDRESS_BYTES} bytes ({2 * ADDRESS_BYTES} hex digits), not {len(options.key)}")
    version = machine.version if options.version is None else options.version
    value = machine.get(account_key(options.key), version)
    account = decode_account(value)
    shown = {
        "version": version,
        "address": options.key.hex(),
        "exists": value is not None,
        "balance": written(account.balance),
        "nonce": written(account.nonce),
    }
    (print_json if options.json else print_fields)(shown)
    return 0
