"""Whatever the public interface is handed, it answers, or raises an ioi_exec.Error and nothing has happened: the state is what it
was, and the machine goes on. The calls are found by looking at the classes, so that a new one, or a new parameter, is played too.

IOI_ARGUMENTS calls of each callable; the long run draws others every time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import effort
import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from ioi_exec import BlockHeader, Error, ExecutionMachine, Limits, PastState, Policy, Proposal, Receipt, Vote
from ioi_exec.testing import assert_serializable
from ioi_exec.vm import payments

CALLS = effort.amount("IOI_ARGUMENTS", sample=60, many=250)
GENESIS = {b"a": b"1", b"b": b"2"}
TREES = ("jellyfish", "iavl")


class Text(str): ...


class Octets(bytes): ...


class Number(int): ...


class NoPath:
    def __fspath__(self) -> str:
        raise RuntimeError("it has none")


class OctetsPath:
    def __fspath__(self) -> bytes:
        return b"path"


class NoIndex:
    def __index__(self) -> int:
        raise RuntimeError("it has none")

    def __repr__(self) -> str:
        raise RuntimeError("it has none")

    def __bool__(self) -> bool:
        raise RuntimeError("it is neither")


# No separators in names of paths, and no colon in what could be imported.
letters = strategies.characters(exclude_characters="/.:", codec=None)
plain = strategies.one_of(
    strategies.none(), strategies.booleans(), strategies.integers(), strategies.floats(), strategies.binary(max_size=40),
    strategies.text(letters, max_size=20), strategies.sampled_from([0, -1, 1 << 31, 1 << 63, (1 << 63) - 1, 1 << 64, 10**5000, -(10**5000)]),
    strategies.sampled_from(["", "a\0b", "\ud800", b"", b"\0", bytes(32), bytes(600), "jellyfish", "payments", Text("x"), Octets(b"x"), Number(1)]),
)
odd = strategies.builds(
    lambda make: make(),
    strategies.sampled_from([
        object, NoPath, OctetsPath, NoIndex, Limits, Policy, BlockHeader, Receipt, lambda: int, lambda: np.int64(1), lambda: np.bool_(True), Proposal, lambda: [Vote(b"", -1)], lambda: [Vote(None, None, None)],
        lambda: np.float64(1), lambda: np.array([1, 2]), lambda: bytearray(b"x"), lambda: memoryview(b"x"), lambda: range(3), lambda: 1j,
        lambda: Path("name"), lambda: iter([b"x", 5]), lambda: (b"x" for _ in range(2)),
    ]),
)
anything = strategies.one_of(
    plain, odd, strategies.lists(plain, max_size=3), strategies.dictionaries(strategies.binary(max_size=3), plain, max_size=2),
    strategies.lists(strategies.tuples(plain, plain), max_size=2),
)

# A good call of each. What is not here is found by `test_every_call_is_known`.
MACHINE: dict[str, dict[str, Any]] = {
    "at": {"version": 0}, "receipts": {"version": 0}, "transaction": {"digest": bytes(32)}, "prove_receipt": {"version": 1, "index": 0}, "at_height": {"height": 0}, "commit": {"result": None}, "get": {"key": b"a", "version": 0}, "info_at": {"version": 0},
    "check": {"tx": b"x"}, "pending": {"most": 5}, "query": {"path": "x", "data": b"", "version": 0},
    "execute": {
        "txs": [b"x"], "header": BlockHeader(), "on_receipt": None, "sequential": False, "policy": None, "record": False, "on_progress": None,
        "hints": None, "propose": True,
    },
    "hold": {"version": None}, "reload": {"vm": "payments", "vm_args": None},
    "prove": {"keys": b"a", "version": 0}, "prove_ics23": {"key": b"a", "version": 0},
    "prove_range": {"start": None, "end": None, "version": 0, "limit": 1}, "prune": {"keep": 5, "progress": None},
    "rollback": {"version": 1}, "upgrade": {"vm": "payments", "at_height": 9, "vm_args": None, "accept_vm": False},
    "scan": {"start": None, "end": None, "prefix": None, "reverse": False, "limit": 1, "version": 1},
}
PAST: dict[str, dict[str, Any]] = {
    name: {key: value for key, value in MACHINE[name].items() if key != "version"} for name in ("get", "prove", "prove_ics23", "prove_range", "query", "scan")
}
_SHARED = {"vm": "payments", "vm_args": None, "workers": 0, "pin": True, "limits": Limits(), "executors": None, "keep": None, "policy": None,
           "cross_check": False, "receipts": False}
CREATE = {"path": None, "tree": "jellyfish", "genesis": {}, "initial_height": 1, "chain_id": "", "gas": None, **_SHARED}
OPEN = {"path": "state", "read_only": False, "accept_interpreter": False, **_SHARED}
ADDRESS = bytes(32)
VALUES: dict[Callable[..., Any], dict[str, Any]] = {
    BlockHeader: {"height": 1, "time_ns": 1, "proposer": None, "block_id": b"", "extra": b"", "votes": [Vote(b"v", 1)], "misbehaviour": []},
    BlockHeader.decode: {"data": BlockHeader(1).encode(bytes(32))},
    Limits: {name: 10 for name in inspect.signature(Limits.__init__).parameters if name != "self"},
    Policy: {"name": "x", "estimates": True, "validation": "value", "window": 1, "run": 1, "solo": True, "small_block": 1},
    Proposal: {"max_bytes": 1, "seconds": 1.0, "size": None},
    Policy.named: {"name": "default"},
    payments.encode_transfer: {"sender": ADDRESS, "recipient": ADDRESS, "amount": 1, "fee": 0, "nonce": 0, "expiry": 0},
    payments.decode_transfer: {"tx": bytes(104)},
    payments.encode_account: {"balance": 1, "nonce": 0},
    payments.decode_account: {"value": bytes(24)},
    payments.account_key: {"address": ADDRESS},
}
WHOLE = ("prune", "reload", "rollback", "upgrade")
NO_ARGUMENTS = {"cancel_upgrade", "close", "sandbox", "pinned"}


def public(cls: type) -> dict[str, Callable[..., Any]]:
    return {name: found for name, found in inspect.getmembers(cls, callable) if not name.startswith("_")}


def parameters(call: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(call.__init__ if isinstance(call, type) else call).parameters) - {"self"}


def test_every_call_is_known() -> None:
    """A method or a parameter that is new: say above what a good call of it is."""
    machine = public(ExecutionMachine)
    assert set(machine) - NO_ARGUMENTS == {*MACHINE, "create", "open"} and set(public(PastState)) == set(PAST)
    for name in NO_ARGUMENTS:
        assert not parameters(machine[name])
    for calls, cls in ((MACHINE, machine), (PAST, public(PastState))):
        for name, good in calls.items():
            assert parameters(cls[name]) == set(good), name
    for call, good in {ExecutionMachine.create: CREATE, ExecutionMachine.open: OPEN, **VALUES}.items():
        # What is new in the choices of a policy or the limits has a default until it is in the table.
        assert parameters(call) >= set(good), call


def spoiled(good: dict[str, Any]) -> strategies.SearchStrategy[dict[str, Any]]:
    """One argument or two that may be anything."""
    names = strategies.lists(strategies.sampled_from(sorted(good)), min_size=1, max_size=2, unique=True)
    return names.flatmap(lambda chosen: strategies.fixed_dictionaries({name: anything for name in chosen})).map(lambda given: good | given)


def starts_workers(arguments: dict[str, Any]) -> bool:
    """Which takes long, and is tested elsewhere."""
    workers = arguments["workers"]
    return workers is None or isinstance(workers, (int, np.int64)) and workers != 0


def answer(call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """What it returns, looked at as a caller would. Raises what it raises."""
    keys = arguments.pop("keys", None)
    found = call(*([] if keys is None else [keys]), **arguments)
    if isinstance(found, Iterator):
        return list(found)
    return found.info if isinstance(found, PastState) else found


def play(test: Callable[..., None]) -> Callable[..., None]:
    seeded = settings(
        max_examples=CALLS, deadline=None, database=None, derandomize=not effort.long, print_blob=False,
        suppress_health_check=list(HealthCheck),
    )(test)
    return hypothesis.seed(effort.seed(1))(seeded) if effort.long else seeded


@contextmanager
def made(tree: str) -> Iterator[ExecutionMachine]:
    with ExecutionMachine.create(None, Writer(), tree, GENESIS, workers=0) as machine:
        for tx in (b"c", b"d"):
            machine.commit(machine.execute([tx]))
        yield machine


@pytest.fixture(scope="module", params=TREES)
def machine(request: pytest.FixtureRequest) -> Iterator[ExecutionMachine]:
    with made(request.param) as machine:
        yield machine


class Writer:
    version = "1"

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(tx or b"none", b"written")


def stand(machine: ExecutionMachine) -> tuple[Any, ...]:
    """All that a refused call must leave as it was."""
    return machine.version, machine.oldest, machine.root, list(machine.scan()), machine.get(b"a", 0), machine.closed, machine.info


@pytest.mark.sampled
@pytest.mark.parametrize("name", [name for name in MACHINE if name not in WHOLE])
def test_machine(name: str, machine: ExecutionMachine) -> None:
    @play
    @given(spoiled(MACHINE[name]))
    def play_it(arguments: dict[str, Any]) -> None:
        before = stand(machine)
        with machine.sandbox(), suppress(Error):
            answer(getattr(machine, name), arguments)
        assert stand(machine) == before
        assert machine.execute([b"x"]).receipts[0].ok

    play_it()


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("name", WHOLE)
def test_machine_that_changes_as_a_whole(name: str, tree: str) -> None:
    """What is drawn may be a good call, after which versions are gone, or another VM is next: each has a machine of its own."""

    @play
    @given(spoiled(MACHINE[name]))
    def play_it(arguments: dict[str, Any]) -> None:
        with made(tree) as machine:
            before = stand(machine)
            try:
                answer(getattr(machine, name), arguments)
            except Error:
                assert stand(machine) == before
            assert machine.execute([b"x"]).receipts[0].ok or name in ("reload", "upgrade")

    play_it()


@pytest.mark.sampled
@pytest.mark.parametrize("name", PAST)
def test_past_state(name: str, machine: ExecutionMachine) -> None:
    @play
    @given(spoiled(PAST[name]))
    def play_it(arguments: dict[str, Any]) -> None:
        before = stand(machine)
        with suppress(Error):
            answer(getattr(machine.at(2), name), arguments)
        assert stand(machine) == before

    play_it()


@pytest.mark.sampled
def test_create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    @play
    @given(spoiled(CREATE))
    def play_it(arguments: dict[str, Any]) -> None:
        if not starts_workers(arguments):
            with suppress(Error), ExecutionMachine.create(**arguments) as made:
                assert made.version == 0 and made.execute([]).failed == 0

    play_it()


@pytest.mark.sampled
def test_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ExecutionMachine.create("state", workers=0, genesis=GENESIS) as made:
        before = made.root

    @play
    @given(spoiled(OPEN))
    def play_it(arguments: dict[str, Any]) -> None:
        if not starts_workers(arguments):
            with suppress(Error), ExecutionMachine.open(**arguments) as opened:
                assert opened.version == 0
        with ExecutionMachine.open("state", workers=0) as again:
            assert again.root == before

    play_it()


@pytest.mark.sampled
@pytest.mark.parametrize("call", VALUES, ids=lambda call: call.__qualname__)
def test_values(call: Callable[..., Any]) -> None:
    @play
    @given(spoiled(VALUES[call]))
    def play_it(arguments: dict[str, Any]) -> None:
        with suppress(Error):
            call(**arguments)

    play_it()


@pytest.mark.parametrize("huge", ["a" * 100_000, b"a" * 100_000, 10**5000, ["a" * 100_000], {"a" * 100_000: 1}], ids=["text", "bytes", "number", "list", "dict"])
def test_an_error_repeats_no_more_than_a_little_of_what_it_was_given(huge: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    long = []
    with made("jellyfish") as machine:
        calls = [(getattr(machine, name), good) for name, good in MACHINE.items()]
        calls += [(getattr(machine.at(2), name), good) for name, good in PAST.items()]
        calls += [(ExecutionMachine.create, CREATE), (ExecutionMachine.open, OPEN), *VALUES.items()]
        for call, good in calls:
            for name in good:
                try:
                    answer(call, good | {name: huge})
                except Error as error:
                    if len(str(error)) > 500:
                        long.append((call, name, str(error)[:200]))
    assert not long


@pytest.mark.parametrize("name", ["txs", "genesis", "workers", "header", "limits", "cross_check"])
@pytest.mark.parametrize("wrong", [5, object(), [5], {"a": 1}, 10**5000, "a\0b"], ids=["number", "object", "list", "dict", "huge", "text"])
def test_assert_serializable(name: str, wrong: object) -> None:
    """By a few values alone, for a good call of it takes long."""
    good = {"vm": Writer(), "genesis": None, "txs": [b"x"], "workers": (0,), "cross_check": 0}
    if name == "workers" and wrong == [5] or name == "cross_check" and isinstance(wrong, int):
        return  # good ones
    with suppress(Error):
        assert_serializable(**(good | {name: wrong}))
