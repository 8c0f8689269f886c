"""The Program VM in Python. `encoding` says what its transactions mean."""

from __future__ import annotations

from hashlib import sha256

from ioi_exec import Revert, StateView, TxContext
from ioi_stress.vm import cost
from ioi_stress.vm.encoding import (
    ADD,
    BURN,
    COUNTER_WIDTH_MAX,
    DELETE,
    EXISTS,
    PREFIX,
    READ,
    REVERSE,
    REVERT,
    SCAN,
    SLEEP,
    UNDO,
    WHEN,
    WRITE,
    Key,
    Malformed,
    Operation,
    Operations,
    decode,
)


class Program:
    """A VM of ioi-exec: short programs, whose output is a digest of everything they read."""

    version = 1

    def decode(self, tx: bytes) -> tuple[bytes, Operations]:
        try:
            return tx, decode(tx)
        except Malformed:
            raise Revert("malformed") from None

    def keys(self, tx: tuple[bytes, Operations]) -> list[bytes]:
        found: list[bytes] = []
        _name_keys(tx[1], found)
        return found

    def execute(self, tx: tuple[bytes, Operations], state: StateView, ctx: TxContext) -> bytes:
        run = _Run(state, sha256(tx[0]).digest())
        run.execute(tx[1])
        return run.digest


class _Undone(Exception):
    """Leaves a checkpoint whose writes are to be undone."""


class _Run:
    """One execution. digest: 32 bytes, of all that was observed so far."""

    def __init__(self, state: StateView, digest: bytes) -> None:
        self._state = state
        self.digest = digest

    def execute(self, operations: Operations) -> None:
        state = self._state
        for operation in operations:
            code = operation.code
            if code == READ:
                value = state.get(self._key(operation.key))
                self._observe(b"\x00" if value is None else b"\x01" + value)
            elif code == WRITE:
                size = operation.number
                state.put(self._key(operation.key), (self.digest * (size // 32 + 1))[:size])
            elif code == ADD:
                self._add(operation)
            elif code == BURN:
                cost.burn(operation.number)
            elif code == SLEEP:
                cost.sleep(operation.number)
            elif code == REVERT:
                if self._holds(operation):
                    raise Revert("reverted", operation.number)
            elif code == EXISTS:
                self._observe(b"\x03" if state.exists(self._key(operation.key)) else b"\x02")
            elif code == DELETE:
                state.delete(self._key(operation.key))
            elif code == SCAN:
                self._scan(operation)
            elif code == WHEN:
                if self._holds(operation):
                    self.execute(operation.body)
            elif code == UNDO:
                self._undo(operation)

    def _add(self, operation: Operation) -> None:
        size = operation.number
        try:
            added = self._state.add(
                self._key(operation.key), operation.delta, width=min(size, COUNTER_WIDTH_MAX), size=size
            )
        except ValueError:
            raise Revert("another length", 4) from None
        self._observe(b"\x07" if added else b"\x06")

    def _undo(self, operation: Operation) -> None:
        try:
            with self._state.checkpoint():
                self.execute(operation.body)
                if self._holds(operation):
                    raise _Undone
        except _Undone:
            pass

    def _scan(self, operation: Operation) -> None:
        flags = operation.flags
        start = None if operation.start is None else self._key(operation.start)
        end = None if operation.end is None else self._key(operation.end)
        found = self._state.scan(
            None if flags & PREFIX else start,
            end,
            prefix=start if flags & PREFIX else None,
            reverse=bool(flags & REVERSE),
            limit=operation.number or None,
        )
        for key, value in found:
            self._observe(b"\x04" + len(key).to_bytes(2, "big") + key + value)
        self._observe(b"\x05")

    def _observe(self, what: bytes) -> None:
        self.digest = sha256(self.digest + what).digest()

    def _holds(self, operation: Operation) -> bool:
        return self.digest[31] & operation.mask == operation.bits

    def _key(self, key: Key) -> bytes:
        if key.numbers == 0:
            return key.name
        return b"%b%08d" % (key.name, int.from_bytes(self.digest[:8], "big") % key.numbers)


def _name_keys(operations: Operations, found: list[bytes]) -> None:
    """The keys that are named outright and read, those behind a condition too."""
    for operation in operations:
        if operation.code in (READ, EXISTS, ADD) and operation.key.numbers == 0:
            found.append(operation.key.name)
        elif operation.body:
            _name_keys(operation.body, found)
