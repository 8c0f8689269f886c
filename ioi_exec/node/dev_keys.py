"""Keys of a chain on one's desk: all from one seed, which anybody may know. They guard nothing."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from ioi_exec.errors import Error
from ioi_exec.vm.signatures import public_key

SEED = "test"
ACCOUNTS = 10
POWER = 10  # of the validator, as CometBFT's `init` has it


@dataclass(frozen=True)
class Pair:
    """Of ed25519. secret: RFC 8032's private key, 32 bytes."""

    secret: bytes
    public: bytes


class DevKeys:
    """validator: who makes the blocks. accounts: senders of transactions, in order."""

    def __init__(self, seed: str = SEED, accounts: int = ACCOUNTS) -> None:
        """Raises Error where the library of signatures is missing."""
        self.seed = seed
        self.validator = derived(seed, "validator")
        self.accounts = tuple(account(seed, index) for index in range(accounts))


def account(seed: str, index: int) -> Pair:
    """One of the keys of senders."""
    return derived(seed, f"account {index}")


def derived(seed: str, name: str) -> Pair:
    """The key of this name. Whoever knows the seed knows it."""
    secret = sha256(b"ioi-exec dev\0" + seed.encode("utf-8", "backslashreplace") + b"\0" + name.encode()).digest()
    try:
        return Pair(secret, public_key(secret))
    except ImportError as error:
        raise Error(str(error)) from None
