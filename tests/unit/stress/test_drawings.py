"""The timeline as text and as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from simulated_schedule import Tx, random_block, simulate

from ioi_exec import InputError
from ioi_stress.tracing.looks import LOOKS
from ioi_stress.tracing.picture import check_picture, write_picture
from ioi_stress.tracing.text import drawn
from ioi_stress.tracing.timeline import ABORTED, AGAIN, FIRST, Timeline


def timeline(seed: int = 1, n: int = 60, workers: int = 3) -> Timeline:
    return Timeline.of(simulate(random_block(seed, n), workers)[0])


@pytest.mark.parametrize("width", [10, 40, 80, 133])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_text_fits_the_terminal(width: int, ascii_only: bool) -> None:
    made = timeline()
    text = drawn(made, 0, made.duration, width, ascii_only=ascii_only)
    assert max(map(len, text.splitlines())) <= max(width, 40)
    assert text.isascii() == ascii_only
    assert [line[:8] for line in text.splitlines() if line.startswith("worker")] == ["worker 0", "worker 1", "worker 2"]
    glyphs = {name: look.ascii if ascii_only else look.glyph for name, look in LOOKS.items()}
    assert all(f"{glyphs[name]} {name}" in text for name in (FIRST, AGAIN, ABORTED))


def test_text_counts_all_aborts_and_names_executions() -> None:
    made = timeline(seed=2, n=30)
    text = drawn(made, 0, made.duration, 500)
    marks = "".join(line[10:] for line in text.splitlines() if line.startswith("  aborts"))
    assert sum(map(int, marks.replace(" ", ""))) == len(made.aborts) > 3
    lanes = "".join(line[10:] for line in text.splitlines() if line.startswith("worker"))
    numbers = "".join(each if each.isdigit() else " " for each in lanes).split()
    assert set(numbers) >= {"0", "5", "29"}
    final = text.splitlines()[0].split()
    assert final[0] == "final" and list(map(int, final[1:])) == sorted(map(int, final[1:]))


def test_text_of_a_part() -> None:
    made = timeline(n=40)
    text = drawn(made, made.duration // 2, made.duration // 2 + 3, 60)
    assert text.splitlines()[-2].startswith("us")
    one = Timeline.of(simulate([Tx((), (0,), 5_000)], 1)[0])
    assert (
        drawn(one, 0, one.duration, 60).splitlines()[1] == "worker 0  " + LOOKS[FIRST].glyph + "0" + LOOKS[FIRST].glyph * 47 + "v"
    )


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize("n", [20, 600])
def test_pictures_of_few_and_many(n: int, suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made = timeline(n=n, workers=2)
    files = [tmp_path / f"{again}{suffix}" for again in range(2 if n == 20 else 1)]
    for file in files:
        write_picture(made, file, 0, made.duration, f"a block of {n}")
    first, *others = (file.read_bytes() for file in files)
    assert len(first) > 5_000 and first.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])
    assert all(other == first for other in others)
    if suffix == ".svg":
        text = first.decode()
        assert ("too many to be drawn one by one" in text) == (n == 600) and f"a block of {n}" in text
        assert all(f">{name}<" in text for name in ("worker 0", "worker 1", "aborted", "re-execution", "abort"))
        assert (">17<" in text) == (n == 20)  # an execution with its number


def test_picture_says_what_it_left_out(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made = Timeline.of(simulate([Tx((0,), (0,), 500)] * 450, 4, 1)[0])
    assert len(made.aborts) > 250
    write_picture(made, tmp_path / "hot.svg", 0, made.duration, "hot")
    assert f"{len(made.aborts):,} aborts: too many for arrows" in (tmp_path / "hot.svg").read_text()


def test_picture_of_a_part_has_its_pieces_only(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made = timeline(n=60)
    write_picture(made, tmp_path / "part.svg", 0, made.duration // 10, "part")
    text = (tmp_path / "part.svg").read_text()
    shown = np.unique(made.spans["tx"][(made.spans["kind"] == 1) & (made.spans["start"] < made.duration // 10)])
    assert ">0<" in text and ">59<" not in text and 59 not in shown


def test_what_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x", "x.jpg", "x.png.txt"):
        with pytest.raises(InputError, match=r"\.png, \.svg or \.pdf"):
            check_picture(tmp_path / name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"ioi-exec\[stress\]"):
        check_picture(tmp_path / "x.png")
