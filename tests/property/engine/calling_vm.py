"""A VM that calls `state` in every way there is, right and wrong, and makes what comes of it its output.

A transaction is the JSON of a list of steps; a step is [name, arguments...]. What is handed to `state` is named, not given:
`thing` makes it, so that subclasses, liars and what refuses to be looked at can be drawn as well. All that is observed
(values, kinds and texts of errors) is the receipt's output or error.
"""

from __future__ import annotations

import copy
import enum
import json
import pickle
import threading
import weakref
import zlib
from typing import Any, Callable, Iterator, NoReturn

from ioi_exec import Receipts, Revert

Step = list[Any]


class Sub(bytes):
    """A subclass that says nothing of its own."""


class Liar(bytes):
    """Bytes that say of themselves what is not so."""

    def __len__(self) -> int:
        return 0

    def __bytes__(self) -> bytes:
        return b"lie"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    def __lt__(self, other: object) -> bool:
        raise ValueError("compared")

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(b"lie")

    def __getitem__(self, at: Any) -> Any:
        return 0

    def __repr__(self) -> str:
        raise ValueError("shown")


class Small(enum.IntEnum):
    TWO = 2


class LyingInt(int):
    def __index__(self) -> int:
        return 99

    def __int__(self) -> int:
        return 99

    def __lt__(self, other: object) -> bool:
        raise ValueError("compared")

    __le__ = __gt__ = __ge__ = __lt__

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


class LyingStr(str):
    def encode(self, *arguments: Any) -> bytes:
        raise ValueError("encoded")

    def __str__(self) -> str:
        raise ValueError("shown")

    def __getitem__(self, at: Any) -> str:
        raise ValueError("cut")

    def __len__(self) -> int:
        return 10**6


class NamedByMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise ValueError("no name")


class Unnamed(Exception, metaclass=NamedByMeta):
    pass


class NoClass(Exception):
    @property
    def __class__(self) -> NoReturn:  # type: ignore[override]
        raise ValueError("no class")


class OtherClass(Exception):
    @property
    def __class__(self) -> type:  # type: ignore[override]
        return MemoryError


class NoText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Asks:
    """Its truth is asked for in the middle of a call, and uses the state itself."""

    def __init__(self, run: Run, fails: bool) -> None:
        self.run = run
        self.fails = fails

    def __bool__(self) -> bool:
        self.run.state.put(b"asked", b"yes")
        if self.fails:
            raise LookupError("asked")
        return True


class Instance:
    """Says it is of a class that it is not of."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        return bytes


class LateRevert(Revert):
    """Its code or its text is computed when somebody asks for it: after its transaction."""

    def __init__(self, run: Run, field: str, step: Step) -> None:
        Exception.__init__(self)
        self.late = run, field, step

    def asked(self, field: str, otherwise: Any) -> Any:
        run, late, step = self.late
        if field != late:
            return otherwise
        run.step(step)
        return len(run.seen) + 10 if field == "code" else "late: " + run.text()

    @property
    def code(self) -> int:  # type: ignore[override]
        return int(self.asked("code", 7))

    @property
    def message(self) -> str:  # type: ignore[override]
        return str(self.asked("message", "in time"))


class BrokenRevert(Revert):
    """Reading one of its fields raises."""

    def __init__(self, field: str) -> None:
        Exception.__init__(self)
        self.field = field

    def __getattribute__(self, name: str) -> Any:
        if name in ("code", "message"):
            if object.__getattribute__(self, "field") == name:
                raise ValueError("broken")
            return 5 if name == "code" else "whole"
        return super().__getattribute__(name)


def plain_revert(code: Any, message: Any) -> Revert:
    error = Revert("text")
    error.code, error.message = code, message
    return error


RAISED: dict[str, Callable[[], Exception]] = {
    "revert": lambda: Revert("why", code=3),
    "enum": lambda: Revert("an enum", code=Small.TWO),
    "lying code": lambda: plain_revert(LyingInt(6), "six"),
    "great code": lambda: plain_revert(2**32, "too great"),
    "text code": lambda: plain_revert("1", "a text"),
    "true code": lambda: plain_revert(True, "a bool"),
    "no code": lambda: plain_revert(0, "none"),
    "lying text": lambda: plain_revert(4, LyingStr("text\ud800")),
    "bytes text": lambda: plain_revert(4, b"bytes"),
    "long text": lambda: plain_revert(4, "\u00e9" * 1000),
    "broken code": lambda: BrokenRevert("code"),
    "broken message": lambda: BrokenRevert("message"),
    "unnamed": Unnamed,
    "denied": lambda: PermissionError("not the owner"),
    "too late": lambda: TimeoutError(),
    "lying name": lambda: type(LyingStr("Lying"), (Exception,), {})(),
    "long name": lambda: type("N" * 2000, (Exception,), {})(),
    "no class": NoClass,
    "other class": OtherClass,
    "no text": NoText,
    "key": lambda: KeyError(object()),
}
RETURNED: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "sub": lambda: Sub(b"sub"),
    "liar": lambda: Liar(b"liar"),
    "long liar": lambda: Liar(b"x" * 5000),
    "long": lambda: b"x" * 5000,
    "array": lambda: bytearray(b"a"),
    "view": lambda: memoryview(b"a"),
    "text": lambda: "a",
    "false": lambda: False,
    "instance": Instance,
}
ODD: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": lambda x: copy.deepcopy([x]),
    "pickle": pickle.dumps,
    "hash": hash,
    "set": lambda x: {x},
    "repr": repr,
    "format": lambda x: f"{x}",
    "equal": lambda x: (x == x, x == 0, x != x),
    "dict": lambda x: x.__dict__,
    "bool": bool,
    "dir": lambda x: sorted(name for name in dir(x) if not name.startswith("_")),
    "type": lambda x: (type(x).__name__, type(x).__module__),
}
# Refused by the interpreter, whose texts are its own.
REFUSED: dict[str, Callable[[Any], Any]] = {
    "set attribute": lambda x: setattr(x, "mine", 1),
    "replace method": lambda x: setattr(x, "get", 1),
    "no attribute": lambda x: x.nothing,
    "order": lambda x: x < x,
    "weakref": weakref.ref,
    "len": len,
    "call": lambda x: x(),
    "index": lambda x: x[0],
    "in": lambda x: b"k" in x,
}


class Run:
    """One execution of a transaction."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.seen: list[str] = []
        self.scans: dict[int, Any] = {}
        self.checkpoints: dict[int, Any] = {}
        self.generators: dict[int, Any] = {}

    def text(self) -> str:
        return "; ".join(self.seen)

    def observe(self, what: Callable[[], Any], text: bool = True) -> Any:
        """What the call gives, or None; an error is observed."""
        try:
            value = what()
        except Exception as error:
            kind = type.__dict__["__name__"].__get__(type(error))
            self.seen.append(f"{kind}: {error}" if text else kind)
            return None
        self.seen.append(shown(value))
        return value

    def steps(self, steps: list[Step]) -> None:
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        getattr(self, "do_" + step[0])(*step[1:])

    def thing(self, name: str) -> Any:
        kind, _, of = name.partition(" ")
        made: dict[str, Callable[[], Any]] = {
            "bytes": lambda: of.encode("latin-1"),
            "sub": lambda: Sub(of.encode()),
            "liar": lambda: Liar(of.encode()),
            "long": lambda: b"l" * int(of),
            "text": lambda: of,
            "array": lambda: bytearray(of.encode()),
            "view": lambda: memoryview(of.encode()),
            "int": lambda: int(of),
            "small": lambda: Small.TWO,
            "lying": lambda: LyingInt(int(of)),
            "float": lambda: float(of),
            "true": lambda: True,
            "false": lambda: False,
            "none": lambda: None,
            "list": lambda: [b"k"],
            "instance": Instance,
            "unnamed": lambda: Unnamed(),
            "asks": lambda: Asks(self, of == "fails"),
            "state": lambda: self.state,
        }
        return made[kind]()

    def call(self, owner: Any, method: str, args: list[str], kwargs: list[list[str]]) -> Callable[[], Any]:
        def called() -> Any:
            named = {(LyingStr(name[1:]) if name.startswith("*") else name): self.thing(value) for name, value in kwargs}
            return getattr(owner, method)(*[self.thing(name) for name in args], **named)

        return called

    def do_call(self, method: str, args: list[str], kwargs: list[list[str]]) -> None:
        self.observe(self.call(self.state, method, args, kwargs))

    def do_open(self, slot: int, args: list[str], kwargs: list[list[str]]) -> None:
        self.scans[slot] = self.observe(self.call(self.state, "scan", args, kwargs))

    def do_next(self, slot: int) -> None:
        if (scan := self.scans.get(slot)) is not None:
            self.observe(lambda: next(scan))

    def do_rest(self, slot: int) -> None:
        if (scan := self.scans.get(slot)) is not None:
            self.observe(lambda: list(scan))

    def do_close(self, slot: int, args: list[str]) -> None:
        if (scan := self.scans.get(slot)) is not None:
            self.observe(self.call(scan, "close", args, []))

    def do_walk(self, args: list[str], kwargs: list[list[str]], take: int, body: list[Step]) -> None:
        """Writes while it goes on."""
        scan = self.observe(self.call(self.state, "scan", args, kwargs))
        for _ in range(take if scan is not None else 0):
            self.observe(lambda: next(scan))
            self.steps(body)

    def do_checkpoint(self, slot: int, args: list[str]) -> None:
        self.checkpoints[slot] = self.observe(self.call(self.state, "checkpoint", args, []))

    def do_enter(self, slot: int, args: list[str]) -> None:
        if (checkpoint := self.checkpoints.get(slot)) is not None:
            self.observe(self.call(checkpoint, "__enter__", args, []))

    def do_exit(self, slot: int, args: list[str], kwargs: list[list[str]]) -> None:
        if (checkpoint := self.checkpoints.get(slot)) is not None:
            self.observe(self.call(checkpoint, "__exit__", args, kwargs))

    def do_within(self, body: list[Step], raised: str | None) -> None:
        def work() -> None:
            with self.state.checkpoint() as given:
                self.seen.append(shown(given))
                self.steps(body)
                if raised == "base":
                    raise GeneratorExit
                if raised is not None:
                    raise RAISED[raised]()

        try:
            self.observe(work, text=False)
        except GeneratorExit:
            self.seen.append("base")

    def do_odd(self, owner: str, slot: int, what: str) -> None:
        objects = {"state": self.state, "scan": self.scans.get(slot), "checkpoint": self.checkpoints.get(slot)}
        if (found := objects[owner]) is None:
            return
        self.observe(lambda: (ODD if what in ODD else REFUSED)[what](found), text=what in ODD and what != "dict")

    def do_thread(self, step: Step) -> None:
        """In another thread."""
        thread = threading.Thread(target=self.step, args=(step,))
        thread.start()
        thread.join()

    def do_begin(self, slot: int, step: Step) -> None:
        """A generator that does something more when it is closed."""

        def generator() -> Iterator[None]:
            try:
                yield
            finally:
                self.step(step)

        self.generators[slot] = generator()
        next(self.generators[slot])

    def do_finish(self, slot: int) -> None:
        self.generators.pop(slot, None)

    def do_late(self, field: str, step: Step) -> None:
        """What `step` does to objects past their time, as the receipt's code or text."""
        raise LateRevert(self, field, step)

    def do_raise(self, which: str) -> None:
        raise RAISED[which]()


def shown(value: Any) -> str:
    kind = type(value)
    if kind in (bytes, bool, type(None), int, str):
        return repr(value)
    if kind in (tuple, list):
        return f"{kind.__name__}({', '.join(map(shown, value))})"
    return f"<{type.__dict__['__name__'].__get__(kind)}>"


class CallingVM:
    """decode: whether it has one, which says what it was given. ends: whether it ends the block."""

    def __init__(self, decode: bool = False, ends: bool = False) -> None:
        self.parsed = decode
        if decode:
            self.decode = self.parse
        if ends:
            self.end_block = self.end

    def parse(self, tx: bytes) -> list[Step]:
        assert type(tx) is bytes
        steps: list[Step] = json.loads(tx)
        if steps and steps[0][0] == "raise":
            raise RAISED[steps[0][1]]()
        return steps

    def execute(self, tx: Any, state: Any, ctx: Any) -> Any:
        run = Run(state)
        steps = tx if self.parsed else self.parse(tx)
        run.seen.append(context_shown(ctx))
        for step in steps:
            if step[0] == "return":
                return RETURNED[step[1]]()
            run.step(step)
        return run.text().encode("utf-8", "backslashreplace")

    def end(self, state: Any, ctx: Any, receipts: Any) -> None:
        run = Run(state)
        run.seen.append(context_shown(ctx) + shown(ctx.txs) + type(receipts).__name__)
        run.observe(lambda: ctx.txs.append(b"more"), text=False)
        run.observe(lambda: receipts[0])
        run.seen.append(f"{receipts.failed} {[r.code for r in receipts]} {receipts!r} {receipts == Receipts(receipts.blob, receipts.ends)}")
        receipts.blob = b""  # its own: nobody else's becomes another
        run.do_odd("state", 0, "copy")
        state.put(b"end", b"%08x" % zlib.crc32(run.text().encode("utf-8", "backslashreplace")))


def context_shown(ctx: Any) -> str:
    kind = type(ctx)
    try:
        ctx.height = 1
        changed = "changed"
    except AttributeError:
        changed = "kept"
    kinds = ",".join(type(field).__name__ for field in ctx)
    return f"{kind.__name__} {kind.__mro__[1].__name__} {kinds} {ctx.height} {ctx.tx_index} {changed} {hash(ctx) == hash(tuple(ctx))}"
