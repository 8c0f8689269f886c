"""Random programs with everything in them that programs can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Mapping

from ioi_stress.vm import encoding
from ioi_stress.workloads.base import ACCOUNTS_MAX, Made
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.parameters import parameter
from ioi_stress.workloads.programs import account

_NUMBERED = account(0)[:-8]
# Operations and how often each occurs.
_WEIGHTS = {"read": 6, "write": 5, "exists": 2, "delete": 2, "when": 3, "undo": 2, "revert": 1, "scan": 2}
_NATIVE = [name for name, weight in _WEIGHTS.items() if name != "scan" for _ in range(weight)]
_ALL = [name for name, weight in _WEIGHTS.items() for _ in range(weight)]
_NESTED = 3


@dataclass(frozen=True, kw_only=True)
class Mixed(Made):
    name = "mixed"
    summary = (
        "random programs: branches on what was read, deletions, undone checkpoints, failures (and scans in Python)"
    )
    example = "mixed --accounts 20 --vm python"

    accounts: int = parameter(
        1000, least=1, most=ACCOUNTS_MAX, help="keys; the lower its number, the more often one is meant"
    )
    operations: int = parameter(
        12, least=1, most=1000, help="most operations of a transaction, those inside each other not counted"
    )

    @property
    def _values(self) -> int:
        return self.accounts

    def _state(self) -> Mapping[bytes, bytes]:
        """Two keys of three."""
        return {account(n): self._value(n) for n in range(self.accounts) if n % 3}

    def _block(self, number: int, fails: list[bool], memory: dict[int, int]) -> list[bytes]:
        draws, first = self._draws("programs", number), number * self.block_size
        return [self._random(first + i, draws) for i in range(self.block_size)]

    def _random(self, number: int, draws: Draws) -> bytes:
        steps = 1 + draws.below(self.operations)
        at = draws.below(steps + 1)
        program = [self._step(draws, 0) for _ in range(steps)]
        tx = self._transaction(number, program[:at], program[at:], fails=False)
        return tx[:-1] if draws.below(200) == 0 else tx  # not to the end: malformed

    def _step(self, draws: Draws, depth: int) -> bytes:
        names = _ALL if self.runs_on == "python" else _NATIVE
        name = names[draws.below(len(names))]
        if name in ("when", "undo"):
            if depth == _NESTED:
                return encoding.read(self._key(draws))
            body = b"".join(self._step(draws, depth + 1) for _ in range(1 + draws.below(3)))
            return (encoding.when if name == "when" else encoding.undo)(1, draws.below(2), body)
        return _STEPS[name](self, draws)

    def _write(self, draws: Draws) -> bytes:
        return encoding.write(
            self._key(draws), (0, self.value_bytes, self.value_bytes, 4 * self.value_bytes)[draws.below(4)]
        )

    def _revert(self, draws: Draws) -> bytes:
        return encoding.revert(mask=7, bits=draws.below(8), code=1 + draws.below(255))

    def _scan(self, draws: Draws) -> bytes:
        kind, reverse, limit = draws.below(4), bool(draws.below(2)), draws.below(6)
        if kind == 0:
            prefix = account(self._number(draws))
            return encoding.scan(
                prefix=encoding.key(prefix[: len(prefix) - draws.below(3)]), limit=limit, reverse=reverse
            )
        start = self._key(draws) if kind != 1 else b""
        end = self._key(draws) if kind != 2 else b""
        return encoding.scan(start, end, limit=limit or 20, reverse=reverse)

    def _key(self, draws: Draws) -> bytes:
        if draws.below(4) == 0:
            return encoding.key(_NUMBERED, numbers=self.accounts)
        return encoding.key(account(self._number(draws)))

    def _number(self, draws: Draws) -> int:
        return draws.below(1 + draws.below(self.accounts))


_STEPS: dict[str, Callable[[Mixed, Draws], bytes]] = {
    "read": lambda mixed, draws: encoding.read(mixed._key(draws)),
    "exists": lambda mixed, draws: encoding.exists(mixed._key(draws)),
    "delete": lambda mixed, draws: encoding.delete(mixed._key(draws)),
    "write": Mixed._write,
    "revert": Mixed._revert,
    "scan": Mixed._scan,
}
