"""What a comparison says about two results, and what it warns of."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ioi_exec import InputError
from ioi_stress.results.change import Change
from ioi_stress.results.comparison import compare
from ioi_stress.results.figures import FIGURES
from ioi_stress.results.result import BlockMeasurement, Repetition, Result, Verification

PARAMETERS = {
    "workload": {"name": "zipf", "parameters": {"s": 1.0, "seed": 1}},
    "run": {"workers": 2, "policy": {"name": "default", "window": None}, "tree": "jellyfish", "repeat": 10},
}
MACHINE = {"cpu": "A", "cores": 8, "load": 0.1, "memory_free_bytes": 5, "python_loop_ns": 50.0, "sha256_ns": 400.0}


def result(
    n: int = 10, *, factor: float = 1.0, aborts: int = 0, seed: int = 0, noise: float = 0.02, sequential: float = 2.0
) -> Result:
    """A result of `n` repetitions of one block, of which the parallel execution takes about 1 s * factor."""
    rng = np.random.default_rng(seed)
    repetitions = []
    for number in range(1, n + 1):
        seconds = factor * float(np.exp(rng.normal(0, noise)))
        beside = sequential * float(np.exp(rng.normal(0, noise)))
        block = BlockMeasurement(
            block=0,
            transactions=1000,
            failed=0,
            mode="parallel",
            policy="default",
            workers=2,
            executions=1000 + aborts,
            validations=1500,
            aborts=aborts,
            suspensions=0,
            retries=0,
            seconds={"execute": seconds, "stage": 0.01, "total": seconds + 0.01},
            commit_seconds=0.002,
            busy_seconds=[seconds * 0.9, seconds * 0.9],
            sequential_seconds={"execute": beside, "end_block": 0.0, "stage": 0.01, "total": beside + 0.01},
            state_root="aa",
            receipts_root="bb",
        )
        repetitions.append(Repetition(number, [block]))
    return Result(deepcopy(PARAMETERS), dict(MACHINE), repetitions, Verification(True, n, n))


def changes(a: Result, b: Result, **options: Any) -> dict[str, Change]:
    return {change.figure: change for change in compare(a, b, **options).changes}


def test_every_figure_has_words() -> None:
    assert set(result(1).repetitions[0].figures()) == set(FIGURES)


def test_a_difference_is_found_and_said_in_words() -> None:
    found = changes(result(seed=1), result(seed=3, factor=1 / 1.12))
    throughput = found["transactions_per_second"]
    assert (throughput.outcome, throughput.better) == ("more", True)
    assert throughput.low < 1.12 < throughput.high and throughput.change == pytest.approx(1.12, rel=0.03)
    assert (
        throughput.verdict
        == f"faster by {100 * (throughput.change - 1):.0f} % ({100 * throughput.low - 100:.0f}..{100 * throughput.high - 100:.0f})"
    )
    assert found["execute_seconds"].verdict.startswith("shorter by 1") and found["execute_seconds"].better is True
    assert found["speedup"].verdict.startswith("greater by 1")
    assert found["stage_seconds"].verdict == "equal" and found["stage_seconds"].better is None
    back = changes(result(seed=3, factor=1 / 1.12), result(seed=1))["transactions_per_second"]
    assert back.verdict.startswith("slower by 1") and back.better is False


def test_noise_is_not_a_difference() -> None:
    found = changes(result(seed=1), result(seed=3))
    assert {change.outcome for change in found.values()} == {"none", "equal"}
    noise = found["transactions_per_second"]
    assert (
        noise.verdict == f"no difference shown (below the noise of +-{100 * max(1 - noise.low, noise.high - 1):.0f} %)"
        or "." in noise.verdict
    )


def test_factors_zeros_and_too_few() -> None:
    assert changes(result(), result(seed=1, factor=5))["execute_seconds"].verdict.startswith("longer: 5.")
    aborts = changes(result(), result(aborts=250))["aborts_per_transaction"]
    assert (
        aborts.verdict == "more: 0.25 instead of 0.00 per transaction" and aborts.better is False and not aborts.ratio
    )
    few = changes(result(3), result(3, seed=1, factor=2))["transactions_per_second"]
    assert (few.outcome, few.p, few.better) == ("unknown", None, None) and "four of each" in few.verdict
    assert changes(result(4), result(4, seed=1, factor=2))["transactions_per_second"].outcome == "less"


def test_different_workloads_are_refused_unless_forced() -> None:
    other = result()
    other.parameters["workload"]["name"] = "chain"
    with pytest.raises(InputError, match="different workloads, zipf and chain"):
        compare(result(), other)
    assert any("name is zipf in A, chain in B" in warning for warning in compare(result(), other, force=True).warnings)


def test_warnings_say_what_else_differs() -> None:
    assert compare(result(seed=1), result(seed=3)).warnings == []
    other = result(seed=3, sequential=2.6)
    other.parameters["run"]["policy"]["window"] = 64
    other.parameters["workload"]["parameters"]["s"] = 1.5
    other.machine.update(cpu="B", load=6.5, python_loop_ns=100.0, memory_free_bytes=1)
    other.verification.compared = 3
    other.interrupted = True
    warnings = "\n".join(compare(result(seed=1), other).warnings)
    for said in (
        "the workloads differ: parameters.s is 1.0 in A, 1.5 in B",
        "they ran differently: policy.window is None in A, 64 in B",
        "the machines differ: cpu is A in A, B in B",
        "a loop in Python took 2.00 times as long before B",
        "loaded when B began: load 6.5 on 8 cores",
        "B did not run to its end: interrupted",
        "B is not verified",
        "sequential execution itself went 0.7",
    ):
        assert said in warnings, said
    assert "memory_free" not in warnings and "A began" not in warnings


def test_one_workload_that_ended_differently_is_a_fault() -> None:
    other = result(seed=3)
    other.repetitions[3].blocks[0] = replace(other.repetitions[3].blocks[0], state_root="ff")
    found = compare(result(seed=1), other)
    assert len(found.diverged) == 1 and "block 0" in found.diverged[0] and "aa, ff" in found.diverged[0]
    assert "DIVERGED: block 0" in str(found)
    other.parameters["run"]["tree"] = "iavl"  # state roots of another tree are other roots
    assert compare(result(seed=1), other).diverged == []
    other.repetitions[3].blocks[0] = replace(other.repetitions[3].blocks[0], receipts_root="ff")
    assert len(compare(result(seed=1), other).diverged) == 1
    other.parameters["workload"]["parameters"]["seed"] = 2
    assert compare(result(seed=1), other).diverged == []


def test_files_and_json(tmp_path: Path) -> None:
    for name, each in (("a.json", result(seed=1)), ("b.json", result(seed=3, factor=2))):
        (tmp_path / name).write_text(json.dumps(each.to_json()))
    found = compare(tmp_path / "a.json", tmp_path / "b.json")
    shown = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert shown["a"].startswith(str(tmp_path / "a.json")) and shown["a"].endswith(
        "(zipf, workers 2, policy default, 10 repetitions)"
    )
    assert {change["figure"]: change["outcome"] for change in shown["changes"]}["execute_seconds"] == "more"
    assert compare(result(seed=1), result(seed=3, factor=2)).changes == found.changes  # nothing random in it
    (tmp_path / "b.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="b.json: no JSON"):
        compare(tmp_path / "a.json", tmp_path / "b.json")
    with pytest.raises(InputError, match="no repetition"):
        compare(result(), Result(deepcopy(PARAMETERS), dict(MACHINE)))


def test_a_drift_over_both_is_no_difference() -> None:
    one, other = result(seed=1), result(seed=3)
    for number, repetition in enumerate([*one.repetitions, *other.repetitions]):
        (block,) = repetition.blocks
        repetition.blocks = [replace(block, seconds={name: value * 1.02**number for name, value in block.seconds.items()})]
    found = changes(one, other)
    assert found["transactions_per_second"].outcome == found["execute_seconds"].outcome == "drift"
    assert "a machine that drifts steadily would explain it" in str(compare(one, other))
