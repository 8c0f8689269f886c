"""The command line as a user has it: in a process of its own, in a directory of its own."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from browser import Browser, browser, found
from warm import Warm


@dataclass
class Done:
    """The end of a command. objects: standard output as JSON, line by line; error: standard error as one JSON object."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, Any]:
        (only,) = self.objects
        return only

    @property
    def error(self) -> dict[str, Any]:
        (only,) = self.err.splitlines()
        found: dict[str, Any] = json.loads(only)
        assert found.keys() == {"error", "kind", "exit"} and found["exit"] == self.status
        return found


Cli = Callable[..., Done]


def runner(warm: Warm, folder: Path) -> Cli:
    def run(*arguments: object, stdin: str = "", status: int | None = 0) -> Done:
        done = warm.run(list(map(str, arguments)), folder, stdin)
        assert status is None or done.returncode == status, f"{done.args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def warm_cli() -> Iterator[Warm]:
    with closing(Warm("ioi_exec")) as warm:
        yield warm


@pytest.fixture(scope="session")
def warm_stress() -> Iterator[Warm]:
    with closing(Warm("ioi_stress")) as warm:
        yield warm


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = found()
    if program is None:
        pytest.skip("no browser: put chromium on the path, or name one in CHROMIUM")
    with browser(program) as opened:
        yield opened


@pytest.fixture
def cli(tmp_path: Path, warm_cli: Warm) -> Cli:
    """cli("run", "state", "block", stdin=...) -> Done; the working directory is the test's."""
    return runner(warm_cli, tmp_path)


@pytest.fixture
def stress(tmp_path: Path, warm_stress: Warm) -> Cli:
    """The same for ioi-stress."""
    return runner(warm_stress, tmp_path)
