"""Schedulers of one's own: the example of docs/schedulers.md, and what is noticed of wrong ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import compiled
import pytest

import ioi_stress
from ioi_exec import InputError
from ioi_stress import Costs, Simulation, simulate
from ioi_stress.simulation.plays import SimulationFailed
from ioi_stress.workloads import make

EXAMPLE = Path(__file__).parents[3] / "examples" / "schedulers" / "in_order.c"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def library(source: Path) -> str:
    flags = ["-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared"]
    return str(compiled.program(f"{source.stem}.so", [source], flags, [Path(ioi_stress.include())]))


def simulated(scheduler: str) -> Simulation:
    workload = make("uniform", accounts=50, block_size=300)
    return simulate(workload, workers=(1, 8), costs=Costs(), seeds=2, scheduler=scheduler)


def mutant(tmp_path: Path, old: str, new: str) -> str:
    text = EXAMPLE.read_text()
    assert text.count(old) == 1
    source = tmp_path / "mutant.c"
    source.write_text(text.replace(old, new))
    return library(source)


def test_the_example_is_a_scheduler() -> None:
    found = simulated(library(EXAMPLE))
    assert 0.9 < found.at(1).speedup < 1.05
    assert 2 < found.at(8).speedup < simulated("oracle").at(8).speedup <= found.at(8).bound
    assert found.at(8).executions == 1


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("if (t->reads_from[i] != IOI_FROM_BASE) wait_for", "if (false) wait_for", "before another that it reads from"),
        ("sim->execute(tx);", "if (tx != 7) sim->execute(tx);", "before it had executed every transaction"),
        ("sim->wake(&s->state[tx], UINT32_MAX);", "", "sleep before they are done"),
    ],
)
def test_a_wrong_scheduler_is_found_out(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(SimulationFailed, match=said):
        simulated(mutant(tmp_path, old, new))


def test_what_is_no_scheduler_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("no library")
    with pytest.raises(InputError, match="text.so"):
        simulated(str(text))
    with pytest.raises(InputError, match="made for another"):
        simulated(mutant(tmp_path, "{IOI_SCHEDULER_ABI,", "{IOI_SCHEDULER_ABI + 1,"))
