"""`state`: what a transaction reads, writes, scans and undoes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Callable

import pytest

from ioi_exec import ExecutionMachine, Limits, Receipt, StateView, TxContext

Make = Callable[..., ExecutionMachine]
Body = Callable[[StateView], Any]

GENESIS = {b"a": b"1", b"b": b"2", b"ba": b"3", b"c": b"4", b"\xff": b"5", b"\xff\xff": b"6"}


class Script:
    """A VM whose transactions are numbers of functions; what they return is the output as text."""

    def __init__(self, *bodies: Body) -> None:
        self.bodies = bodies

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        return repr(self.bodies[int(tx)](state)).encode()


def run(make: Make, *bodies: Body, genesis: Any = GENESIS, limits: Limits | None = None) -> tuple[list[Any], dict[bytes, bytes]]:
    """Each body as one transaction of one block: (what they returned, or the failed receipts; the state after)."""
    machine = make(Script(*bodies), genesis, limits=limits)
    result = machine.execute([str(i).encode() for i in range(len(bodies))])
    machine.commit(result)
    return [eval(r.output) if r.ok else r for r in result.receipts], dict(machine.scan())


def failed(name: str) -> Receipt:
    return Receipt(code=2, error=name)


def test_reads_own_writes_and_those_before(make: Make) -> None:
    def first(state: StateView) -> Any:
        state.put(b"a", b"new")
        state.delete(b"b")
        state.put(b"n", b"")
        return [state.get(b"a"), state.get(b"b"), state.exists(b"b"), state.exists(b"n"), state.get(b"n"), state.get(b"c")]

    def second(state: StateView) -> Any:
        return [state.get(b"a"), state.exists(b"b"), state.get(b"n"), state.get(b"zz"), state.exists(b"zz")]

    outputs, after = run(make, first, second)
    assert outputs == [[b"new", None, False, True, b"", b"4"], [b"new", False, b"", None, False]]
    assert after == {**{k: v for k, v in GENESIS.items() if k != b"b"}, b"a": b"new", b"n": b""}


def test_a_failed_transaction_leaves_nothing(make: Make) -> None:
    def fails(state: StateView) -> Any:
        state.put(b"a", b"x")
        state.delete(b"c")
        raise KeyError("why")

    outputs, after = run(make, fails, lambda state: state.get(b"a"))
    assert outputs == [failed("KeyError"), b"1"] and after == GENESIS


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, [b"a", b"b", b"ba", b"c", b"\xff", b"\xff\xff"]),
        ({"start": b"b"}, [b"b", b"ba", b"c", b"\xff", b"\xff\xff"]),
        ({"end": b"ba"}, [b"a", b"b"]),
        ({"start": b"b", "end": b"c"}, [b"b", b"ba"]),
        ({"start": b"c", "end": b"b"}, []),
        ({"start": b"b", "end": b"b"}, []),
        ({"prefix": b"b"}, [b"b", b"ba"]),
        ({"prefix": b""}, [b"a", b"b", b"ba", b"c", b"\xff", b"\xff\xff"]),
        ({"prefix": b"\xff"}, [b"\xff", b"\xff\xff"]),
        ({"prefix": b"\xff\xff"}, [b"\xff\xff"]),
        ({"prefix": b"q"}, []),
        ({"limit": 2}, [b"a", b"b"]),
        ({"limit": 0}, []),
        ({"limit": 99, "start": b"c"}, [b"c", b"\xff", b"\xff\xff"]),
        ({"start": b"", "end": b""}, []),
        ({"start": b"a\0"}, [b"b", b"ba", b"c", b"\xff", b"\xff\xff"]),
        ({"start": b"b" * 600}, [b"c", b"\xff", b"\xff\xff"]),
        ({"end": b"b" * 600}, [b"a", b"b", b"ba"]),
    ],
    ids=str,
)
def test_scan_ranges(make: Make, arguments: dict[str, Any], expected: list[bytes]) -> None:
    def forward(state: StateView) -> Any:
        return [key for key, _ in state.scan(**arguments)]

    def backward(state: StateView) -> Any:
        return [key for key, _ in state.scan(**{**arguments, "limit": None}, reverse=True)]

    def limited_backward(state: StateView) -> Any:
        return [key for key, _ in state.scan(**{**arguments, "limit": 1}, reverse=True)]

    whole = sorted({**dict.fromkeys(expected)}) if arguments.get("limit") is None else None
    outputs, _ = run(make, forward, backward, limited_backward)
    assert outputs[0] == expected
    if whole is not None:
        assert outputs[1] == expected[::-1] and outputs[2] == expected[::-1][:1]


def test_a_scan_sees_own_writes_as_of_its_call(make: Make) -> None:
    def body(state: StateView) -> Any:
        state.put(b"aa", b"mine")
        state.delete(b"b")
        scan = state.scan()
        first = next(scan)
        state.put(b"bb", b"too late")
        state.delete(b"c")
        state.put(b"ba", b"changed too late")
        return [first, *scan], list(state.scan())

    outputs, _ = run(make, body)
    seen, after = outputs[0]
    rest = [(b"\xff", b"5"), (b"\xff\xff", b"6")]
    assert seen == [(b"a", b"1"), (b"aa", b"mine"), (b"ba", b"3"), (b"c", b"4"), *rest]
    assert after == [(b"a", b"1"), (b"aa", b"mine"), (b"ba", b"changed too late"), (b"bb", b"too late"), *rest]


def test_a_scan_sees_what_earlier_transactions_wrote(make: Make) -> None:
    def write(state: StateView) -> None:
        state.put(b"d", b"d")
        state.delete(b"a")
        state.put(b"c", b"cc")

    outputs, _ = run(make, write, lambda s: list(s.scan(end=b"e")), lambda s: list(s.scan(end=b"e", reverse=True)))
    expected = [(b"b", b"2"), (b"ba", b"3"), (b"c", b"cc"), (b"d", b"d")]
    assert outputs == [None, expected, expected[::-1]]


@pytest.mark.parametrize(
    "arguments, name",
    [
        ({"prefix": b"a", "start": b"a"}, "ValueError"), ({"prefix": b"a", "end": b"a"}, "ValueError"),
        ({"limit": -1}, "ValueError"), ({"limit": "1"}, "TypeError"), ({"limit": True}, "TypeError"),
        ({"start": "a"}, "TypeError"), ({"end": 1}, "TypeError"), ({"prefix": bytearray(b"a")}, "TypeError"),
    ],
    ids=str,
)
def test_wrong_scans_raise_at_the_call(make: Make, arguments: dict[str, Any], name: str) -> None:
    assert run(make, lambda state: state.scan(**arguments))[0] == [failed(name)]


@pytest.mark.parametrize(
    "body, name",
    [
        (lambda s: s.get("a"), "TypeError"), (lambda s: s.exists(1), "TypeError"), (lambda s: s.put("a", b""), "TypeError"),
        (lambda s: s.put(b"a", "x"), "TypeError"), (lambda s: s.put(b"a", None), "TypeError"),
        (lambda s: s.put(b"a", bytearray(b"x")), "TypeError"), (lambda s: s.delete(None), "TypeError"),
        (lambda s: s.put(b"", b"x"), "ValueError"), (lambda s: s.delete(b""), "ValueError"),
        (lambda s: s.get(b"") and 1 or 1 / 0, "ZeroDivisionError"),
    ],
)
def test_wrong_keys_and_values_fail_the_transaction(make: Make, body: Body, name: str) -> None:
    outputs, after = run(make, body)
    assert outputs == [failed(name)] and after == GENESIS


def test_reading_keys_that_cannot_exist_is_absent(make: Make) -> None:
    assert run(make, lambda s: [s.get(b""), s.get(b"k" * 5000), s.exists(b"k" * 5000)])[0] == [[None, None, False]]


def test_checkpoints_undo_and_propagate(make: Make) -> None:
    def body(state: StateView) -> Any:
        state.put(b"a", b"before")
        with state.checkpoint():
            state.put(b"kept", b"1")
        try:
            with state.checkpoint():
                state.put(b"a", b"undone")
                state.delete(b"b")
                state.put(b"kept", b"2")
                state.put(b"new", b"x")
                with state.checkpoint():
                    state.put(b"inner", b"also undone with the outer")
                raise LookupError
        except LookupError:
            pass
        return [state.get(key) for key in (b"a", b"b", b"kept", b"new", b"inner")], [k for k, _ in state.scan()]

    outputs, after = run(make, body)
    assert outputs == [([b"before", b"2", b"1", None, None], [b"a", b"b", b"ba", b"c", b"kept", b"\xff", b"\xff\xff"])]
    assert after == {**GENESIS, b"a": b"before", b"kept": b"1"}


def test_an_inner_checkpoint_undoes_alone(make: Make) -> None:
    def body(state: StateView) -> None:
        with state.checkpoint():
            state.put(b"a", b"outer")
            try:
                with state.checkpoint():
                    state.put(b"a", b"inner")
                    raise LookupError
            except LookupError:
                assert state.get(b"a") == b"outer"

    assert run(make, body)[1][b"a"] == b"outer"


def test_a_checkpoint_is_entered_once_and_ended_in_order(make: Make) -> None:
    def twice(state: StateView) -> None:
        checkpoint = state.checkpoint()
        with checkpoint:
            pass
        with checkpoint:
            pass

    def crossed(state: StateView) -> None:
        one, other = state.checkpoint(), state.checkpoint()
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)

    assert run(make, twice, crossed)[0] == [failed("RuntimeError")] * 2


LIMITS = Limits(key_bytes=4, value_bytes=10, tx_keys=3, tx_write_bytes=20, checkpoint_depth=2, output_bytes=300)


def nested(depth: int) -> Body:
    def body(state: StateView) -> None:
        if depth_left := depth - body.entered:  # type: ignore[attr-defined]
            assert depth_left > 0
            with state.checkpoint():
                body.entered += 1  # type: ignore[attr-defined]
                body(state)

    body.entered = 0  # type: ignore[attr-defined]

    def run_nested(state: StateView) -> None:
        body.entered = 0  # type: ignore[attr-defined]
        body(state)

    return run_nested


def puts(*pairs: tuple[bytes, bytes]) -> Body:
    def body(state: StateView) -> None:
        for key, value in pairs:
            state.put(key, value)

    return body


@pytest.mark.parametrize(
    "body, fits",
    [
        (puts((b"kkkk", b"")), True),
        (puts((b"kkkkk", b"")), False),
        (lambda s: s.delete(b"kkkkk"), False),
        (puts((b"k", b"v" * 10)), True),
        (puts((b"k", b"v" * 11)), False),
        (puts((b"k", b""), (b"l", b""), (b"m", b""), (b"k", b"1")), True),
        (puts((b"k", b""), (b"l", b""), (b"m", b""), (b"n", b"")), False),
        (puts((b"k", b"v" * 9), (b"l", b"v" * 9)), True),
        (puts((b"k", b"v" * 9), (b"l", b"v" * 10)), False),
        (puts(*[(b"k", b"v" * 10)] * 9), True),
        (nested(2), True),
        (nested(3), False),
        (lambda s: "x" * 298, True),
        (lambda s: "x" * 299, False),
    ],
)
def test_limits_of_a_transaction(make: Make, body: Body, fits: bool) -> None:
    outputs, after = run(make, body, lambda s: s.exists(b"k"), genesis=None, limits=LIMITS)
    if fits:
        assert not isinstance(outputs[0], Receipt)
    else:
        assert outputs == [failed("LimitExceeded"), False] and after == {}


def test_what_is_undone_no_longer_counts(make: Make) -> None:
    def body(state: StateView) -> None:
        for _ in range(3):
            try:
                with state.checkpoint():
                    puts((b"k", b"v" * 9), (b"l", b"v" * 9))(state)
                    raise LookupError
            except LookupError:
                pass
        puts((b"m", b"v" * 9), (b"n", b"v" * 9))(state)
        state.delete(b"n")
        state.put(b"o", b"v" * 8)

    outputs, after = run(make, body, genesis=None, limits=LIMITS)
    assert outputs == [None] and after == {b"m": b"v" * 9, b"o": b"v" * 8}


def test_a_limit_that_the_vm_catches_wrote_nothing(make: Make) -> None:
    def body(state: StateView) -> bool:
        try:
            state.put(b"k", b"v" * 11)
        except Exception:
            return state.exists(b"k")
        return True

    assert run(make, body, genesis=None, limits=LIMITS) == ([False], {})


def test_the_state_ends_with_its_transaction(make: Make) -> None:
    kept: list[Any] = []

    def keeps(state: StateView) -> None:
        kept[:] = [state, state.scan()]

    def uses(state: StateView) -> Any:
        if not kept:
            return "other process"
        try:
            kept[0].put(b"a", b"stolen")
        except RuntimeError:
            pass
        try:
            return next(kept[1])
        except RuntimeError:
            return "refused"

    outputs, after = run(make, keeps, uses)
    assert outputs[1] in ("refused", "other process") and after == GENESIS


def test_counters(make: Make) -> None:
    def first(state: StateView) -> Any:
        done = [
            state.add(b"n", 5, width=2),
            state.add(b"n", -6, width=2),
            state.add(b"n", 2**16 - 6, width=2),
            state.add(b"n", 1, width=2),
            state.add(b"n", -1, width=2, minimum=2**16 - 1),
            state.add(b"n", 0, width=2, maximum=2**16 - 2),
            state.add(b"n", 2**200, width=2),
            state.add(b"n", -(2**200), width=2),
            state.add(b"n", -1, width=2, minimum=-(2**200), maximum=2**200),
            state.add(b"f", 258, width=2, offset=1, size=4),
            state.add(b"f", 2**16 - 258, width=2, offset=1, size=4),
            state.add(b"a", 0, width=1),
            state.add(b"great", 2**128 - 1, width=16),
            state.add(b"zero", 0, width=3),
            state.add(b"none", 1, width=3, minimum=3, maximum=2),
        ]
        return done, state.get(b"n"), state.get(b"f"), state.get(b"great"), state.get(b"zero"), state.exists(b"none")

    def second(state: StateView) -> Any:
        state.delete(b"f")
        with suppress(KeyError), state.checkpoint():
            state.add(b"f", 7, width=1)
            raise KeyError
        undone = state.get(b"f")
        state.add(b"b", -2, width=1)
        return undone, state.get(b"b"), list(state.scan(b"b", b"c"))

    outputs, after = run(make, first, second)
    done = [True, False, True, False, False, False, False, False, True, True, False, True, True, True, False]
    assert outputs[0] == (done, b"\xff\xfe", b"\0\1\2\0", b"\xff" * 16, bytes(3), False)
    assert outputs[1] == (None, b"0", [(b"b", b"0"), (b"ba", b"3")])
    assert b"f" not in after and after[b"zero"] == bytes(3) and after[b"great"] == b"\xff" * 16


def test_adding_to_what_is_no_counter(make: Make) -> None:
    texts = {
        "add: the value has 1 bytes, not 2": lambda s: s.add(b"a", 1, width=2),
        "the width is not between 1 and 16": lambda s: s.add(b"a", 1, width=17),
        "the offset is not between 0 and 1073741824": lambda s: s.add(b"a", 1, width=1, offset=-1),
        "the size is not between 3 and 1073741824": lambda s: s.add(b"a", 1, width=2, offset=1, size=2),
        "the delta is float, not int": lambda s: s.add(b"a", 1.0, width=2),
        "the width is bool, not int": lambda s: s.add(b"a", 1, width=True),
        "the key is empty": lambda s: s.add(b"", 1, width=1),
        "add needs an argument 'width'": lambda s: s.add(b"a", 1),
        "add takes at most 2 arguments without a name, not 3": lambda s: s.add(b"a", 1, 2),
        "a value of 9 bytes: at most 8 (Limits.value_bytes)": lambda s: s.add(b"a", 1, width=1, size=9),
        "a transaction writes at most 4 bytes (Limits.tx_write_bytes)": lambda s: s.add(b"new", 1, width=2),
    }

    def failing(use: Any) -> Body:
        def body(state: StateView) -> Any:
            try:
                return use(state)
            except Exception as error:
                return str(error)

        return body

    limits = Limits(value_bytes=8, tx_write_bytes=4)
    outputs, after = run(make, *map(failing, texts.values()), limits=limits)
    assert outputs == list(texts) and after == GENESIS
