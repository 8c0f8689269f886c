"""Typed state: an item, a map. Each lives under keys of its own, and says its name where something does not fit.

    class Token:
        owner = Item("owner", bytes)                              # under the key "owner"
        balances = Map("balances", key=bytes, value=int)          # under "balances/" and the key
        allowances = Map("allowances", key=tuple[bytes, bytes], value=int)

        def execute(self, tx, state, ctx):
            money = self.balances.get(state, tx.sender, 0)

As attributes of a VM or of its class they are looked over when a machine is made: two that could meet are refused. What they are given
first is the `state` of a transaction, or, to read, a machine or a past state.
"""

from __future__ import annotations

from typing import Any, Generic, Iterator, Protocol, TypeVar, overload

from ioi_exec.arguments import octets, shown, text
from ioi_exec.errors import InputError, InputTypeError
from ioi_exec.kit.codecs import Codec, Octets, Row, Spec, Text, codec
from ioi_exec.vm.places import Place
from ioi_exec.vm.revert import Revert

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Reading(Protocol):
    """What can be read: `state`, ExecutionMachine, PastState."""

    def get(self, key: bytes) -> bytes | None: ...
    def scan(
        self, start: bytes | None = None, end: bytes | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]: ...


class Writing(Protocol):
    """What can be written: `state`."""

    def put(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> None: ...


class Named(Place):
    """prefix: instead of the name (and "/", if many keys begin with it); its bytes then are anything but empty."""

    def __init__(self, kind: str, name: str, prefix: bytes | None, exact: bool) -> None:
        self.name, self.exact = text(f"{kind}: the name", name), exact
        if not name or "/" in name or not name.isprintable():
            raise InputError(f"{kind}: the name is {shown(name)}: give printable text without '/'")
        self.prefix = name.encode() + (b"" if exact else b"/") if prefix is None else octets(f"{name}: the prefix", prefix)
        if not self.prefix:
            raise InputError(f"{name}: the prefix is empty, and would take every key: give it some bytes")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, prefix={self.prefix!r}, {', '.join(map(repr, self._codecs()))})"

    def _codecs(self) -> tuple[Codec[Any], ...]:
        """What its keys and values are; another process must have the same."""
        raise NotImplementedError

    def packed(self, what: str, codec: Codec[Any], value: Any, *of: object) -> bytes:
        """what: "key" or "value". of: whose value."""
        try:
            return codec.pack(value)
        except (InputError, InputTypeError) as error:
            raise type(error)(f"{self.name}: the {_of(what, of)} does not fit: {error}") from None

    def operation(self, state: object, name: str) -> Any:
        """A method of what was given as state. Raises InputTypeError where that has none."""
        found = getattr(state, name, None)
        if found is None:
            to_read = ", or, to read, a machine or a past state" if name in ("get", "scan") else ""
            raise InputTypeError(
                f"{self.name}: the first argument is {type(state).__name__}, which has no {name!r}: give the `state` of a transaction{to_read}"
            )
        return found

    def is_there(self, state: object, key: bytes) -> bool:
        asked = getattr(state, "exists", None)  # of a transaction's state alone, where it conflicts less
        return self.operation(state, "get")(key) is not None if asked is None else bool(asked(key))

    def unpacked(self, what: str, codec: Codec[V], data: bytes, *of: object) -> V:
        try:
            return codec.whole(data)
        except InputError as error:
            raise InputError(f"{self.name}: the {_of(what, of)} is {shown(data)} in the state: {error}") from None


class Item(Named, Generic[V]):
    """One value under one key, which is its name. Raises InputTypeError or InputError for a definition or a value that does not fit."""

    def __init__(self, name: str, value: Spec[V], *, prefix: bytes | None = None) -> None:
        super().__init__("Item", name, prefix, True)
        self._value: Codec[V] = codec(f"{name}: the value", value)

    def _codecs(self) -> tuple[Codec[Any], ...]:
        return (self._value,)

    @overload
    def get(self, state: Reading) -> V | None: ...
    @overload
    def get(self, state: Reading, default: V) -> V: ...
    def get(self, state: Reading, default: V | None = None) -> V | None:
        """The value; `default` where there is none."""
        data = self.operation(state, "get")(self.prefix)
        return default if data is None else self.unpacked("value", self._value, data)

    def load(self, state: Reading) -> V:
        """The value. Raises Revert where there is none."""
        found = self.get(state)
        if found is None:
            raise Revert(f"{self.name} is not set")
        return found

    def put(self, state: Writing, value: V) -> None:
        self.operation(state, "put")(self.prefix, self.packed("value", self._value, value))

    def exists(self, state: Reading) -> bool:
        return self.is_there(state, self.prefix)

    def delete(self, state: Writing) -> None:
        self.operation(state, "delete")(self.prefix)

    def entry(self, value: V) -> tuple[bytes, bytes]:
        """Key and value for a genesis."""
        return self.prefix, self.packed("value", self._value, value)


class Keyed(Named, Generic[K]):
    """Many keys, each under `prefix` and what its codec makes of it. The bytes sort as the keys do."""

    def __init__(self, kind: str, name: str, key: Spec[K], prefix: bytes | None) -> None:
        super().__init__(kind, name, prefix, False)
        self._key: Codec[K] = codec(f"{name}: the key", key)
        if not self._key.is_key:
            raise InputError(f"{name}: the key is a struct, whose bytes do not sort: give a tuple or a NamedTuple")

    def key(self, key: K) -> bytes:
        """The key in the state: for `keys`, `machine.prove` and what else goes by bytes."""
        return self.prefix + self.packed("key", self._key, key)

    def bounds(self, prefix: Any, start: Any, end: Any) -> tuple[bytes, bytes | None]:
        """The range of keys in the state of a scan."""
        low, high = self.prefix, _after(self.prefix)
        if prefix is not None:
            low = self.prefix + self._first(prefix, scalar=False)
            high = _after(low)
        if start is not None:
            low = max(low, self.prefix + self._first(start, scalar=True))
        if end is not None:
            bound = self.prefix + self._first(end, scalar=True)
            high = bound if high is None else min(high, bound)
        return low, high

    def _first(self, value: Any, scalar: bool) -> bytes:
        """scalar: a key that is no tuple is a bound; else only what has a beginning, bytes and text, is one."""
        if isinstance(self._key, Row):
            try:
                return self._key.first(value)
            except (InputError, InputTypeError) as error:
                raise type(error)(f"{self.name}: the bound does not fit: {error}") from None
        if not scalar and not isinstance(self._key, (Octets, Text)):
            raise InputError(f"{self.name}: scan: prefix goes with keys that are tuples, bytes or text: give start and end")
        return self.packed("bound", self._key, value)

    def scanned(self, pairs: Iterator[tuple[bytes, bytes]], value: Codec[V]) -> Iterator[tuple[K, V]]:
        size = len(self.prefix)
        for full, data in pairs:
            key = self.unpacked("key", self._key, full[size:])
            yield key, self.unpacked("value", value, data, key)


class Map(Keyed[K], Generic[K, V]):
    """A value for each key that has one. Raises InputTypeError or InputError, with its name and the key, for what does not fit."""

    def __init__(self, name: str, key: Spec[K], value: Spec[V], *, prefix: bytes | None = None) -> None:
        super().__init__("Map", name, key, prefix)
        self._value: Codec[V] = codec(f"{name}: the value", value)

    def _codecs(self) -> tuple[Codec[Any], ...]:
        return self._key, self._value

    @overload
    def get(self, state: Reading, key: K) -> V | None: ...
    @overload
    def get(self, state: Reading, key: K, default: V) -> V: ...
    def get(self, state: Reading, key: K, default: V | None = None) -> V | None:
        """The value; `default` where there is none."""
        data = self.operation(state, "get")(self.key(key))
        return default if data is None else self.unpacked("value", self._value, data, key)

    def load(self, state: Reading, key: K) -> V:
        """The value. Raises Revert where there is none."""
        found = self.get(state, key)
        if found is None:
            raise Revert(f"{self.name} has no {shown(key)}")
        return found

    def put(self, state: Writing, key: K, value: V) -> None:
        self.operation(state, "put")(self.key(key), self.packed("value", self._value, value, key))

    def exists(self, state: Reading, key: K) -> bool:
        return self.is_there(state, self.key(key))

    def delete(self, state: Writing, key: K) -> None:
        self.operation(state, "delete")(self.key(key))

    def scan(
        self, state: Reading, prefix: Any = None, *, start: Any = None, end: Any = None, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[K, V]]:
        """(key, value) in the order of keys, `end` exclusive; lazy, as `state.scan` is.

        prefix: the first parts of a tuple, as a tuple; of keys that are bytes or text, how they begin. start, end: keys, of tuples
        also their first parts: start=("ada",) is before all that begin so, and so is end=("ada",).
        """
        low, high = self.bounds(prefix, start, end)
        return self.scanned(self.operation(state, "scan")(low, high, reverse=reverse, limit=limit), self._value)

    def entry(self, key: K, value: V) -> tuple[bytes, bytes]:
        """Key and value for a genesis."""
        return self.key(key), self.packed("value", self._value, value, key)


def _of(what: str, key: tuple[object, ...]) -> str:
    return f"{what} of {shown(key[0])}" if key else what


def _after(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None: there is none."""
    short = prefix.rstrip(b"\xff")
    return short[:-1] + bytes((short[-1] + 1,)) if short else None
