"""The formats of `payments`: agents paying providers. Integers are big endian everywhere.

An account is a 32-byte address. Its state key is b"acct/" + address, its value balance (u128) + nonce (u64).
Whoever is paid is credited with `state.add`: transfers to one account do not conflict.
A transfer is 104 bytes: sender 32, recipient 32, amount u128, fee u64, nonce u64, expiry height u64 (0 = none).
With `vm_args={"signed": true}` a signature of 64 bytes follows, of these 104 (vm/signatures.py), and the sender's address is its key.
Fees go to the account of the block's proposer: a proposer of 32 bytes is one; for another, say CometBFT's of 20, the state key
b"payout/" + proposer has the account's address as its value. A genesis puts it there.
"""

from __future__ import annotations

from typing import Iterable, NamedTuple

from ioi_exec.arguments import integer, octets
from ioi_exec.block.header import PROPOSER_BYTES
from ioi_exec.errors import InputError
from ioi_exec.vm.revert import Revert
from ioi_exec.vm.signatures import SIGNATURE_BYTES, is_signed, sign

ADDRESS_BYTES = 32
ACCOUNT_PREFIX = b"acct/"
ACCOUNT_BYTES = 24
BALANCE_BYTES = 16
TRANSFER_BYTES = 104
SIGNED_BYTES = TRANSFER_BYTES + SIGNATURE_BYTES
PAYOUT_PREFIX = b"payout/"
MAX_U64 = (1 << 64) - 1
MAX_U128 = (1 << 128) - 1


class Transfer(NamedTuple):
    """One payment. amount in the smallest unit, u128; expiry is the last height it is valid at, 0 = none."""

    sender: bytes
    recipient: bytes
    amount: int
    fee: int
    nonce: int
    expiry: int


class Account(NamedTuple):
    """What an account holds: a balance (u128) and the nonce (u64) its next transfer must carry."""

    balance: int
    nonce: int


def encode_transfer(
    sender: bytes, recipient: bytes, amount: int, *, fee: int = 0, nonce: int, expiry: int = 0
) -> bytes:
    """The 104 bytes of a transfer. Raises InputTypeError or InputError for what does not fit."""
    return (
        _address("sender", sender)
        + _address("recipient", recipient)
        + _unsigned("amount", amount, 16)
        + _unsigned("fee", fee, 8)
        + _unsigned("nonce", nonce, 8)
        + _unsigned("expiry", expiry, 8)
    )


def decode_transfer(tx: bytes) -> Transfer:
    """The inverse of `encode_transfer`. Raises InputError if `tx` has not 104 bytes."""
    if len(octets("payments: the transfer", tx)) != TRANSFER_BYTES:
        raise InputError(f"a transfer has {TRANSFER_BYTES} bytes, this has {len(tx)}")
    number = int.from_bytes
    return Transfer(
        tx[:32], tx[32:64], number(tx[64:80], "big"), number(tx[80:88], "big"), number(tx[88:96], "big"), number(tx[96:], "big")
    )


def sign_transfer(transfer: bytes, secret: bytes, chain_id: str = "") -> bytes:
    """The 168 bytes of a signed one. Its sender must be `public_key(secret)`. Raises as `signatures.sign` does."""
    if len(octets("payments: the transfer", transfer)) != TRANSFER_BYTES:
        raise InputError(f"a transfer has {TRANSFER_BYTES} bytes, this has {len(transfer)}")
    return transfer + sign(secret, chain_id, transfer)


def check_signed(tx: bytes, chain_id: str) -> None:
    """Raises Revert for the receipt of a transaction that is no signed transfer. It knows no state."""
    if len(tx) != SIGNED_BYTES:
        raise Revert("malformed")
    transfer = tx[:TRANSFER_BYTES]
    if not is_signed(tx[:ADDRESS_BYTES], chain_id, transfer, tx[TRANSFER_BYTES:]):
        raise Revert("signature")


def payout_entry(proposer: bytes, address: bytes) -> tuple[bytes, bytes]:
    """For a genesis: whose account the fees of this proposer's blocks go to. A proposer of 32 bytes is an account itself.

    Raises InputTypeError, InputError."""
    if not 0 < len(octets("payments: the proposer", proposer)) <= PROPOSER_BYTES or len(proposer) == ADDRESS_BYTES:
        raise InputError(f"payments: the proposer has {len(proposer)} bytes: give 1 to {PROPOSER_BYTES}, other than {ADDRESS_BYTES}")
    return PAYOUT_PREFIX + proposer, _address("address", address)


def account_key(address: bytes) -> bytes:
    """The state key of an account. Raises InputTypeError or InputError."""
    return ACCOUNT_PREFIX + _address("address", address)


def encode_account(balance: int, nonce: int = 0) -> bytes:
    """The 24 bytes an account is kept as. Raises InputTypeError or InputError."""
    return _unsigned("balance", balance, 16) + _unsigned("nonce", nonce, 8)


def decode_account(value: bytes | None) -> Account:
    """The inverse of `encode_account`; an absent account (None) is 0/0. Raises InputError unless it has 24 bytes."""
    if value is None:
        return Account(0, 0)
    if len(octets("payments: the account", value)) != ACCOUNT_BYTES:
        raise InputError(f"an account has {ACCOUNT_BYTES} bytes, this has {len(value)}")
    return Account(int.from_bytes(value[:16], "big"), int.from_bytes(value[16:], "big"))


def check_genesis(items: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises InputError for an account or a payout that is none: transfers could never touch it."""
    for key, value in items:
        if key.startswith(ACCOUNT_PREFIX):
            if len(key) != len(ACCOUNT_PREFIX) + ADDRESS_BYTES:
                raise InputError(f"genesis: the key {key.hex()} is no account: {ADDRESS_BYTES} bytes follow the prefix")
            if len(value) != ACCOUNT_BYTES:
                raise InputError(f"genesis: the account {key.hex()} has {len(value)} bytes: {ACCOUNT_BYTES} make an account")
        elif key.startswith(PAYOUT_PREFIX):
            try:
                payout_entry(key[len(PAYOUT_PREFIX) :], value)
            except InputError as error:
                raise InputError(f"genesis: {key.hex()}: {error}") from None


def _address(name: str, value: object) -> bytes:
    address = octets(f"payments: {name}", value)
    if len(address) != ADDRESS_BYTES:
        raise InputError(f"payments: {name} has {len(address)} bytes: give {ADDRESS_BYTES}")
    return address


def _unsigned(name: str, value: object, size: int) -> bytes:
    return integer(f"payments: {name}", value, 0, (1 << 8 * size) - 1).to_bytes(size, "big")
