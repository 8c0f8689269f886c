"""What holds for all tests: the two runs they are in, and what a failure says.

    make test       every test but those marked `long`; large matrices are sampled, always the same
    make test-all   that, and then the long run, `pytest --long`: the tests marked `long`, and again those marked `sampled`
                    (effort.py), which play far more, from a fresh seed that is printed

A parameter can be long, too: `pytest.param(..., marks=pytest.mark.long)`. IOI_SEED in the environment chooses the seed of
either run, other variables how much is played; effort.py and the files that use it name them. A failure ends with the
command that plays it again.
"""

from __future__ import annotations

import atexit
import os
import random
import shlex
import shutil
import signal
import sys
import tempfile
from typing import Any, Iterator

import effort
import pytest

from ioi_exec.execution.choosing import Choice

# Started in the background, a shell's child ignores Ctrl-C, and so would all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

_RECURSION_LIMIT = sys.getrecursionlimit()

# Commands note which VM a state was given: not among the notes of whoever runs the tests.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="ioi-notes-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# What workers do is tested where they execute: the engine would leave most blocks of tests to one, or to none of them. The fixture
# `chooses` lets it.
_CHOICE = Choice.alone
Choice.alone = lambda self, transactions: (False, "")  # type: ignore[method-assign]


@pytest.fixture
def chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine chooses how to run a block, as it does outside tests."""
    monkeypatch.setattr(Choice, "alone", _CHOICE)


@pytest.fixture
def hang_up() -> Iterator[None]:
    """A hang-up ends this process and what it starts, though nohup has had it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="what make test leaves out: long tests, and far more of the sampled ones")


def pytest_configure(config: pytest.Config) -> None:
    effort.long = config.getoption("--long")
    if effort.long:  # the processes of xdist inherit it, and collect the same tests
        os.environ.setdefault("IOI_SEED", str(random.SystemRandom().randrange(1, 1_000_000)))


def _chosen() -> list[str]:
    """What was set for this run, or by it."""
    return [f"{name}={shlex.quote(os.environ[name])}" for name in sorted(os.environ) if name.startswith("IOI_")]


def pytest_report_header(config: pytest.Config) -> str | None:
    return f"long run, chosen by {' '.join(_chosen())}" if effort.long else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    sys.setrecursionlimit(_RECURSION_LIMIT)  # the specification of Ethereum raises it for whoever imports it, and what nests deeply ends the process


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def belongs(item: pytest.Item) -> bool:
        marked_long = item.get_closest_marker("long") is not None
        return marked_long or item.get_closest_marker("sampled") is not None if effort.long else not marked_long

    left_out = [item for item in items if not belongs(item)]
    items[:] = filter(belongs, items)
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    failed = [report.nodeid for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, ())]
    if not failed:
        return
    terminalreporter.section("to run again")
    for node in dict.fromkeys(failed):
        words = [*_chosen(), "python -m pytest", *(["--long"] if effort.long else []), shlex.quote(node)]
        terminalreporter.line(" ".join(words))
