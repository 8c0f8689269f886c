"""ioi-exec check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ioi_storage.trees.seam import _trees

Cli = Callable[..., Any]
A, B = "aa" * 32, "bb" * 32


@pytest.fixture(params=sorted(_trees))
def state(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": {A: {"balance": 1000}}}))
    cli("init", "state", "--genesis", "genesis.json", "--tree", request.param)
    (tmp_path / "one").write_text(json.dumps({"from": A, "to": B, "amount": 10, "nonce": 0}) + "\n")
    cli("run", "state", "one", "--workers=0")
    return tmp_path / "state"


def test_whole(cli: Cli, state: Path) -> None:
    root = cli("info", "state", "--json").object["state_root"]
    assert cli("check", "state").out == f"ok: version 1  2 keys  root {root}\n"
    assert cli("check", "state", "--deep").out == f"ok: versions 0 to 1  2 keys  root {root}\n"
    summary = cli("check", "state", "--deep", "--json").object
    assert summary["ok"] and (summary["findings"], summary["version"], summary["oldest_version"]) == (0, 1, 0)
    assert summary["rows"]["versions"] == 2


def test_damaged(cli: Cli, state: Path) -> None:
    data = (state / "data.mdb").read_bytes()
    key = b"acct/" + bytes.fromhex(A)
    value = (990).to_bytes(16, "big") + (1).to_bytes(8, "big")
    assert data.count(key + value) >= 1
    (state / "data.mdb").write_bytes(data.replace(key + value, key + b"\1" + value[1:]))
    *findings, summary = cli("check", "state", "--json", status=6).objects
    assert findings and not summary["ok"] and summary["findings"] == len(findings)
    tables = {finding["table"] for finding in findings}
    assert "values" in tables and all(finding.keys() == {"table", "row", "reason"} for finding in findings)
    lines = cli("check", "state", "--deep", status=6).out.splitlines()
    assert any(line.startswith("row ") and "of table values: its checksum" in line for line in lines)
    assert "findings: the state is corrupt" in lines[-1]


def test_no_state(cli: Cli, state: Path) -> None:
    assert "no state" in cli("check", "other", "--json", status=2).error["error"]
    (state / "data.mdb").write_bytes((state / "data.mdb").read_bytes()[:5000])
    assert "truncated" in cli("check", "state", status=6).out
