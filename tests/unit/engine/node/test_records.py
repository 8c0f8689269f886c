"""What the consensus was set to, by height."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from abci_client import CHAIN, PARAMS, VALIDATOR

from ioi_exec import ResourceError, StateCorrupt
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.records import Records

FIRST = Consensus.of(CHAIN, PARAMS, (VALIDATOR,))
SECOND = replace(FIRST, validators=(replace(VALIDATOR, power=11),))
THIRD = replace(FIRST, validators=(replace(VALIDATOR, power=12),))


def test_by_height(tmp_path: Path) -> None:
    records = Records(tmp_path / "db")
    assert records.at(100) is None and records.newest() is None
    records.put(4, FIRST)
    records.put(9, SECOND)
    records.put(10, SECOND)  # nothing changed
    assert records.newest() == 9
    records.close()
    again = Records(tmp_path / "db")
    assert [again.at(height) for height in (3, 4, 8, 9, 99)] == [None, FIRST, FIRST, SECOND, SECOND]
    again.put(9, THIRD)  # that block was rolled back
    assert again.at(9) == THIRD
    again.put(5, FIRST)
    assert again.newest() == 4 and again.at(9) == FIRST
    again.close()


def test_a_state_that_begins_later(tmp_path: Path) -> None:
    records = Records(tmp_path / "db")
    assert records.oldest() is None
    records.put(4, FIRST)
    records.put(9, SECOND)
    records.begin(7, THIRD)
    assert records.oldest() == records.newest() == 7 and records.at(6) is None and records.at(99) == THIRD
    records.close()


def test_damage(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database" * 1000)
    with pytest.raises(StateCorrupt, match="restore it"):
        Records(tmp_path / "db")
    records = Records(tmp_path / "other")
    with sqlite3.connect(tmp_path / "other") as beside:
        beside.execute("INSERT INTO consensus VALUES (1, x'ff')")
    beside.close()
    with pytest.raises(StateCorrupt):
        records.at(1)
    records.close()
    with pytest.raises(ResourceError):
        Records(tmp_path / "missing" / "db")
