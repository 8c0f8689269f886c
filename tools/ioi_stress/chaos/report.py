"""What a campaign saw, and the verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ioi_exec import Diverged, StateCorrupt
from ioi_stress.nothing import NothingJudged

FAILED = 1
DIVERGED = Diverged.exit_status
CORRUPT = StateCorrupt.exit_status

# What a defect is called, and the exit status it means.
DEFECTS = {
    "diverged": DIVERGED,
    "lost commit": CORRUPT,
    "corrupt": CORRUPT,
    "refused without cause": FAILED,
    "unclear error": FAILED,
    "ended by itself": FAILED,
    "no answer": FAILED,
    "orphans": FAILED,
    "left behind": FAILED,
}


class Defect(Exception):
    """Something that must not happen did. kind: of DEFECTS."""

    def __init__(self, kind: str, text: str) -> None:
        assert kind in DEFECTS, kind
        super().__init__(text)
        self.kind = kind


@dataclass
class FaultCounts:
    """injected: how often it struck. missed: there was nothing to strike. effective: how many of `injected` were followed by
    anything. phases: when it struck. followed: by what, in the blocks it struck or lasted into (other faults may have had a part)."""

    injected: int = 0
    missed: int = 0
    effective: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    followed: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {
            "injected": self.injected,
            "missed": self.missed,
            "effective": self.effective,
            "phases": dict(self.phases),
            "followed": dict(self.followed),
        }


@dataclass
class Report:
    """parameters: workload and chaos, as JSON has them. Everything else is counted.

    rounds: how often the workload began. verified: blocks whose state root and receipts root were compared before their commit.
    committed, transactions: of acknowledged (or found) commits. reopened: states opened after a death or an I/O error, their version
    and root compared. unacknowledged: commits of those that were durable though the engine had died before it said so. read_again:
    versions whose roots were read from the final state. passages: how often a state was made, rolled back or restored while faults
    struck. rolled_back: versions that went with that, and were executed and committed again. checks, deep_checks: of the whole state. defects: kind and text.
    """

    parameters: dict[str, Any]
    faults: dict[str, FaultCounts]
    seconds: float = 0.0
    rounds: int = 0
    executed: int = 0
    verified: int = 0
    committed: int = 0
    transactions: int = 0
    engine_starts: int = 0
    reopened: int = 0
    unacknowledged: int = 0
    checks: int = 0
    deep_checks: int = 0
    read_again: int = 0
    passages: Counter[str] = field(default_factory=Counter)
    rolled_back: int = 0
    lost_commits: int = 0
    orphans: int = 0
    defects: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False
    evidence: str | None = None
    """The directory that was left behind, if something was wrong."""
    replay: list[str] = field(default_factory=list)
    """Commands that show it again."""

    def defect(self, defect: Defect) -> None:
        self.defects.append((defect.kind, str(defect)))
        self.lost_commits += defect.kind == "lost commit"

    @property
    def sound(self) -> bool:
        """Whether nothing was wrong and nobody has had enough: the campaign may go on."""
        return not self.defects and not self.interrupted

    @property
    def ok(self) -> bool:
        """Whether faults struck, all blocks were verified under them, and the campaign came to its end."""
        return self.sound and self.injected > 0 and self.verified > 0

    @property
    def exit_status(self) -> int:
        """0 if everything verified; else that of the worst: corrupt before diverged before the rest. Without a fault that struck
        there is nothing to judge."""
        nothing = FAILED if self.interrupted else 0 if self.ok else NothingJudged.exit_status
        return max((DEFECTS[kind] for kind, _ in self.defects), default=nothing)

    @property
    def unused(self) -> list[str]:
        """The faults that never struck: of them nothing is known."""
        return [name for name, counts in self.faults.items() if not counts.injected]

    @property
    def injected(self) -> int:
        return sum(counts.injected for counts in self.faults.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "parameters": self.parameters,
            "ok": self.ok,
            "exit": self.exit_status,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "rounds": self.rounds,
            "blocks_executed": self.executed,
            "blocks_verified": self.verified,
            "blocks_committed": self.committed,
            "transactions": self.transactions,
            "engine_starts": self.engine_starts,
            "states_reopened": self.reopened,
            "commits_unacknowledged": self.unacknowledged,
            "checks": self.checks,
            "deep_checks": self.deep_checks,
            "versions_read_again": self.read_again,
            "passages": dict(self.passages),
            "versions_rolled_back": self.rolled_back,
            "lost_commits": self.lost_commits,
            "orphans": self.orphans,
            "faults": {name: counts.to_json() for name, counts in self.faults.items()},
            "defects": [{"kind": kind, "text": text} for kind, text in self.defects],
            "evidence": self.evidence,
            "replay": self.replay,
        }
