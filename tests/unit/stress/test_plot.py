"""Figures show what was measured, the same to the byte, and say what cannot be drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("matplotlib")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

from ioi_exec import InputError
from ioi_stress import plot
from ioi_stress.results.figures import FIGURES
from ioi_stress.sweeps import Sweep
from ioi_stress.sweeps.rows import MEASURED, Row


def sweep_of(
    accounts: tuple[int, ...] = (2, 10, 1000),
    blocks: tuple[int, ...] = (100, 1000),
    workers: tuple[int, ...] = (1, 2, 4),
    policies: tuple[str, ...] = ("default",),
    repeat: int = 7,
) -> Sweep:
    rows: list[Row] = []
    for a in accounts:
        for b in blocks:
            for w in workers:
                for number, p in enumerate(policies):
                    for r in range(1, repeat + 1):
                        seconds = (1 + r / 100) * b / (1000 * (1 + (w - 1) * a / (a + 50)) * (1 - number / 5))
                        beside = (1 + r / 50) * b / 1100
                        row: Row = {name: kind(0) for name, kind in MEASURED.items()}
                        row.update({name: 0.5 for name in FIGURES})
                        row.update(
                            workload="uniform",
                            accounts=a,
                            block_size=b,
                            cost_us=100.0,
                            workers=w,
                            policy=p,
                            repetition=r,
                            executed_transactions=b,
                            total_seconds=seconds,
                            executing_seconds=0.9 * seconds,
                            sequential_total_seconds=beside,
                            sequential_executing_seconds=beside * 0.9,
                            transactions_per_second=b / seconds,
                            speedup=beside / seconds,
                            speedup_total=beside / seconds,
                            executions_per_transaction=1 + w / a,
                            aborts_per_transaction=w / a,
                            verified=True,
                        )
                        rows.append(row)
    return Sweep(rows, ["accounts", "block_size", "cost_us"])


ALL: dict[str, tuple[Callable[..., Figure], Sweep, dict[str, Any]]] = {
    "speedup": (plot.speedup, sweep_of(blocks=(1000,)), {}),
    "throughput": (plot.throughput, sweep_of(), {"where": {"block_size": 1000}}),
    "block_size": (plot.block_size, sweep_of(), {"where": {"workers": "2"}}),
    "aborts": (plot.aborts, sweep_of(), {"where": {"block_size": 100}}),
    "policies": (plot.policies, sweep_of(workers=(2,), blocks=(100,), policies=("default", "paper")), {}),
    "paper": (plot.paper, sweep_of(), {}),
}


def line_of(axes: Axes, label: str) -> tuple[list[float], list[list[float]]]:
    """(medians, [[low, high]]) of a series."""
    (found,) = [each for each in axes.containers if isinstance(each, ErrorbarContainer) and each.get_label() == label]
    segments = found.lines[2][0].get_segments()
    return list(found.lines[0].get_ydata()), [[float(segment[0][1]), float(segment[1][1])] for segment in segments]


@pytest.mark.parametrize("name", ALL)
def test_every_figure(tmp_path: Path, name: str) -> None:
    draw, data, options = ALL[name]
    figure = draw(data, tmp_path / "figure.svg", **options)
    assert isinstance(figure, Figure) and b"dc:date" not in (tmp_path / "figure.svg").read_bytes()
    for axes in figure.axes:
        assert axes.get_xlabel() and axes.get_ylim()[0] == 0
    assert "repetitions" in "".join(axes.get_title(loc="left") for axes in figure.axes) + (figure.get_suptitle() or "")


@pytest.mark.parametrize("ending, begins", [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, ending: str, begins: bytes) -> None:
    data = sweep_of(accounts=(2, 10), blocks=(100,))
    data.to_csv(tmp_path / "sweep.csv")
    written = []
    for number, source in enumerate((data, data.rows, tmp_path / "sweep.csv")):
        plot.throughput(source, tmp_path / f"{number}.{ending}")
        written.append((tmp_path / f"{number}.{ending}").read_bytes())
    assert written[0].startswith(begins) and written[0] == written[1] == written[2]


def test_points_are_medians_and_bars_their_intervals() -> None:
    figure = plot.throughput(sweep_of(accounts=(2, 10), workers=(2,)), where={"block_size": 1000})
    data = sweep_of(accounts=(2, 10), blocks=(1000,), workers=(2,))
    medians, bars = line_of(figure.axes[0], figure.axes[0].containers[0].get_label())
    summary = data.summary(["transactions_per_second"])
    intervals = [point["transactions_per_second"] for point in summary]
    assert medians == pytest.approx([interval.median for interval in intervals])
    assert np.array(bars) == pytest.approx(np.array([[interval.low, interval.high] for interval in intervals]))
    (beside,) = [line for line in figure.axes[0].get_lines() if line.get_label() == "sequential"]
    assert list(beside.get_ydata()) == pytest.approx([1100 / 1.08] * 2)
    executing = plot.throughput(data, phase="execute").axes[0]
    assert line_of(executing, executing.containers[0].get_label())[0] == pytest.approx(
        [median / 0.9 for median in medians]
    )


def test_speedup_has_its_ideal() -> None:
    axes = plot.speedup(sweep_of(blocks=(1000,), workers=(1, 2, 32))).axes[0]
    (ideal,) = [line for line in axes.get_lines() if line.get_label() == "ideal"]
    assert list(ideal.get_xdata()) == list(ideal.get_ydata()) and max(ideal.get_ydata()) == 32
    assert axes.get_xscale() == "log" and [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "32"]
    assert {each.get_label() for each in axes.containers} == {"2", "10", "1k"}


def test_policies_stand_in_groups() -> None:
    axes = plot.policies(ALL["policies"][1]).axes[0]
    bars = {each.get_label(): each for each in axes.containers if isinstance(each, BarContainer)}
    assert set(bars) == {"default", "paper"} and [tick.get_text() for tick in axes.get_xticklabels()] == [
        "2",
        "10",
        "1k",
    ]
    heights = {label: [bar.get_height() for bar in found] for label, found in bars.items()}
    assert heights["paper"] == pytest.approx([0.8 * height for height in heights["default"]])
    alone = plot.policies(sweep_of((2,), (100,), (2,), ("default", "paper")))
    assert [tick.get_text() for tick in alone.axes[0].get_xticklabels()] == ["uniform"]


def test_the_paper_s_panels() -> None:
    figure = plot.paper(sweep_of())
    assert [axes.get_title() for axes in figure.axes] == ["blocks of 100", "blocks of 1,000"] * 2 + [
        "1 worker",
        "4 workers",
    ]
    for axes in figure.axes:  # nothing is cut off
        tops = [
            max(high for _, high in line_of(axes, each.get_label())[1])
            for each in axes.containers
            if isinstance(each, ErrorbarContainer)
        ]
        assert max(tops) <= axes.get_ylim()[1]
    assert len(plot.paper(sweep_of(blocks=(100,), workers=(2,))).axes) == 3


def test_the_paper_s_panels_of_several_policies_are_facets_on_one_scale() -> None:
    figure = plot.paper(sweep_of(policies=("default", "paper"), repeat=2))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == [f"blocks of {size}, {policy}" for policy in ("default", "paper") for size in ("100", "1,000")]
    assert titles[8:] == [f"{workers}, {policy}" for policy in ("default", "paper") for workers in ("1 worker", "4 workers")]
    first, second = figure.axes[0], figure.axes[2]
    assert first.get_ylim() == second.get_ylim()
    assert line_of(second, "2")[0] == pytest.approx([0.8 * height for height in line_of(first, "2")[0]])


def test_what_ran_one_by_one_is_beside_each_series_that_differs_in_it() -> None:
    def dashed(sweep: Sweep) -> list[tuple[str, list[float]]]:
        drawn = [line for line in plot.throughput(sweep).axes[0].get_lines() if line.get_linestyle() == "--"]
        return [(str(line.get_label()), list(line.get_ydata())) for line in drawn]

    alike = sweep_of(blocks=(100, 200), workers=(2,), repeat=3)
    ((label, heights),) = dashed(alike)
    assert label == "sequential" and heights == pytest.approx([1100 / 1.04] * 3)
    for row in alike.rows:
        if row["block_size"] == 200:
            row["sequential_total_seconds"] *= 4  # a fourth of the speed
    one, other, legend = dashed(alike)
    assert other[1] == pytest.approx([height / 4 for height in one[1]]) and legend == ("sequential", [])


@pytest.mark.parametrize(
    "call, says",
    [
        (
            lambda: plot.throughput(sweep_of(accounts=tuple(range(2, 30)), workers=(1, 2)), against="block_size"),
            "56 series would not be told apart",
        ),
        (
            lambda: plot.throughput(sweep_of(), by="workers"),
            "block_size varies too: choose one value, such as block_size=100",
        ),
        (lambda: plot.throughput(sweep_of(), by="nothing"), "no column nothing"),
        (lambda: plot.throughput(sweep_of(), against="nothing"), "no column nothing to draw against"),
        (lambda: plot.throughput(sweep_of(), against="policy"), "policy has values that are no numbers"),
        (lambda: plot.throughput(sweep_of(), where={"accounts": 3}), "no row where accounts is 3: it is 2, 10, 1000"),
        (lambda: plot.throughput(sweep_of(), where={"nothing": 3}), "no column nothing to choose by"),
        (lambda: plot.throughput(sweep_of(), phase="both"), "no phase 'both'"),
        (lambda: plot.throughput([]), "no rows yet"),
        (lambda: plot.throughput([{"accounts": 1}]), "columns that these lack"),
        (
            lambda: plot.policies(sweep_of(policies=("default", "paper"))),
            "accounts, block_size, workers vary beside the policy",
        ),
        (lambda: plot.aborts(sweep_of(workers=(0,))), "no row was executed by workers"),
        (lambda: plot.speedup(sweep_of(workers=(0,))), "no row has a speedup"),
        (lambda: plot.paper(sweep_of(policies=tuple("abcde"))), "5 policies do not stand beside each other: choose up to 4"),
        (lambda: plot.speedup(sweep_of(blocks=(100,)), "figure.jpg"), "PNG, PDF or SVG"),
        (lambda: plot.speedup(__file__), "holds no rows of a sweep"),
    ],
)
def test_what_cannot_be_drawn_is_said(call: Callable[[], Figure], says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


def test_a_notebook_s_own_plots_are_left_alone() -> None:
    import matplotlib

    before, pyplot = matplotlib.rcParams.copy(), "matplotlib.pyplot" in sys.modules
    figure = plot.speedup(sweep_of(blocks=(100,)))
    assert matplotlib.rcParams.copy() == before and pyplot == ("matplotlib.pyplot" in sys.modules)
    shown: bytes = figure._repr_png_()  # type: ignore[attr-defined]
    assert shown.startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['matplotlib'] = None\nimport ioi_stress\n"
    code += "try: ioi_stress.plot\nexcept Exception as error: print(type(error).__name__, error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Error figures need matplotlib") and "ioi-exec[stress]" in done.stdout


def test_what_the_paper_published_stands_where_workers_go_that_far() -> None:
    figure = plot.paper(sweep_of(blocks=(100, 1000), workers=(1, 16, 32, 128)))
    found = [
        (axes.get_title(), list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for axes in figure.axes for line in axes.get_lines() if str(line.get_label()).startswith("published")
    ]
    assert found == [("blocks of 1,000", [16, 32], [120_000, 170_000]), ("blocks of 1,000", [32], [80_000])]
    assert "published" not in str([line.get_label() for axes in plot.paper(sweep_of()).axes for line in axes.get_lines()])
