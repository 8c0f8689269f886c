"""ioi-stress rwset: execute transactions that are declared as reads, writes and cost, measure and verify them."""

from __future__ import annotations

from ioi_exec.cli.options import Commands
from ioi_stress.cli.run import register_one


def register(commands: Commands) -> None:
    register_one(
        commands, "rwset", "Execute transactions declared as reads, writes and cost: anyone's traces.",
        example="ioi-stress rwset trace.jsonl --repeat 3",
    )
