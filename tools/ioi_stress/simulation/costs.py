"""What things take on the simulated machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ioi_exec import InputError, InputTypeError

_MOST = 10**9


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Nanoseconds each. `calibrated` (calibration.py) measures those of the machine it runs on; these are a server of its own.

    Raises InputTypeError or InputError for values that make no sense.
    """

    line: int = 100
    """Moving a cache line from one core to another."""
    work: int = 500
    """The engine's own work in an execution, without what cores do to each other."""
    sequential: int = 350
    """The same, executing one by one."""
    wake: int = 2_000
    """A wake call, for each sleeper it wakes."""
    latency: int = 8_000
    """From there until the sleeper runs."""
    oversleep: int = 60_000
    """What a sleep (`--cost sleep`) takes longer than it says."""
    call: int = 200
    """A system call that finds nothing to do."""
    pause: int = 40
    """One turn of a spin loop."""
    jitter: int = 20
    """Executions differ by up to so many thousandths, up and down."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputTypeError(f"Costs.{name} is {type(value).__name__}: give an integer")
            if not 0 <= value <= (1000 if name == "jitter" else _MOST):
                raise InputError(f"Costs.{name} is {value}: give an integer from 0 to {1000 if name == 'jitter' else _MOST}")

    def lines_at(self, factor: float) -> Costs:
        return replace(self, line=round(self.line * factor))

    def free_lines(self) -> Costs:
        return replace(self, line=0)

    def free_wakes(self) -> Costs:
        return replace(self, wake=0, latency=0, call=0)

    def of_core(self) -> tuple[int, int, int, int, int, int, int, int]:
        """As `_simulation` takes it: sim_costs of costs.h."""
        return self.line, self.work, self.sequential, self.wake, self.latency, self.call, self.pause, self.jitter

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
