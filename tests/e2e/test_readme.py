"""What the README shows is run word for word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [code for language, code in BLOCKS if language == "sh" and "ioi-exec " in code and "cometbft" not in code and "ioi-exec dev" not in code]
STRESS = [code for language, code in BLOCKS if language == "sh" and "ioi-stress " in code]


def run(arguments: list[str], folder: Path) -> str:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) == 4 and len(COMMANDS) == 2 and len(STRESS) == 2


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python(number: int, tmp_path: Path) -> None:
    code = PYTHON[number]
    if "def test_" in code:
        (tmp_path / "test_readme_example.py").write_text(code)
        assert " passed" in run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], tmp_path)
        return
    if "plot" in code:
        pytest.importorskip("matplotlib")
    (tmp_path / "example.py").write_text(code)
    printed = run([sys.executable, "example.py"], tmp_path)
    if "sweep" in code:
        assert "18 rows" in printed and (tmp_path / "speedup.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert printed.splitlines()[1].startswith("True ") and printed.splitlines()[2].startswith("1 ")


def test_command_line(tmp_path: Path) -> None:
    printed = run(["sh", "-e", "-c", COMMANDS[0]], tmp_path)
    assert "199" in printed and "payments" in printed
    printed = run(["sh", "-e", "-c", COMMANDS[1]], tmp_path)  # goes on with that state
    assert "verified" in printed and "ok: " in printed
    assert (tmp_path / "copy" / "data.mdb").exists()


def test_bazaar(tmp_path: Path) -> None:
    """The commands that test and explain the VM above them."""
    (code,) = (code for code in PYTHON if "class Bazaar" in code)
    (tmp_path / "bazaar.py").write_text(code)
    (commands,) = (block for block in STRESS if "bazaar" in block)
    printed = run(["sh", "-e", "-c", commands], tmp_path)
    assert "3 passed" in printed and "own: block 0, 400 transactions" in printed and "verified" in printed


def test_stress(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    printed = run(["sh", "-e", "-c", STRESS[1]], tmp_path)
    assert "verified: state roots and receipts" in printed and "Best on any number of cores" in printed
    assert (tmp_path / "hot.svg").read_text().startswith("<?xml")
