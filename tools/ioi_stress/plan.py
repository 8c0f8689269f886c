"""How a workload is to be run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ioi_exec.arguments import flag, integer, wrong_type
from ioi_exec.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Plan:
    """workers: worker processes; None: one per core; 0: one by one in this process.
    repeat: how often all blocks are executed from genesis on, `warmup` unmeasured times not counted.
    sequential: execute every block one by one as well, in turns with the parallel execution, and keep its times.
    verify: compare roots and receipts with those of sequential execution (once, if `sequential` is off).
    tree, state: where the state lives; state None: in memory, else a directory that must not exist yet and is removed afterwards.
    Raises InputTypeError or InputError for numbers that make no sense.
    """

    workers: int | None = None
    policy: Policy = field(default_factory=lambda: Policy.named("default"))
    repeat: int = 5
    warmup: int = 1
    sequential: bool = True
    verify: bool = True
    tree: str = "jellyfish"
    state: str | None = None
    pin: bool = True

    def __post_init__(self) -> None:
        for name, least in (("repeat", 1), ("warmup", 0)):
            integer(f"Plan.{name}", getattr(self, name), least)
        for name in ("sequential", "verify", "pin"):
            flag(f"Plan.{name}", getattr(self, name))
        if not isinstance(self.policy, Policy):
            raise wrong_type("Plan.policy", self.policy, "a Policy")

    def to_json(self) -> dict[str, Any]:
        return {
            "workers": self.workers,
            "policy": self.policy.to_json(),
            "repeat": self.repeat,
            "warmup": self.warmup,
            "sequential": self.sequential,
            "verify": self.verify,
            "tree": self.tree,
            "state": "memory" if self.state is None else "disk",
            "pin": self.pin,
        }
