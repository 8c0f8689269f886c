"""Programs of other implementations, built where their tools and modules are at hand; elsewhere the test is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Peer:
    """A program that answers every line with a line."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def ask(self, questions: Iterable[str]) -> list[str]:
        asked = list(questions)
        text = "".join(question + "\n" for question in asked)
        done = subprocess.run([self._program], input=text, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        answers = done.stdout.splitlines()
        assert len(answers) == len(asked), done.stderr
        return answers


def go_peer(source: Path, into: Path) -> Peer:
    """A Go module with a go.sum, built as `into`. Skips without Go, or where a module of it is not to be had."""
    env = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    _fetch("go", ["mod", "download"], source, env)
    subprocess.run(["go", "build", "-o", into, "."], cwd=source, env=env, check=True, timeout=600)
    return Peer(into)


def cargo_peer(source: Path, name: str) -> Peer:
    """A Cargo package with a Cargo.lock, built in build/ so that it is built once. Skips as go_peer does."""
    _fetch("cargo", ["fetch", "--locked"], source, dict(os.environ))
    target = ROOT / "build" / f"cargo-{name}"
    command = ["cargo", "build", "--quiet", "--locked", "--offline", "--target-dir", str(target)]
    subprocess.run(command, cwd=source, check=True, timeout=1200)
    return Peer(target / "debug" / name)


def _fetch(tool: str, arguments: list[str], source: Path, env: dict[str, str]) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    try:
        done = subprocess.run([tool, *arguments], cwd=source, env=env, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{tool} does not reach its modules")
    if done.returncode:
        pytest.skip(f"{tool} cannot have its modules: {done.stderr.strip().splitlines()[-1:]}")
