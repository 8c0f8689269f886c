"""The file of a sweep: gone on with from whatever byte it ends at, and refused if it is something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ioi_exec import InputError, StateInUse
from ioi_stress.notation.policy_text import parse_policy
from ioi_stress.sweeps import Grid, Sweep
from ioi_stress.sweeps.file import SweepFile
from ioi_stress.sweeps.rows import COLUMNS, MEASURED, Row, as_text, machine_id, parsed
from ioi_stress.workload import FixedWorkload, Workload


def own(accounts: int, kind: str) -> Workload:
    return FixedWorkload("mine", "payments", {}, [], {"accounts": accounts, "kind": kind})


def grid_of(accounts: Any = (10, 20), kind: Any = 'a "b", c', **options: Any) -> Grid:
    return Grid.of(own, {"accounts": accounts, "kind": kind}, [1, 2], **options)


GRID = grid_of()


def row(grid: Grid, point: int, repetition: int, **changed: Any) -> Row:
    values: Row = {name: kind(7) for name, kind in MEASURED.items()}
    values.update(
        speedup=None, occupancy=0.1 + 0.2, verified=None, state_root="00e5", machine="123", grid=grid.identity
    )
    return {**values, "workload": "mine", **grid.points[point].columns, "repetition": repetition, **changed}


def written(path: Path, grid: Grid = GRID, count: int = 4) -> bytes:
    with SweepFile(path, grid) as file:
        assert file.rows == [] and file.dropped == 0
        for point in range(count):
            file.append(row(grid, point, 1))
    return path.read_bytes()


def test_whatever_byte_it_ends_at(tmp_path: Path) -> None:
    path, grid = tmp_path / "sweep.csv", Grid.of(own, {"accounts": 10, "kind": "a,b"}, [1, 2])
    content = written(path, grid, 2)
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    assert len(ends) == 3
    around = {end + aside for end in (0, *ends) for aside in (-2, -1, 0, 1, 2)}
    for cut in sorted({*range(0, len(content), 9), *around} & {*range(len(content) + 1)}):
        path.write_bytes(content[:cut])
        whole = [end for end in ends if end <= cut]
        with SweepFile(path, grid) as file:
            assert len(file.rows) == len(file.done) == max(len(whole) - 1, 0), cut
            assert file.dropped == cut - (whole[-1] if whole else 0)
            for point, each in enumerate(grid.points):
                if (*each.key, "1") not in file.done:
                    file.append(row(grid, point, 1))
        assert path.read_bytes() == content, cut


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    written(path)
    read = Sweep.read(path)
    assert read.rows == [row(GRID, point, 1) for point in range(4)]
    assert read.parameters == ["accounts", "kind"] and read.rows[0]["kind"] == 'a "b", c'
    read.to_csv(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
    for value in (1, -5, 0.1, 1e300, 5e-324, float("inf"), True, False, None, "text", "1_000", "0x10", "e5", ".5"):
        assert parsed("x", as_text(value)) == value and type(parsed("x", as_text(value))) is type(value)


def test_an_array_and_a_table_of_it() -> None:
    found = Sweep(
        [row(GRID, point, n) for n in (1, 2) for point in range(4)], ["accounts", "kind"], wanted=12, interrupted=True
    )
    array = found.to_numpy()
    assert array.dtype.names == tuple(found.rows[0]) or set(array.dtype.names) == set(found.rows[0])
    assert (
        array["accounts"].dtype.kind == "i" and array["occupancy"][0] == 0.1 + 0.2 and array["policy"][0] == "default"
    )
    assert array["speedup"].dtype.kind == "f" and (array["speedup"] != array["speedup"]).all()
    text = repr(found)
    assert (
        text.startswith("sweep of mine: 4 points, 8 rows of 12, interrupted\n")
        and "accounts  workers  n" in text
        and "kind" not in text
    )
    assert found._repr_html_().count("<tr>") == 5
    mixed = Sweep([row(GRID, 0, 1), row(GRID, 0, 2, machine="456")], ["accounts", "kind"])
    assert "2 rows, on 2 machines, which should not be compared" in repr(mixed)
    assert repr(Sweep([], [])) == "sweep of nothing: 0 points, 0 rows"
    summary = found.summary()
    assert [line["accounts"] for line in summary] == [10, 10, 20, 20] and summary[0]["speedup"] is None
    assert summary[0]["transactions_per_second"].median == 7 and summary[0]["repetitions"] == 2


@pytest.mark.parametrize(
    "other, says",
    [
        (lambda: grid_of((10, 30)), r"there accounts is 10, 20, here 10, 30"),
        (lambda: grid_of((10, 20, 30)), r"there accounts is 10, 20, here 10, 20, 30"),
        (lambda: grid_of(kind="x"), r'there kind is a "b", c, here x'),
        (lambda: grid_of(policies="paper"), "there policy is default, here paper"),
        (lambda: grid_of(policies=parse_policy("window=1")), "there policy is default, here window=1"),
        (
            lambda: Grid.of(lambda accounts: own(accounts, ""), {"accounts": [10, 20]}, [1, 2]),
            "there is kind, here there is none",
        ),
        (
            lambda: Grid.of(
                lambda accounts, kind: FixedWorkload("mine", "payments", {}, [], {"b": 1}),
                {"accounts": (10, 20), "kind": 'a "b", c'},
                [1, 2],
            ),
            "the same parameters, but other defaults",
        ),
    ],
)
def test_another_grid_is_refused_and_left_alone(tmp_path: Path, other: Any, says: str) -> None:
    path = tmp_path / "sweep.csv"
    content = written(path) + b"half a r"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"sweep.csv: holds rows of another grid .*{says}"):
        SweepFile(path, other())
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"notes", b"\xff\xfe\n", b"\n\n"])
def test_other_files_are_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="notes.txt: "):
        SweepFile(path, GRID)
    assert path.read_bytes() == content
    with pytest.raises(InputError, match="notes.txt: "):
        Sweep.read(path)


@pytest.mark.parametrize("number", ["inf", "nan", "1e999"])
def test_a_figure_that_nobody_measured_is_named(tmp_path: Path, number: str) -> None:
    path = tmp_path / "sweep.csv"
    lines = [line.split(",") for line in written(path).decode().splitlines()]
    lines[1][lines[0].index("total_seconds") - len(lines[0])] = number
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    for read in (Sweep.read, lambda path: SweepFile(path, GRID)):
        with pytest.raises(InputError, match=f"line 2: damaged: .*{number}"):
            read(path)


def test_a_device_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "pipe").symlink_to("/dev/null")  # of /dev/full all memory would be read
    with pytest.raises(InputError, match="pipe: no plain file"):
        SweepFile(tmp_path / "pipe", GRID)


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    lines = written(path).splitlines(keepends=True)
    for damaged, says in (
        (lines[1][:-30] + b"\n", "line 3: damaged"),
        (lines[1].replace(b",7,", b",x,", 1), "line 3: damaged"),
        (lines[1], "line 3: a repetition that another line has already"),
        (lines[1].replace(b"10", b"11", 1), "a point that it does not have: 11"),
    ):
        path.write_bytes(b"".join([*lines[:2], damaged, *lines[2:]]))
        with pytest.raises(InputError, match=says):
            SweepFile(path, GRID)


def test_two_sweeps_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    with SweepFile(path, GRID):
        with pytest.raises(StateInUse, match="another sweep is writing it"):
            SweepFile(path, GRID)
        assert len(Sweep.read(path)) == 0  # reading is free
    SweepFile(path, GRID).__exit__()


def test_equal_machines_have_equal_names() -> None:
    facts = {"cpu": "c", "cores": 2, "load": 1.0}
    assert machine_id(facts) == machine_id({**facts, "load": 9.0}) != machine_id({**facts, "cores": 4})
    assert set(MEASURED) < set(COLUMNS)
