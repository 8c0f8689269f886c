"""What a soak is to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Sequence

from ioi_exec import InputError
from ioi_exec.arguments import shown, wrong_type
from ioi_stress.chaos import ChaosPlan, Fault, all_faults

_CYCLE = 300.0  # seconds
_CYCLES = 6  # of a soak, at least
STORM = 0.2  # of a cycle, its end
_DEATH_EVERY = 3  # storms
_LOOKS = 1_200
_LOOK_LEAST = 0.25  # seconds between two looks


@dataclass(frozen=True, kw_only=True)
class SoakPlan:
    """seconds: how long. duty: the share of the time in which it works, the rest it sleeps; 0.01 to 1.
    faults strike in storms, the last fifth of every cycle of five minutes (of a sixth of the soak, if that is less), rate of them in a
    block on average; those that kill the engine in every third storm, so that an engine lives for long.
    allowance: how many times what QUANTITIES say may grow in an hour.
    The rest is as in `ChaosPlan`. Raises InputError for values that make no sense."""

    seconds: float = 3600.0
    duty: float = 1.0
    faults: Sequence[Fault] = field(default_factory=all_faults)
    rate: float = 0.3
    seed: int = 1
    allowance: float = 1.0
    workers: int | None = None
    tree: str = "jellyfish"
    state: str | None = None
    keep: int = 64
    stall_seconds: float = 1.0
    pin: bool = True

    def __post_init__(self) -> None:
        for name in ("seconds", "duty", "allowance"):
            given: object = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, (int, float)):
                raise wrong_type(name, given, "a number")
        if not 0.01 <= self.duty <= 1:
            raise InputError(f"duty is {shown(self.duty)}: give the share of the time in which it works, 0.01 to 1")
        if not 0 < self.allowance < float("inf"):
            raise InputError(f"allowance is {shown(self.allowance)}: give a number above 0")
        if not 0 < self.seconds < float("inf"):
            raise InputError(f"seconds is {shown(self.seconds)}: give a number above 0")
        _ = self.chaos

    @property
    def chaos(self) -> ChaosPlan:
        return ChaosPlan(
            faults=self.faults, rate=self.rate, seed=self.seed, seconds=self.seconds, workers=self.workers, tree=self.tree,
            state=self.state, keep=self.keep, stall_seconds=self.stall_seconds, pin=self.pin,
        )

    @property
    def cycle(self) -> float:
        """Seconds."""
        return min(_CYCLE, self.seconds / _CYCLES)

    @property
    def look_every(self) -> float:
        """Seconds."""
        return max(_LOOK_LEAST, self.seconds / _LOOKS)

    def storm(self, seconds: float) -> int | None:
        """Which storm there is at this time, from 1 on; None: none."""
        number, into = divmod(seconds, self.cycle)
        return int(number) + 1 if into >= (1 - STORM) * self.cycle else None

    def at(self, storm: int) -> ChaosPlan | None:
        """What strikes in a storm; None if there is nothing that may."""
        deadly = storm % _DEATH_EVERY == 0
        faults = [fault for fault in self.faults if deadly or not fault.kills_engine]
        if not faults:
            return None
        return ChaosPlan(faults=faults, rate=self.rate, seed=self.seed)

    def to_json(self) -> dict[str, Any]:
        return {**self.chaos.to_json(), "duty": self.duty, "allowance": self.allowance, "cycle": self.cycle}
