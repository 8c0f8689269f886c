"""ioi-exec verify: whether a proof proves what it says, or what the caller says. Needs no state."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ioi_storage import verify_ics23
from ioi_storage.verify import InvalidProof, verify_many, verify_range

from ioi_exec.cli.options import (
    Commands,
    add_command,
    hex_value,
    print_fields,
    print_json,
)
from ioi_exec.cli.streams import input_file
from ioi_exec.errors import InputError
from ioi_exec.files.strict_json import Malformed, fields, hex_bytes, json_object, parse

_EPILOG = """Root and tree are what you trust, so they are never read from the proof. Without --key, all keys that the file names are
verified; with it, that key alone has to be among them, with this value or absent. Of a range the file says from where to
where: look at what is printed. Of --format ics23 there is just the proof, in hex or as it is, so --key must be given. Exit
status: 0 verified, 1 not."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "verify", "Verify a proof against a state root; needs no state.", _EPILOG, needs_state=False,
        example="ioi-exec verify proof.json --root $ROOT --tree jellyfish",
    )
    command.add_argument("proof", metavar="PROOF", help="file that `ioi-exec prove` wrote; - is standard input")
    command.add_argument("--root", required=True, type=hex_value, metavar="HEX", help="the state root you trust")
    command.add_argument("--tree", required=True, choices=["jellyfish", "iavl"], help="the tree of that state")
    command.add_argument("--format", choices=["json", "ics23"], default="json", help="as the proof was made (default: json)")
    command.add_argument("--key", type=hex_value, metavar="HEX", help="the key you ask about")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--value", type=hex_value, metavar="HEX", help="the value it should have")
    what.add_argument("--absent", action="store_true", help="it should not be there")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if (options.key is None) != (options.value is None and not options.absent):
        raise InputError("verify: --key goes with --value or --absent")
    if options.format == "ics23" and options.key is None:
        raise InputError("verify: an ics23 proof is of one key: give --key with --value or --absent")
    if len(options.root) != 32:
        raise InputError(f"--root: a root has 32 bytes (64 hex digits), not {len(options.root)}")
    with input_file(options.proof) as (stream, name):
        data = stream.read()
    try:
        shown = (_verify_ics23 if options.format == "ics23" else _verify)(options, data)
    except Malformed as error:
        raise InputError(f"{name}: {error}") from None
    except InvalidProof as error:
        if options.json:
            print_json({"verified": False, "reason": str(error)})
        else:
            print(f"ioi-exec: not verified: {error}", file=sys.stderr)
        return 1
    shown = {"verified": True, "root": options.root.hex(), **shown}
    (print_json if options.json else print_fields)(shown)
    return 0


def _verify_ics23(options: argparse.Namespace, data: bytes) -> dict[str, Any]:
    """What to show of it. Raises Malformed, InvalidProof."""
    # A message begins with the number of its field, 1 or 2, as no hex does.
    proof = data if data[:1] in (b"\x0a", b"\x12") else hex_bytes(data.decode(errors="replace").strip(), "the proof")
    if options.absent:
        verify_ics23.verify_absence(options.root, options.tree, options.key, proof)
    else:
        verify_ics23.verify_existence(options.root, options.tree, options.key, options.value, proof)
    return {"keys": 1}


def _verify(options: argparse.Namespace, data: bytes) -> dict[str, Any]:
    """What to show of it. Raises Malformed, InvalidProof."""
    claims, span, proof = _claims(data)
    if options.key is not None and claims.get(options.key, b"" if options.absent else None) != options.value:
        raise InvalidProof(f"the file claims something else of key {options.key.hex()}, or nothing")
    if span is None:
        verify_many(options.root, options.tree, claims, proof)
        return {"keys": len(claims)}
    pairs = [(key, value) for key, value in claims.items() if value is not None]
    if len(pairs) < len(claims):
        raise InvalidProof("a range names the keys that are there, and no others")
    verify_range(options.root, options.tree, span[0], span[1], pairs, proof)
    # The proof's file chose it, so it is part of what was verified.
    bounds = [None if bound is None else bound.hex() for bound in span]
    return {
        "keys": len(claims),
        "range": bounds if options.json else f"from {bounds[0] or 'the first'} to {bounds[1] or 'the last'}",
    }


_Claims = dict[bytes, "bytes | None"]
_Span = tuple["bytes | None", "bytes | None"]


def _claims(data: bytes) -> tuple[_Claims, _Span | None, bytes]:
    """(claims, range, proof). Raises Malformed."""
    shown = parse(data)
    fields(json_object(shown, "a proof"), ("version", "root", "tree", "keys", "range", "proof"), ("keys", "proof"))
    claims: _Claims = {}
    for pair in _list(shown, "keys"):
        if not isinstance(pair, dict) or pair.keys() != {"key", "value"}:
            raise Malformed("keys must be objects of key and value")
        key = hex_bytes(pair["key"], "key")
        if key in claims:
            raise Malformed(f"key {key.hex()} is there twice")
        claims[key] = None if pair["value"] is None else hex_bytes(pair["value"], "value")
    span: _Span | None = None
    if "range" in shown:
        bounds = _list(shown, "range")
        if len(bounds) != 2:
            raise Malformed("range must have a start and an end")
        start, end = (None if bound is None else hex_bytes(bound, "range") for bound in bounds)
        span = (start, end)
    return claims, span, hex_bytes(shown["proof"], "proof")


def _list(shown: dict[str, Any], name: str) -> list[Any]:
    found = shown.get(name)
    if not isinstance(found, list):
        raise Malformed(f"{name} must be a list")
    return found
