"""Random programs as a VM in Python; either.c is the same in C, and says what a transaction is."""

from __future__ import annotations

import hashlib
import random
import struct
from pathlib import Path
from typing import Any

import compiled
import ioi_shm

from ioi_exec import LimitExceeded, Receipts, Revert, StateView, TxContext
from ioi_exec.block.decided import FLAGS, KINDS

KEYS, STEP, HEAD, VALUE, MASK = 5, 3, 2, 4, 0xFFFFFFFF
BEGINS, WHATS = 6, (0, 2, 5, 4, 8, 12, 2, 3, 10, 5, 14)
TEXTS = (b"", b"text", "é".encode(), b"\xff", b"\xed\xa0\x80", b"\xf0\x90\x80\x80")


class Undo(Exception):
    """Leaves a checkpoint."""


def key_of(a: int) -> bytes:
    return b"k%d" % (a % KEYS)


class Run:
    def __init__(self, state: StateView, ctx: Any, program: bytes) -> None:
        self.state, self.ctx, self.program = state, ctx, program
        self.at, self.seen, self.depth = 0, 7, 0

    def observe(self, data: bytes) -> None:
        for byte in data:
            self.seen = (self.seen * 31 + byte) & MASK
        self.seen = (self.seen * 31 + 1) & MASK

    def steps(self, end: int) -> None:
        while self.at < end:
            what, a, b = self.program[self.at : self.at + STEP]
            self.at += STEP
            (self.get, self.exists, self.put, self.delete, self.scan, self.emit, self.charge, self.left, self.checkpoint,
             self.fail, self.context, self.swallow, self.add, self.nothing, self.never_closed)[what % 15](a, b, end)  # fmt: skip

    def get(self, a: int, b: int, end: int) -> None:
        value = self.state.get(key_of(a))
        self.observe(b"none" if value is None else value)

    def exists(self, a: int, b: int, end: int) -> None:
        self.observe(b"yes" if self.state.exists(key_of(a)) else b"no")

    def put(self, a: int, b: int, end: int) -> None:
        self.state.put(key_of(a), struct.pack("<I", self.seen) * (b % 4))

    def delete(self, a: int, b: int, end: int) -> None:
        self.state.delete(key_of(a))

    def scan(self, a: int, b: int, end: int) -> None:
        high = None if a & 64 else b"k%d" % (b % (KEYS + 2))
        for key, value in self.state.scan(key_of(a), high, reverse=bool(a >> 7), limit=2 if b & 128 else KEYS + 3):
            self.observe(key)
            self.observe(value)

    def emit(self, a: int, b: int, end: int) -> None:
        digits = a % 35
        big = bytes(0 if i < digits // 2 else self.seen >> i % 24 & 255 for i in range(34))
        number = int.from_bytes(big[:digits], "big")
        try:
            text = TEXTS[b % 6].decode()
        except UnicodeDecodeError:
            text = "\0"
        given = [("saw", -number if a >> 7 else number), ("bytes", big[: b % 9]), ("" if b == 255 else "téxt", text)][: b % 4]
        if digits > 32 and given or len(given) == 3 and (text == "\0" or b == 255):
            raise LimitExceeded("what it cannot be: in C that is a limit")
        self.ctx.emit("e%d" % (self.seen % 3), **dict(given))

    def charge(self, a: int, b: int, end: int) -> None:
        self.ctx.charge(a % 40 * (self.seen % 3))

    def left(self, a: int, b: int, end: int) -> None:
        self.observe(b"%d" % (self.ctx.gas_left or 0))

    def body(self, end: int, a: int) -> int:
        return min(end, self.at + STEP * (1 + a % 4))

    def checkpoint(self, a: int, b: int, end: int) -> None:
        try:
            with self.state.checkpoint():
                self.depth += 1
                try:
                    self.steps(self.body(end, a))
                finally:
                    self.depth -= 1
                if (self.seen ^ b) % 2:
                    raise Undo
        except Undo:
            pass

    def fail(self, a: int, b: int, end: int) -> None:
        if self.seen % 4 == b % 4:
            raise Revert("failed", code=5)

    def context(self, a: int, b: int, end: int) -> None:
        ctx = self.ctx
        self.observe(b"%d %d" % (ctx.height, ctx.time_ns))
        for each in (ctx.proposer, ctx.extra, ctx.parent_root, ctx.chain_id.encode()):
            self.observe(each)
        for vote in ctx.votes:
            self.observe(b"%d %d" % (vote.power, 1 + FLAGS.index(vote.flag)))
            self.observe(vote.validator)
        for one in ctx.misbehaviour:
            for number in (one.power, one.height, one.time_ns, one.total_power, 1 + KINDS.index(one.kind)):
                self.observe(b"%d" % number)
            self.observe(one.validator)
        label = bytes([a])[: a % 2]
        seed = hashlib.sha256(b"ioi-exec random\0" + struct.pack(">B32sQQ", 1, ctx.parent_root, ctx.height, getattr(ctx, "tx_index", 2**64 - 2)) + label).digest()
        assert ctx.random(label).getstate() == random.Random(seed).getstate()
        self.observe(seed)

    def swallow(self, a: int, b: int, end: int) -> None:
        to = self.body(end, a)
        try:
            self.steps(to)
        except BaseException:
            pass
        self.at = to
        self.observe(b"swallowed")

    def add(self, a: int, b: int, end: int) -> None:
        delta = self.seen % 7 * (-1 if a >> 7 else 1)
        done = self.state.add(key_of(a), delta, width=2, offset=1, size=4, minimum=b % 5, maximum=None if b % 3 else 9)
        self.observe(b"added" if done else b"refused")

    def nothing(self, a: int, b: int, end: int) -> None:
        """In C it closes a checkpoint of its ante, which does nothing."""

    def never_closed(self, a: int, b: int, end: int) -> None:
        if not self.depth and b % 2:
            self.state.checkpoint().__enter__()


class EitherVM:
    version = 1

    def __init__(self, ante: bool) -> None:
        if ante:
            self.ante = self.pay
            self.begin_block = self.begin
        else:
            self.check = self.let_in

    def gas_limit(self, tx: bytes) -> int:
        return 2**64 - 1 if len(tx) < HEAD or tx[1] == 255 else 10 * tx[1]

    def pay(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        if len(tx) >= HEAD:
            self.play(state, ctx, tx[HEAD : HEAD + STEP * tx[0]])

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes | None:
        if len(tx) < HEAD:
            return None
        run = self.play(state, ctx, tx[HEAD + STEP * tx[0] :])
        return b"%x@%d" % (run.seen, ctx.tx_index) if run.seen % 5 else None

    def let_in(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        seen = self.play(state, ctx, tx[HEAD : HEAD + STEP * tx[0]]).seen if len(tx) >= HEAD else 0
        return b"%x@%d" % (seen, ctx.tx_index)

    def query(self, path: str, data: bytes, state: StateView) -> bytes | None:
        run = Run(state, TxContext(0, 0, b"", b"", bytes(32), "", (), (), 0), data)
        run.observe(path.encode())
        run.steps(len(data) - len(data) % STEP)
        return b"%x" % run.seen if run.seen % 5 else None

    def play(self, state: StateView, ctx: Any, program: bytes) -> Run:
        run = Run(state, ctx, program)
        run.steps(len(program) - len(program) % STEP)
        return run

    def begin(self, state: StateView, ctx: Any) -> None:
        program = bytearray(ctx.height * 31 + i * 17 & 255 for i in range(BEGINS * STEP))
        for i in range(BEGINS):
            program[i * STEP] = WHATS[program[i * STEP] % len(WHATS)]
        try:
            self.play(state, ctx, bytes(program))
        except (LimitExceeded, ValueError):
            pass

    def end_block(self, state: StateView, ctx: Any, receipts: Receipts) -> None:
        run = Run(state, ctx, b"")
        for receipt in receipts:
            run.observe(receipt.output)
            run.seen = (run.seen + receipt.code + receipt.gas_used) & MASK
        run.context(1, 0, 0)
        run.get(1, 0, 0)
        run.put(0, 1, 0)
        run.emit(3, 2, 0)


class EitherInC:
    """The same in C: without an ante it has hints."""

    def __init__(self, ante: bool) -> None:
        self._symbol = "ioi_vm_either" if ante else "ioi_vm_hinted"

    def native(self) -> object:
        return ioi_shm.load_native_vm(library(), self._symbol)


def library() -> Path:
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    source = Path(__file__).with_name("either.c")
    return compiled.program("either.so", [source], flags, [ioi_shm.include_dir()])


def either_block(rng: random.Random) -> list[bytes]:
    size = rng.choice((2, 3, 5, 8, 12, 20, 40))
    weights = [8, 3, 8, 3, 4, 6, 2, 1, 6, 2, 1, 1, 6, 1, 1]

    def transaction() -> bytes:
        ante, rest = rng.choice((0, 1, 3)), rng.choice((1, 2, 3, 5, 8, 13))
        steps = rng.choices(range(15), weights, k=ante + rest)
        made = bytes((ante, rng.choice((0, 1, 6, 15, 15, 40, 255))))
        return made + b"".join(bytes((step, rng.randrange(256), rng.randrange(256))) for step in steps) if rng.random() < 0.97 else b"?"

    if rng.random() < 0.3:
        few = [transaction() for _ in range(3)]
        return [rng.choice(few) for _ in range(size)]
    return [transaction() for _ in range(size)]
