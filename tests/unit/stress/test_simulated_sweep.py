"""A sweep in virtual time: the same rows anywhere, their ranges, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import ioi_stress
from ioi_exec import InputError
from ioi_stress import Costs
from ioi_stress.cli import main
from ioi_stress.sweeps import Sweep, paper, sweep
from ioi_stress.sweeps.series import doubtful_at, points_of, rows_of, subtitle

GRID = {"accounts": [10, 1_000], "block_size": 300, "cost_us": 1.0}


def simulated(**options: object) -> Sweep:
    chosen = {**GRID, "workers": [1, 8, 32], "repeat": 2, "simulated": True, "progress": False, **options}
    return sweep("uniform", **chosen)  # type: ignore[arg-type]


def test_the_same_rows_wherever_it_runs_and_however_it_was_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    found = simulated(output=file)
    whole = file.read_bytes()
    assert found.wanted == len(found) == 2 * 3 * 6 and found.ok and found.simulated
    file.write_bytes(whole[: len(whole) // 2])
    again = simulated(output=file)
    assert file.read_bytes() == whole and 0 < again.skipped < len(found) == len(again)
    assert again.rows == found.rows == Sweep.read(file).rows == simulated().rows
    assert Sweep.read(file).parameters == ["accounts", "block_size", "cost_us"]
    with pytest.raises(InputError, match="other costs of a simulated machine"):
        simulated(output=file, costs=Costs(line=60))
    with pytest.raises(InputError, match="one of them is simulated"):
        sweep("uniform", **GRID, workers=[1, 8, 32], repeat=1, output=file)  # type: ignore[arg-type]


def test_rows_say_what_was_assumed_and_intervals_are_all_plays() -> None:
    found = simulated(costs=Costs(line=80))
    assert {row["line_ns"] for row in found.rows} == {40, 80, 160}
    assert {(row["mode"], row["total_seconds"], row["verified"]) for row in found.rows} == {("simulated", None, True)}
    (machine,) = {row["machine"] for row in found.rows}
    assert machine.startswith("simulated: line=80 work=500")
    for line, rows in zip(found.summary(), found.points().values()):
        speedups = [row["speedup"] for row in rows]
        assert (line["speedup"].low, line["speedup"].high) == (min(speedups), max(speedups)) and line["speedup"].confidence == 1
        dear, cheap = ([row["speedup"] for row in rows if row["line_ns"] == each] for each in (160, 40))
        # Ten accounts are a chain, which lines do not limit: there it is as it comes.
        assert line["workers"] == 1 or line["accounts"] == 10 or max(dear) < max(cheap)
    assert found.differences() == [], "virtual time is no sample"
    assert "upper bound" in str(found) and "line=80" in str(found)


def test_what_cannot_be_believed_stays_so_when_fewer_workers_are_not_drawn() -> None:
    found = simulated()
    busy = {(10, 1): 0.1, (10, 8): 0.6, (10, 32): 0.1, (1_000, 1): 0.1, (1_000, 8): 0.2, (1_000, 32): 0.3}
    for row in found.rows:
        row["line_busy"] = busy[row["accounts"], row["workers"]]
    doubtful = {(line["accounts"], line["workers"]) for line in found.summary() if "not predictable" in line["mode"]}
    assert doubtful == {(10, 8), (10, 32)}
    rows = rows_of(found, {"accounts": 10, "workers": 32})
    assert doubtful_at(rows, "workers") == {32} and "hollow" in subtitle(rows, "workers")
    assert points_of(rows, "workers", lambda row: row["speedup"])[0][1].n == 6
    assert "hollow" not in subtitle(rows_of(found, {"accounts": 1_000}), "workers")


def test_the_grid_of_the_paper_goes_on_to_many_cores() -> None:
    given = paper(simulated=True)
    assert given["workers"] == [1, 2, 4, 8, 16, 32, 64, 128] and given["repeat"] == 8
    assert paper(quick=True, simulated=True)["repeat"] == 1


def test_what_a_simulation_has_not_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ({"sequential": False}, {"tree": "iavl"}, {"verify": True}, {"workers": [0]}, {"workers": [129]}, {"pin": False}):
        with pytest.raises(InputError):
            simulated(**wrong)
    with pytest.raises(InputError, match="need simulated"):
        simulated(simulated=False, costs=Costs())
    found = simulated(workers=1, repeat=1)
    with pytest.raises(InputError, match="no page of a simulated sweep"):
        ioi_stress.report(found)
    measured = {**found.rows[0], "mode": "parallel"}
    with pytest.raises(InputError, match="simulated and rows that were measured"):
        rows_of([found.rows[0], measured])
    with pytest.raises(InputError, match="simulated and has no line_busy"):
        rows_of([{**found.rows[0], "line_busy": None}])
    file = tmp_path / "damaged.csv"
    found.to_csv(file)
    file.write_text(file.read_text().replace(f",{found.rows[0]['line_busy']!r}\n", ",\n", 1))
    with pytest.raises(InputError, match="line 2: damaged: it is simulated and has no line_busy"):
        Sweep.read(file)
    found.to_csv(file)
    assert main(["report", str(file), "-o", str(tmp_path / "page.html")]) != 0
    assert "damaged.csv: there is no page of a simulated sweep" in capsys.readouterr().err
    file.unlink()
    assert main(["sweep", "uniform", "--simulated", "--report", str(tmp_path / "page.html")]) != 0
    assert not list(tmp_path.iterdir()) and "no page of a simulated sweep" in capsys.readouterr().err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["uniform", "--accounts", "10,1000", "--block-size", "300", "--cost-us", "1", "--workers", "1,8,32", "--repeat", "2"]
    costs = ["--line-ns", "80", "--wake-us", "2,8", "--own-ns", "500,350"]
    assert main(["sweep", *words, "--simulated", *costs, "-o", str(tmp_path / "many.csv")]) == 0
    assert "many.csv" not in capsys.readouterr().err
    assert Sweep.read(tmp_path / "many.csv").rows == simulated(costs=Costs(line=80)).rows
    assert main(["sweep", *words, "--line-ns", "80"]) != 0 and "--simulated" in capsys.readouterr().err
