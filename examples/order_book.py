"""A virtual machine of one's own: an order book for one good, say hours of GPU time.

Orders are executed on all cores, and the book ends exactly as if they had come one after another: best price first,
at the same price the older order first.

State, typed by ioi_exec.kit (keys sort as the book does):

    bid/ price, number   -> trader, quantity          the highest price is the best: scanned in reverse
    ask/ price, number   -> trader, quantity          the lowest price is the best
    own/ trader          -> goods, money              what is free; what an open order offers is taken out

A transaction is JSON, so that the example stays short:

    {"do": "bid", "trader": "ada", "price": 12, "quantity": 5}    buy at 12 or less; what is left stays in the book
    {"do": "ask", "trader": "bob", "price": 10, "quantity": 5}    sell at 10 or more
    {"do": "cancel", "trader": "ada", "side": "bid", "price": 12, "number": 7}
"""

from __future__ import annotations

import json
from typing import Iterator, NamedTuple

from ioi_exec import EndContext, Receipts, Revert, StateView, TxContext
from ioi_exec.kit import Item, Map, Unsigned

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


Place = tuple[int, int]  # price and number, the key of an order
Open = tuple[bytes, int]  # trader and quantity
PRICE_AND_NUMBER = (Unsigned(8), Unsigned(8))


class OrderBook:
    """See the module's text. Each method is called in parallel; what it read from `state` is checked afterwards."""

    version = 2
    bids: Map[Place, Open] = Map("bid", key=PRICE_AND_NUMBER, value=tuple[bytes, int])
    asks: Map[Place, Open] = Map("ask", key=PRICE_AND_NUMBER, value=tuple[bytes, int])
    owned = Map("own", key=bytes, value=Holding)
    best = Item("best", str)

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
        opposite = self.asks if order.do == "bid" else self.bids
        for (price, number), (maker, offered) in self._best_first(opposite, state):
            if price > order.price if order.do == "bid" else price < order.price:
                break  # a scan reads no further than it is asked: later changes behind this price conflict with nothing
            traded = min(offered, order.quantity - filled)
            self._settle(state, order, maker, price, traded)
            if traded == offered:
                opposite.delete(state, (price, number))
            else:
                opposite.put(state, (price, number), (maker, offered - traded))
            filled += traded
            if filled == order.quantity:
                break
        if filled < order.quantity:
            self._enter(order, order.quantity - filled, state, ctx)
        return f"{filled} of {order.quantity}".encode()

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        """Once after the last order: publish the best prices, and how many orders failed."""
        best = [next(side, None) for side in (self.bids.scan(state, reverse=True), self.asks.scan(state))]
        bid, ask = (found[0][0] if found else None for found in best)
        self.best.put(state, json.dumps({"height": ctx.height, "bid": bid, "ask": ask, "failed": receipts.failed}))

    def _best_first(self, orders: Map[Place, Open], state: StateView) -> Iterator[tuple[Place, Open]]:
        if orders is self.asks:
            yield from orders.scan(state)
            return
        # Reverse would give the youngest of the same price first: go price by price, oldest first.
        above: tuple[int] | None = None
        while best := next(orders.scan(state, end=above, reverse=True, limit=1), None):
            above = (best[0][0],)
            yield from orders.scan(state, above)

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
        (self.bids if order.do == "bid" else self.asks).put(state, (order.price, number), (order.trader, quantity))

    def _cancel(self, order: Order, state: StateView) -> bytes:
        orders = self.bids if order.side == "bid" else self.asks
        trader, quantity = orders.get(state, (order.price, order.number), (b"", 0))
        if trader != order.trader:
            raise Revert("no such order")
        orders.delete(state, (order.price, order.number))
        if order.side == "bid":
            self._change(state, order.trader, 0, order.price * quantity)
        else:
            self._change(state, order.trader, quantity, 0)
        return f"{quantity} returned".encode()

    def _change(self, state: StateView, trader: bytes, goods: int, money: int) -> None:
        """Raising undoes everything the transaction wrote: nobody has to put back half a trade."""
        held = self.owned.get(state, trader, Holding(0, 0))
        goods, money = held.goods + goods, held.money + money
        if goods < 0 or money < 0:
            raise Revert("not enough")
        self.owned.put(state, trader, Holding(goods, money))


def account(trader: str, goods: int, money: int) -> tuple[bytes, bytes]:
    """A genesis entry."""
    return OrderBook.owned.entry(trader.encode(), Holding(goods, money))
