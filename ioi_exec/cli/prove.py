"""ioi-exec prove: a proof of what keys are, for somebody who has the root alone."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ioi_storage import State, Store, ics23

from ioi_exec.cli.maintenance import opened_store
from ioi_exec.cli.options import Commands, add_command, hex_value, whole_number
from ioi_exec.cli.streams import output_file
from ioi_exec.errors import InputError
from ioi_exec.vm.payments import ADDRESS_BYTES, account_key

_EPILOG = """The proof is one JSON object on standard output: version, root, tree, the keys with their values (null: absent) and the
proof itself in hex. Whoever verifies it (ioi-exec verify) must know the root from elsewhere.

With --format ics23 it is an ICS23 CommitmentProof of one key, as IBC has it: in hex on standard output, or as it is in a
file with --output; with --json one object, which also holds the ProofSpec that other ics23 libraries need. ICS23 can
prove neither an empty value nor that a key next to one is absent."""

_EXAMPLE = f"""ioi-exec prove state {'bb' * 32} --account > proof.json
ioi-exec prove state --range - 80{'00' * 31} > range.json
ioi-exec prove state {'bb' * 32} --account --format ics23 -o proof.ics23"""


def register(commands: Commands) -> None:
    command = add_command(commands, "prove", "Print a proof of what keys are.", _EPILOG, example=_EXAMPLE)
    keys = command.add_argument("keys", metavar="KEY", nargs="+", default=[], type=hex_value, help="keys in hex, there or absent")
    # Not nargs="*": argparse would let that end with STATE, before an option in between.
    keys.required = False
    command.add_argument("--account", action="store_true", help="KEY is the address of an account of payments")
    command.add_argument("--version", type=whole_number, metavar="N", help="as of version N (default: the newest)")
    command.add_argument(
        "--range",
        nargs=2,
        type=_bound,
        metavar=("START", "END"),
        help="instead of keys: all pairs from START to END (exclusive; hex, - for no bound), with nothing left out. On iavl "
        "these are keys, on jellyfish key hashes",
    )
    command.add_argument("--format", choices=["json", "ics23"], default="json", help="(default: json, for ioi-exec verify)")
    command.add_argument("-o", "--output", metavar="FILE", help="write the bytes of the ics23 proof to FILE")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if bool(options.keys) == bool(options.range):
        raise InputError("prove: give keys, or --range START END")
    keys = [_account(key) if options.account else key for key in dict.fromkeys(options.keys)]
    if options.format == "ics23" and len(keys) != 1:
        raise InputError("prove: an ics23 proof is of one key")
    if options.output is not None and options.format != "ics23":
        raise InputError("prove: --output goes with --format ics23")
    if options.output == "-":
        raise InputError("prove: --output wants a file: without it the proof goes to standard output, in hex")
    with opened_store(options, read_only=True) as store:
        row = store.latest if options.version is None else store.version_row(options.version)
        shown: dict[str, Any] = {"version": row.version, "root": row.root.hex(), "tree": store.tree}
        try:
            if options.format == "ics23":
                shown |= _ics23(store, row.version, keys[0])
            else:
                shown |= _range(store, row.version, options.range) if options.range else _keys(store, row.version, keys)
        except ValueError as error:
            raise InputError(f"prove: {error}") from None
    if options.output is not None:
        with output_file(options.output) as out:
            out.buffer.write(bytes.fromhex(shown["proof"]))
    if options.format == "json" or options.json:
        print(json.dumps(shown))
    elif options.output is None:
        print(shown["proof"])
    return 0


def _bound(text: str) -> bytes | None:
    return None if text == "-" else hex_value(text)


def _account(address: bytes) -> bytes:
    if len(address) != ADDRESS_BYTES:
        raise InputError(f"--account: an address has {ADDRESS_BYTES} bytes ({2 * ADDRESS_BYTES} hex digits), not {len(address)}")
    return account_key(address)


def _keys(store: State, version: int, keys: list[bytes]) -> dict[str, object]:
    values = [(key, store.get(key, version)) for key in keys]
    pairs = [{"key": key.hex(), "value": None if value is None else value.hex()} for key, value in values]
    return {"keys": pairs, "proof": store.prove(keys, version).hex()}


def _ics23(store: Store, version: int, key: bytes) -> dict[str, object]:
    value = store.get(key, version)
    shown = {"key": key.hex(), "value": None if value is None else value.hex()}
    return {**shown, "spec": ics23.spec(store.tree).hex(), "proof": store.prove_ics23(key, version).hex()}


def _range(store: State, version: int, bounds: list[bytes | None]) -> dict[str, object]:
    proven = store.prove_range(*bounds, version=version)
    return {
        "range": [None if bound is None else bound.hex() for bound in (proven.start, proven.end)],
        "keys": [{"key": key.hex(), "value": value.hex()} for key, value in proven.pairs],
        "proof": proven.proof.hex(),
    }
