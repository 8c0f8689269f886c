"""What a receipt says of an exception: its type, its message and where in the VM it came from; the same in every mode."""

from __future__ import annotations

import inspect
import json
import os
from typing import Any, Callable

import pytest

from ioi_exec import ExecutionMachine, Limits, Receipt, Receipts, VMError, VMFault

Make = Callable[..., ExecutionMachine]
HERE = os.path.basename(__file__)


class Plainly:
    def __str__(self) -> str:
        return "text of an object"


class Failing(Exception):
    def __str__(self) -> str:
        raise ValueError("even its text fails")


def helped(value: Any) -> Any:
    return json.loads(value)


class Raiser:
    """Raises what the transaction names."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> Any:
        state.put(b"k", tx)
        if tx == b"key":
            return {}[b"missing"]
        if tx == b"lines":
            raise ValueError("two\nlines")
        if tx == b"library":
            return helped("{")
        if tx == b"object":
            raise LookupError(object())
        if tx == b"said":
            raise LookupError(Plainly())
        if tx == b"failing":
            raise Failing
        if tx == b"bare":
            raise ZeroDivisionError
        if tx == b"long":
            raise ValueError("é" * 5000)
        if tx == b"text":
            return "text"
        if tx == b"large":
            return bytes(11)
        if tx == b"set":
            raise ValueError(str({b"%d" % i for i in range(100)}))
        return None


def line_of(text: str, of: Any = Raiser.execute) -> int:
    lines, first = inspect.getsourcelines(of)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_type_message_and_place(make: Make) -> None:
    machine = make(Raiser, limits=Limits(output_bytes=10))
    expected = {
        b"key": f"KeyError: b'missing' ({HERE}:{line_of('missing')})",
        b"lines": f"ValueError: two lines ({HERE}:{line_of('two')})",
        b"library": "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) "
        f"({HERE}:{line_of('json', helped)})",
        b"object": f"LookupError: <object object> ({HERE}:{line_of('object()')})",
        b"said": f"LookupError: text of an object ({HERE}:{line_of('Plainly')})",
        b"failing": f"Failing: (its text cannot be shown) ({HERE}:{line_of('raise Failing')})",
        b"bare": f"ZeroDivisionError ({HERE}:{line_of('ZeroDivision')})",
        b"text": "TypeError: execute returned str: return bytes or None",
        b"large": "LimitExceeded: an output of 11 bytes: at most 10 (Limits.output_bytes)",
    }
    result = machine.execute([*expected, b"long", b"fine"])
    assert [receipt.error for receipt in result.receipts][: len(expected)] == list(expected.values())
    long, fine = result.receipts[-2:]
    assert len(long.error.encode()) <= 1024 and long.error.startswith("ValueError: éé") and long.error.endswith(f"({HERE}:{line_of('5000')})")
    assert fine.error == "" and not result.writes[:-1] and result.failed == len(expected) + 1


def test_what_an_exception_says_is_no_part_of_what_nodes_agree_upon(make: Make) -> None:
    """At workers=0 a set has another order than in workers."""
    receipts = make(Raiser).execute([b"set"]).receipts
    assert receipts == Receipts.of([Receipt(2, error="ValueError: another text (other.py:1)", traceback="x")])
    assert receipts != Receipts.of([Receipt(2, error="KeyError: another text")])
    assert Receipt(1, error="a: b") != Receipt(1, error="a: c")  # what a Revert says is the VM's
    assert hash(receipts[0]) == hash(Receipt(2, error="ValueError"))


@pytest.mark.parametrize("most", [None, 0, 300, 100_000])
def test_tracebacks(make: Make, workers: int, most: int | None) -> None:
    limits = Limits(traceback_bytes=most)
    machine = make(Raiser, limits=limits)
    for sequential in (False, True):
        receipts = machine.execute([b"fine", b"library", b"text", b"fine"], sequential=sequential).receipts
        assert [receipts[i].traceback for i in (0, 2, 3)] == [""] * 3
        trace = receipts[1].traceback
        if most == 0 or most is None and workers:
            assert trace == ""
            continue
        assert len(trace.encode()) <= (most or 8192) and "JSONDecodeError: Expecting" in trace.rpartition("\n")[2]
        if most != 300:
            assert f'{HERE}", line {line_of("json", helped)}, in helped' in trace


def test_of_a_block_in_which_all_fail_the_first_have_tracebacks(make: Make) -> None:
    for limits, most in ((None, 100), (Limits(traceback_bytes=8192), 250)):
        machine = make(Raiser, workers=0, limits=limits)
        for _ in range(2):
            receipts = machine.execute([b"key"] * 250).receipts
            assert [bool(receipt.traceback) for receipt in receipts] == [True] * most + [False] * (250 - most)


class Stops:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        try:
            breakpoint()
        except Exception:
            state.put(b"k", b"swallowed")


def test_breakpoint_in_a_worker_says_what_it_needs(make: Make, workers: int) -> None:
    machine = make(Stops)
    if workers == 0:
        return  # it would step into this test
    for sequential in (False, True):
        with pytest.raises(VMFault, match="transaction 0 stopped the block: NoDebugger: breakpoint.. in a worker.*use workers=0"):
            machine.execute([b"a"], sequential=sequential)


def test_a_method_that_cannot_be_called_is_refused() -> None:
    class NoContext:
        def execute(self, tx: bytes, state: Any) -> None: ...

    class More:
        def execute(self, tx: bytes, state: Any, ctx: Any, more: Any) -> None: ...

    class WrongEnd:
        def execute(self, *args: Any) -> None: ...

        def end_block(self, state: Any, ctx: Any) -> None: ...

    class Fits:
        def execute(self, tx: bytes, state: Any, ctx: Any = None, more: Any = None, **others: Any) -> None: ...

        decode = staticmethod(bytes.upper)

    with pytest.raises(VMError, match=r"method execute\(tx.*, state.*\) -> .None.? that cannot be called as execute\(tx, state, ctx\): too many"):
        ExecutionMachine.create(None, NoContext)
    with pytest.raises(VMError, match="cannot be called as execute.tx, state, ctx.: missing a required argument: 'more'"):
        ExecutionMachine.create(None, More())
    with pytest.raises(VMError, match="cannot be called as end_block.state, ctx, receipts.: too many"):
        ExecutionMachine.create(None, WrongEnd)
    ExecutionMachine.create(None, Fits).close()
