"""The C core by itself: built and run here, without Python in it.

IOI_CORE_SECONDS   how long the longest campaign runs, the others in proportion (a night: 36000)
IOI_SEED           where the random campaigns begin
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import effort
import harness_build
import mutants
import pitfalls
import pytest
from until import until

SECONDS = effort.amount("IOI_CORE_SECONDS", sample=8, many=60)
SEED = effort.seed(1)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def run(name: str, out: Path, *arguments: str) -> str:
    """Build and run one program; its output. Fails with everything it said."""
    binary = harness_build.build(name, out)
    done = subprocess.run([str(binary), *arguments], capture_output=True, text=True, errors="replace", timeout=SECONDS * 2 + 300)
    assert done.returncode == 0, f"{name} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def campaign(name: str, out: Path, share: float, *meets: str) -> None:
    """A random campaign, and others until all that `meets` says is met: on a slow machine one comes to few cases."""
    did: Counter[str] = Counter()
    for number in until(lambda: all(did[what] for what in meets)):
        said = run(name, out, "--seed", str(SEED + number * 10**6), "--seconds", str(SECONDS * share))
        print(said)
        did.update({word: int(number) for number, word in re.findall(r"(\d+) (?:times )?(\w+)", said)})


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["unit", "unit-asan", "unit-tsan"])
def test_parts(name: str, tmp_path: Path) -> None:
    run(name, tmp_path, "--seed", str(SEED))


@pytest.mark.sampled
def test_simulated_schedules(tmp_path: Path) -> None:
    campaign("simulate", tmp_path, 1, "schedules", "kills", "executions", "aborts", "suspensions", "solo", "full", "events", "sums")


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["threads", "threads-asan", "threads-tsan"])
def test_threads(name: str, tmp_path: Path) -> None:
    campaign(name, tmp_path, 1 / 6, "blocks", "executions", "aborts", "full", "events", "sums")


RARE = {"finish-wakes-nobody", "finish-by-plain-store", "a-death-wakes-only-bits", "no-withdrawal", "owned-not-first"}
"""Planted bugs that take many schedules to show: for the long run."""


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(m, id=m.name, marks=[pytest.mark.long] if m.name in RARE else []) for m in mutants.MUTANTS if m.quick],
)
def test_planted_bug_is_noticed(mutant: mutants.Mutant) -> None:
    _, harness, how = mutants.run(mutant, seconds=60)  # most take one; a busy machine may take many
    assert harness is not None, how


def test_every_pitfall_is_covered_by_something_that_exists() -> None:
    known = {m.name for m in mutants.MUTANTS} | {p.stem for p in Path(__file__).with_name("unit").glob("*.c")} | set(harness_build.PROGRAMS)
    for pitfall in pitfalls.EVERY:
        assert pitfall.covered_by and set(pitfall.covered_by) <= known, pitfall
    assert len({m.name for m in mutants.MUTANTS}) == len(mutants.MUTANTS)


def test_every_mutant_still_applies(tmp_path: Path) -> None:
    for number, mutant in enumerate(mutants.MUTANTS):
        copy = harness_build.copy_packages if set(mutant.harnesses) & set(mutants.PYTHON_TESTS) else harness_build.copy_core
        mutants.plant(mutant, copy(tmp_path / str(number)))
