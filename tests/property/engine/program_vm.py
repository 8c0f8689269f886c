"""A VM whose transactions are small programs: they read, branch on what they read, write, scan, undo and fail.

A program is a list of steps, a step a list [name, arguments...], a transaction its JSON. `seen` is a running checksum of
everything the program observed; branches, keys, values, failures and the output derive from it, so a single wrong read
shows in the result.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from typing import Any, Iterator

from ioi_exec import LimitExceeded, Receipts, Revert, StateView, TxContext

Program = list[Any]

ERRORS: tuple[type[Exception], ...] = (KeyError, ZeroDivisionError, AssertionError, StopIteration, UnicodeError, LookupError)


def key(number: int) -> bytes:
    """Keys in two groups, so that prefixes, bounds and neighbours all occur. Length differs from key to key."""
    return (b"a", b"b")[number % 2] + b"%02d" % (number // 2) + b"x" * (number % 3)


class Run:
    """One execution of a program."""

    def __init__(self, state: StateView, keys: int, restless: bool = False, bulk: int = 1, ctx: Any = None) -> None:
        self.ctx = ctx
        self.state = state
        self.keys = keys
        self.restless = restless
        self.bulk = bulk
        self.seen = 1
        self.scans: dict[int, Iterator[tuple[bytes, bytes]]] = {}

    def observe(self, what: bytes | None) -> None:
        self.seen = zlib.crc32(b"\0absent" if what is None else what + b"+", self.seen)

    def key(self, number: int) -> bytes:
        """A negative number is a key that depends on what was seen."""
        return key(number if number >= 0 else self.seen % self.keys)

    def steps(self, program: Program) -> None:
        for name, *arguments in program:
            if self.restless and random.random() < 0.2:
                time.sleep(random.random() * 1e-4)
            getattr(self, "do_" + name)(*arguments)

    def do_get(self, number: int) -> None:
        self.observe(self.state.get(self.key(number)))

    def do_exists(self, number: int) -> None:
        self.observe(b"yes" if self.state.exists(self.key(number)) else b"no")

    def do_put(self, number: int, value: str) -> None:
        self.state.put(self.key(number), value.encode())

    def do_derive(self, number: int, kinds: int) -> None:
        """Few kinds: different incarnations write equal values now and then. Kind 0 is empty."""
        kind = self.seen % kinds
        self.state.put(self.key(number), b"d%d" % kind * kind * self.bulk)

    def do_add(self, number: int, delta: int, shape: list[int], most: int | None) -> None:
        """shape: width, offset, size. What is learned is observed."""
        width, offset, size = shape
        try:
            done = self.state.add(self.key(number), delta, width=width, offset=offset, size=size, maximum=most)
            self.observe(b"added" if done else b"refused")
        except ValueError as error:
            self.observe(str(error).encode())

    def do_delete(self, number: int) -> None:
        self.state.delete(self.key(number))

    def do_scan(self, bounds: dict[str, Any], take: int, body: Program) -> None:
        for found, value in self.opened(bounds):
            self.observe(found + b"=" + value)
            self.steps(body)
            take -= 1
            if take == 0:
                break
        self.observe(b"end")

    def do_open(self, slot: int, bounds: dict[str, Any]) -> None:
        self.scans[slot] = self.opened(bounds)

    def do_next(self, slot: int) -> None:
        if slot in self.scans:
            found = next(self.scans[slot], None)
            self.observe(None if found is None else found[0] + b"=" + found[1])

    def opened(self, bounds: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
        given: dict[str, Any] = {name: value.encode() if isinstance(value, str) else value for name, value in bounds.items()}
        return iter(self.state.scan(**given))

    def do_checkpoint(self, body: Program, fails: bool) -> None:
        try:
            with self.state.checkpoint():
                self.steps(body)
                if fails:
                    raise Revert("undo")
        except Exception as error:
            self.observe(type(error).__name__.encode())

    def do_attempt(self, body: Program) -> None:
        try:
            self.steps(body)
        except Exception as error:
            self.observe(type(error).__name__.encode())

    def do_charge(self, amount: int) -> None:
        self.ctx.charge(amount)

    def do_fuel(self) -> None:
        self.observe(b"%d" % (self.ctx.gas_left or 0))

    def do_stubborn(self, body: Program) -> None:
        """Whatever ends the body, go on."""
        try:
            self.steps(body)
        except BaseException as error:
            self.observe(type(error).__name__.encode())

    def do_when(self, of: int, left: Program, right: Program) -> None:
        self.steps(right if self.seen % of else left)

    def do_revert(self, code: int) -> None:
        raise Revert(f"code {code}, saw {self.seen % 4}", code=code)

    def do_fail(self, which: int) -> None:
        raise ERRORS[which % len(ERRORS)](self.seen)

    def do_misuse(self, which: int) -> None:
        state: Any = self.state
        (
            lambda: state.put(b"", b"empty key"),
            lambda: state.put("text", b""),
            lambda: state.put(b"a", None),
            lambda: state.get(None),
            lambda: state.scan(start=3),
            lambda: state.scan(prefix=b"a", end=b"b"),
            lambda: state.scan(limit=-1),
            lambda: state.put(b"long" * 10, b""),
            lambda: state.put(b"a", b"long" * 1000),
            lambda: state.exists("text"),
            lambda: state.get(b""),
            lambda: state.get(b"k" * 600),
        )[which % 12]()


class ProgramVM:
    """keys: how many there are. decode, hints, ends: which of the optional methods it has; hints may be wrong.
    restless: it sleeps between steps, at random, so that transactions overlap in ways two cores alone would not give.
    bulk: makes values so many times longer. asks: it has `gas_limit`. begin: programs of `begin_block`, one after another."""

    def __init__(
        self, keys: int = 20, decode: bool = False, hints: str = "", ends: bool = False, restless: bool = False, bulk: int = 1,
        asks: bool = False, begin: list[Program] | None = None,
    ) -> None:
        self.key_count = keys
        self.restless = restless
        self.bulk = bulk
        self.parsed = decode
        self.hinted = hints
        if decode:
            self.decode = self.parse
        if hints:
            self.keys = self.hint
        if ends:
            self.end_block = self.end
        if begin:
            self.begin_programs = begin
            self.begin_block = self.begin
        if asks:
            self.gas_limit = self.limit

    def parse(self, tx: bytes) -> Program:
        program = json.loads(tx)
        if program and program[0][0] == "undecodable":
            raise (Revert("undecodable", code=9), KeyError(1))[program[0][1] % 2]
        return program  # type: ignore[no-any-return]

    def hint(self, tx: Any) -> list[bytes]:
        program = tx if self.parsed else json.loads(tx)
        if self.hinted == "none":
            return []
        if self.hinted == "wrong":
            return [key(number) for number in range(0, self.key_count, 3)] + [b"nowhere", b""]
        if self.hinted == "fails":
            raise ValueError("no hint")
        return [key(step[1]) for step in program if step[0] in ("get", "exists", "put", "derive", "delete", "add") and step[1] >= 0]

    def limit(self, tx: Any) -> Any:
        """Some ask for little, some for more than they need, some for nonsense."""
        asked = zlib.crc32(str(tx).encode()) % 400
        return {0: -1, 1: None, 2: 2**90}.get(asked, asked)

    def execute(self, tx: Any, state: StateView, ctx: TxContext) -> bytes | None:
        run = Run(state, self.key_count, self.restless, self.bulk, ctx)
        run.steps(tx if self.parsed else self.parse(tx))
        return b"%x@%d" % (run.seen, ctx.tx_index) if run.seen % 5 else None

    def begin(self, state: StateView, ctx: Any) -> None:
        run = Run(state, self.key_count, self.restless, self.bulk, ctx)
        run.do_attempt(self.begin_programs[ctx.height % len(self.begin_programs)])
        try:
            state.put(b"beg", b"%x" % run.seen)
        except LimitExceeded:
            pass

    def end(self, state: StateView, ctx: Any, receipts: Receipts) -> None:
        failed = sum(not receipt.ok for receipt in receipts)
        run = Run(state, self.key_count)
        run.do_scan({"prefix": "a", "reverse": bool(failed % 2)}, 5, [])
        state.put(b"end", b"%d failed of %d, saw %x" % (failed, len(ctx.txs), run.seen))
        run.do_attempt([["delete", failed % self.key_count]])
