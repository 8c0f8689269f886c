"""What a soak saw, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ioi_stress.chaos import Report
from ioi_stress.notation.text import counted
from ioi_stress.nothing import NothingJudged
from ioi_stress.soaking.looking import Look
from ioi_stress.soaking.quantities import ALL, QUANTITIES, Quantity
from ioi_stress.soaking.trend import CONFIDENCE, Trend, trend

FLAT, GROWS, UNTOLD = "flat", "grows", "too short to tell"
LEAST_SECONDS = 15.0  # in less than that processes have hardly come up
RULE = (
    "The first quarter is warm-up and left out. Growth an hour is the median slope of all pairs of windows (Theil and Sen), those of "
    f"processes within their lives, with its {CONFIDENCE:.0%} interval. Flat: all of the interval is within what is allowed. Grows: all "
    f"of it is above. Otherwise, and in less than {LEAST_SECONDS:.0f} seconds, the soak was too short to tell."
)


@dataclass(frozen=True)
class Judged:
    """One quantity: trend None: there were no two windows. allowed: units an hour."""

    quantity: Quantity
    trend: Trend | None
    allowed: float | None
    verdict: str


def judged(quantity: Quantity, looks: list[Look], seconds: float, times: float) -> Judged:
    """By the RULE. times: of the allowance."""
    found = trend(_lives(quantity, looks), seconds, quantity.step)
    if found is None:
        return Judged(quantity, None, None, UNTOLD)
    allowed = quantity.allowance(found.level, times)
    if seconds < LEAST_SECONDS:
        verdict = UNTOLD
    else:
        verdict = GROWS if found.low > allowed else FLAT if found.high <= allowed else UNTOLD
    return Judged(quantity, found, allowed, verdict)


def _lives(quantity: Quantity, looks: list[Look]) -> list[list[tuple[float, float]]]:
    lives: list[list[tuple[float, float]]] = []
    last: tuple[int, ...] | None = None
    for look in looks:
        if quantity.name not in look.values:
            continue
        life = look.lives.get(quantity.role, ()) if quantity.role != ALL else ()
        if not lives or life != last:
            lives.append([])
            last = life
        lives[-1].append((look.seconds, look.values[quantity.name]))
    return lives


@dataclass
class SoakReport:
    """chaos: what the campaign counted: blocks, commits, faults, defects. visits: who used the state beside the engine, and how often.
    machine: as `machine_facts`."""

    chaos: Report
    allowance: float
    machine: Mapping[str, Any]
    looks: list[Look] = field(default_factory=list)
    storms: int = 0
    visits: Mapping[str, int] = field(default_factory=dict)

    def judged(self) -> list[Judged]:
        """Every quantity that is judged."""
        seconds = self.looks[-1].seconds if self.looks else 0.0
        return [judged(each, self.looks, seconds, self.allowance) for each in QUANTITIES if each.more is not None]

    @property
    def verdict(self) -> tuple[int, str]:
        """(exit status, in words)."""
        chaos = self.chaos
        if chaos.defects:
            return chaos.exit_status, "; ".join(f"{kind}: {text}" for kind, text in chaos.defects)
        found = self.judged()
        grows = [each.quantity.label for each in found if each.verdict == GROWS]
        untold = [each.quantity.label for each in found if each.verdict == UNTOLD]
        until = "interrupted, until then: " if chaos.interrupted else ""
        if not self.looks:
            return (1 if until else NothingJudged.exit_status), f"{until}nothing was looked at"
        through = f"through {counted(chaos.injected, 'fault')} in {counted(self.storms, 'storm')}"
        if grows:
            return 1, f"{until}falls short, {through}: {', '.join(grows)} {'grow' if len(grows) > 1 else 'grows'}"
        if untold:
            which = "all" if len(untold) == len(found) else ", ".join(untold)
            return (1 if until else NothingJudged.exit_status), f"{until}too short to tell, {through}: {which}"
        return (1 if until else 0), f"{until}flat, {through}"

    def to_json(self) -> dict[str, Any]:
        status, words = self.verdict
        return {
            "parameters": self.chaos.parameters,
            "machine": dict(self.machine),
            "ok": status == 0,
            "exit": status,
            "verdict": words,
            "rule": RULE,
            "judged": [
                {
                    "name": each.quantity.name, "unit": each.quantity.unit, "verdict": each.verdict, "allowed_per_hour": each.allowed,
                    "per_hour": None if each.trend is None else each.trend.to_json(),
                }
                for each in self.judged()
            ],
            "visits": dict(self.visits),
            "storms": self.storms,
            "chaos": {name: value for name, value in self.chaos.to_json().items() if name not in ("parameters", "ok", "exit")},
            "looks": [
                {
                    "seconds": round(look.seconds, 3), "storm": look.storm,
                    **{name: round(value, 4) for name, value in look.values.items()},
                    "lives": {role: list(pids) for role, pids in look.lives.items()},
                }
                for look in self.looks
            ],
        }
