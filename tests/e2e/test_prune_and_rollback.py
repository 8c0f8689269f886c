"""`ioi-exec prune` and `rollback`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def state(cli: Cli, tmp_path: Path) -> list[str]:
    """Its roots, version by version."""
    ada = "aa" * 32
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": {ada: {"balance": 1000, "nonce": 0}}}))
    roots = [cli("init", "state", "--genesis", "genesis.json", "--json").object["state_root"]]
    for number in range(4):
        block = json.dumps({"from": ada, "to": f"{number:064x}", "amount": 10, "fee": 0, "nonce": number})
        (tmp_path / f"block{number}").write_text(block + "\n")
    done = cli("run", "state", *(f"block{number}" for number in range(4)), "--workers", 0, "--json")
    return roots + [shown["state_root"] for shown in done.objects]


def test_prune(cli: Cli, state: list[str]) -> None:
    refused = cli("prune", "state", "--keep", 2, status=2)
    assert "versions 0 to 2 would go: add --yes" in refused.err
    assert cli("info", "state", "--json").object["oldest_version"] == 0
    shown = cli("prune", "state", "--keep", 2, "--yes", "--json").object
    assert (shown["version"], shown["oldest_version"]) == (4, 3) and shown["rows_deleted"] > 0
    assert cli("info", "state", "--json").object["state_root"] == state[4]
    cli("get", "state", "00" * 32, "--account", "--version", 3)
    assert "oldest is 3" in cli("get", "state", "00" * 32, "--account", "--version", 2, status=2).err
    cli("prune", "state", "--keep", 0, "--yes", status=2)
    cli("prune", "nowhere", "--keep", 1, "--yes", status=2)


def test_rollback(cli: Cli, state: list[str]) -> None:
    assert "versions 2 to 4 would be lost: add --yes" in cli("rollback", "state", 1, status=2).err
    shown = cli("rollback", "state", 1, "--yes", "--json").object
    assert shown == {"version": 1, "height": 1, "state_root": state[1], "versions_lost": 3}
    assert cli("rollback", "state", 1, "--yes", "--json").object["versions_lost"] == 0
    done = cli("run", "state", "block1", "block2", "--workers", 0, "--json")
    assert [block["state_root"] for block in done.objects] == state[2:4]
    assert "not committed yet" in cli("rollback", "state", 9, "--yes", status=2).err


def test_run_keeps_so_many(cli: Cli, state: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    cli("run", "state", "empty", "empty", "--again", "--keep", 3, "--workers", 0)
    assert cli("info", "state", "--json").object["oldest_version"] == 4
    assert "leave one out" in cli("run", "state", "empty", "--keep", 3, "--dry-run", status=2).err
    assert "at least 1" in cli("run", "state", "empty", "--keep", 0, status=2).err
