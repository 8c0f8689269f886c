"""How the scheduler goes about a block. A policy changes speed alone, never a result."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ioi_exec.arguments import integer, shown, text
from ioi_exec.errors import InputError, InputTypeError

WINDOW_MAX = (1 << 31) - 1  # IOI_WINDOW_OPEN of arena.h: no limit
RUN_MAX = 64  # IOI_RUN_MAX
SMALL_BLOCK_MAX = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The choices of Block-STM that cost or save time, each of which may be turned.

    Raises InputTypeError or InputError for values that make no sense.
    """

    name: str = "custom"
    """What `stats.policy` and tables call it; those of `Policy.named` have theirs."""
    estimates: bool = True
    """Mark the writes of an aborted incarnation ESTIMATE, so that readers wait for the next one (the paper, section 3.2).
    Without, they read what was there and are aborted themselves if that turns out wrong."""
    validation: str = "value"
    """"value": a read stands if it would read equal bytes now, and what changes is looked at by those that read it; "version": only if
    it would read the same incarnation's write, and all transactions above are validated again, as in the paper."""
    window: int | None = None
    """How many transactions execution may run ahead of the watermark; 0: no limit. None: none either, but fewer workers are active while
    conflicts are such that more would hurt."""
    run: int | None = None
    """Consecutive transactions a worker takes at once, 1 to 64. None: follows what a transaction costs; 1: as in the paper."""
    solo: bool = True
    """Let one worker run alone at the watermark while that is faster than several that conflict."""
    choose: bool = True
    """Execute a block one by one where that takes less time: few or cheap transactions, or conflicts. In the calling process if
    the VM is built in, else by one worker. What blocks took before decides. False: all workers take part in every block."""
    small_block: int = 1
    """Blocks of at most so many transactions are left to one worker, and the others asleep. More pays where transactions are cheap:
    waking the others takes about as long as 64 payments, or 8 transactions of 10 us."""

    def __post_init__(self) -> None:
        for field, kinds in (("name", str), ("estimates", bool), ("validation", str), ("solo", bool), ("choose", bool)):
            if not isinstance(getattr(self, field), kinds):
                raise InputTypeError(f"Policy.{field} is {type(getattr(self, field)).__name__}: give {kinds.__name__}")
        if self.validation not in ("value", "version"):
            raise InputError(f'Policy.validation is {shown(self.validation)}: give "value" or "version"')
        self._check_number("window", 0, WINDOW_MAX, optional=True)
        self._check_number("run", 1, RUN_MAX, optional=True)
        self._check_number("small_block", 0, SMALL_BLOCK_MAX, optional=False)

    def _check_number(self, field: str, least: int, most: int, *, optional: bool) -> None:
        value = getattr(self, field)
        if not (optional and value is None):
            object.__setattr__(self, field, integer(f"Policy.{field}", value, least, most))

    @classmethod
    def named(cls, name: str) -> Policy:
        """One of Policy.names(). Raises InputError for any other."""
        if text("the name of a policy", name) not in _NAMED:
            raise InputError(f"there is no policy {shown(name)}: give one of {', '.join(_NAMED)}")
        return cls(name=name, **_NAMED[name])

    @staticmethod
    def names() -> tuple[str, ...]:
        return tuple(_NAMED)

    def to_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def workers_for(self, transactions: int, workers: int) -> int:
        """How many of `workers` take part in a block of so many transactions."""
        return 1 if transactions <= self.small_block else workers

    def of_core(self) -> tuple[int, int, bool, bool, bool]:
        """As `Arena.begin` takes it: ioi_policy of arena.h."""
        window = 0 if self.window is None else self.window or WINDOW_MAX
        return window, self.run or 0, not self.estimates, self.validation == "version", not self.solo


_NAMED: dict[str, dict[str, Any]] = {
    "default": {},
    "all-workers": {"choose": False},
    # Algorithms 1 to 5: one transaction at a time, versions compared, no limit to running ahead, never alone.
    "paper": {"validation": "version", "window": 0, "run": 1, "solo": False, "choose": False},
    "no-estimates": {"estimates": False},
    "no-solo": {"solo": False, "choose": False},
}

DEFAULT = Policy.named("default")
