"""Whatever the functions of ioi_stress are handed, they answer or raise an ioi_exec.Error. Files that are not there are no OSError.

What would execute a block for long is given nothing good: every call has one argument that is not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

import ioi_stress
from ioi_exec import Error, InputError

letters = strategies.characters(exclude_characters="/.", codec=None)
odd = strategies.one_of(
    strategies.booleans(), strategies.integers(max_value=-1), strategies.floats(), strategies.binary(max_size=9),
    strategies.text(letters, max_size=9), strategies.sampled_from([10**5000, "a\0b", "\ud800", "", object(), [b"x"], {}, int]),
)
GOOD: dict[Callable[..., Any], dict[str, Any]] = {
    ioi_stress.compare: {"a": "result", "b": "result"},
    ioi_stress.report: {"file": "result", "output": None},
    ioi_stress.save_rwset: {"recorded": [], "output": "rwset"},
    ioi_stress.soak: {"plan": 5, "workload": 5},
    ioi_stress.simulate: {"workload": 5, "workers": 5, "policy": None, "scheduler": 5, "block": -1},
    ioi_stress.SoakPlan: {"seconds": 1.0, "duty": 1.0, "allowance": 1.0},
}


@pytest.mark.parametrize("call", GOOD, ids=lambda call: call.__name__)
def test_an_error_of_ours_or_an_answer(call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    @settings(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(strategies.sampled_from(sorted(GOOD[call])), odd)
    def play(name: str, value: Any) -> None:
        with suppress(Error):
            call(**(GOOD[call] | {name: value}))

    play()


@pytest.mark.parametrize(
    "name, wrong",
    [("policy", 5), ("costs", True), ("scheduler", 5), ("scheduler", "none"), ("block", 10**30), ("own_cores", "x"), ("workers", None), ("seeds", 0)],
)
def test_simulate_names_what_is_wrong(name: str, wrong: Any) -> None:
    workload = ioi_stress.workloads.make("uniform", block_size=5)
    with pytest.raises(Error, match=name):
        ioi_stress.simulate(workload, **{"costs": ioi_stress.Costs(), "seeds": 1, "workers": [1], name: wrong})


def test_a_scheduler_in_the_working_directory_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rubbish").write_bytes(b"no library")
    workload = ioi_stress.workloads.make("uniform", block_size=5)
    with pytest.raises(InputError, match=str(tmp_path / "rubbish")) as caught:
        ioi_stress.simulate(workload, scheduler="rubbish", costs=ioi_stress.Costs(), seeds=1, workers=[1])
    assert "No such file" not in str(caught.value)


def test_a_file_that_is_not_there_or_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        for call in (lambda: ioi_stress.compare(path, path), lambda: ioi_stress.report(path)):
            with pytest.raises(InputError, match=str(path)):
                call()


def test_run_names_a_plan_that_is_none() -> None:
    with pytest.raises(Error, match="plan is int"):
        ioi_stress.run("uniform", 5, block_size=5)  # type: ignore[arg-type]
