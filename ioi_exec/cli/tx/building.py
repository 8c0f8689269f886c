"""What transactions are made of on the command line, and how what became of one is shown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ioi_exec.cli.options import hex_value, print_fields, print_json, whole_number
from ioi_exec.errors import InputError
from ioi_exec.files.strict_json import written

if TYPE_CHECKING:
    from ioi_exec.node.client import Client, Included, Outcome

# The client is imported where it is used: most commands need none of it.

NODE = "http://127.0.0.1:26657"


def add_node(command: argparse.ArgumentParser) -> None:
    command.add_argument("--node", default=NODE, metavar="URL", help=f"where the node is asked: CometBFT's RPC, or ioi-exec dev (default: {NODE})")


def add_transaction(command: argparse.ArgumentParser) -> None:
    add_node(command)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("payload", nargs="?", metavar="TEXT", help="the transaction as text; - reads its bytes from standard input")
    what.add_argument("--hex", type=hex_value, metavar="HEX", help="the transaction in hex")
    what.add_argument("--pay", type=hex_value, metavar="ADDRESS", help="a transfer of payments to this account, from that of --key")
    command.add_argument("--key", metavar="FILE", help="what ioi-exec keys made: signs TEXT or HEX for the node's chain, as ioi_exec.kit's envelope")
    command.add_argument("--amount", type=whole_number, metavar="N", help="with --pay: how much")
    command.add_argument("--fee", type=whole_number, metavar="N", help="with --pay: the fee (default: 0)")
    command.add_argument("--nonce", type=whole_number, metavar="N", help="with --pay: default: the account's next one")
    command.add_argument("--signed", action="store_true", help='with --pay: the chain\'s payments are signed (--vm-args \'{"signed": true}\')')


def transaction_of(options: argparse.Namespace, client: Client) -> bytes:
    """Raises InputError, NodeError."""
    from ioi_exec.kit.envelope import seal
    from ioi_exec.node.keys import read_key

    key = None if options.key is None else read_key(Path(options.key))
    if options.pay is None:
        if options.amount is not None or options.fee is not None or options.nonce is not None or options.signed:
            raise InputError("--amount, --fee, --nonce and --signed are of a transfer: give --pay")
        payload: bytes = options.hex if options.hex is not None else _payload(options.payload)
        return payload if key is None else seal(key.secret, client.chain_id, payload)
    from ioi_exec.vm.payments import account_key, decode_account, encode_transfer, sign_transfer

    if key is None or options.amount is None:
        raise InputError("--pay wants --key, whose account pays, and --amount")
    nonce = options.nonce if options.nonce is not None else decode_account(client.get(account_key(key.public))).nonce
    transfer = encode_transfer(key.public, options.pay, options.amount, fee=options.fee or 0, nonce=nonce)
    return sign_transfer(transfer, key.secret, client.chain_id) if options.signed else transfer


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    return {
        "ok": outcome.ok, "code": outcome.code, "output": outcome.output.hex(), "error": outcome.error,
        "gas_wanted": written(outcome.gas_wanted), "gas_used": written(outcome.gas_used),
        "events": [{"name": name, "attributes": dict(attributes)} for name, attributes in outcome.events],
    }


def show_included(done: Included, as_json: bool) -> None:
    show({"hash": done.hash.hex(), "height": written(done.height), "index": done.index}, done.outcome, as_json)


def show(head: dict[str, Any], outcome: Outcome, as_json: bool) -> None:
    found = outcome_object(outcome)
    if as_json:
        print_json({**head, **found})
        return
    events = found.pop("events")
    shown = {name: value for name, value in found.items() if value not in ("", 0) or name == "code"}
    print_fields({**head, **shown, "ok": "yes" if outcome.ok else "no"})
    for event in events:
        print_fields({"event": " ".join([event["name"], *(f"{name}={value}" for name, value in event["attributes"].items())])})


def _payload(text: str) -> bytes:
    return sys.stdin.buffer.read() if text == "-" else text.encode("utf-8", "surrogateescape")
