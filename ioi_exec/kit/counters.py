"""Numbers that many transactions change: one, or one for each key."""

from __future__ import annotations

from typing import Any, Generic, Iterator, Protocol, TypeVar

from ioi_exec.arguments import integer
from ioi_exec.kit.codecs import Codec, Spec, Unsigned
from ioi_exec.kit.state import Keyed, Named, Reading

K = TypeVar("K")


class Counting(Protocol):
    """What can be counted in: `state`."""

    def add(self, key: bytes, delta: int, *, width: int, minimum: int = 0, maximum: int | None = None) -> bool: ...


class Counter(Named):
    """One number from 0 to 2^(8 width) - 1, under its name; absent it is 0. width: bytes."""

    def __init__(self, name: str, *, width: int = 16, prefix: bytes | None = None) -> None:
        super().__init__("Counter", name, prefix, True)
        self._number = Unsigned(integer(f"{name}: the width", width, 1, 16))
        self._width = width

    def _codecs(self) -> tuple[Codec[Any], ...]:
        return (self._number,)

    def add(self, state: Counting, delta: int, *, minimum: int = 0, maximum: int | None = None) -> bool:
        """Add delta, which may be negative. False, and nothing is written, where the sum would leave minimum .. maximum."""
        done: bool = self.operation(state, "add")(self.prefix, delta, width=self._width, minimum=minimum, maximum=maximum)
        return done

    def get(self, state: Reading) -> int:
        data = self.operation(state, "get")(self.prefix)
        return 0 if data is None else self.unpacked("value", self._number, data)

    def entry(self, value: int) -> tuple[bytes, bytes]:
        """Key and value for a genesis."""
        return self.prefix, self.packed("value", self._number, value)


class Counters(Keyed[K], Generic[K]):
    """The same for each key: balances, for one. Raises InputTypeError or InputError for a key that does not fit."""

    def __init__(self, name: str, key: Spec[K], *, width: int = 16, prefix: bytes | None = None) -> None:
        super().__init__("Counters", name, key, prefix)
        self._number = Unsigned(integer(f"{name}: the width", width, 1, 16))
        self._width = width

    def _codecs(self) -> tuple[Codec[Any], ...]:
        return self._key, self._number

    def add(self, state: Counting, key: K, delta: int, *, minimum: int = 0, maximum: int | None = None) -> bool:
        """As `Counter.add`."""
        done: bool = self.operation(state, "add")(self.key(key), delta, width=self._width, minimum=minimum, maximum=maximum)
        return done

    def get(self, state: Reading, key: K) -> int:
        data = self.operation(state, "get")(self.key(key))
        return 0 if data is None else self.unpacked("value", self._number, data, key)

    def scan(
        self, state: Reading, prefix: Any = None, *, start: Any = None, end: Any = None, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[K, int]]:
        """As `Map.scan`: those that were ever added to."""
        low, high = self.bounds(prefix, start, end)
        return self.scanned(self.operation(state, "scan")(low, high, reverse=reverse, limit=limit), self._number)

    def entry(self, key: K, value: int) -> tuple[bytes, bytes]:
        """Key and value for a genesis."""
        return self.key(key), self.packed("value", self._number, value, key)
