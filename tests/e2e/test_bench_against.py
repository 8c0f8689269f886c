"""`tools.bench against`: every row is one that a side can measure, and one of them is measured."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

from tools.bench.against.rows import ROWS
from tools.bench.against.side import MEASURES

TREE = Path(__file__).resolve().parents[2]


def test_rows_are_called_apart_and_can_be_measured() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        args = {**row.args, "program": ""} if row.measure == "Core" else row.args
        inspect.signature(MEASURES[row.measure]).bind(**args)


def test_a_row_of_this_tree_alone() -> None:
    command = [sys.executable, "-m", "tools.bench", "against", "--new-only", "--json", "--rounds", "1", "--rows", "arena"]
    ran = subprocess.run(command, cwd=TREE, stdout=subprocess.PIPE, check=True, timeout=300)
    row = json.loads(ran.stdout)
    assert row["row"] == "arena" and row["medians"]["new"] > 100 and "old" not in row["rounds"]


def test_a_revision_that_is_not_there() -> None:
    command = [sys.executable, "-m", "tools.bench", "against", "no-such-revision", "--rows", "arena"]
    ran = subprocess.run(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    assert ran.returncode == 1 and "no-such-revision" in ran.stderr
