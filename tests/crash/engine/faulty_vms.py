"""VMs that kill, hang, stop, or fail only where what they read is stale."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any, Iterator

from ioi_exec import EndContext, Receipts, StateView, TxContext


class Ledger:
    """Reads and writes a few keys, at its leisure. A transaction is the keys' numbers."""

    def __init__(self, microseconds: int = 200) -> None:
        self.seconds = microseconds / 1e6

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        total = ctx.tx_index
        for number in tx:
            total = (total * 31 + int(state.get(b"k%d" % number) or b"7")) % 1_000_003
            time.sleep(self.seconds * random.random())
        state.put(b"k%d" % tx[0], b"%d" % total)
        return b"%d" % total


class Killer(Ledger):
    """The transaction b"kill" ends its process; if `marker` is a path, only as long as there are fewer than `times` there."""

    def __init__(self, marker: str | None = None, times: int = 1, status: int = 9) -> None:
        super().__init__()
        self.marker = marker
        self.times = times
        self.status = status

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        if tx == b"kill":
            if self.marker is None:
                os._exit(self.status)
            with open(self.marker, "a+") as file:
                file.seek(0)
                if len(file.read()) < self.times:
                    file.write("x")
                    file.flush()
                    os._exit(self.status)
        return super().execute(tx[:2], state, ctx)


class Mortal(Ledger):
    """Its process is killed at the fourth transaction that it begins while `mortal` is there; b"kill" ends it then, too."""

    def __init__(self, mortal: str) -> None:
        super().__init__()
        self.mortal = mortal
        self.begun = 0

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        self.begun += 1
        if os.path.exists(self.mortal) and (tx == b"kill" or self.begun >= 4):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(tx[:2], state, ctx)


class Forking(Ledger):
    """The transaction b"fork" returns in two processes, in the second one later."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        child = tx == b"fork" and os.fork() == 0
        if child:
            time.sleep(0.1)
        return b"child" if child else super().execute(tx[:2], state, ctx)


class Forks:
    """Forks at the transaction b"fork", where it is said, and waits until the child has ended."""

    def __init__(self, where: str, how: str) -> None:
        self._where = where
        self._how = how
        self._child = False

    def decode(self, tx: bytes) -> bytes:
        self._fork("decode", tx)
        return tx

    def keys(self, tx: bytes) -> list[bytes]:
        self._fork("keys", tx)
        return [tx]

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        self._fork("execute", tx, state)
        state.put(tx, tx)
        return b"child" if self._child else tx

    def end_block(self, state: StateView, ctx: EndContext, results: Receipts) -> None:
        self._fork("end_block", b"fork", state)
        state.put(b"end", b"child" if self._child else b"%d" % len(ctx.txs))

    def _fork(self, where: str, tx: bytes, state: StateView | None = None) -> None:
        if where != self._where or tx != b"fork" or self._child:
            return
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        self._child = True
        if self._how == "raises":
            raise MemoryError
        if self._how == "writes" and state is not None:
            state.put(b"child", b"child")


class Sleeper(Ledger):
    """The transaction b"hang" never ends."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        while tx == b"hang":
            time.sleep(1)
        return super().execute(tx, state, ctx)


class Slow(Ledger):
    """The transaction b"slow" takes two and a half seconds; as the file `stopped` says, it first stops its process so often."""

    def __init__(self, stopped: str | None = None) -> None:
        super().__init__()
        self.stopped = stopped

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        if tx == b"slow":
            if self.stopped is not None:
                with open(self.stopped, "r+") as file:
                    left = int(file.read())
                    file.seek(0)
                    file.write(str(max(0, left - 1)))
                if left:
                    os.kill(os.getpid(), signal.SIGSTOP)
            else:
                time.sleep(2.5)
        return super().execute(tx[:2], state, ctx)


class Raiser:
    """Raises what the transaction names."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        state.put(b"k%d" % (ctx.tx_index % 3), state.get(b"k0") or b"first")
        time.sleep(0.0005)
        if tx == b"memory":
            raise MemoryError
        if tx == b"recursion":
            self.execute(tx, state, ctx)
        if tx == b"file":
            open("/nowhere/at/all")
        if tx == b"import":
            import no_such_module_anywhere  # type: ignore[import-not-found]  # noqa: F401
        if tx == b"exit":
            raise SystemExit(3)
        if tx == b"bug":
            raise KeyError("bug")
        return b"fine"


def torn(state: StateView) -> Iterator[tuple[bytes, bytes]]:
    """Two keys that every transaction changes together: read apart, they differ only where something is stale."""
    while True:
        left = state.get(b"left") or b"0"
        time.sleep(random.random() * 0.0005)
        yield left, state.get(b"right") or b"0"


def step(state: StateView, left: bytes, right: bytes) -> bytes:
    state.put(b"left", b"%d" % (int(left) + 1))
    state.put(b"right", b"%d" % (int(right) + 1))
    return left


class Invariant:
    """Raises `error`, by name, where the two keys differ: which no valid incarnation ever sees."""

    def __init__(self, error: str) -> None:
        self.error = error

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        left, right = next(torn(state))
        if left != right:
            if self.error == "_exit":
                raise BaseException("seen torn")
            if self.error == "recursion":
                return self.execute(tx, state, ctx)
            raise {"assertion": AssertionError, "memory": MemoryError, "os": OSError, "exit": SystemExit}[self.error]("torn")
        return step(state, left, right)


class Loops:
    """Goes round in circles while the keys differ, in the way named."""

    def __init__(self, way: str) -> None:
        self.way = way

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        left, right = next(torn(state))
        while left != right:
            if self.way == "get":
                left, right = state.get(b"left") or b"0", state.get(b"right") or b"0"
            elif self.way == "exists":
                state.exists(b"left")
            elif self.way == "put":
                state.put(b"busy", left)
            elif self.way == "delete":
                state.delete(b"busy")
            elif self.way == "scan":
                list(state.scan(prefix=b"none"))
            elif self.way == "checkpoint":
                with state.checkpoint():
                    pass
        return step(state, left, right)


class Swallows:
    """Catches everything, BaseException included, and goes on."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        seen: Any = b"?"
        for _ in range(1500):  # long enough that the view looks whether it is stale, and stops the incarnation in here
            try:
                left, right = next(torn(state)) if seen == b"?" else (state.get(b"left") or b"0", state.get(b"right") or b"0")
                seen = left
            except BaseException:
                seen = b"swallowed"
        try:
            state.put(b"left", b"%d" % (int(left) + 1))
            state.put(b"right", b"%d" % (int(right) + 1))
        except BaseException:
            seen = b"swallowed"
        return bytes(seen)


class Phantoms:
    """Every transaction adds a key on two sides, and counts on both until the counts agree."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        left = len(list(state.scan(prefix=b"l")))
        time.sleep(random.random() * 0.0005)
        while left != len(list(state.scan(prefix=b"r", reverse=bool(left % 2)))):
            left = len(list(state.scan(prefix=b"l")))
        state.put(b"l%03d" % left, b"")
        state.put(b"r%03d" % left, b"")
        return b"%d" % left


class Stamps:
    """`=T` writes T under every key; `?N` returns what is under the N-th, and `?` what a scan finds."""

    KEYS = [b"k%02d" % number for number in range(24)]

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        if tx[:1] == b"=":
            for key in self.KEYS:
                state.put(key, tx[1:])
            return b""
        if tx[1:]:
            return state.get(self.KEYS[int(tx[1:])]) or b""
        return b" ".join(sorted({value for _, value in state.scan()}))
