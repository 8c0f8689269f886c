"""The package is typed, the C modules' stubs say what the modules have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_strict() -> None:
    run("mypy")


def test_stubs() -> None:
    modules = ["ioi_shm._core", "ioi_storage._core", "ioi_stress._program"]
    run("mypy.stubtest", *modules, "--mypy-config-file", "setup.cfg", "--ignore-disjoint-bases")
