"""Execution one by one once more, in plain Python: what `state` means, said a second time.

Shares nothing with the package but its error classes, contexts and receipts: neither the front of `state` (ioi_shm.State), which all
modes of execution have in common, nor what is behind it, nor what makes a receipt of an outcome.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any, Iterator, Mapping, NamedTuple, NoReturn, Protocol, Sized
from unittest.mock import patch

from ioi_exec import (
    GasSchedule,
    LimitExceeded,
    Limits,
    Receipt,
    Receipts,
    Revert,
    VMFault,
)
from ioi_exec.block import context
from ioi_exec.block.hook import Hook
from ioi_exec.execution.executor import Block, Outcome
from ioi_exec.vm.loading import LoadedVM

WriteSet = Mapping[bytes, bytes | None]
ENDED = "the state was used after its transaction ended: a VM keeps nothing between transactions"
ELSEWHERE = "the state was used in another thread than the one that executes the transaction"
NO_COPY = "a state, its scans and its checkpoints cannot be copied or pickled"
MACHINE_FAULTS = (MemoryError, RecursionError, ImportError)


def name_of(kind: type) -> str:
    return str.__str__(type.__dict__["__name__"].__get__(kind))


def exactly(value: Any, what: str) -> bytes:
    """The bytes that are really there, whatever a subclass says of itself."""
    if not issubclass(type(value), bytes):
        raise TypeError(f"{what} is {name_of(type(value))}, not bytes")
    return bytes.__getitem__(value, slice(0, bytes.__len__(value)))


def number(value: Any, what: str) -> int:
    """The int that is really there."""
    if type(value) is bool or not issubclass(type(value), int):
        raise TypeError(f"{what} is {name_of(type(value))}, not int")
    return int.__index__(value)


def length(value: Any, what: str, least: int, most: int) -> int:
    found = number(value, what)
    if not least <= found <= most:
        raise ValueError(f"{what} is not between {least} and {most}")
    return found


def given(function: str, names: tuple[str, ...], required: int, positional: int, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by their names."""
    if len(args) > positional:
        many = "" if positional == 1 else "s"
        raise TypeError(f"{function} takes at most {positional} argument{many} without a name, not {len(args)}")
    found = dict(zip(names, args))
    for name, value in kwargs.items():
        name = str.__str__(name)
        if name not in names:
            raise TypeError(f"{function} has no argument named '{name}'")
        if name in found:
            raise TypeError(f"{function} got its argument '{name}' twice")
        found[name] = value
    for name in names[:required]:
        if name not in found:
            raise TypeError(f"{function} needs an argument '{name}'")
    return found


class Once:
    """What the state, its scans and its checkpoints have in common."""

    __slots__ = ()
    _SHOWN = ""

    def __init_subclass__(cls) -> None:
        cls.__module__ = "ioi_shm._core"

    def __repr__(self) -> str:
        return self._SHOWN

    def __hash__(self) -> int:
        raise TypeError(f"what is hashed is {name_of(type(self))}, not hashable")

    def __reduce__(self) -> NoReturn:
        raise TypeError(NO_COPY)


class OutOfGas(BaseException):
    """Not to be stopped."""


class Meter:
    """What a transaction has used of what it may."""

    def __init__(self, gas: GasSchedule) -> None:
        self.limit, self.used, self.out = min(gas.tx_limit, gas.block_limit or gas.tx_limit), gas.flat, False

    def at_most(self, limit: Any) -> None:
        asked = number(limit, "the gas limit")
        if asked < 0:
            raise ValueError("the gas limit is negative")
        self.limit = min(self.limit, asked)
        self.pay(0)

    def pay(self, amount: int) -> None:
        if self.out or self.used + amount > self.limit:
            self.used, self.out = self.limit, True
            raise OutOfGas
        self.used += amount


class State(Once):
    """The state of one transaction. Its writes stay in `_writes` until the executor takes them."""

    __slots__ = ("_below", "_limits", "_writes", "_depth", "_open", "_thread", "_gas", "_meter")
    _SHOWN = "<state of a transaction>"

    def __init__(self, below: Overlay, limits: Limits) -> None:
        self._below = below
        self._limits = limits
        self._writes: dict[bytes, bytes | None] = {}
        self._depth = 0
        self._open = True
        self._thread = threading.get_ident()
        self._gas = limits.gas or GasSchedule()
        self._meter: Meter | None = None

    def _charge(self, *args: Any, **kwargs: Any) -> None:
        amount = number(given("charge", ("amount",), 1, 1, args, kwargs)["amount"], "the amount")
        if amount < 0:
            raise ValueError("the amount is negative")
        self._usable()
        self._pay(amount)

    def _left(self) -> int | None:
        self._usable()
        return None if self._meter is None else self._meter.limit - self._meter.used

    def _pay(self, amount: int) -> None:
        if self._meter is not None:
            self._meter.pay(amount)

    def _read(self, key: bytes, cost: int) -> bytes | None:
        self._usable()
        self._pay(cost)
        value = self._writes[key] if key in self._writes else self._below.get(key)
        return bytes(value) if isinstance(value, Sum) else value

    def get(self, *args: Any, **kwargs: Any) -> bytes | None:
        key = exactly(given("get", ("key",), 1, 1, args, kwargs)["key"], "the key")
        value = self._read(key, self._gas.get)
        self._pay(0 if value is None else len(value) * self._gas.read_byte)
        return value

    def exists(self, *args: Any, **kwargs: Any) -> bool:
        key = exactly(given("exists", ("key",), 1, 1, args, kwargs)["key"], "the key")
        return self._read(key, self._gas.get) is not None

    def put(self, *args: Any, **kwargs: Any) -> None:
        found = given("put", ("key", "value"), 2, 2, args, kwargs)
        key = exactly(found["key"], "the key")
        value = exactly(found["value"], "the value")
        self._usable()
        self._pay(self._gas.put + self._gas.written_byte * len(key + value))
        self._write(key, value)

    def delete(self, *args: Any, **kwargs: Any) -> None:
        key = exactly(given("delete", ("key",), 1, 1, args, kwargs)["key"], "the key")
        self._usable()
        self._pay(self._gas.delete + self._gas.written_byte * len(key))
        self._write(key, None)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        found = given("add", ("key", "delta", "width", "offset", "size", "minimum", "maximum"), 3, 2, args, kwargs)
        key, delta = exactly(found["key"], "the key"), number(found["delta"], "the delta")
        width = length(found["width"], "the width", 1, 16)
        offset = length(found.get("offset", 0), "the offset", 0, 2**30)
        size, highest = found.get("size"), found.get("maximum")
        size = offset + width if size is None else length(size, "the size", offset + width, 2**30)
        minimum = number(found.get("minimum", 0), "the minimum")
        maximum = 256**width - 1 if highest is None else number(highest, "the maximum")
        self._usable()
        gas = self._gas
        self._pay(gas.get + gas.put + gas.read_byte * size + gas.written_byte * (len(key) + size))
        self._writable(key, range(size))
        mine = self._writes.get(key, b"")
        own = key in self._writes and not isinstance(mine, Sum)
        before = mine if key in self._writes else self._below.counted(key)
        if before is None:
            before = bytes(size)
        if len(before) != size:
            raise ValueError(f"add: the value has {len(before)} bytes, not {size}")
        counter = int.from_bytes(before[offset : offset + width], "big") + delta
        done = max(0, minimum) <= counter <= min(maximum, 256**width - 1)
        if not own:
            self._below.added(key, Addition((offset, width, size), counter, delta, max(0, minimum), min(maximum, 256**width - 1)))
        if done:
            value = before[:offset] + counter.to_bytes(width, "big") + before[offset + width :]
            self._write(key, value if own else Sum(value))
        return done

    def scan(self, *args: Any, **kwargs: Any) -> Scan:
        found = given("scan", ("start", "end", "prefix", "reverse", "limit"), 0, 2, args, kwargs)
        bounds = {name: None if found.get(name) is None else exactly(found[name], name) for name in ("start", "end", "prefix")}
        start, end, prefix = bounds.values()
        if prefix is not None:
            if start is not None or end is not None:
                raise ValueError("scan takes a prefix, or start and end, not both")
            start, end = prefix, after(prefix)
        reverse = bool(found.get("reverse", False))
        limit = found.get("limit")
        if limit is not None:
            limit = number(limit, "the limit")
            if limit < 0:
                raise ValueError("the limit is negative")
        self._usable()
        own = sorted((item for item in plain(self._writes).items() if within(item[0], start, end)), reverse=reverse)
        never = start is not None and end is not None and start >= end
        return Scan(self, None if never else merged(iter(own), self._below.scan(start, end, reverse), reverse), limit)

    def checkpoint(self, *args: Any, **kwargs: Any) -> Checkpoint:
        given("checkpoint", (), 0, 0, args, kwargs)
        return Checkpoint(self)

    def _close(self) -> None:
        self._open = False

    def _writable(self, key: bytes, value: Sized | None) -> None:
        self._usable()
        limits = self._limits
        if not key:
            raise ValueError("the key is empty")
        if len(key) > limits.key_bytes:
            raise LimitExceeded(f"a key of {len(key)} bytes: at most {limits.key_bytes} (Limits.key_bytes)")
        if value is not None and len(value) > limits.value_bytes:
            raise LimitExceeded(f"a value of {len(value)} bytes: at most {limits.value_bytes} (Limits.value_bytes)")

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._writable(key, value)
        limits = self._limits
        writes = {**self._writes, key: value}
        if len(writes) > limits.tx_keys:
            raise LimitExceeded(f"a transaction writes at most {limits.tx_keys} keys (Limits.tx_keys)")
        if sum(len(k) + len(v or b"") for k, v in writes.items()) > limits.tx_write_bytes:
            raise LimitExceeded(f"a transaction writes at most {limits.tx_write_bytes} bytes (Limits.tx_write_bytes)")
        self._writes = writes

    def _usable(self) -> None:
        if not self._open:
            raise RuntimeError(ENDED)
        if self._thread != threading.get_ident():
            raise RuntimeError(ELSEWHERE)
        if self._meter is not None and self._meter.out:
            raise OutOfGas


class Scan(Once):
    """What `state.scan` returns."""

    __slots__ = ("_state", "_items", "_left")
    _SHOWN = "<scan of a state>"

    def __init__(self, state: State, items: Iterator[tuple[bytes, bytes]] | None, limit: int | None) -> None:
        self._state = state
        self._items = items
        self._left = limit

    def __iter__(self) -> Scan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        self._state._usable()
        if self._items is None or self._left == 0:
            raise StopIteration
        self._state._pay(self._state._gas.scan)
        if self._left is not None:
            self._left -= 1
        pair = next(self._items, None)
        if pair is None:
            self._items = None
            raise StopIteration
        self._state._pay(self._state._gas.read_byte * len(pair[0] + pair[1]))
        return pair

    def close(self, *args: Any, **kwargs: Any) -> None:
        given("close", (), 0, 0, args, kwargs)
        if self._state._open:
            self._state._usable()
        self._items = None


class Checkpoint(Once):
    """What `state.checkpoint` returns."""

    __slots__ = ("_state", "_depth", "_before", "_entered")
    _SHOWN = "<checkpoint of a state>"

    def __init__(self, state: State) -> None:
        self._state = state
        self._depth = 0
        self._entered = False
        self._before: dict[bytes, bytes | None] | None = None  # while it is open: what was written at its beginning

    def __enter__(self, *args: Any, **kwargs: Any) -> None:
        given("__enter__", (), 0, 0, args, kwargs)
        state = self._state
        state._usable()
        if self._entered:
            raise RuntimeError("a checkpoint is entered once: call state.checkpoint() again")
        most = state._limits.checkpoint_depth
        if state._depth >= most:
            raise LimitExceeded(f"at most {most} checkpoints inside each other (Limits.checkpoint_depth)")
        state._depth += 1
        self._depth = state._depth
        self._entered = True
        self._before = state._writes

    def __exit__(self, *args: Any, **kwargs: Any) -> None:
        found = given("__exit__", ("kind", "error", "trace"), 3, 3, args, kwargs)
        state = self._state
        if self._before is not None and (not state._open or (state._meter is not None and state._meter.out)):
            return
        state._usable()
        if self._before is None or self._depth != state._depth:
            raise RuntimeError("checkpoints end in the reverse order of their beginning")
        state._depth -= 1
        if found["kind"] is not None:
            state._writes = self._before
        self._before = None


class Below(Protocol):
    """What lies below a transaction."""

    def get(self, key: bytes) -> bytes | None: ...
    def scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]: ...


class Sum(bytes):
    """What a transaction has written by adding to what lies below it."""


def plain(writes: WriteSet) -> dict[bytes, bytes | None]:
    return {key: bytes(value) if isinstance(value, Sum) else value for key, value in writes.items()}


class Addition(NamedTuple):
    """field: offset, width and size. counter: what it would be afterwards, to be between `least` and `most`."""

    field: tuple[int, int, int]
    counter: int
    delta: int
    least: int
    most: int

    def way(self, counter: int) -> int:
        """How it goes where it would make the counter this: 0 done, -1 and 1 refused for it would be too little and too much; 2: it is
        refused wherever the counter is."""
        highest = 256 ** self.field[1] - 1
        if abs(self.delta) > highest or self.least > self.most:
            return 2
        if highest + self.delta < self.least if self.delta < 0 else self.most < self.delta:
            return 2
        return (counter > self.most) - (counter < self.least)


class Overlay:
    """The state as the next transaction finds it: the writes of those so far, on top of the committed state."""

    def __init__(self, base: Below) -> None:
        self._base = base
        self.writes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.writes[key] if key in self.writes else self._base.get(key)

    def counted(self, key: bytes) -> bytes | None:
        """What is there to add to."""
        return self.get(key)

    def added(self, key: bytes, addition: Addition) -> None:
        """The transaction has added to what lies here, or was refused."""

    def apply(self, writes: WriteSet) -> None:
        """Take the write set of a finished transaction. No scan may be under way."""
        self.writes.update(plain(writes))

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        if start is not None and end is not None and start >= end:
            return iter(())
        written = sorted((item for item in self.writes.items() if within(item[0], start, end)), reverse=reverse)
        return merged(iter(written), self._base.scan(start, end, reverse), reverse)


class ThirdOpinion:
    """An executor as the others, for VMs in Python."""

    def __init__(self, vm: LoadedVM, limits: Limits, overlay: type[Overlay] = Overlay) -> None:
        self._vm = vm
        self._limits = limits
        self._overlay = overlay

    def run(self, block: Block, base: Below) -> Outcome:
        self.begun = self._begun(block, base)
        overlay = self._overlay(base if self.begun is None else self.begun)
        receipts = []
        for index, tx in enumerate(block.txs):
            state = State(overlay, self._limits)
            if self._limits.gas is not None:
                state._meter = Meter(self._limits.gas)
            with patch.multiple(context, charge=state._charge, gas_left=state._left):  # what `ctx` calls
                receipt = self._receipt(tx, state, index, block)
            if (meter := state._meter) is not None:
                receipt = Receipt(11, error="out of gas") if meter.out else receipt
                receipt = replace(receipt, gas_wanted=meter.limit, gas_used=meter.used)
            overlay.apply(state._writes if receipt.ok else {})
            receipts.append(receipt)
        packed = Receipts.of(receipts)
        if self._vm.end_block:
            state = State(overlay, self._limits)
            try:
                self._vm.instance.end_block(state, block.context.of_end(block.txs), Receipts.of(receipts))
            except Exception as error:
                raise VMFault(len(block.txs), "end_block") from error
            state._close()
            overlay.apply(state._writes)
        begun = {} if self.begun is None else self.begun.writes
        return Outcome(sorted({**begun, **overlay.writes}.items()), packed)

    def _begun(self, block: Block, base: Below) -> Overlay | None:
        """What `begin_block` leaves for the first transaction."""
        if not self._vm.begin_block:
            return None
        overlay = self._overlay(base)
        state = State(overlay, self._limits)
        try:
            self._vm.instance.begin_block(state, block.context.of_begin(Hook.BEGIN_BLOCK))
        except Exception as error:
            raise VMFault(-1, "begin_block") from error
        state._close()
        overlay.apply(state._writes)
        return overlay

    def _receipt(self, tx: bytes, state: State, index: int, block: Block) -> Receipt:
        vm = self._vm.instance
        try:
            decoded = vm.decode(tx) if self._vm.decode else tx
            if state._meter is not None and hasattr(vm, "gas_limit"):
                state._meter.at_most(vm.gas_limit(decoded))
            output = vm.execute(decoded, state, block.context.of_transaction(index))
        except BaseException as error:
            state._close()
            kind = type(error)
            if state._meter is not None and state._meter.out:
                return Receipt()
            # The VM of these tests makes no system call, so an OSError is one that it says.
            if issubclass(kind, MACHINE_FAULTS) or not issubclass(kind, Exception):
                raise VMFault(index, name_of(kind)) from error
            return reverted(error) or failed(kind)
        state._close()
        if output is None:
            return Receipt()
        if not issubclass(type(output), bytes):
            return failed(TypeError)
        exact = exactly(output, "")
        return failed(LimitExceeded) if len(exact) > self._limits.output_bytes else Receipt(output=exact)


def failed(kind: type) -> Receipt:
    return Receipt(2, error=kept(name_of(kind)))


def reverted(error: BaseException) -> Receipt | None:
    """The receipt of a Revert that says properly what it says."""
    if not issubclass(type(error), Revert):
        return None
    try:
        code, message = error.code, error.message  # type: ignore[attr-defined]
    except Exception:
        return None
    if type(code) is bool or not issubclass(type(code), int) or not issubclass(type(message), str):
        return None
    number = int.__index__(code)
    return Receipt(number, error=kept(str.__str__(message))) if 1 <= number < 2**32 else None


def kept(text: str) -> str:
    data = text.encode("utf-8", "backslashreplace")
    return data[:1024].decode("utf-8", "ignore")


def after(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None if there is no such key."""
    for length in range(len(prefix), 0, -1):
        if prefix[length - 1] != 0xFF:
            return prefix[: length - 1] + bytes([prefix[length - 1] + 1])
    return None


def within(key: bytes, start: bytes | None, end: bytes | None) -> bool:
    return (start is None or key >= start) and (end is None or key < end)


def merged(
    top: Iterator[tuple[bytes, bytes | None]], below: Iterator[tuple[bytes, bytes]], reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Two layers in key order as one: `top` hides `below`, its None hides the key. Reads neither further than asked."""
    upper, lower, ahead = next(top, None), None, True
    while True:
        if ahead:
            lower = next(below, None)
        if upper is None and lower is None:
            return
        if upper is None or (lower is not None and lower[0] != upper[0] and (lower[0] > upper[0]) == reverse):
            assert lower is not None
            yield lower
            ahead = True
            continue
        ahead = lower is not None and lower[0] == upper[0]
        key, value = upper
        if value is not None:
            yield key, value
        upper = next(top, None)
