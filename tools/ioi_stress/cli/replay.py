"""ioi-stress replay: execute real blocks from files, measure and verify them."""

from __future__ import annotations

from ioi_exec.cli.options import Commands
from ioi_stress.cli.run import register_one


def register(commands: Commands) -> None:
    register_one(
        commands, "replay", "Execute blocks from files of ioi-exec, measure and verify them.",
        example="ioi-stress replay block.jsonl --genesis genesis.json --repeat 3",
    )
