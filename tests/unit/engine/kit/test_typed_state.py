"""Items, maps and counters of the kit: in a VM at every number of workers, read from a machine, and what errors say."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from ioi_exec import ExecutionMachine, InputError, InputTypeError, Revert, StateView, TxContext, VMError
from ioi_exec.kit import Counter, Counters, Item, Map, Unsigned
from ioi_exec.testing import assert_serializable

Make = Callable[..., ExecutionMachine]


class Shop:
    """b"owner:good:price": lists a good. b"sum": how many goods and what they cost together."""

    prices = Map("prices", key=tuple[str, str], value=int)
    last = Item("last", tuple[str, int])
    listed = Counter("listed", width=2)
    of_owner = Counters("of_owner", str, width=1)

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        owner, _, rest = tx.decode().partition(":")
        good, _, price = rest.partition(":")
        if owner == "sum":
            return b"%d" % sum(price for _, price in self.prices.scan(state))
        if price == "":
            self.prices.load(state, (owner, good))
            self.prices.delete(state, (owner, good))
            return b"gone"
        if not self.of_owner.add(state, owner, 1, maximum=3):
            raise Revert("three are enough")
        self.listed.add(state, 1)
        self.prices.put(state, (owner, good), int(price))
        self.last.put(state, (good, int(price)))
        return b""


TXS = [b"ada:x:5", b"bob:x:-7", b"ada:y:300", b"sum", b"ada:x", b"ada:none", b"ada:z:1", b"ada:a:1", b"sum"]


def test_in_a_vm(make: Make) -> None:
    machine = make(Shop)
    result = machine.execute(TXS)
    outcomes = [r.output.decode() if r.ok else r.error for r in result.receipts]
    assert outcomes == ["", "", "", "298", "gone", "prices has no ('ada', 'none')", "", "three are enough", "294"]
    machine.commit(result)
    assert list(Shop.prices.scan(machine)) == [(("ada", "y"), 300), (("ada", "z"), 1), (("bob", "x"), -7)]
    assert Shop.last.get(machine) == ("z", 1) and Shop.listed.get(machine) == 4
    assert list(Shop.of_owner.scan(machine)) == [("ada", 3), ("bob", 1)]
    assert dict(machine.scan(prefix=b"listed")) == {b"listed": b"\x00\x04"}
    assert machine.get(b"prices/ada\x00\x01y") == b"\x82\x01\x2c"


def test_serializable() -> None:
    assert_serializable(Shop, {}, TXS * 3)


PAIRS = Map("pairs", key=tuple[str, int], value=str)


class Kept(dict[bytes, bytes]):
    """A state that a dictionary is enough for."""

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def scan(self, start: Any = None, end: Any = None, *, reverse: bool = False, limit: Any = None) -> Any:
        keys = sorted((key for key in self if start <= key and (end is None or key < end)), reverse=reverse)
        return iter([(key, self[key]) for key in keys[:limit]])


def test_scans_by_a_prefix_and_both_bounds() -> None:
    state: Any = Kept({b"pairs": b"other", b"pairs0": b"other"})
    keys = [("a", -1), ("a", 0), ("a", 2), ("a\x00", 1), ("b", 1)]
    for key in keys:
        PAIRS.put(state, key, f"{key}")

    def found(*args: Any, **bounds: Any) -> list[Any]:
        return [key for key, value in PAIRS.scan(state, *args, **bounds) if value == f"{key}"]

    assert found() == keys and found(reverse=True, limit=2) == keys[:2:-1]
    assert found(("a",)) == keys[:3] and found(("a", 0)) == keys[1:2]
    assert found(start=("a", 0)) == keys[1:] and found(end=("a", 2)) == keys[:2]
    assert found(start=("a\x00",), end=("b",)) == keys[3:4] and found(start=("b",), end=("a",)) == []
    assert found(("a",), start=("a", 0), end=("b",)) == keys[1:3] and found(("a",), end=("a", 0)) == keys[:1]
    names = Map("names", key=str, value=int)
    for name in ("ada", "adam", "bob"):
        names.put(state, name, 1)
    assert [name for name, _ in names.scan(state, "ad")] == ["ada", "adam"]
    everything = Map("all", key=bytes, value=int, prefix=b"\xff\xff")
    everything.put(state, b"\xff", 1)
    assert list(everything.scan(state)) == [(b"\xff", 1)]


def test_machines_and_past_states_are_read() -> None:
    item = Item("item", int)
    with ExecutionMachine.create(None, genesis=dict([PAIRS.entry(("a", 1), "x"), item.entry(5)]), workers=0) as machine:
        for state in (machine, machine.at(0)):
            assert PAIRS.exists(state, ("a", 1)) and not PAIRS.exists(state, ("a", 2)) and item.exists(state)
            assert PAIRS.get(state, ("a", 1)) == "x" and list(PAIRS.scan(state)) == [(("a", 1), "x")] and item.get(state) == 5


def test_errors_name_the_map_and_the_key() -> None:
    state: Any = Kept({b"pairs/" + b"x\x00\x01\x81\x01": b"\xff", b"last": b"?"})
    with pytest.raises(InputError, match=r"^pairs: the value of \('x', 1\) is b'\\xff' in the state: .*UTF-8"):
        PAIRS.get(state, ("x", 1))
    with pytest.raises(InputError, match=r"^pairs: the value of \('x', 1\)"):
        list(PAIRS.scan(state))
    with pytest.raises(InputTypeError, match=r"^pairs: the key does not fit: 1 is int: give text"):
        PAIRS.put(state, (1, 1), "x")  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match=r"^pairs: the value of \('y', 1\) does not fit: 5 is int: give text"):
        PAIRS.put(state, ("y", 1), 5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="^pairs: the bound does not fit: .* has 3 parts: give at most 2"):
        PAIRS.scan(state, ("a", 1, 2))
    with pytest.raises(InputError, match="^numbers: scan: prefix goes with"):
        Map("numbers", key=int, value=int).scan(state, 5)
    with pytest.raises(InputError, match="^last: the value is b'\\?' in the state"):
        Item("last", Unsigned(4)).get(state)
    with pytest.raises(Revert, match="pairs has no"):
        PAIRS.load(state, ("z", 1))
    with pytest.raises(Revert, match="other is not set"):
        Item("other", int).load(state)


@pytest.mark.parametrize("name, prefix", [("", None), ("a/b", None), ("a\n", None), ("a", b"")])
def test_names_that_could_meet_are_refused(name: str, prefix: bytes | None) -> None:
    with pytest.raises(InputError):
        Map(name, key=bytes, value=int, prefix=prefix)


class Executes:
    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        """Nothing."""


def _machine(**places: Any) -> ExecutionMachine:
    return ExecutionMachine.create(None, type("Colliding", (Executes,), places), workers=0)


def test_places_that_meet_are_refused_by_both_their_names() -> None:
    a, item = Map("a", key=bytes, value=int), Item("a", int)
    with pytest.raises(VMError, match=r"x \(a\) under b'a/' and y \(a\) under b'a/'"):
        _machine(x=a, y=Map("a", key=int, value=int))
    with pytest.raises(VMError, match=r"x \(a\) under b'a/' and y \(b\) under b'a'"):
        _machine(x=a, y=Map("b", key=int, value=int, prefix=b"a"))
    with pytest.raises(VMError, match=r"x \(b\) under b'a/5' and y \(a\) under b'a/'"):
        _machine(x=Item("b", int, prefix=b"a/5"), y=a)
    with pytest.raises(VMError, match=r"x \(a\) under b'a' and y \(a\) under b'a'"):
        _machine(x=item, y=Counter("a"))
    _machine(x=a, y=item, z=a, w=Item("a2", int), v=Map("a2", key=int, value=int)).close()


def test_places_of_bases_and_instances_count_too() -> None:
    class Base(Executes):
        x = Map("a", key=bytes, value=int)

    class Derived(Base):
        def __init__(self) -> None:
            self.y = Map("a", key=bytes, value=int)

    class Replaced(Base):
        x = Map("a", key=int, value=int)

    with pytest.raises(VMError, match="x .* and y"):
        ExecutionMachine.create(None, Derived, workers=0)
    ExecutionMachine.create(None, Replaced, workers=0).close()


def test_what_is_no_state_is_refused_by_name(make: Make) -> None:
    """As where VMs are tried out by hand, outside a transaction."""
    machine = make(Shop)
    calls: list[tuple[Callable[..., object], tuple[object, ...], str]] = [
        (Shop.prices.get, (("ada", "x"),), "prices: the first argument is {}, which has no 'get': give the `state` of a transaction, or,"),
        (Shop.prices.exists, (("ada", "x"),), "prices: .* 'get'"),
        (Shop.prices.load, (("ada", "x"),), "prices: .* 'get'"),
        (Shop.prices.scan, (), "prices: .* 'scan'"),
        (Shop.prices.put, (("ada", "x"), 1), "prices: the first argument is {}, which has no 'put': give the `state` of a transaction$"),
        (Shop.prices.delete, (("ada", "x"),), "prices: .* 'delete'"),
        (Shop.last.get, (), "last: .* 'get'"),
        (Shop.last.exists, (), "last: .* 'get'"),
        (Shop.last.put, (("x", 1),), "last: .* 'put'"),
        (Shop.last.delete, (), "last: .* 'delete'"),
        (Shop.listed.get, (), "listed: .* 'get'"),
        (Shop.listed.add, (1,), "listed: .* 'add'"),
        (Shop.of_owner.get, ("ada",), "of_owner: .* 'get'"),
        (Shop.of_owner.add, ("ada", 1), "of_owner: .* 'add'"),
        (Shop.of_owner.scan, (), "of_owner: .* 'scan'"),
    ]
    for call, arguments, said in calls:
        for state in (None, "state"):
            with pytest.raises(InputTypeError, match=said.format(type(state).__name__)):
                call(state, *arguments)
        if not any(reading in said for reading in ("'get'", "'scan'")):
            with pytest.raises(InputTypeError, match=said.format("ExecutionMachine")):
                call(machine, *arguments)
