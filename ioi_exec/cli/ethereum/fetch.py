"""ioi-exec ethereum fetch: a block file from a node."""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
from typing import Any

from ioi_exec.cli.options import Commands, add_command, print_fields, print_json, vm_may_print, whole_number
from ioi_exec.cli.streams import output_file
from ioi_exec.errors import Diverged
from ioi_exec.ethereum import check_installed

_EPILOG = """What transactions looked at is what debug_traceBlockByNumber says (prestateTracer, once with diffMode, which says what the block itself
created); whatever else executing the block asks for, the hashes of earlier blocks among it, is read at the block before. So it is executed,
one by one, and must come to what its header says: else nothing is written. The node must still have that state; geth and others have the
last 128 blocks' and need the debug API (--http.api eth,debug). A URL may have a user and a password, or a key: they are not shown.

FILE ends in .xz or .gz to be compressed. Exit status: 0 written; 5 executing it comes to something else than the header says; 1 the node
failed; 2 there is no such block."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "fetch", "Write a block of mainnet and what it stands on from a node, as `run` takes it.", _EPILOG, needs_state=False,
        example="ioi-exec ethereum fetch http://localhost:8545 22431084 -o block.json.xz",
    )
    command.add_argument("url", metavar="RPC_URL", help="of a node's JSON-RPC, http or https")
    command.add_argument("number", metavar="NUMBER", type=_block, help="of the block, or latest")
    command.add_argument("-o", "--output", metavar="FILE", help="default: NUMBER.json.xz; - is standard output")
    command.add_argument(
        "--no-check", action="store_true", help="do not execute the block: quicker, and with the hashes of 256 earlier blocks, asked for or not"
    )
    command.add_argument(
        "--untraced", action="store_true",
        help="do without debug_traceBlockByNumber: each account and slot is read when executing asks for it, in hundreds or thousands of requests",
    )
    command.add_argument("--timeout", type=_seconds, default=300, metavar="SECONDS", help="for one answer of the node (default: 300)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    check_installed()
    from ioi_exec.ethereum.fetching import fetch
    from ioi_exec.ethereum.rpc import Node

    with Node(options.url, timeout=options.timeout) as node, vm_may_print():
        found = fetch(node, options.number, check=not options.no_check, traced=not options.untraced)
    block = found.file.block
    if not found.equal:
        differs = ", ".join(f"{one.what} is {one.found} and not {one.said}" for one in found.compared or () if not one.equal)
        again = "" if options.untraced else ", --untraced reads the state itself and not what the node says of transactions"
        raise Diverged(
            f"block {block.number} as {node.name} says it: executed, {differs}; nothing was written (--no-check writes it as it is{again})"
        )
    name = options.output or f"{block.number}.json.xz"
    data = json.dumps(found.value, separators=(",", ":")).encode()
    with output_file(name) as out:
        out.buffer.write(lzma.compress(data) if name.endswith(".xz") else gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    shown: dict[str, Any] = {
        "number": block.number,
        "hash": block.hash.hex(),
        "fork": block.fork.name,
        "transactions": len(found.file.transactions),
        "accounts": len(found.file.prestate),
        "slots": sum(len(one.storage) for one in found.file.prestate.values()),
        "block_hashes": len(block.hashes),
        "requests": node.requests,
        "equal": None if found.compared is None else True,
        "file": name,
    }
    if name != "-":
        (print_json if options.json else print_fields)(shown)
    return 0


def _block(text: str) -> int | None:
    return None if text == "latest" else whole_number(text)


def _seconds(text: str) -> int:
    if not 0 < (value := whole_number(text)) <= 86400:
        raise argparse.ArgumentTypeError("give 1 to 86400 seconds")
    return value
