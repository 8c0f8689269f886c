"""The two runs of the tests, and what a failure says: conftest.py and effort.py of this suite, over tests made up here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MADE_UP = """
import effort, pytest
def test_plain(): pass
@pytest.mark.long
def test_long(): pass
@pytest.mark.sampled
@pytest.mark.parametrize("seed", effort.seeds("IOI_MADE_UP", sample=2, many=3))
def test_sampled(seed): assert seed % effort.APART != 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("conftest.py", "effort.py"):
        shutil.copy(TESTS / name, tmp_path)
    (tmp_path / "test_made_up.py").write_text(MADE_UP)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nmarkers =\n    long\n    sampled\n")
    return tmp_path


def run(folder: Path, *arguments: str, **chosen: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("IOI_", "PYTEST_"))} | chosen
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def names(said: str) -> set[str]:
    return set(re.findall(r"::test_(\S+) [PF]A", said))


def test_make_test_runs_all_but_the_long_and_the_same_sample_every_time(folder: Path) -> None:
    said = run(folder)
    assert names(said) == {"plain", "sampled[0]", "sampled[1]"}
    assert "\npython -m pytest 'test_made_up.py::test_sampled[1]'\n" in said
    chosen = run(folder, IOI_SEED="7", IOI_MADE_UP="5")
    assert names(chosen) == {"plain", *(f"sampled[{7000 + number}]" for number in range(5))}
    assert "\nIOI_MADE_UP=5 IOI_SEED=7 python -m pytest 'test_made_up.py::test_sampled[7001]'\n" in chosen


@pytest.mark.parametrize("side_by_side", [(), ("-n", "2")], ids=["", "-n 2"])
def test_the_long_run_has_the_others_and_a_fresh_seed(folder: Path, side_by_side: tuple[str, ...]) -> None:
    said = run(folder, "--long", *side_by_side)
    (seed,) = re.findall(r"^long run, chosen by IOI_SEED=(\d+)$", said, re.MULTILINE)
    again = f"IOI_SEED={seed} python -m pytest --long 'test_made_up.py::test_sampled[{seed}001]'"
    assert f"\n{again}\n" in said
    if not side_by_side:
        assert names(said) == {"long", *(f"sampled[{seed}00{number}]" for number in range(3))}
        assert seed not in run(folder, "--long")
    assert f"[{seed}001]" in run(folder, "--long", f"test_made_up.py::test_sampled[{seed}001]", IOI_SEED=seed)
