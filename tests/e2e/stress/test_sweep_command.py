"""ioi-stress sweep and ioi_stress.sweep for real: rows, interruption at any moment, resumption, figures."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable

import pytest
from until import until

from ioi_stress.cli import main
from ioi_stress.sweeps.rows import MEASURED

Cli = Callable[..., Any]
TINY = (
    "uniform",
    "--accounts",
    "2,50",
    "--block-size",
    "20",
    "--cost-us",
    "5",
    "--workers",
    "1,2",
    "--no-pin",
    "--warmup",
    "0",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A command in this process, which starts sooner: what it printed, errors last. The working directory is the test's."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0) -> str:
        assert main(arguments) == status
        shown = capsys.readouterr()
        return shown.out + shown.err

    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def points_of(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return sorted((row["accounts"], row["workers"], row["policy"], row["repetition"]) for row in rows)


def test_rows_table_resumption_and_refusal(stress: Cli, here: Callable[..., str], tmp_path: Path) -> None:
    done = stress("sweep", *TINY, "--policy", "default,paper", "--repeat", "1", "-o", "out.csv")
    assert "sweep of uniform: 8 points, 8 rows" in done.out and done.err == ""
    rows = rows_of(tmp_path / "out.csv")
    assert list(rows[0]) == ["workload", "accounts", "block_size", "cost_us", "workers", "policy", *MEASURED]
    assert points_of(rows) == sorted(
        (a, w, p, "1") for a in ("2", "50") for w in ("1", "2") for p in ("default", "paper")
    )
    assert {(row["verified"], row["executed_transactions"], row["failed_transactions"]) for row in rows} == {
        ("True", "20", "0")
    }
    assert all(float(row["sequential_total_seconds"]) > 0 and float(row["speedup"]) > 0 for row in rows)
    assert len({(row["accounts"], row["state_root"]) for row in rows}) == len({row["accounts"] for row in rows}) == 2
    before = (tmp_path / "out.csv").read_bytes()
    again = here("sweep", *TINY, "--policy", "default,paper", "--repeat", "1", "-o", "out.csv", "--quiet")
    assert (
        "8 rows of these were in out.csv already and not run again" in again
        and (tmp_path / "out.csv").read_bytes() == before
    )
    (tmp_path / "out.csv").write_bytes(before[:-40])
    more = stress("sweep", *TINY, "--policy", "default,paper", "--repeat", "2", "-o", "out.csv", "--json")
    assert more.err == "" and (more.object["rows"], more.object["wanted"], more.object["skipped"]) == (16, 16, 7)
    assert {point["repetitions"] for point in more.object["points"]} == {2}
    content = (tmp_path / "out.csv").read_bytes()
    refused = here("sweep", *TINY, "--policy", "default", "-o", "out.csv", status=2)
    assert "another grid (there policy is" in refused and (tmp_path / "out.csv").read_bytes() == content


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("sweep",), "WORKLOAD"),
        (("sweep", "uniform", "--accounts", "2,x"), "accounts is 'x'"),
        (("sweep", "uniform", "--accounts", "2,2"), "accounts has a value twice"),
        (("sweep", "uniform", "--workers", "1,,2"), "--workers"),
        (("sweep", "uniform", "--policy", "default,best"), "no policy 'best'"),
        (("sweep", "uniform", "--repeat", "0"), "repeat is 0"),
        (("sweep", "uniform", "-o", "-"), "appended to a file"),
        (("sweep", "uniform", "-o", "missing/out.csv"), "missing/out.csv"),
        (("plot", "nothing.csv", "--figure", "speedup", "-o", "x.png"), "nothing.csv"),
        (("compare", "nothing.json", "nothing.json"), "nothing.json"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(SystemExit)
        if says.startswith(("WORKLOAD", "accounts is", "--workers", "no policy"))
        else nullcontext() as ended
    ):
        assert main(arguments) == 2
    assert ended is None or ended.value.code == 2
    assert says in capfd.readouterr().err and os.listdir(tmp_path) == []


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ioi_stress", "sweep", *TINY, *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(path: Path, lines: int) -> None:
    deadline = time.monotonic() + 300
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_interrupted_and_killed_in_the_middle_it_ends_with_the_same_rows(stress: Cli, tmp_path: Path) -> None:
    path, repeat = tmp_path / "out.csv", ("--repeat", "4000", "-o", "out.csv")  # more than there is time for
    lines = 3
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGINT):
        process = started(tmp_path, *repeat)
        wait_for_lines(path, lines)
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
        if number == signal.SIGINT:
            assert process.returncode == 1 and "interrupted" in out and "the same command goes on from there" in err
            assert "Traceback" not in err
        whole = path.read_bytes().count(b"\n") - 1
        lines = whole + 3
    whole = path.read_bytes().count(b"\n") - 1
    if whole >= 20:
        path.write_bytes(path.read_bytes()[:-25])  # as if a write had been cut
    done = stress("sweep", *TINY, "--repeat", "12", "-o", "out.csv", "--json")
    wanted = sorted((a, w, "default", str(r)) for a in ("2", "50") for w in ("1", "2") for r in range(1, 13))
    assert set(wanted) <= set(points_of(rows_of(path))) and len(rows_of(path)) == len(set(points_of(rows_of(path))))
    assert done.object["skipped"] >= 6 and not done.object["interrupted"] and done.object["diverged"] == []


NOTEBOOK = """
import ioi_stress

class Counters:
    def execute(self, tx, state, ctx):
        state.put(tx, b"%d" % (int(state.get(tx) or b"0") + 1 + EXTRA))

EXTRA = 0

def counting(counters, transactions):
    txs = [b"%d" % (i % counters) for i in range(transactions)]
    return ioi_stress.FixedWorkload("counting", Counters, {}, [ioi_stress.Block(txs)], {"counters": counters})

grid = {"counters": [1, 30], "transactions": 30, "workers": [0, 2], "pin": False, "warmup": 0, "output": "own.csv"}
found = ioi_stress.sweep(counting, repeat=2, progress=True, **grid)
print(found)
array = found.to_numpy()
assert len(array) == 8 and array["verified"].all() and found.ok
missing = array["speedup"] != array["speedup"]
assert (missing == (array["workers"] == 0)).all()

EXTRA = 1  # the function's VM is another one now, under the same name and parameters
found = ioi_stress.sweep(counting, repeat=3, **grid)
assert found.skipped == 8 and len(found) == 12 and not found.ok
assert len(found.diverged) == 2 and "ended with other roots" in found.diverged[0], found.diverged
"""


def test_a_workload_of_a_notebook(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-"], input=NOTEBOOK, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sweep of counting: 4 points, 8 rows\ncounters  workers  n") and done.stderr == ""


def test_on_disk_a_row_that_differs_and_the_figures(stress: Cli, here: Callable[..., str], tmp_path: Path) -> None:
    here("sweep", *TINY, "--repeat", "2", "--no-sequential", "--state", "state", "--tree", "iavl", "-o", "disk.csv")
    rows = rows_of(tmp_path / "disk.csv")
    assert (
        {row["speedup"] for row in rows} == {""}
        and {row["verified"] for row in rows} == {"True"}
        and not (tmp_path / "state").exists()
    )
    changed = (tmp_path / "disk.csv").read_text().replace("True", "False", 1)
    (tmp_path / "disk.csv").write_text(changed)
    diverged = here(
        "sweep",
        *TINY,
        "--repeat",
        "2",
        "--no-sequential",
        "--state",
        "state",
        "--tree",
        "iavl",
        "-o",
        "disk.csv",
        status=5,
    )
    assert "differed from sequential execution" in diverged and "1 DIVERGED" in diverged
    pytest.importorskip("matplotlib")
    done = stress("plot", "disk.csv", "--figure", "throughput", "--where", "workers=2", "-o", "t.svg", "--json")
    assert done.object == {"figure": "throughput", "file": "t.svg"} and (tmp_path / "t.svg").read_text().startswith(
        "<?xml"
    )
    here("plot", "disk.csv", "--figure", "aborts", "--against", "workers", "--where", "accounts=2,50", "-o", "a.png")
    assert "--phase is not for the figure aborts" in here(
        "plot", "disk.csv", "--figure", "aborts", "--phase", "total", "-o", "a.png", status=2
    )
    assert "no row has a speedup" in here("plot", "disk.csv", "--figure", "speedup", "-o", "a.png", status=2)
    assert "PNG, PDF or SVG" in here(
        "plot", "disk.csv", "--figure", "aborts", "--where", "workers=2", "-o", "a.jpeg", status=2
    )


def test_the_paper_s_grid_and_figure(here: Callable[..., str], tmp_path: Path) -> None:
    here(
        "sweep",
        "paper",
        "--quick",
        "--workers",
        "2",
        "--repeat",
        "1",
        "--warmup",
        "0",
        "--no-sequential",
        "--no-verify",
        "--quiet",
        "-o",
        "paper.csv",
    )
    rows = rows_of(tmp_path / "paper.csv")
    assert len(rows) == 15 and {row["accounts"] for row in rows} == {"2", "10", "100", "1000", "10000"}
    pytest.importorskip("matplotlib")
    here("plot", "paper.csv", "--figure", "paper", "-o", "paper.pdf")
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")


def test_compare(stress: Cli, here: Callable[..., str], tmp_path: Path) -> None:
    small = (
        "run",
        "uniform",
        "--block-size",
        "20",
        "--cost-us",
        "5",
        "--no-pin",
        "--workers",
        "2",
        "--repeat",
        "4",
        "--json",
    )
    saved = {"a.json": json.loads(here(*small)), "b.json": json.loads(here(*small, "--policy", "paper"))}

    def save() -> None:
        for name, value in saved.items():
            (tmp_path / name).write_text(json.dumps(value))

    save()
    done = stress("compare", "a.json", "b.json")
    assert done.out.startswith("A  a.json (uniform, workers 2, policy default, 4 repetitions)") and done.err == ""
    assert (
        "they ran differently: policy.name is default in A, paper in B" in done.out
        and "throughput, sequential" in done.out
    )
    other = saved["b.json"]
    other["repetitions"][1]["blocks"][0]["state_root"] = "00"
    save()
    assert "DIVERGED: block 0 of the same workload" in here("compare", "a.json", "b.json", status=5)
    other["parameters"]["workload"]["parameters"]["seed"] = 2
    save()
    shown = json.loads(here("compare", "a.json", "b.json", "--json"))
    assert (
        any("parameters.seed is 1 in A, 2 in B" in warning for warning in shown["warnings"]) and shown["diverged"] == []
    )
    other["parameters"]["workload"]["name"] = "chain"
    save()
    assert "different workloads, uniform and chain" in here("compare", "a.json", "b.json", status=2)
    assert "name is uniform in A, chain in B" in here("compare", "a.json", "b.json", "--force")


def test_a_simulated_one_that_is_interrupted_or_killed_goes_on_to_the_same_bytes(stress: Cli, tmp_path: Path) -> None:
    grid = ("uniform", "--accounts", "10,1000", "--block-size", "300", "--workers", "1,8,64", "--simulated", "--repeat", "6")
    stress("sweep", *grid, "-o", "whole.csv")
    path = tmp_path / "out.csv"
    ended: list[int] = []
    for _ in until(lambda: ended == [1, -signal.SIGKILL]):
        lines, number = ((4, signal.SIGINT), (20, signal.SIGKILL))[len(ended)]
        command = [sys.executable, "-m", "ioi_stress", "sweep", *grid, "-o", "out.csv"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for_lines(path, lines)
        process.send_signal(number)
        out, err = process.communicate(timeout=300)  # until all that have its pipes are gone
        if process.returncode == 0:  # it was through with it all
            ended.clear()
            path.unlink()
            continue
        ended.append(process.returncode)
        if number == signal.SIGINT:
            assert process.returncode == 1 and "interrupted" in out and "Traceback" not in err
    stress("sweep", *grid, "-o", "out.csv")
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()
