"""`tools.bench node` measures what it says, in a small form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]


def test_figures_come_out(binary: Path) -> None:
    command = [sys.executable, "-m", "tools.bench", "node", "--cometbft", str(binary), "--rounds", "1", "--transactions", "200", "--checks", "500", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert said["checks_per_second"] > 0 and said["of_nothing"] > 0 and said["of_built_in"] > 0
    assert {kind: len(speeds) for kind, speeds in said["transactions_per_second"].items()} == {"serve": 1, "nothing": 1, "built in": 1}


def test_what_cannot_be_measured() -> None:
    command = [sys.executable, "-m", "tools.bench", "node", "--cometbft", "no-such-program"]
    assert "go install" in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100).stderr
    assert "multiple" in subprocess.run([*command, "--transactions", "7"], cwd=ROOT, capture_output=True, text=True, timeout=100).stderr
