"""What a failed campaign leaves behind: the state, the block, and commands that show it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ioi_stress.chaos.report import Report
from ioi_stress.chaos.round import Round
from ioi_stress.workload import Block, Workload

REPORT = "report.json"


def leave_evidence(report: Report, workload: Workload, this: Round, folder: Path, state: Path, command: str | None) -> None:
    """Files in `folder`, beside the state: block.jsonl, genesis.json, report.json, engine.log."""
    genesis = {"state": {key.hex(): value.hex() for key, value in workload.genesis().items()}}
    (folder / "genesis.json").write_text(json.dumps(genesis))
    if this.block is not None:
        with open(folder / "block.jsonl", "w") as file:
            file.writelines(line + "\n" for line in _lines(this.block))
    report.evidence = str(folder)
    if command is not None:
        report.replay.append(command)
    if this.block is not None and any(kind == "diverged" for kind, _ in report.defects):
        arguments = ["ioi-exec", "run", str(state), str(folder / "block.jsonl"), "--dry-run", "--expect-root", this.truths[-1].state_root.hex()]
        report.replay.append(shlex.join(arguments))
    (folder / REPORT).write_text(json.dumps(report.to_json(), indent=1))


def _lines(block: Block) -> list[str]:
    lines = [json.dumps({"tx": tx.hex()}) for tx in block.txs]
    header = block.header
    if header is not None:
        shown: dict[str, Any] = {"time_ns": header.time_ns, "block_id": header.block_id.hex(), "extra": header.extra.hex()}
        if header.height is not None:
            shown["height"] = header.height
        if header.proposer is not None:
            shown["proposer"] = header.proposer.hex()
        lines.insert(0, json.dumps({"header": shown}))
    return lines
