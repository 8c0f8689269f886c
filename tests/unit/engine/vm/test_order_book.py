"""The example of a VM of one's own: it trades as an order book must, and in parallel as one by one."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

from ioi_exec import ExecutionMachine, Receipt
from ioi_exec.testing import assert_serializable

Make = Callable[..., ExecutionMachine]


def _example() -> ModuleType:
    path = Path(__file__).parents[4] / "examples" / "order_book.py"
    spec = importlib.util.spec_from_file_location("order_book", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["order_book"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


order_book = _example()


def bid(trader: str, price: int, quantity: int) -> bytes:
    return json.dumps({"do": "bid", "trader": trader, "price": price, "quantity": quantity}).encode()


def ask(trader: str, price: int, quantity: int) -> bytes:
    return json.dumps({"do": "ask", "trader": trader, "price": price, "quantity": quantity}).encode()


def cancel(trader: str, side: str, price: int, number: int) -> bytes:
    return json.dumps({"do": "cancel", "trader": trader, "side": side, "price": price, "number": number}).encode()


GENESIS = dict(order_book.account(name, 100, 10_000) for name in ("ada", "bob", "cy"))


def traded(make: Make, *txs: bytes) -> tuple[list[str], dict[str, tuple[int, int]], dict[str, Any], ExecutionMachine]:
    machine = make(order_book.OrderBook, GENESIS)
    result = machine.execute(txs)
    machine.commit(result)
    held = {trader.decode(): tuple(holding) for trader, holding in order_book.OrderBook.owned.scan(machine)}
    best = json.loads(order_book.OrderBook.best.get(machine, "{}"))
    return [r.output.decode() if r.ok else r.error for r in result.receipts], held, best, machine


def test_the_best_price_first_then_the_oldest(make: Make) -> None:
    outputs, held, best, _ = traded(
        make, ask("ada", 12, 5), ask("bob", 10, 5), ask("ada", 10, 5), bid("cy", 11, 8), bid("cy", 12, 7)
    )
    assert outputs == ["0 of 5", "0 of 5", "0 of 5", "8 of 8", "7 of 7"]
    assert held == {"ada": (90, 10_000 + 20 + 30 + 60), "bob": (95, 10_050), "cy": (115, 10_000 - 160)}
    assert best == {"height": 1, "bid": None, "ask": None, "failed": 0}


def test_sellers_meet_the_highest_bid_and_the_oldest_of_it(make: Make) -> None:
    outputs, held, best, _ = traded(make, bid("ada", 9, 5), bid("bob", 10, 5), bid("ada", 10, 5), ask("cy", 9, 12))
    assert outputs[3] == "12 of 12"
    assert held["bob"] == (105, 9_950) and held["ada"] == (107, 10_000 - 45 - 50) and held["cy"] == (88, 10_000 + 118)
    assert best == {"height": 1, "bid": 9, "ask": None, "failed": 0}


def test_what_is_left_stays_and_can_be_cancelled(make: Make) -> None:
    number = 1 << 20 | 1
    outputs, held, best, machine = traded(make, ask("ada", 10, 3), bid("bob", 10, 8), cancel("cy", "bid", 10, number))
    assert outputs == ["0 of 3", "3 of 8", "no such order"] and best["bid"] == 10 and best["failed"] == 1
    assert held["bob"] == (103, 10_000 - 80)
    result = machine.execute([cancel("bob", "bid", 10, number), cancel("bob", "bid", 10, number)])
    assert [r.output or r.error for r in result.receipts] == [b"5 returned", "no such order"]
    assert dict(result.writes)[b"own/bob"] == order_book.account("bob", 103, 10_000 - 30)[1]


@pytest.mark.parametrize(
    "tx, error",
    [
        (bid("ada", 101, 100), "not enough"), (ask("ada", 1, 101), "not enough"), (bid("nobody", 1, 1), "not enough"),
        (b"x", "malformed"), (b"[]", "malformed"), (b"{}", "malformed"), (bid("", 1, 1), "malformed"), (bid("x" * 33, 1, 1), "malformed"),
        (b"[" * 200, "malformed"), (b" " * 201, "malformed"), (b'{"do": "eat", "trader": "ada", "price": 1}', "malformed"),
        (bid("ada", 0, 1), "nothing to trade"), (bid("ada", 1, 0), "nothing to trade"), (bid("ada", -1, 1), "out of range"),
        (bid("ada", 1 << 32, 1), "out of range"), (b'{"do": "bid", "trader": "ada", "price": true, "quantity": 1}', "out of range"),
        (b'{"do": "bid", "trader": "ada", "price": 1.5, "quantity": 1}', "out of range"),
    ],
)
def test_orders_that_fail_change_nothing(make: Make, tx: bytes, error: str) -> None:
    machine = make(order_book.OrderBook, GENESIS)
    result = machine.execute([tx])
    assert list(result.receipts) == [Receipt(1, error=error)]
    assert [key for key, _ in result.writes] == [b"best"]


def test_half_a_trade_is_undone(make: Make) -> None:
    # bob buys all ada offers at 10, but cannot pay for the rest he would leave in the book.
    outputs, held, best, _ = traded(make, ask("ada", 10, 5), bid("bob", 500, 25))
    assert outputs == ["0 of 5", "not enough"] and held["bob"] == (100, 10_000) and best["ask"] == 10


@pytest.mark.parametrize("seed", range(8))
def test_random_orders_lose_nothing_and_are_serializable(seed: int, workers: int, ioi_pools: Any) -> None:
    rng, txs = random.Random(seed), []
    for _ in range(120):
        kind, trader, price = rng.choice([bid, ask]), rng.choice(["ada", "bob", "cy"]), rng.randrange(8, 13)
        txs.append(kind(trader, price, rng.randrange(1, 9)))
        if rng.random() < 0.2:
            txs.append(cancel(trader, kind.__name__, price, 1 << 20 | max(0, len(txs) - rng.randrange(1, 5))))
    result = assert_serializable(order_book.OrderBook, GENESIS, txs, workers=(workers,), pools=ioi_pools)
    after = {key: value for key, value in {**GENESIS, **dict(result.writes)}.items() if value is not None}
    book = order_book.OrderBook
    with ExecutionMachine.create(None, book, genesis=after, workers=0) as machine:
        held = [holding for _, holding in book.owned.scan(machine)]
        goods = sum(each.goods for each in held) + sum(quantity for _, (_, quantity) in book.asks.scan(machine))
        money = sum(each.money for each in held) + sum(key[0] * quantity for key, (_, quantity) in book.bids.scan(machine))
    assert (goods, money) == (300, 30_000), f"seed {seed}"
    assert {r.error for r in result.receipts} <= {"", "not enough", "no such order"}, f"seed {seed}"
