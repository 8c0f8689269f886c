"""Genesis files: `{"accounts": {address: {"balance": n, "nonce": n}}}` for `payments` (nonce defaults to 0), and if wanted beside it
`"payouts": {proposer: address}`; `{"state": {hex: hex}}` for any VM."""

from __future__ import annotations

from typing import Any, BinaryIO, Iterator

from ioi_exec.errors import InputError
from ioi_exec.files.strict_json import (
    Malformed,
    fields,
    hex_bytes,
    json_object,
    number,
    parse,
)
from ioi_exec.files.whole import read_whole
from ioi_exec.vm.payments import (
    ADDRESS_BYTES,
    MAX_U64,
    MAX_U128,
    account_key,
    encode_account,
    payout_entry,
)


def read_genesis(stream: BinaryIO, name: str, *, accounts: bool) -> dict[bytes, bytes]:
    """The key-value pairs of a genesis file. accounts: whether the VM is `payments`.

    name: how messages call the file. Raises InputError as "name: reason", naming the entry.
    """
    try:
        value = json_object(parse(read_whole(stream, name)), "a genesis")
        known = ("accounts", "state") if accounts else ("state",)
        fields(value, (*known, "payouts") if accounts else known, ())
        if len(value.keys() - {"payouts"}) != 1 or "payouts" in value and "accounts" not in value:
            beside = ", with accounts also 'payouts'" if accounts else ""
            raise Malformed(f"give exactly one of {', '.join(map(repr, known))}{beside}")
        genesis: dict[bytes, bytes] = {}
        for kind, entries in value.items():
            for key, content in _PAIRS[kind](json_object(entries, kind)):
                if key in genesis:  # JSON's own duplicates were refused: these differ in case
                    raise Malformed(f"{kind}: {key.hex()} occurs twice, in upper and lower case")
                genesis[key] = content
        return genesis
    except Malformed as error:
        raise InputError(f"{name}: {error}") from None


def _accounts(entries: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for address, account in entries.items():
        try:
            key = account_key(hex_bytes(address, "the address", ADDRESS_BYTES))
            fields(json_object(account, "an account"), ("balance", "nonce"), ("balance",))
            balance = number(account["balance"], "balance", MAX_U128)
            nonce = number(account.get("nonce", 0), "nonce", MAX_U64)
        except Malformed as error:
            raise Malformed(f"account {address[:70]!a}: {error}") from None
        yield key, encode_account(balance, nonce)


def _payouts(entries: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for proposer, address in entries.items():
        try:
            yield payout_entry(hex_bytes(proposer, "the proposer"), hex_bytes(address, "the address", ADDRESS_BYTES))
        except (Malformed, InputError) as error:
            raise Malformed(f"payout {proposer[:70]!a}: {error}") from None


def _state(entries: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in entries.items():
        try:
            found = hex_bytes(key, "the key")
            if not found:
                raise Malformed("the key is empty")
            content = hex_bytes(value, "the value")
        except Malformed as error:
            raise Malformed(f"state {key[:70]!a}: {error}") from None
        yield found, content


_PAIRS = {"accounts": _accounts, "payouts": _payouts, "state": _state}
