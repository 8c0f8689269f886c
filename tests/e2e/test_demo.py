"""`make demo` is the first thing that is run: it ends, and says that everything was equal."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_the_demo_ends_and_says_that_all_was_equal() -> None:
    command = [sys.executable, "-m", "tools.demo", "--accounts", "300", "--blocks", "2", "--transactions", "100", "--workers", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All roots, receipts and receipts roots were equal to sequential execution." in done.stdout
    assert done.stdout.count("as in its header") == (4 if find_spec("ethereum") is not None else 0)
    assert ("left out: " in done.stdout) == (find_spec("ethereum") is None)
