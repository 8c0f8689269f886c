"""`ante` pays though its transaction fails; events are undone with what they tell of; the same in every mode."""

from __future__ import annotations

import random
from typing import Any, Callable

import pytest

from ioi_exec import (
    EndBlock,
    Event,
    ExecutionMachine,
    InputError,
    InputTypeError,
    LimitExceeded,
    Limits,
    Policy,
    Receipt,
    Revert,
    StateView,
    ValidatorUpdate,
    VMFault,
)

Make = Callable[..., ExecutionMachine]


def number(state: StateView, key: bytes) -> int:
    return int(state.get(key) or b"0")


class Paying:
    """A transaction is random steps of a seed. Its sender pays one in `ante`, if it has it."""

    def decode(self, tx: bytes) -> random.Random:
        if tx == b"malformed":
            raise ValueError("malformed")
        return random.Random(tx)

    def ante(self, tx: random.Random, state: StateView, ctx: Any) -> None:
        self.rng = rng = random.Random(tx.getstate()[1][5])
        sender = b"%d" % rng.randrange(5)
        ctx.emit("ante", sender=sender)
        paid = number(state, b"paid" + sender)
        if rng.random() < 0.2 and paid > 3:
            raise Revert("cannot pay", code=7)
        if rng.random() < 0.05:
            raise LookupError(sender)
        state.put(b"paid" + sender, b"%d" % (paid + 1))
        if rng.random() < 0.2:
            state.checkpoint().__enter__()  # and never left

    def execute(self, tx: random.Random, state: StateView, ctx: Any) -> bytes | None:
        rng = random.Random(tx.getstate()[1][6])
        self.steps(rng, state, ctx, 0)
        if rng.random() < 0.3:
            raise rng.choice([Revert("failed"), KeyError(b"failed")])
        return b"%d" % rng.randrange(100) if rng.random() < 0.5 else None

    def steps(self, rng: random.Random, state: StateView, ctx: Any, depth: int) -> None:
        for _ in range(rng.randrange(5)):
            key = b"%s%d" % (rng.choice([b"paid", b"k"]), rng.randrange(5))
            step = rng.randrange(4)
            if step == 0:
                state.put(key, b"%d" % (number(state, key) + rng.randrange(3)))
            elif step == 1:
                ctx.emit("read", key=key, value=number(state, key), text="é")
            elif step == 2 and depth < 3:
                try:
                    with state.checkpoint():
                        self.steps(rng, state, ctx, depth + 1)
                        if rng.random() < 0.5:
                            raise ZeroDivisionError
                except ZeroDivisionError:
                    pass
            elif step == 3:
                state.delete(key)

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> EndBlock:
        ctx.emit("end", failed=receipts.failed, emitted=sum(len(receipt.events) for receipt in receipts))
        total = sum(number(state, b"paid%d" % i) for i in range(5))
        return EndBlock([ValidatorUpdate(b"v" * 32, total)], {"total": total})


@pytest.mark.parametrize("seed", range(12))
def test_random_blocks(make: Make, workers: int, seed: int) -> None:
    rng = random.Random(f"{seed}")
    genesis = {b"paid%d" % i: b"%d" % rng.randrange(5) for i in range(5)}
    with ExecutionMachine.create(None, Paying, genesis=genesis, workers=0) as reference:
        machine = make(Paying, genesis)
        for _ in range(2):
            txs = [b"malformed" if rng.random() < 0.05 else rng.randbytes(4) for _tx in range(rng.randrange(40))]
            expected = reference.execute(txs)
            for options in ({}, {"sequential": True}, {"policy": Policy.named("all-workers")}):
                result = machine.execute(txs, **options)
                assert (result.state_root, result.receipts_root) == (expected.state_root, expected.receipts_root)
                assert result.receipts == expected.receipts and result.writes == expected.writes
                assert [r.error for r in result.receipts] == [r.error for r in expected.receipts]
                assert result.events == expected.events and result.updates == expected.updates
            reference.commit(expected)
            machine.commit(result)


class One:
    """What the transaction names."""

    def ante(self, tx: bytes, state: StateView, ctx: Any) -> None:
        state.put(b"fee", b"%d" % (number(state, b"fee") + 1))
        ctx.emit("fee")
        if tx == b"refused":
            raise Revert("no", code=9)
        if tx == b"bug":
            raise KeyError(b"x")
        if tx == b"memory":
            raise MemoryError

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> Any:
        state.put(b"k", tx)
        state.put(b"fee", b"0")
        ctx.emit("done", tx=tx, text="ü", small=-3, large=-(2**255), yes=True)
        if tx == b"fails":
            raise Revert("later")
        if tx == b"wrong":
            return "text"
        if tx.startswith(b"deep"):
            for _ in range(len(tx) - 2):
                state.checkpoint().__enter__()
        return None


def test_what_is_paid_stays(make: Make) -> None:
    machine = make(One, limits=Limits(checkpoint_depth=2))
    result = machine.execute([b"deep", b"fails", b"wrong", b"deep.", b"refused", b"bug"])
    assert list(result.receipts) == [
        Receipt(packed_events=result.receipts[0].packed_events),
        Receipt(1, error="later", packed_events=fee(result)),
        Receipt(2, error="TypeError", packed_events=fee(result)),
        Receipt(2, error="LimitExceeded", packed_events=fee(result)),
        Receipt(9, error="no", refused=True),
        Receipt(3, error="KeyError", refused=True),
    ]
    done = ("tx", b"deep"), ("text", "ü"), ("small", -3), ("large", -(2**255)), ("yes", 1)
    assert result.receipts[0].events == (Event("fee"), Event("done", done)) and result.receipts[0].events[1]["small"] == -3
    assert result.receipts[1].events == (Event("fee"),) and result.receipts[4].events == ()
    assert result.writes == [(b"fee", b"3"), (b"k", b"deep")]
    with pytest.raises(VMFault, match="transaction 0 stopped the block: MemoryError"):
        machine.execute([b"memory"])


def fee(result: Any) -> bytes:
    return result.receipts[1].packed_events


class Emits:
    def execute(self, tx: bytes, state: StateView, ctx: Any) -> bytes:
        try:
            exec(tx.decode(), {"ctx": ctx, "state": state, "LimitExceeded": LimitExceeded})
        except (TypeError, ValueError, LimitExceeded, RuntimeError) as error:
            return f"{type(error).__name__}: {error}".encode()
        return b"emitted"


def test_limits_of_events(make: Make) -> None:
    machine = make(Emits)
    cases = {
        b"ctx.emit('x' * 255, **{f'a{i}': i for i in range(64)})": b"emitted",
        b"ctx.emit('a', v=b'x' * 1000000)": b"emitted",
        b"ctx.emit('')": b"ValueError: the name of an event has 0 bytes of UTF-8: 1 to 255",
        b"ctx.emit('x' * 256)": b"ValueError: the name of an event has 256 bytes of UTF-8: 1 to 255",
        b"ctx.emit(b'a')": b"TypeError: the name of an event is bytes, not str",
        b"ctx.emit('a', v=1.5)": b"TypeError: an event's attribute is float, not bytes, str or int",
        b"ctx.emit('a', v=2**256)": b"LimitExceeded: an event's integer has more than 256 bits",
        b"ctx.emit('a', **{f'a{i}': i for i in range(65)})": b"LimitExceeded: an event has 65 attributes: at most 64",
        b"ctx.emit('a', v=b'x' * 2000000)": b"LimitExceeded: the events of a transaction have at most 1048576 bytes",
        b"for _ in range(3): ctx.emit('a', v=b'x' * 500000)": b"LimitExceeded: the events of a transaction have at most 1048576 bytes",
        b"import threading; t = []; w = threading.Thread(target=lambda: t.append(state)); w.start(); w.join()": b"emitted",
    }
    result = machine.execute(list(cases))
    assert [receipt.output for receipt in result.receipts] == list(cases.values())
    assert [len(receipt.events) for receipt in result.receipts] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0]
    again = machine.execute(list(cases), sequential=True)
    assert again.receipts == result.receipts


@pytest.mark.parametrize("given", [1, {"validators": []}])
def test_what_end_block_returns_is_checked(make: Make, given: Any) -> None:
    class Ends:
        def execute(self, tx: bytes, state: StateView, ctx: Any) -> None: ...

        def end_block(self, state: StateView, ctx: Any, receipts: Any) -> Any:
            return given

    with pytest.raises(VMFault, match="end_block stopped the block: TypeError: end_block returned .*: return EndBlock or None"):
        make(Ends).execute([b"a"])
    for wrong in (lambda: EndBlock([1]), lambda: EndBlock((), {"a": 1.5}), lambda: ValidatorUpdate(b"", 1),  # type: ignore[list-item, dict-item]
                  lambda: EndBlock(5), lambda: EndBlock((), 5), lambda: ValidatorUpdate(b"k", -1), lambda: EndBlock([ValidatorUpdate(b"k", 1)] * 2)):  # type: ignore[arg-type]
        with pytest.raises((InputError, InputTypeError)):
            wrong()
