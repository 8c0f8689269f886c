"""What a proposer asks for, and what it hears of transactions that cannot be in a block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Iterable, Literal, NamedTuple

from ioi_shm import exact_bytes

from ioi_exec.arguments import MAX_INT64, function, integer, shown, wrong_type
from ioi_exec.errors import InputError, InputTypeError


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """How much a proposer takes: `execute(candidates, propose=Proposal(max_bytes=4 << 20, seconds=1.0))`.

    max_bytes: of all transactions together; None: Limits.block_bytes. size(tx): what one counts for, 0 or more; None: its length.
    seconds: about how long executing may take, to some 50 ms; None: as long as it takes.
    Raises InputTypeError or InputError.
    """

    max_bytes: int | None = None
    seconds: float | None = None
    size: Callable[[bytes], int] | None = None

    def __post_init__(self) -> None:
        if self.max_bytes is not None:
            object.__setattr__(self, "max_bytes", integer("Proposal.max_bytes", self.max_bytes, 0, MAX_INT64))
        if self.seconds is not None:
            if isinstance(self.seconds, bool) or not isinstance(self.seconds, (int, float)):
                raise wrong_type("Proposal.seconds", self.seconds, "a number of seconds, or None")
            if not 0 < self.seconds <= MAX_INT64 or math.isnan(self.seconds):
                raise InputError(f"Proposal.seconds is {shown(self.seconds)}: give a number of seconds above 0, or None")
        function("Proposal.size", self.size)

    @classmethod
    def said(cls, value: object) -> Proposal | None:
        """What `execute(propose=...)` was given: True is the default one, False none. Raises InputTypeError."""
        if isinstance(value, bool):
            return cls() if value else None
        if not isinstance(value, cls):
            raise wrong_type("execute: propose", value, "True, False or an ioi_exec.Proposal")
        return value

    def size_of(self, tx: bytes) -> int:
        return len(tx) if self.size is None else integer("what Proposal.size said of a transaction", self.size(tx), 0, MAX_INT64)


class Dropped(NamedTuple):
    """Why a candidate was taken out.

    kind: "refused": its `ante` raised, it is not includable; "fault": it stopped the block (VMFault); "size": no block has room for it.
    text: for people. code: of the receipt where it was refused, else 0."""

    kind: Literal["refused", "fault", "size"]
    text: str
    code: int = 0


def checked_candidates(txs: Iterable[bytes]) -> list[bytes]:
    """The transactions as a list, however large. Raises InputTypeError."""
    try:
        listed = None if isinstance(txs, (bytes, bytearray, str)) else list(txs)
    except TypeError:
        listed = None
    if listed is None:
        raise InputTypeError(f"the transactions are {type(txs).__name__}: give a list of bytes")
    for index, tx in enumerate(listed):
        if not isinstance(tx, bytes):
            raise InputTypeError(f"transaction {index} is {type(tx).__name__}: give bytes")
        if type(tx) is not bytes:
            listed[index] = exact_bytes(tx)
    return listed
