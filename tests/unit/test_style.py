"""The code follows the style that is written down: ruff's in pyproject.toml, clang-format's in .clang-format."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("shm", "storage", "tools", "tests", "examples")


def run(tool: str, *arguments: str) -> None:
    """The tool that stands beside this interpreter, for another's version may have another style."""
    program = Path(sys.executable).with_name(tool)
    if not program.exists():
        pytest.skip(f"{tool} is not installed beside {sys.executable}: pip install 'ioi-exec[test]'")
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_python() -> None:
    """To mend much of what it finds: ruff check --fix"""
    run("ruff", "check", "--no-cache", ".")


def test_c() -> None:
    """To mend what it finds: clang-format -i FILE"""
    sources = [str(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]"))]
    assert len(sources) > 100
    run("clang-format", "--dry-run", "-Werror", *sources)


def test_names_of_test_files() -> None:
    """Two of one name cannot be collected together."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_before_a_commit() -> None:
    """The hooks run the tools that `make build` installs, and fetch nothing."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    programs = re.findall(r"^ +entry: \.venv/bin/(\S+)", hooks, re.MULTILINE)
    assert programs == ["ruff", "clang-format", "lint-imports", "mypy"]
    assert re.findall(r"^ +- repo: (.*)$", hooks, re.MULTILINE) == ["local"]
    assert hooks.count("- id:") == hooks.count("language: system") == len(programs)
