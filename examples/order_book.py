"""A virtual machine of one's own: an order book for one good, say hours of GPU time.

Orders are executed on all cores, and the book ends exactly as if they had come one after another: best price first,
at the same price the older order first.

State (integers big endian; keys sort as the book does):

    bid/ price u64, number u64   -> trader, quantity u64          the highest price is the best: scanned in reverse
    ask/ price u64, number u64   -> trader, quantity u64          the lowest price is the best
    own/ trader                  -> goods u64, money u64          what is free; what an open order offers is taken out

A transaction is JSON, so that the example stays short:

    {"do": "bid", "trader": "ada", "price": 12, "quantity": 5}    buy at 12 or less; what is left stays in the book
    {"do": "ask", "trader": "bob", "price": 10, "quantity": 5}    sell at 10 or more
    {"do": "cancel", "trader": "ada", "side": "bid", "price": 12, "number": 7}
"""

from __future__ import annotations

import json
from typing import Iterator, NamedTuple

from ioi_exec import EndContext, Receipts, Revert, StateView, TxContext

MOST_BYTES = 200  # JSON's parser recurses: what is short cannot nest too deeply for it
MOST = 1 << 32  # prices and quantities stay below, so that their product fits 64 bits


class Order(NamedTuple):
    do: str
    trader: bytes
    price: int
    quantity: int
    side: str
    number: int


class Holding(NamedTuple):
    goods: int
    money: int


class OrderBook:
    """See the module's text. Each method is called in parallel; what it read from `state` is checked afterwards."""

    version = 1

    def decode(self, tx: bytes) -> Order:
        """No state here, so nothing of it is ever repeated. What it raises becomes the transaction's receipt."""
        if len(tx) > MOST_BYTES:
            raise Revert("malformed")
        try:
            fields = json.loads(tx)
            order = Order(
                fields["do"], fields["trader"].encode(), fields["price"], fields.get("quantity", 0),
                fields.get("side", fields["do"]), fields.get("number", 0),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Revert("malformed") from None
        numbers = ((order.price, MOST), (order.quantity, MOST), (order.number, 1 << 64))
        if any(type(number) is not int or not 0 <= number < most for number, most in numbers):
            raise Revert("out of range")
        if order.do not in ("bid", "ask", "cancel") or order.side not in ("bid", "ask") or not 1 <= len(order.trader) <= 32:
            raise Revert("malformed")
        if order.do != "cancel" and not (order.price and order.quantity):
            raise Revert("nothing to trade")
        return order

    def execute(self, order: Order, state: StateView, ctx: TxContext) -> bytes:
        """Returns what was traded at once, as text: the receipt's output."""
        if order.do == "cancel":
            return self._cancel(order, state)
        filled = 0
        for key, value in self._opposite(order, state):
            price = int.from_bytes(key[4:12], "big")
            if price > order.price if order.do == "bid" else price < order.price:
                break  # a scan reads no further than it is asked: later changes behind this price conflict with nothing
            maker, offered = value[:-8], int.from_bytes(value[-8:], "big")
            traded = min(offered, order.quantity - filled)
            self._settle(state, order, maker, price, traded)
            if traded == offered:
                state.delete(key)
            else:
                state.put(key, maker + (offered - traded).to_bytes(8, "big"))
            filled += traded
            if filled == order.quantity:
                break
        if filled < order.quantity:
            self._enter(order, order.quantity - filled, state, ctx)
        return f"{filled} of {order.quantity}".encode()

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        """Once after the last order: publish the best prices, and how many orders failed."""
        best = [next(side, None) for side in (state.scan(prefix=b"bid/", reverse=True), state.scan(prefix=b"ask/"))]
        bid, ask = (int.from_bytes(found[0][4:12], "big") if found else None for found in best)
        state.put(b"best", json.dumps({"height": ctx.height, "bid": bid, "ask": ask, "failed": receipts.failed}).encode())

    def _opposite(self, order: Order, state: StateView) -> Iterator[tuple[bytes, bytes]]:
        """The orders this one can meet, the best first."""
        if order.do == "bid":
            return state.scan(prefix=b"ask/")
        # Reverse would give the youngest of the same price first: go price by price, oldest first.
        return self._bids_by_age(state)

    def _bids_by_age(self, state: StateView) -> Iterator[tuple[bytes, bytes]]:
        end = b"bid0"  # the first key after all that begin with bid/
        while best := next(state.scan(b"bid/", end, reverse=True, limit=1), None):
            end = best[0][:12]
            yield from state.scan(prefix=end)

    def _settle(self, state: StateView, order: Order, maker: bytes, price: int, quantity: int) -> None:
        """Both get what they traded. The maker's side was set aside when its order entered the book."""
        if order.do == "bid":
            self._change(state, order.trader, quantity, -price * quantity)
            self._change(state, maker, 0, price * quantity)
        else:
            self._change(state, order.trader, -quantity, price * quantity)
            self._change(state, maker, quantity, 0)

    def _enter(self, order: Order, quantity: int, state: StateView, ctx: TxContext) -> None:
        """Set aside what is offered, and stand in the book. The number: height and place in the block, so it is new."""
        if order.do == "bid":
            self._change(state, order.trader, 0, -order.price * quantity)
        else:
            self._change(state, order.trader, -quantity, 0)
        number = ctx.height << 20 | ctx.tx_index
        state.put(self._key(order.do, order.price, number), order.trader + quantity.to_bytes(8, "big"))

    def _cancel(self, order: Order, state: StateView) -> bytes:
        key = self._key(order.side, order.price, order.number)
        value = state.get(key)
        if value is None or value[:-8] != order.trader:
            raise Revert("no such order")
        quantity = int.from_bytes(value[-8:], "big")
        state.delete(key)
        if order.side == "bid":
            self._change(state, order.trader, 0, order.price * quantity)
        else:
            self._change(state, order.trader, quantity, 0)
        return f"{quantity} returned".encode()

    def _change(self, state: StateView, trader: bytes, goods: int, money: int) -> None:
        """Raising undoes everything the transaction wrote: nobody has to put back half a trade."""
        held = holding(state.get(b"own/" + trader))
        goods, money = held.goods + goods, held.money + money
        if goods < 0 or money < 0:
            raise Revert("not enough")
        state.put(b"own/" + trader, goods.to_bytes(8, "big") + money.to_bytes(8, "big"))

    @staticmethod
    def _key(side: str, price: int, number: int) -> bytes:
        return side.encode() + b"/" + price.to_bytes(8, "big") + number.to_bytes(8, "big")


def holding(value: bytes | None) -> Holding:
    """What a trader holds, from the state's bytes."""
    return Holding(int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big")) if value else Holding(0, 0)


def account(trader: str, goods: int, money: int) -> tuple[bytes, bytes]:
    """A genesis entry."""
    return b"own/" + trader.encode(), goods.to_bytes(8, "big") + money.to_bytes(8, "big")
