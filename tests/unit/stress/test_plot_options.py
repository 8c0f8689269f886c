"""`ioi-stress plot` draws or says why not, whatever is chosen, drawn against and made series of: never an internal error."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import effort
import pytest

pytest.importorskip("matplotlib")

from ioi_exec import InputError
from ioi_stress.cli import main
from ioi_stress.cli.plot import FIGURES
from ioi_stress.results import figures
from ioi_stress.sweeps import Sweep
from ioi_stress.sweeps.rows import MEASURED, Row
from ioi_stress.sweeps.where import chosen, parse_where

COMMANDS = effort.amount("IOI_PLOTS", sample=40, many=400)
# Of parameters: all that a file may hold in a column.
KINDS: list[list[Any]] = [[1, 2], [0.5, 1e300], ["a", "b=c"], [None, 3], [True, False], [0], [7, "x"], [2, 10], [float("inf"), 1]]
POLICIES = ["default", "paper", "paper,window=64", "no-estimates"]


def made(chance: random.Random) -> Sweep:
    """A sweep of parameters and values of chance, whole or with points missing."""
    names = ["accounts", "block_size", *chance.sample(["cost_us", "s", "share"], chance.choice([0, 1]))]
    axes = {name: chance.choice(KINDS)[: chance.choice([1, 1, 2])] if chance.random() < 0.5 else [2, 10] for name in names}
    workers, policies = chance.choice([[1, 2], [2], [0, 2], [0]]), chance.sample(POLICIES, chance.choice([1, 1, 2]))
    rows: list[Row] = []
    points: list[dict[str, Any]] = [{"workload": "zipf"}]
    for name, values in [*axes.items(), ("workers", workers), ("policy", policies)]:
        points = [{**point, name: value} for point in points for value in values]
    for point in points:
        for repetition in range(1, chance.choice([1, 3, 6]) + 1):
            row: Row = {**point, **{name: kind(1) for name, kind in MEASURED.items()}, "repetition": repetition}
            row.update({name: chance.choice([0.0, 1.5, 1e6]) for name in figures.FIGURES})
            row.update(verified=chance.choice([True, None]), total_seconds=chance.choice([0.0, 1.0, 1e-9]))
            if chance.random() < 0.3:
                row.update(speedup=None, speedup_total=None, sequential_total_seconds=None, sequential_executing_seconds=None)
            if chance.random() < 0.95:
                rows.append(row)
    return Sweep(rows, list(axes))


def options(chance: random.Random, sweep: Sweep) -> list[str]:
    names = [*sweep.point_columns, "repetition", "mode", "verified", "nothing", "", "accounts"]
    values = ["2", "two", "", "1.0", "default", "paper,window=64", "window=64", "True", "nan", "1e999", "=", "a,b=c", "policy=default"]
    values += [str(value) for row in sweep.rows[:2] for value in row.values()]
    given: list[str] = []
    for option, likely in (("--against", 0.3), ("--by", 0.2)):
        if chance.random() < likely:
            given += [option, chance.choice(names)]
    if chance.random() < 0.2:
        given += ["--phase", chance.choice(["total", "execute"])]
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        there = chance.choice(sweep.rows)
        right = [f"{name}={there[name]}" for name in chance.sample(sweep.point_columns, chance.choice([1, 2, 3]))]
        wrong = [f"{chance.choice(names)}={chance.choice(values)}" for _ in range(chance.choice([1, 1, 2]))]
        where = chance.choice([right, right, wrong])
        given += [f"--where={','.join(where)}"]
    return given


@pytest.mark.sampled
@pytest.mark.parametrize("figure", FIGURES)
def test_any_combination(figure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(COMMANDS // len(FIGURES) + 1):
        chance = random.Random(f"{effort.seed(0)} {figure} {number}")
        sweep = made(chance)
        sweep.to_csv(tmp_path / "sweep.csv")
        drawn = tmp_path / f"{number}.svg"
        command = ["plot", str(tmp_path / "sweep.csv"), "--figure", figure, "-o", str(drawn), *options(chance, sweep)]
        status = main(command)
        said = capsys.readouterr().err
        assert status in (0, 2) and "internal" not in said, (number, command, said)
        assert drawn.exists() == (status == 0), (number, command, said)


def test_where_takes_several_columns_in_one_option() -> None:
    columns = ["workload", "accounts", "workers", "policy"]
    assert parse_where(["workers=2,policy=default"], columns) == {"workers": ["2"], "policy": ["default"]}
    assert parse_where(["workers=1,2,accounts=5", "policy=paper,window=64"], columns) == {
        "workers": ["1", "2"], "accounts": ["5"], "policy": ["paper,window=64"],
    }
    assert parse_where(["policy=default,paper,workers=2"], columns) == {"policy": ["default", "paper"], "workers": ["2"]}
    with pytest.raises(InputError, match="no column polcy: there are workload, accounts, workers, policy"):
        parse_where(["workers=2,polcy=default"], columns)
    with pytest.raises(InputError, match="give COLUMN=VALUE, of the columns workload"):
        parse_where(["2,workers=1"], columns)


def test_what_is_chosen_must_be_there() -> None:
    rows = [{"workers": 1, "policy": "default", "s": 1.0}, {"workers": 2, "policy": "paper", "s": 1.5}]
    assert chosen(rows, {"workers": [1, "2"], "s": "1"}, "x") == rows[:1]
    for where, says in (
        ({"workers": "two"}, "x: no row where workers is two: it is 1, 2"),
        ({"workers": [2, 3]}, "no row where workers is 3: it is 1, 2"),
        ({"wokers": 2}, "no column wokers to choose by: it has workers, policy, s"),
        ({"workers": 2, "policy": "default"}, "no row where workers is 2 and policy is default: each is there, but not together"),
        ({"workers": object()}, "no row where workers is"),
    ):
        with pytest.raises(InputError, match=says):
            chosen(rows, where, "x")
