"""Genesis files: `{"accounts": {address: {"balance": n, "nonce": n}}}` for `payments` (nonce defaults to 0), and if wanted beside it
`"payouts": {proposer: address}`; `{"state": {hex: hex}}` for any VM."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Callable, Iterator

from ioi_exec.errors import InputError
from ioi_exec.files.strict_json import (
    Malformed,
    fields,
    hex_bytes,
    json_object,
    number,
    parse,
    written,
)
from ioi_exec.files.whole import read_whole
from ioi_exec.vm.payments import (
    ACCOUNT_BYTES,
    ACCOUNT_PREFIX,
    ADDRESS_BYTES,
    MAX_U64,
    MAX_U128,
    PAYOUT_PREFIX,
    account_key,
    decode_account,
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


Pairs = Iterator[tuple[bytes, bytes]]


def genesis_text(pairs: Callable[[], Pairs], *, accounts: bool) -> Iterator[str]:
    """A genesis of these pairs, about one piece of text for each. accounts: of `payments`, in its own form if all of them fit that.

    pairs: all of them anew each time that it is called; none is kept."""
    kinds = ["state"]
    if accounts and all(_shown_account(*pair) or _shown_payout(*pair) for pair in pairs()):
        kinds = ["accounts", "payouts"]
    yield "{"
    for kind in kinds:
        yield f'{"" if kind is kinds[0] else ", "}"{kind}": {{'
        before = "\n"
        for pair in pairs():
            if entry := _SHOWN[kind](*pair):
                yield f"{before}{entry}"
                before = ",\n"
        yield "}"
    yield "}\n"


def _shown_account(key: bytes, value: bytes) -> str | None:
    if not key.startswith(ACCOUNT_PREFIX) or (len(key), len(value)) != (len(ACCOUNT_PREFIX) + ADDRESS_BYTES, ACCOUNT_BYTES):
        return None
    account = decode_account(value)
    entry = {"balance": written(account.balance), "nonce": written(account.nonce)}
    return f'"{key[len(ACCOUNT_PREFIX):].hex()}": {json.dumps(entry)}'


def _shown_payout(key: bytes, value: bytes) -> str | None:
    proposer = key[len(PAYOUT_PREFIX) :]
    try:
        fits = payout_entry(proposer, value) == (key, value)
    except InputError:
        return None
    return f'"{proposer.hex()}": "{value.hex()}"' if fits else None


def _shown_pair(key: bytes, value: bytes) -> str:
    return f'"{key.hex()}": "{value.hex()}"'


_SHOWN: dict[str, Callable[[bytes, bytes], str | None]] = {"accounts": _shown_account, "payouts": _shown_payout, "state": _shown_pair}
