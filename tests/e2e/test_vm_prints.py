"""A VM that prints, at import and while it executes: standard output is the results' alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHATTY = """
import os

print("imported")

class Chatty:
    def execute(self, tx, state, ctx):
        print("executing", ctx.tx_index)
        os.write(1, b"by number\\n")
        os.system("echo by a program")
        state.put(b"k", tx)
"""


@pytest.mark.parametrize("how", [["--sequential"], ["--workers", "2"], ["--workers", "2", "--dry-run"], ["--workers", "1", "--cross-check"]])
def test_run(tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    (tmp_path / "block.jsonl").write_text('{"tx": "01"}\n{"tx": "02"}\n')

    said = []

    def ioi_exec(*arguments: str) -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-m", "ioi_exec", *arguments], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
        )
        assert done.returncode == 0, done.stderr
        assert "imported" in done.stderr
        said.append(done.stderr)
        line: dict[str, object] = json.loads(done.stdout)
        return line

    ioi_exec("init", "state", "--genesis", "genesis.json", "--vm", "chatty:Chatty", "--json")
    assert ioi_exec("run", "state", "block.jsonl", "--json", *how)["transactions"] == 2
    assert {"executing 0", "executing 1", "by number", "by a program"} <= set(said.pop().splitlines())


def test_in_a_program_of_ones_own_the_streams_are_as_they_were_afterwards(tmp_path: Path) -> None:
    """Its main may be called."""
    code = "import os, sys; from ioi_exec.cli import main; before = sys.stdout; status = main(['info', 'none']);"
    code += "os.write(1, b'mine'); assert sys.stdout is before; print(status)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "mine2\n", done.stderr
