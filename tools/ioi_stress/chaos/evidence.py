"""What a failed campaign leaves behind: the state, the block, and commands that show it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ioi_stress.chaos.disk import Disk
from ioi_stress.chaos.report import Report
from ioi_stress.chaos.round import Round
from ioi_stress.notation.files import write_block, write_genesis
from ioi_stress.workload import Workload, vm_words


def leave_evidence(
    report: Report, workload: Workload, this: Round, folder: Path, state: Path, disk: Disk | None, command: str | None
) -> None:
    """Files in `folder`, beside the state: block.jsonl, genesis.json, report.json, engine.log."""
    with open(folder / "genesis.json", "w") as file:
        write_genesis(file, workload.genesis())
    if this.block is not None:
        with open(folder / "block.jsonl", "w") as file:
            write_block(file, this.block)
    report.evidence = str(folder)
    if command is not None:
        report.replay.append(command)
    if disk is not None:
        report.replay.append(shlex.join(disk.again))
    if this.block is not None and any(kind == "diverged" for kind, _ in report.defects):
        root = this.truths[-1].state_root.hex()
        words = ["ioi-exec", "run", str(state), str(folder / "block.jsonl"), "--dry-run", "--expect-root", root]
        # A state does not choose the code that executes it.
        report.replay.append(shlex.join([*words, *([] if workload.vm == "payments" and not workload.vm_args else vm_words(workload) or [])]))
    (folder / "report.json").write_text(json.dumps(report.to_json(), indent=1))
