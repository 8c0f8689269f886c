"""ioi-exec init: create a state from a genesis file."""

from __future__ import annotations

import argparse
from typing import Any

from ioi_exec.cli.describe import described
from ioi_exec.cli.options import (
    Commands,
    add_command,
    print_fields,
    print_json,
    vm_may_print,
    whole_number,
)
from ioi_exec.errors import InputError
from ioi_exec.files import read_genesis
from ioi_exec.files.strict_json import Malformed, parse
from ioi_exec.machine import ExecutionMachine


def register(commands: Commands) -> None:
    command = add_command(
        commands, "init", "Create a state at version 0.", "A state that is at version 0 with the same genesis is left as it is.",
        example="ioi-exec init state --genesis genesis.json",
    )
    command.add_argument("--genesis", required=True, metavar="FILE", help="the first accounts or keys, as JSON")
    command.add_argument("--vm", default="payments", help="payments (default), or package.module:Class of your own")
    command.add_argument("--vm-args", metavar="JSON", help="arguments of the VM's class: an object by name, or a list")
    command.add_argument("--tree", default="jellyfish", help="kind of Merkle tree: jellyfish (default) or iavl")
    command.add_argument(
        "--initial-height", type=whole_number, default=1, metavar="N", help="height of the first block (default: 1)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    vm_args = vm_args_value(options.vm_args)
    with open(options.genesis, "rb") as stream:
        genesis = read_genesis(stream, options.genesis, accounts=options.vm == "payments")
    with vm_may_print():
        machine = ExecutionMachine.create(
            options.state, options.vm, options.tree, genesis, vm_args=vm_args, initial_height=options.initial_height, workers=0
        )
    with machine:
        described_state = {"state": options.state, "keys": len(genesis), **described(machine.info)}
    (print_json if options.json else print_fields)(described_state)
    return 0


def vm_args_value(text: str | None) -> dict[str, Any] | list[Any] | None:
    if text is None:
        return None
    try:
        value = parse(text.encode("utf-8", "surrogateescape"), floats=True)
    except Malformed as error:
        raise InputError(f"--vm-args: {error}") from None
    if not isinstance(value, (dict, list)):
        raise InputError("--vm-args: give a JSON object (arguments by name) or a list (in order)")
    return value
