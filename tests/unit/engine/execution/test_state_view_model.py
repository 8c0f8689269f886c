"""The sequential view is the oracle of everything else, so it is itself compared: with a dict that is copied."""

from __future__ import annotations

import random
from typing import Any, Callable

import pytest

from ioi_exec import ExecutionMachine, StateView, TxContext

Make = Callable[..., ExecutionMachine]
KEYS = [bytes([a, *rest]) for a in b"abc\xff" for rest in (b"", b"a", b"\xff")]


class Undo(Exception):
    pass


class Model:
    """The state as a dict; every scan sorts all of it, every checkpoint copies all of it."""

    def __init__(self, state: dict[bytes, bytes]) -> None:
        self.state = state

    def scan(self, start: Any, end: Any, reverse: bool, limit: Any) -> list[tuple[bytes, bytes]]:
        items = sorted((k, v) for k, v in self.state.items() if (start is None or k >= start) and (end is None or k < end))
        return (items[::-1] if reverse else items)[:limit]


def added(rng: random.Random, state: StateView, model: Model, key: bytes) -> None:
    width, offset, rest = rng.choice([1, 1, 2, 3]), rng.choice([0, 0, 1]), rng.choice([0, 0, 1])
    size = width + offset + rest
    delta, low, high = rng.choice([0, 1, 3, 200, -1, -200, 10**6]), rng.choice([0, 0, 2, -9]), rng.choice([None, None, 100, 255, 10**9])
    before = model.state.get(key, bytes(size))

    def add() -> bool:
        return state.add(key, delta, width=width, offset=offset, size=size, minimum=low, maximum=high)

    if len(before) != size:
        with pytest.raises(ValueError, match=f"^add: the value has {len(before)} bytes, not {size}$"):
            add()
        return
    after = int.from_bytes(before[offset : offset + width], "big") + delta
    fits = max(low, 0) <= after < 256**width and (high is None or after <= high)
    assert add() is fits
    if fits:
        model.state[key] = before[:offset] + after.to_bytes(width, "big") + before[offset + width :]


def step(rng: random.Random, state: StateView, model: Model, depth: int) -> None:
    key = rng.choice(KEYS)
    action = rng.choice(["get", "get", "exists", "put", "put", "put", "delete", "add", "add", "scan", "checkpoint"])
    if action == "get":
        assert state.get(key) == model.state.get(key)
    elif action == "exists":
        assert state.exists(key) == (key in model.state)
    elif action == "put":
        value = rng.randbytes(rng.randrange(4))
        state.put(key, value)
        model.state[key] = value
    elif action == "add":
        added(rng, state, model, key)
    elif action == "delete":
        state.delete(key)
        model.state.pop(key, None)
    elif action == "scan":
        start, end = rng.choice([None, *KEYS]), rng.choice([None, *KEYS])
        reverse, limit = rng.random() < 0.5, rng.choice([None, 0, 1, 3])
        scan, expected = state.scan(start, end, reverse=reverse, limit=limit), model.scan(start, end, reverse, limit)
        for _ in range(rng.randrange(3)):  # a scan keeps to what was there at its call
            step(rng, state, model, depth)
        assert list(scan) == expected
    elif depth < 4:
        before, undone = dict(model.state), rng.random() < 0.5
        try:
            with state.checkpoint():
                for _ in range(rng.randrange(5)):
                    step(rng, state, model, depth + 1)
                if undone:
                    raise Undo
        except Undo:
            model.state = before


class Compared:
    """Transactions are seeds. What the model ends with is the output, so that blocks can be checked as well."""

    def __init__(self, genesis: dict[bytes, bytes]) -> None:
        self.expected = dict(genesis)

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        rng = random.Random(tx)
        model = Model(dict(self.expected))
        for _ in range(rng.randrange(12)):
            step(rng, state, model, 0)
        if rng.random() < 0.2:
            raise Undo
        self.expected = model.state


@pytest.mark.parametrize("seed", range(150))
def test_random_transactions_equal_the_model(seed: int) -> None:
    rng = random.Random(seed)
    genesis = {key: rng.randbytes(2) for key in KEYS if rng.random() < 0.5}
    vm = Compared(genesis)
    with ExecutionMachine.create(None, vm, genesis=genesis, workers=0) as machine:
        for block in range(3):
            result = machine.execute([f"{seed}/{block}/{i}".encode() for i in range(20)])
            wrong = {r.error for r in result.receipts if not r.error.startswith("Undo (")} - {""}
            assert not wrong, f"seed {seed} block {block}: {wrong}"
            machine.commit(result)
            assert dict(machine.scan()) == vm.expected, f"seed {seed} block {block}"
            assert result.writes == sorted(result.writes) and len(dict(result.writes)) == len(result.writes)
