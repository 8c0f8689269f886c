"""Signed transactions of a VM in Python, and the chain they are signed for: it comes from the state, to `decode` and to ctx."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec import ExecutionMachine, InputError, InputTypeError, StateExists, StateView, TxContext
from ioi_exec.kit import Counters, public_key, seal, unseal

pytest.importorskip("nacl")
Make = Callable[..., ExecutionMachine]
ADA, BOB = b"a" * 32, b"b" * 32


class Votes:
    """One vote a signature; b"read" returns what chain it is."""

    votes = Counters("votes", bytes)

    def decode(self, tx: bytes, chain_id: str) -> tuple[bytes, bytes]:
        return unseal(tx, chain_id)

    def execute(self, tx: tuple[bytes, bytes], state: StateView, ctx: TxContext) -> bytes:
        sender, payload = tx
        self.votes.add(state, sender, 1)
        return ctx.chain_id.encode() + b" " + payload


class OneArgument:
    def decode(self, tx: bytes) -> bytes:
        return tx[::-1]

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        return tx + ctx.chain_id.encode()

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
        state.put(b"chain", ctx.chain_id.encode())


def test_signed_for_this_chain(make: Make) -> None:
    good, other = seal(ADA, "main", b"x"), seal(ADA, "test", b"x")
    broken = good[:-1] + b"y"
    machine = make(Votes, chain_id="main")
    result = machine.execute([good, other, broken, b"short", seal(BOB, "main", b"")])
    assert [r.output or r.error for r in result.receipts] == [b"main x", "signature", "signature", "malformed", b"main "]
    assert [r.code for r in result.receipts] == [0, 1, 1, 1, 0]
    machine.commit(result)
    assert Votes.votes.get(machine, public_key(ADA)) == 1 and machine.info.chain_id == "main"


def test_two_chains_side_by_side_of_one_vm() -> None:
    """Workers are shared where they can be; what they are told of the chain is each machine's own."""
    tx = seal(ADA, "one", b"x")
    for workers in (0, 1):
        with (
            ExecutionMachine.create(None, Votes, chain_id="one", workers=workers) as one,
            ExecutionMachine.create(None, Votes, chain_id="two", workers=workers) as two,
            ExecutionMachine.create(None, Votes, workers=workers) as none,
        ):
            for sequential in (False, True):
                codes = [machine.execute([tx], sequential=sequential).receipts[0].code for machine in (one, two, none)]
                assert codes == [0, 1, 1]


def test_a_decode_of_one_argument_goes_on_as_it_was(make: Make) -> None:
    machine = make(OneArgument, chain_id="c")
    result = machine.execute([b"ab"])
    assert result.receipts[0].output == b"bac" and dict(result.writes) == {b"chain": b"c"}


def test_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with ExecutionMachine.create(path, Votes, chain_id="main", workers=0) as machine:
        assert machine.execute([seal(ADA, "main", b"x")]).failed == 0
    with ExecutionMachine.create(path, Votes, chain_id="main", workers=0):
        pass
    with pytest.raises(StateExists, match="of the chain 'main', not 'other'"):
        ExecutionMachine.create(path, Votes, chain_id="other", workers=0)
    with ExecutionMachine.open(path, workers=0) as machine:
        assert machine.info.chain_id == "main" and machine.execute([seal(ADA, "main", b"x")]).failed == 0


@pytest.mark.parametrize("chain_id, error", [("a\n", InputError), ("x" * 51, InputError), ("\ud800", InputError), (5, InputTypeError)])
def test_ids_that_are_none(chain_id: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="chain_id"):
        ExecutionMachine.create(None, Votes, chain_id=chain_id, workers=0)


@pytest.mark.parametrize("chain_id, error", [("x" * 51, InputError), ("\ud800", InputError), (None, InputTypeError), (b"main", InputTypeError)])
def test_what_is_no_chain_or_no_bytes_is_said_by_name(chain_id: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="chain"):
        seal(ADA, chain_id, b"x")
    with pytest.raises(error, match="chain"):
        unseal(seal(ADA, "main", b"x"), chain_id)
    wrong: Any = "x"
    with pytest.raises(InputTypeError, match="unseal: the transaction"):
        unseal(wrong, "main")
