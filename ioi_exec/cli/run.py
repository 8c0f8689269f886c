"""ioi-exec run: execute block files and commit each as one block."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import replace
from itertools import repeat
from typing import Iterator

from ioi_exec.block.header import BlockHeader, hash_of
from ioi_exec.cli.describe import block_line, block_object, why_failed
from ioi_exec.cli.options import (
    Commands,
    add_accept,
    add_command,
    add_vm,
    find_own_code,
    hex_value,
    print_json,
    vm_args_value,
    vm_may_print,
    whole_number,
)
from ioi_exec.cli.resuming import Resuming
from ioi_exec.cli.streams import input_file
from ioi_exec.errors import Diverged, InputError
from ioi_exec.files import BlockFile, read_block, read_blocks
from ioi_exec.machine import ExecutionMachine
from ioi_exec.policy import Policy
from ioi_exec.state.given import is_noted_here, note
from ioi_exec.vm.loading import VMSpec

_EPILOG = """Files are executed one after another: when one is refused, those before it stay committed. A line that cannot be
read as a transaction refuses its whole file before anything of it executes.

Heights only rise: the first block may have any from the initial height on, each other exactly one more than the one before, which
it gets without a header too. So a command that is run again is refused where its files have heights, and where the first of them is the
block that was committed last; --resume goes on where it was interrupted.

With --from-stdin a block begins with its header, {"header": {}} at least, or after an empty line.

The rate is of transactions in the time of executing them and of the roots, without making ready for the block (the phases prepare and
worker of --json). Where workers were started in the middle of a block, as for the first one, its line has no rate but says so."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "run", "Execute block files and commit each as one block.", _EPILOG, example="ioi-exec run state block.jsonl --keep-receipts"
    )
    blocks = command.add_argument(
        "blocks", metavar="BLOCK", nargs="+", default=[], help="file of JSON lines, one transaction a line; - is standard input"
    )
    blocks.required = False  # nargs "*" would be done with after STATE, and refuse files that follow an option
    command.add_argument(
        "--from-stdin", action="store_true", help="in the place of files: as many blocks as standard input has, each as it comes"
    )
    command.add_argument("--resume", action="store_true", help="skip the blocks that are committed already, and say how many")
    command.add_argument(
        "--again", action="store_true", help="commit a block without a height once more though the last one committed is equal to it"
    )
    command.add_argument(
        "--workers", type=whole_number, metavar="N", help="worker processes (default: one per core; 0: in this process)"
    )
    command.add_argument("--sequential", action="store_true", help="execute one by one in this process")
    command.add_argument("--dry-run", action="store_true", help="execute and print, each file on top of those before, and commit nothing")
    command.add_argument("--proposer", type=hex_value, metavar="HEX", help="who gets the fees; takes precedence over the files' headers")
    command.add_argument("--time-ns", type=whole_number, metavar="N", help="the blocks' time in nanoseconds since 1970; takes precedence")
    command.add_argument(
        "--expect-root",
        type=hex_value,
        action="append",
        metavar="HEX",
        help="state root after the last file; or give it once for each file. A block with another root is not committed (exit 5)",
    )
    command.add_argument(
        "--keep", type=whole_number, metavar="N",
        help="keep the newest N versions readable; older ones are pruned beside the blocks (default: all are kept)",
    )
    command.add_argument(
        "--policy", choices=Policy.names(), metavar="NAME",
        help=f"how workers go about a block, a matter of speed alone: {', '.join(Policy.names())} (default: the first)",
    )
    command.add_argument(
        "--cross-check", action="store_true",
        help="execute each transaction of a VM in Python again in fresh processes, and refuse a block whose results differ (exit 5)",
    )
    command.add_argument(
        "--keep-receipts", action="store_true",
        help="keep these blocks' transactions and receipts as long as their versions (default: what init was told)",
    )
    add_accept(command)
    add_vm(command, "your VM, once, if the state was not made here by init: it is noted, and then run needs STATE alone")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    expected = _expected_roots(options)
    if options.keep is not None and options.dry_run:
        raise InputError("--keep was given with --dry-run, which prunes nothing: leave one out")
    if options.from_stdin and (options.blocks or options.expect_root):
        raise InputError("--from-stdin takes the place of files, and there is no --expect-root for blocks that come: leave one out")
    if not options.from_stdin and not options.blocks:
        raise InputError("there is no block to execute: give files, - for one on standard input, or --from-stdin for many")
    if options.blocks.count("-") > 1:
        raise InputError("standard input (-) was given twice: it is one block")
    workers = 0 if options.sequential else options.workers
    if options.policy is not None and workers == 0:
        raise InputError("--policy was given for execution one by one, which has no use for one: leave one out")
    vm_args = vm_args_value(options.vm_args)
    if vm_args is not None and options.vm is None:
        raise InputError("--vm-args was given without --vm: give both, or neither")
    if options.vm is not None or is_noted_here(options.state):
        find_own_code()
    # A dry run changes nothing, so it may happen beside a live engine.
    with vm_may_print():
        machine = ExecutionMachine.open(
            options.state, vm=options.vm, vm_args=vm_args, workers=workers, read_only=options.dry_run, keep=options.keep,
            accept_interpreter=options.accept_interpreter, accept_vm=options.accept_vm, cross_check=options.cross_check,
            policy=None if options.policy is None else Policy.named(options.policy), receipts=True if options.keep_receipts else None,
        )
    with machine:
        if options.vm is not None:
            note(options.state, VMSpec(options.vm, vm_args or {}, ""), upgrade=len(machine.info.vms) > 1)
        with machine.sandbox() if options.dry_run else nullcontext():
            _run_blocks(machine, expected, options)
    return 0


def _run_blocks(machine: ExecutionMachine, expected: list[bytes | None], options: argparse.Namespace) -> None:
    resuming, said = Resuming(machine), not options.resume
    for (block, source), root in zip(_blocks(machine, options), repeat(None) if options.from_stdin else expected):
        version = resuming.version_of(block, source) if options.resume else None
        if version is not None:
            _refuse_other_root(machine, version, source, root)
            continue
        if not said:
            said = _say_skipped(resuming.skipped, options)
        _run_block(machine, block, source, root, options)
    if not said:
        _say_skipped(resuming.skipped, options)


def _refuse_other_root(machine: ExecutionMachine, version: int, source: str, expected: bytes | None) -> None:
    """Of a version that was committed; one that was pruned cannot be looked at."""
    if expected is not None and version >= machine.oldest and (root := machine.info_at(version).state_root) != expected:
        raise Diverged(f"{source}: its state root, committed as version {version}, is {root.hex()}, expected was {expected.hex()}")


def _say_skipped(count: int, options: argparse.Namespace) -> bool:
    if options.json:
        print_json({"skipped": count})
    else:
        print(f"{count} block{'' if count == 1 else 's'} skipped: committed already", flush=True)
    return True


def _run_block(
    machine: ExecutionMachine, block: BlockFile, source: str, expected: bytes | None, options: argparse.Namespace
) -> None:
    header, before = _header(block, options), machine.worker_pids
    if header.height is None and not options.again and machine.info.transactions_hash == hash_of(block.txs):
        raise InputError(
            f"{source}: the block that was committed last, at height {machine.info.height}, has the same transactions, and this one has no "
            "height: give --again to commit them once more, or --resume to go on after it"
        )
    with vm_may_print():
        result = machine.execute(block.txs, header)
    started = len({*machine.worker_pids} - {*before}) if result.stats.workers else 0
    if expected is not None and result.state_root != expected:
        raise Diverged(
            f"{source}: the state root is {result.state_root.hex()}, expected was {expected.hex()}: the block was not committed"
        )
    machine.commit(result)
    if options.json:
        print_json(block_object(result, source, not options.dry_run))
    else:
        print(block_line(result, source, not options.dry_run, started), *why_failed(result), sep="\n", flush=True)


def _blocks(machine: ExecutionMachine, options: argparse.Namespace) -> Iterator[tuple[BlockFile, str]]:
    """The blocks, each with what messages call it, read when it is its turn."""
    limits, transfers = machine.limits, machine.info.vm.name == "payments"
    if options.from_stdin:
        with input_file("-") as (stream, name):
            for number, block in enumerate(read_blocks(stream, name, limits, transfers=transfers), 1):
                yield block, f"block {number} of {name}"
        return
    for source in options.blocks:
        with input_file(source) as (stream, name):
            block = read_block(stream, name, limits, transfers=transfers)
        yield block, source


def _header(block: BlockFile, options: argparse.Namespace) -> BlockHeader:
    header = block.header or BlockHeader()
    if options.proposer is not None:
        header = replace(header, proposer=options.proposer)
    if options.time_ns is not None:
        header = replace(header, time_ns=options.time_ns)
    return header


def _expected_roots(options: argparse.Namespace) -> list[bytes | None]:
    given, files = options.expect_root or [], len(options.blocks)
    for root in given:
        if len(root) != 32:
            raise InputError(f"--expect-root: a root has 32 bytes (64 hex digits), not {len(root)}")
    if len(given) == files:
        return list(given)
    if len(given) > 1:
        raise InputError(f"--expect-root was given {len(given)} times for {files} files: give it once, or once for each file")
    return [*[None] * (files - 1), given[0] if given else None]
