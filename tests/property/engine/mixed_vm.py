"""Random programs of all that a transaction can do: an ante that pays, events, gas and its limits, beside what program_vm.py has."""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

from program_vm import Program, ProgramVM, Run
from random_blocks import TEMPERS, Author

from ioi_exec import GasSchedule, Revert, StateView, TxContext

EVERYTHING = {**TEMPERS["mixed"], "add": 8, "emit": 6, "charge": 2, "left": 1, "swallow": 1}
GAS = (
    None,
    GasSchedule(flat=10, get=10, put=20, delete=5, scan=3, read_byte=1, written_byte=2, emit=4, tx_limit=300),
    GasSchedule(flat=1, get=1, put=1, scan=1, tx_limit=2**62),
)


class MixedRun(Run):
    def __init__(self, state: StateView, ctx: TxContext, keys: int, restless: bool) -> None:
        super().__init__(state, keys, restless)
        self.ctx = ctx

    def do_emit(self, size: int) -> None:
        self.ctx.emit(f"e{self.seen % 3}", saw=self.seen, bytes=b"x" * size)

    def do_charge(self, amount: int) -> None:
        self.ctx.charge(amount * (self.seen % 3))

    def do_left(self) -> None:
        self.observe(b"%d" % (self.ctx.gas_left or 0))

    def do_swallow(self, body: Program) -> None:
        """Also what must not be: the end of its gas, or of an incarnation that is of no use."""
        try:
            self.steps(body)
        except BaseException:
            self.observe(b"swallowed")


class MixedVM(ProgramVM):
    """A transaction is [what ante does, what execute does, its gas limit]."""

    def __init__(self, ante: bool = True, limits: bool = True, **args: Any) -> None:
        super().__init__(**args)
        if ante:
            self.ante = self.pay
        if limits:
            self.gas_limit = self.limit

    def limit(self, tx: Any) -> int:
        limit = self.part(tx, 2)
        if limit < 0:
            raise Revert("no limit", code=4)
        return limit  # type: ignore[no-any-return]

    def part(self, tx: Any, which: int) -> Any:
        return (tx if self.parsed else json.loads(tx))[which]

    def pay(self, tx: Any, state: StateView, ctx: TxContext) -> None:
        run = MixedRun(state, ctx, self.key_count, self.restless)
        run.steps(self.part(tx, 0))
        if run.seen % 7 == 0:
            state.checkpoint().__enter__()  # and never left

    def hint(self, tx: Any) -> list[bytes]:
        return super().hint(self.part(tx, 1) if self.parsed else json.dumps(self.part(tx, 1)))

    def execute(self, tx: Any, state: StateView, ctx: TxContext) -> bytes | None:
        run = MixedRun(state, ctx, self.key_count, self.restless)
        run.steps(self.part(tx, 1))
        return b"%x@%d" % (run.seen, ctx.tx_index) if run.seen % 5 else None

    def parse(self, tx: bytes) -> Any:
        found = json.loads(tx)
        if zlib.crc32(tx) % 50 == 0:
            raise Revert("undecodable", code=9)
        return found


class MixedAuthor(Author):
    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys, "mixed")
        self.names = list(EVERYTHING)
        self.weights = [weight if rng.random() < 0.7 else 0.1 for weight in EVERYTHING.values()]

    def step(self, name: str, depth: int) -> list[Any]:
        rng = self.rng
        if name == "emit":
            return [name, rng.choice((0, 1, 40, 700_000 if rng.random() < 0.02 else 3))]
        if name == "charge":
            return [name, rng.choice((0, 1, 20, 200))]
        if name == "left":
            return [name]
        if name == "swallow" and depth <= 3:
            return [name, self.program(rng.choice((1, 2)), depth + 1)]
        return super().step("get" if name == "swallow" else name, depth)

    def transaction(self) -> bytes:
        rng = self.rng
        parts = self.program(rng.choice((0, 1, 2)), 3), self.program(rng.choice((1, 2, 3, 5, 8)), 0)
        return json.dumps([*parts, rng.choice((5, 60, 150, 150, 10**6, 2**70, -1 if rng.random() < 0.1 else 400))], separators=(",", ":")).encode()


def mixed_block(rng: random.Random, keys: int) -> list[bytes]:
    size = rng.choice((2, 3, 5, 8, 12, 20, 30, 60))
    author = MixedAuthor(rng, keys)
    if rng.random() < 0.3:
        few = [author.transaction() for _ in range(3)]
        return [rng.choice(few) for _ in range(size)]
    return [author.transaction() for _ in range(size)]
