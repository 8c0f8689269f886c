"""Random programs of calling_vm.py, from a seed alone."""

from __future__ import annotations

import json
import random

from calling_vm import ODD, RAISED, REFUSED, RETURNED, Step

KEYS = ("bytes a", "bytes ab", "bytes b", "bytes b\xff", "bytes c")
ODD_KEYS = (
    "sub a", "liar b", "liar ab", "bytes ", "long 33", "long 32", "long 600", "long 2000", "liar " + "l" * 40,
    "text a", "array a", "view a", "int 3", "none", "list", "instance", "unnamed", "state", "true",
)
VALUES = ("bytes ", "bytes v", "bytes value", "long 40")
ODD_VALUES = ("sub v", "liar value", "long 64", "long 65", "liar " + "l" * 70, "text v", "array v", "view v", "none", "int 0", "unnamed", "instance", "float 1")
LIMITS = ("int 0", "int 1", "int 2", "none", "small", "lying 1", f"int {2**70}", f"int -{2**70}", "int -1", "lying -1", "true", "float 1", "text 1", "instance")
NUMBERS = {
    "delta": ("int 0", "int 1", "int -1", "int 200", "int -70", f"int {2**63}", f"int -{2**63}", f"int {2**100}", f"int {2**128}"),
    "width": ("int 1", "int 1", "int 2", "int 16"), "offset": ("int 0", "int 0", "int 1", "int 20"),
    "size": ("none", "none", "int 1", "int 5", "int 40", "int 65"), "minimum": ("int 0", "int 1", "int -5", "int 300"),
    "maximum": ("none", "int 255", "int 40", "int -1", f"int {2**90}"),
}
ODD_NUMBERS = ("lying 2", "lying -3", "small", "true", "none", "float 1", "text 1", "bytes 1", "instance", "unnamed", f"int {2**200}", f"int -{2**200}", f"lying {2**70}")
TRUTHS = ("true", "false", "none", "int 0", "int 2", "text ", "text x", "list", "asks", "asks fails")
NAMES = {
    "get": ("key",), "exists": ("key",), "delete": ("key",), "put": ("key", "value"),
    "add": ("key", "delta", "width", "offset", "size", "minimum", "maximum"),
    "scan": ("start", "end", "prefix", "reverse", "limit"), "checkpoint": (),
}
STEPS = dict(
    call=30, open=5, next=9, rest=3, close=1, walk=4, checkpoint=3, enter=3, exit=3, within=6, odd=4, thread=2, begin=2, finish=1,
    late=2, **{"raise": 1, "return": 1},
)


class Caller:
    """Writes programs. wild: how often something other than what is expected is handed over."""

    def __init__(self, rng: random.Random, wild: float) -> None:
        self.rng = rng
        self.wild = wild

    def transaction(self) -> bytes:
        return json.dumps(self.program(self.rng.choice((1, 3, 6, 10)), 0)).encode()

    def program(self, steps: int, depth: int) -> list[Step]:
        program = [self.step(name, depth) for name in self.rng.choices(list(STEPS), list(STEPS.values()), k=steps)]
        return program if self.rng.random() < 0.8 else self.by_hand(depth) + program

    def by_hand(self, depth: int) -> list[Step]:
        """A checkpoint or two begun and ended without `with`, in whatever order; or writes after such as were undone."""
        if self.rng.random() < 0.5:
            puts: list[Step] = [["call", "put", [self.rng.choice(KEYS), self.rng.choice(VALUES)], []] for _ in range(6)]
            return [["within", puts[:3], self.rng.choice(("key", None))], *puts[3:]]
        slots = self.rng.sample(range(3), 2)
        steps: list[Step] = [["checkpoint", slot, []] for slot in slots]
        for name in self.rng.choices(("enter", "exit", "call"), k=6):
            steps.append(self.step(name, depth) if name != "enter" else [name, self.rng.choice(slots), []])
        return steps

    def step(self, name: str, depth: int) -> Step:
        rng = self.rng
        if depth > 2 or (depth and name in ("late", "raise", "return")):
            name = "call"
        slot = rng.randrange(3)
        if name == "call":
            method = rng.choice(("get", "get", "exists", "put", "put", "put", "delete", "add", "add", "add", "scan", "checkpoint"))
            return [name, method, *self.arguments(method)]
        if name == "open":
            return [name, slot, *self.arguments("scan")]
        if name == "walk":
            return [name, *self.arguments("scan"), rng.randrange(5), self.program(rng.choice((1, 2)), depth + 1)]
        if name in ("close", "checkpoint", "enter"):
            return [name, slot, self.few()]
        if name == "exit":
            return [name, slot, *rng.choice((
                [["none", "none", "none"], []], [["int 1", "none", "none"], []], [["none"], []], [[], []],
                [["true"], [["error", "none"], ["trace", "none"]]], [["none"], [["error", "none"], ["error2", "none"]]],
            ))]
        if name == "within":
            return [name, self.program(rng.choice((1, 2, 4)), depth + 1), rng.choice((None, None, "base", *RAISED))]
        if name == "odd":
            return [name, rng.choice(("state", "scan", "checkpoint")), slot, rng.choice((*ODD, *REFUSED))]
        if name in ("thread", "begin"):
            inner = self.step(rng.choice(("call", "call", "next", "enter", "odd")), depth + 1)
            return [name, inner] if name == "thread" else [name, slot, inner]
        if name == "late":
            return [name, rng.choice(("code", "message")), self.step(rng.choice(("call", "next", "rest", "close", "enter", "exit", "odd", "thread")), depth + 1)]
        if name == "raise":
            return [name, rng.choice(list(RAISED))]
        if name == "return":
            return [name, rng.choice(list(RETURNED))]
        return [name, slot]

    def few(self) -> list[str]:
        return [] if self.rng.random() >= self.wild else ["none"] * self.rng.randrange(3)

    def arguments(self, method: str) -> tuple[list[str], list[list[str]]]:
        """(positional, named)."""
        rng = self.rng
        names = list(NAMES[method])
        if method == "scan":
            names = [name for name in names if rng.random() < 0.4]
            if rng.random() < 0.8 and "prefix" in names:
                names = [name for name in names if name not in ("start", "end")]
        if method == "add":
            names = [name for name in names if name in ("key", "delta", "width") or rng.random() < 0.3]
        given = [(name, self.value(name)) for name in names]
        leading = rng.randrange(len(given) + 1) if rng.random() < 0.5 else len(given)
        if method == "scan" and rng.random() >= self.wild:
            leading = 0
            while leading < len(given) and leading < 2 and given[leading][0] == ("start", "end")[leading] and rng.random() < 0.7:
                leading += 1
        if method == "add" and rng.random() >= self.wild:
            leading = min(leading, 2)
        positional = [value for _, value in given[:leading]]
        named = [[name, value] for name, value in given[leading:]]
        rng.shuffle(named)
        if rng.random() < self.wild / 3:
            wrong = rng.choice(("extra", "missing", "unknown", "twice", "kind"))
            if wrong == "extra":
                positional.append("bytes a")
            elif wrong == "missing":
                positional, named = positional[1:], named[1:]
            elif wrong == "unknown":
                named.append([rng.choice(("keys", "Key", "default", "\u00e9", "*strange")), "none"])
            elif wrong == "twice" and given:
                named = [[given[0][0], given[0][1]], *named]
            named = [["*" + name, value] if wrong == "kind" else [name, value] for name, value in named]
        return positional, [list(pair) for pair in {name: value for name, value in named}.items()]

    def value(self, name: str) -> str:
        odd = self.rng.random() < self.wild / 3
        if name in ("key", "start", "end", "prefix"):
            return self.rng.choice(ODD_KEYS if odd else KEYS)
        if name == "value":
            return self.rng.choice(ODD_VALUES if odd else VALUES)
        if name in NUMBERS:
            return self.rng.choice(ODD_NUMBERS if odd else NUMBERS[name])
        if name == "reverse":
            return self.rng.choice(TRUTHS if odd else ("true", "false"))
        return self.rng.choice(LIMITS if odd else ("int 0", "int 1", "int 2", "none"))
