"""What CometBFT says of a block, as the engine's header."""

from __future__ import annotations

from typing import Sequence, Union

from ioi_exec.block.decided import FLAGS, KINDS, Misbehaviour, Vote
from ioi_exec.block.header import BlockHeader
from ioi_exec.errors import InputError
from ioi_exec.node import messages
from ioi_exec.node.messages import Moment, Validator

_Votes = Sequence[Union[messages.Vote, messages.ExtendedVote]]


def header_of(block: messages.Block) -> BlockHeader:
    """Of a block that was proposed or decided. Raises InputError."""
    return _header(block, block.last_commit.votes if block.last_commit is not None else (), block.hash)


def header_of_proposal(proposal: messages.Proposal) -> BlockHeader:
    """The same before there is a hash. Raises InputError."""
    return _header(proposal, proposal.last_commit.votes if proposal.last_commit is not None else (), b"")


def _header(of: messages.Block | messages.Proposal, votes: _Votes, hash: bytes) -> BlockHeader:
    return BlockHeader(
        of.height, _ns(of.time), of.proposer_address, hash,
        votes=tuple(Vote(*_validator(vote.validator), _named(vote.block_id_flag, FLAGS, "vote's flag")) for vote in votes),
        misbehaviour=tuple(
            Misbehaviour(
                _named(one.type, KINDS, "misbehavior's type"), *_validator(one.validator), one.height, _ns(one.time), one.total_voting_power
            )
            for one in of.misbehavior
        ),
    )


def _validator(validator: Validator | None) -> tuple[bytes, int]:
    return (validator.address, validator.power) if validator is not None else (b"", 0)


def _ns(time: Moment | None) -> int:
    return time.ns if time is not None else 0


def _named(number: int, names: Sequence[str], what: str) -> str:
    if not 0 < number <= len(names):
        raise InputError(f"a {what} is {number}: there are 1 to {len(names)}")
    return names[number - 1]
