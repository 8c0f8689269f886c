"""What the consensus tells a block beside its transactions: who voted for the block before, and who misbehaved."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from ioi_shm import exact_bytes

from ioi_exec.arguments import MAX_INT64, integer, octets, shown, text
from ioi_exec.errors import InputError, InputTypeError

VALIDATOR_BYTES = 64
VOTES_MOST = 10_000  # as CometBFT has it
MISBEHAVIOUR_MOST = 1_000

FLAGS = ("absent", "commit", "nil")  # of a vote, from 1 on as in CometBFT's BlockIDFlag
KINDS = ("duplicate_vote", "light_client_attack")  # from 1 on as in its MisbehaviorType

# Big endian. Numbers of votes and of misbehaviour; then of each vote the length of the validator's address, the flag and the power; of each
# misbehaviour the length, the kind, power, height, time_ns and total_power. The address follows.
_COUNTS = struct.Struct(">II")
_VOTE = struct.Struct(">BBQ")
_MISBEHAVIOUR = struct.Struct(">BBQQQQ")


class Vote(NamedTuple):
    """One validator of the block before. CometBFT's decided_last_commit has one for each, in its order.

    validator: address of 1 to 64 bytes. power: 0 .. 2^63 - 1. flag: "commit": it signed that block, "nil": none, "absent": not at all."""

    validator: bytes
    power: int
    flag: str = "commit"


class Misbehaviour(NamedTuple):
    """Evidence that was decided with the block: kind "duplicate_vote" or "light_client_attack".

    validator, power: as of a Vote, at `height`, when all together had `total_power` and the time was time_ns. Numbers: 0 .. 2^63 - 1."""

    kind: str
    validator: bytes
    power: int
    height: int
    time_ns: int
    total_power: int


_T = TypeVar("_T", Vote, Misbehaviour)


def checked_votes(given: object) -> tuple[Vote, ...]:
    """Raises InputTypeError, InputError, which say which one is wrong."""
    return tuple(
        Vote(_validator(name, vote.validator), _number(f"{name}.power", vote.power), _one_of(f"{name}.flag", vote.flag, FLAGS))
        for name, vote in _listed("votes", given, Vote, VOTES_MOST)
    )


def checked_misbehaviour(given: object) -> tuple[Misbehaviour, ...]:
    """As `checked_votes`."""
    return tuple(
        Misbehaviour(
            _one_of(f"{name}.kind", one.kind, KINDS), _validator(name, one.validator), _number(f"{name}.power", one.power),
            _number(f"{name}.height", one.height), _number(f"{name}.time_ns", one.time_ns), _number(f"{name}.total_power", one.total_power),
        )
        for name, one in _listed("misbehaviour", given, Misbehaviour, MISBEHAVIOUR_MOST)
    )


def packed(votes: tuple[Vote, ...], misbehaviour: tuple[Misbehaviour, ...]) -> bytes:
    """b"" where there are none."""
    if not votes and not misbehaviour:
        return b""
    parts = [_COUNTS.pack(len(votes), len(misbehaviour))]
    for vote in votes:
        parts += _VOTE.pack(len(vote.validator), 1 + FLAGS.index(vote.flag), vote.power), vote.validator
    for one in misbehaviour:
        kind = 1 + KINDS.index(one.kind)
        parts += _MISBEHAVIOUR.pack(len(one.validator), kind, one.power, one.height, one.time_ns, one.total_power), one.validator
    return b"".join(parts)


def unpacked(data: bytes) -> tuple[tuple[Vote, ...], tuple[Misbehaviour, ...]]:
    """The inverse. Raises ValueError (InputError, or struct.error) for what `packed` does not make."""
    if not data:
        return (), ()
    try:
        count, others = _COUNTS.unpack_from(data)
        at, votes, misbehaviour = _COUNTS.size, [], []
        for _ in range(count):
            length, flag, power = _VOTE.unpack_from(data, at)
            at += _VOTE.size + length
            votes.append(Vote(data[at - length : at], power, FLAGS[flag - 1] if flag else ""))
        for _ in range(others):
            length, kind, power, height, time_ns, total_power = _MISBEHAVIOUR.unpack_from(data, at)
            at += _MISBEHAVIOUR.size + length
            misbehaviour.append(Misbehaviour(KINDS[kind - 1] if kind else "", data[at - length : at], power, height, time_ns, total_power))
    except (struct.error, IndexError):
        raise ValueError("votes and misbehaviour end too early, or have a kind that there is not") from None
    found = checked_votes(votes), checked_misbehaviour(misbehaviour)
    if packed(*found) != data:
        raise ValueError("votes and misbehaviour are not as they are packed")
    return found


def _listed(name: str, given: object, kind: type[_T], most: int) -> list[tuple[str, _T]]:
    if isinstance(given, (bytes, str)) or not isinstance(given, Iterable):
        raise InputTypeError(f"header: {name} is {type(given).__name__}: give a list of ioi_exec.{kind.__name__}")
    listed: list[tuple[str, _T]] = []
    for one in given:
        if not isinstance(one, kind):
            raise InputTypeError(f"header: {name}[{len(listed)}] is {type(one).__name__}: give an ioi_exec.{kind.__name__}")
        if len(listed) == most:
            raise InputError(f"header: there are more than {most} {name}: at most so many")
        listed.append((f"header: {name}[{len(listed)}]", one))
    return listed


def _validator(name: str, value: object) -> bytes:
    found = exact_bytes(octets(f"{name}.validator", value))
    if not 0 < len(found) <= VALIDATOR_BYTES:
        raise InputError(f"{name}.validator has {len(found)} bytes: give 1 to {VALIDATOR_BYTES}")
    return found


def _number(name: str, value: object) -> int:
    return integer(name, value, 0, MAX_INT64)


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    if text(name, value) not in known:
        raise InputError(f"{name} is {shown(value)}: give one of {', '.join(known)}")
    return known[known.index(text(name, value))]
