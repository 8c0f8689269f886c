"""The figures of a repetition: what they are called for people, their units, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """more, less: what B is said to be where its figure is above or below A's. better: 1 if more is better, -1 if less
    is, 0 if
    neither: it describes the work and is no merit."""

    label: str
    unit: str
    better: int
    more: str = "more"
    less: str = "less"


FIGURES: dict[str, Figure] = {
    "transactions_per_second": Figure("throughput", "transactions/s", 1, "faster", "slower"),
    "execute_seconds": Figure("executing", "s", -1, "longer", "shorter"),
    "stage_seconds": Figure("staging the state root", "s", -1, "longer", "shorter"),
    "commit_seconds": Figure("committing", "s", -1, "longer", "shorter"),
    "executions_per_transaction": Figure("executions", "per transaction", -1),
    "aborts_per_transaction": Figure("aborts", "per transaction", -1),
    "suspensions_per_transaction": Figure("suspensions", "per transaction", 0),
    "validations_per_transaction": Figure("validations", "per transaction", 0),
    "occupancy": Figure("occupancy of the workers", "of their time", 0, "higher", "lower"),
    "speedup": Figure("speedup, executing", "times sequential", 1, "greater", "smaller"),
    "speedup_total": Figure("speedup, all of execute", "times sequential", 1, "greater", "smaller"),
}
"""Of every name that `Repetition.figures` may have, in the order in which they are shown."""

FIRST_FIGURES = (
    "transactions_per_second",
    "speedup",
    "speedup_total",
    "executions_per_transaction",
    "aborts_per_transaction",
    "occupancy",
)
"""Those that most come for."""
