"""ioi-exec ethereum access-list: what a block looks at and changes, as EIP-7928 has it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ioi_exec.cli.options import Commands, add_command, print_fields, print_json, vm_may_print
from ioi_exec.cli.streams import input_file, output_file
from ioi_exec.errors import Diverged, InputError
from ioi_exec.ethereum import check_installed
from ioi_exec.files.strict_json import Malformed
from ioi_exec.files.whole import read_whole

if TYPE_CHECKING:
    from ioi_exec.ethereum.access_list import AccessList

_EPILOG = """The list has each account and slot that the block looks at, and what each of its steps leaves of balances, nonces, codes and slots: step 0
is what the block does before its transactions, which are 1 to n, and n + 1 is what it does after. The block is executed for that, one by one, and
must come to what its header says. It is written as 0x and the hex of its RLP; blocks of forks before Amsterdam have one by the same rules.

Exit status: 0 done; 5 the block comes to something else than its header says; 2 the file cannot be used."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "access-list", "Write the access list of a block, after EIP-7928.", _EPILOG, needs_state=False,
        example="ioi-exec ethereum access-list block.json.xz -o block.list\nioi-exec ethereum access-list block.json.xz --json",
    )
    command.add_argument("file", metavar="FILE", help="a block with its pre-state, as `run` takes it; - is standard input")
    command.add_argument("-o", "--output", metavar="OUT", help="default: standard output")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    check_installed()
    from ioi_exec.ethereum.access_list import make_access_list
    from ioi_exec.ethereum.running import compared
    from ioi_exec.files.ethereum import read_ethereum

    with input_file(options.file) as (stream, name):
        file = read_ethereum(stream, name)
    with vm_may_print():
        made, done = make_access_list(file)
    if differing := [one.what for one in compared(file, done.outcomes, done.requests_hash or b"") if not one.equal]:
        raise Diverged(f"{name}: executed, {', '.join(differing)} differ from what the header says: `ioi-exec ethereum run` says how")
    text = f"0x{made.encode().hex()}"
    shown: dict[str, Any] = {
        "number": file.block.number,
        "block_access_list_hash": made.hash.hex(),
        "accounts": len(made.accounts),
        "slots": sum(len(one.storage) for one in made.accounts.values()),
        "bytes": len(text) // 2 - 1,
    }
    if options.output in (None, "-"):
        if options.json:
            print_json({**shown, "block_access_list": text})
        else:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        return 0
    with output_file(options.output) as out:
        out.write(f"{text}\n")
    (print_json if options.json else print_fields)({**shown, "file": options.output})
    return 0


def read_access_list(source: str) -> AccessList:
    """Raises InputError."""
    from ioi_exec.ethereum.access_list import AccessList

    with input_file(source) as (stream, name):
        data = read_whole(stream, name)
    try:
        text = data.decode("ascii").strip()
        return AccessList.decode(bytes.fromhex(text.removeprefix("0x")))
    except ValueError:
        raise InputError(f"{name}: it is no access list: 0x and the hex of its RLP is wanted") from None
    except Malformed as error:
        raise InputError(f"{name}: {error}") from None
