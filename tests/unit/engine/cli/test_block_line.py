"""The line of a block: its rate is of the block, and not of the processes that were started for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ioi_exec import BlockResult, ExecutionMachine
from ioi_exec.cli import main
from ioi_exec.cli.describe import block_line
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer


def block() -> tuple[BlockResult, str]:
    with ExecutionMachine.create(None, genesis={account_key(b"a" * 32): encode_account(7, 0)}, workers=0) as machine:
        result = machine.execute([encode_transfer(b"a" * 32, b"b" * 32, 1, fee=0, nonce=0)])
    result.stats.seconds = {"prepare": 5.0, "worker": 2.0, "execute": 0.3, "stage": 0.1, "receipts": 0.1, "total": 7.5}
    return result, result.state_root.hex()


def test_the_rate_is_of_executing_and_of_the_roots() -> None:
    result, root = block()
    assert block_line(result, "f", True, 0) == f"version 1  height 1  root {root}  1 transactions  2/s  sequential  f"
    assert "  0.50 s with starting 2 workers  " in block_line(result, "f", True, 2)


def test_workers_are_started_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("genesis.json").write_text(json.dumps({"state": {}}))
    for number in range(2):
        Path(f"{number}.jsonl").write_text("".join(json.dumps({"tx": f"{number}{i:05}"}) + "\n" for i in range(300)))
    assert main(["init", "state", "--genesis", "genesis.json"]) == 0
    capsys.readouterr()
    assert main(["run", "state", "0.jsonl", "1.jsonl", "--workers", "1", "--policy", "all-workers"]) == 0
    first, _, second, _ = capsys.readouterr().out.splitlines()  # all of them fail, which has a line of its own
    assert " s with starting 1 worker  " in first and "/s  " in second
