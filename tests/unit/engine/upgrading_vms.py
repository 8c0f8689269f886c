"""VMs that take over from each other. A transaction is a key; what is written says which VM it was."""

from __future__ import annotations

from typing import Any

from ioi_exec import Revert, StateView


class One:
    version = 1

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> bytes:
        state.put(b"one/" + tx, b"%d" % ctx.height)
        return b"one"

    def query(self, path: str, data: bytes, state: StateView) -> bytes:
        return b"one has " + (state.get(b"one/" + data) or b"none")

    def check(self, tx: bytes, state: StateView, ctx: Any) -> None:
        if state.exists(b"one/" + tx):
            raise Revert("there")


class Two:
    """Moves everything, and has hooks at both ends of a block."""

    version = 2
    prefix = b"two/"

    def migrate(self, state: StateView, ctx: Any, from_version: str) -> None:
        moved = 0
        for key, value in state.scan(prefix=b"one/"):
            state.delete(key)
            state.put(self.prefix + key[4:], value + b" from " + from_version.encode())
            moved += 1
        ctx.emit("migrated", moved=moved, at=ctx.height, dice=ctx.random().randrange(2**60))

    def begin_block(self, state: StateView, ctx: Any) -> None:
        state.put(b"begun", b"%d with %d" % (ctx.height, sum(1 for _ in state.scan(prefix=self.prefix))))
        ctx.emit("begun", dice=ctx.random().randrange(2**60))

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> bytes:
        state.put(self.prefix + tx, b"%d" % ctx.height)
        return b"two, " + b" ".join(key for key, _ in state.scan(limit=20))

    def query(self, path: str, data: bytes, state: StateView) -> bytes:
        return b"two has " + (state.get(self.prefix + data) or b"none")

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
        ctx.emit("ended")


class Three(One):
    """From any: says from which."""

    version = 3

    def migrate(self, state: StateView, ctx: Any, from_version: str) -> None:
        state.put(b"from", from_version.encode())


class Fails(Two):
    version = 4

    def migrate(self, state: StateView, ctx: Any, from_version: str) -> None:
        state.put(b"half", b"done")
        raise LookupError("cannot")
