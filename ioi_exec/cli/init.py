"""ioi-exec init: create a state from a genesis file."""

from __future__ import annotations

import argparse

from ioi_exec.cli.describe import described
from ioi_exec.cli.options import (
    Commands,
    add_command,
    add_vm_args,
    find_own_code,
    print_fields,
    print_json,
    vm_args_value,
    vm_may_print,
    whole_number,
)
from ioi_exec.files import read_genesis
from ioi_exec.files.gas import read_gas
from ioi_exec.machine import ExecutionMachine
from ioi_exec.state.given import note
from ioi_exec.state.info import StateInfo
from ioi_exec.state.opening import StatePath
from ioi_exec.vm.loading import BUILT_IN


def register(commands: Commands) -> None:
    command = add_command(
        commands, "init", "Create a state at version 0.", "A state that is at version 0 with the same genesis is left as it is.",
        example="ioi-exec init state --genesis genesis.json",
    )
    command.add_argument("--genesis", required=True, metavar="FILE", help="the first accounts or keys, as JSON")
    command.add_argument("--vm", default="payments", help="payments (default), or package.module:Class of your own")
    add_first_state(command)
    command.add_argument("--chain-id", metavar="TEXT", help="which chain this is: transactions may be signed for it (default: none)")
    command.set_defaults(run=run)


def add_first_state(command: argparse.ArgumentParser) -> None:
    """Options of a state that is made here, but for VM, genesis and chain."""
    add_vm_args(command)
    command.add_argument("--tree", default="jellyfish", help="kind of Merkle tree: jellyfish (default) or iavl")
    command.add_argument(
        "--initial-height", type=whole_number, default=1, metavar="N", help="height of the first block (default: 1)"
    )
    command.add_argument(
        "--keep-receipts", action="store_true", help="keep the transactions and receipts of all blocks as long as their versions (off)"
    )
    command.add_argument("--gas", metavar="FILE", help="what transactions cost and how much a block may use, as JSON (default: nothing)")


def run(options: argparse.Namespace) -> int:
    info, keys = create_state(options, options.state)
    (print_json if options.json else print_fields)({"state": options.state, "keys": keys, **described(info)})
    return 0


def create_state(options: argparse.Namespace, path: StatePath) -> tuple[StateInfo, int]:
    """Make the state that the options tell of, and say how many keys its genesis has."""
    vm_args, genesis, gas = vm_args_value(options.vm_args), {}, None
    if options.genesis is not None:
        with open(options.genesis, "rb") as stream:
            genesis = read_genesis(stream, options.genesis, accounts=options.vm == "payments")
    if options.gas is not None:
        with open(options.gas, "rb") as stream:
            gas = read_gas(stream, options.gas)
    if options.vm not in BUILT_IN:
        find_own_code()
    with vm_may_print():
        machine = ExecutionMachine.create(
            path, options.vm, options.tree, genesis, vm_args=vm_args, initial_height=options.initial_height, workers=0,
            chain_id=options.chain_id, receipts=options.keep_receipts, gas=gas,
        )
    with machine:
        note(path, machine.info.vm)
        return machine.info, len(genesis)
