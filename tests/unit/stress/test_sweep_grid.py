"""Which points a grid has, in which order they run, and what cannot be a grid."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from ioi_exec import InputError, InputTypeError
from ioi_exec.policy import Policy
from ioi_stress.plan import Plan
from ioi_stress.sweeps import Grid, paper
from ioi_stress.sweeps.paper import worker_counts
from ioi_stress.workload import FixedWorkload, Workload


def own(accounts: int, kind: str = "plain", **_: Any) -> Workload:
    return FixedWorkload("mine", "payments", {}, [], {"accounts": accounts, "kind": kind})


def grid(**changed: Any) -> Grid:
    parameters = {"accounts": [10, 20], "kind": "plain", **changed.pop("parameters", {})}
    return Grid.of(
        changed.pop("workload", own),
        parameters,
        changed.pop("workers", [1, 2]),
        changed.pop("policies", "default"),
        changed.pop("plan", None),
    )


def test_lists_are_axes_and_everything_else_is_fixed() -> None:
    made = Grid.of(
        own,
        {"accounts": np.array([2, 4]), "kind": "a", "x": range(2), "y": (None,)},
        workers=[0, 3],
        policies=["default", Policy(window=5)],
    )
    assert len(made.points) == 2 * 2 * 2 * 2
    assert made.points[0].columns == {"accounts": 2, "kind": "a", "x": 0, "y": None, "workers": 0, "policy": "default"}
    assert made.points[-1].columns == {
        "accounts": 4,
        "kind": "a",
        "x": 1,
        "y": None,
        "workers": 3,
        "policy": "window=5",
    }
    assert isinstance(made.points[0].parameters["accounts"], int)
    assert made.workload_of(made.points[-1]).parameters["accounts"] == 4
    one = Grid.of("uniform", {"accounts": 50})
    assert len(one.points) == 1 and one.points[0].workers >= 1 and one.workload_of(one.points[0]).name == "uniform"


def test_every_round_has_all_points_in_an_order_of_its_own() -> None:
    made = grid(parameters={"accounts": list(range(1, 9))})
    rounds = list(made.rounds(20))
    assert [repetition for repetition, _ in rounds] == list(range(1, 21))
    assert all(
        Counter(point.key for point in points) == Counter(point.key for point in made.points) for _, points in rounds
    )
    orders = [[point.key for point in points] for _, points in rounds]
    assert len(set(map(tuple, orders))) == 20
    assert orders == [
        [point.key for point in points] for _, points in grid(parameters={"accounts": list(range(1, 9))}).rounds(20)
    ]
    firsts = Counter(point.key for point in made.points for order in orders if order.index(point.key) < 8)
    assert min(firsts.values()) > 3  # none is always late


@pytest.mark.parametrize(
    "changed",
    [
        {"parameters": {"accounts": [10, 30]}},
        {"parameters": {"accounts": [10]}},
        {"parameters": {"kind": "other"}},
        {"workers": [1, 2, 3]},
        {"policies": "paper"},
        {"policies": Policy(name="default", window=1)},
        {"plan": Plan(tree="iavl")},
        {"plan": Plan(pin=False)},
        {"plan": Plan(sequential=False)},
        {
            "workload": lambda accounts, kind: FixedWorkload(
                "mine", "payments", {}, [], {"accounts": accounts, "hidden": 1}
            )
        },
    ],
)
def test_another_grid_has_another_identity(changed: dict[str, Any]) -> None:
    assert grid(**changed).identity != grid().identity


def test_the_same_grid_has_the_same_identity() -> None:
    assert (
        grid().identity
        == grid(plan=Plan(repeat=99, warmup=7, verify=False)).identity
        == grid(policies=["default"]).identity
    )
    assert (
        grid(workers=[2, 1], parameters={"accounts": [20, 10]}).identity == grid().identity
    )  # the order of values is no difference


@pytest.mark.parametrize(
    "parameters, others, kind, says",
    [
        ({"accounts": []}, {}, InputError, "accounts has no values"),
        ({"accounts": [1, 1]}, {}, InputError, "accounts has a value twice"),
        ({"accounts": [object()]}, {}, InputTypeError, "accounts has a value of type object"),
        ({"accounts": [{}]}, {}, InputTypeError, "type dict"),
        ({"accounts": 1, "mode": 2}, {}, InputError, "cannot be called mode"),
        ({"accounts": 1, "kind": "a\nb"}, {}, InputError, "control character"),
        ({"accounts": 1}, {"workers": [-1]}, InputError, "workers is -1"),
        ({"accounts": 1}, {"workers": ["two"]}, InputTypeError, "workers has a value of type str"),
        ({"accounts": 1}, {"workers": [True]}, InputTypeError, "workers has a value of type bool"),
        ({"accounts": 1}, {"policies": "fast"}, InputError, "no policy 'fast'"),
        ({"accounts": 1}, {"policies": [5]}, InputTypeError, "policies has a value of type int"),
        ({"accounts": 1}, {"policies": [Policy(name="a"), Policy(name="a", window=3)]}, InputError, "two policies"),
    ],
)
def test_what_cannot_be_a_grid_is_refused_before_anything_runs(
    parameters: dict[str, Any], others: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        Grid.of(own, parameters, **others)


def test_workloads_that_are_none() -> None:
    with pytest.raises(InputTypeError, match="returned int, which is no workload: it has no name"):
        Grid.of(lambda n: n, {"n": 1})
    with pytest.raises(InputError, match="no workload 'nothing'"):
        Grid.of("nothing", {})
    with pytest.raises(InputError, match="accounts is 1"):
        Grid.of("uniform", {"accounts": [100, 1]})
    with pytest.raises(InputTypeError, match="not what JSON can have"):
        Grid.of(lambda n: FixedWorkload("w", "payments", {}, [], {"n": {1}}), {"n": 1})


def test_the_grid_of_the_paper() -> None:
    assert [worker_counts(cores) for cores in (1, 2, 6, 16)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8, 16]]
    wanted = paper(quick=True)
    assert wanted["accounts"] == paper()["accounts"] == [2, 10, 100, 1_000, 10_000]
    assert {1_000, 10_000} <= set(paper()["block_size"]) and paper()["repeat"] == 10
    name, repeat, workers = (wanted.pop(each) for each in ("workload", "repeat", "workers"))
    made = Grid.of(name, wanted, workers)
    assert len(made.points) == 5 * 3 * len(workers) and repeat == 3


def test_a_workload_instead_of_what_makes_one_is_refused() -> None:
    with pytest.raises(InputTypeError, match="the workload is FixedWorkload: give the name of one, or a function"):
        Grid.of(FixedWorkload("mine", "payments", {}, []), {})  # type: ignore[arg-type]
