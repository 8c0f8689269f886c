"""Reports for real: made by the commands, and looked at in a browser where there is one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Page, address
from repetitions import repetitions_seen

from ioi_stress.cli import main
from ioi_stress.notation.text import significant
from ioi_stress.results.result import Result

N = 60
RUN = (
    "run",
    "hot",
    "--share",
    "0.6",
    "--block-size",
    str(N),
    "--blocks",
    "2",
    "--cost-us",
    "50",
    "--workers",
    "2",
    "--no-pin",
    "--repeat",
    "6",
    "--seed",
    "9",
    "--policy",
    "no-solo",
    "--report-block",
    "1",
)
VIEW = "document.getElementById('timeline').dataset"


def body(page: str, begin: str, end: str) -> str:
    return page[page.index(begin) : page.index(end)]


def command(folder: Path, *arguments: str, **environment: str) -> str:
    run = [sys.executable, "-m", "ioi_stress", *arguments]
    done = subprocess.run(
        run, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages of a run, of what it saved, and of a sweep."""
    folder = tmp_path_factory.mktemp("report")
    command(folder, *RUN, "--report", "run.html", "--save", "run.json")
    command(
        folder,
        "sweep",
        "uniform",
        "--accounts",
        "2,50",
        "--block-size",
        "20",
        "--workers",
        "1,2",
        "--no-pin",
        "--repeat",
        "2",
        "-o",
        "sweep.csv",
        "--report",
        "sweep.html",
        "--quiet",
    )
    return folder


def test_saved_results_and_sweeps_give_the_same_page_every_time(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(made, "report", "sweep.csv", "-o", "-", PYTHONHASHSEED="1") == (made / "sweep.html").read_text()
    saved, run = command(made, "report", "run.json", "-o", "-", PYTHONHASHSEED="2"), (made / "run.html").read_text()
    monkeypatch.chdir(made)
    assert main(["report", "run.json", "-o", "again.html", "--json"]) == 0
    assert (
        json.loads(capsys.readouterr().out) == {"of": "run", "file": "again.html"}
        and (made / "again.html").read_text() == saved
    )
    assert "keeps no timeline" in saved and 'id="timeline"' not in saved
    assert body(saved, "<body>", "<main>") == body(run, "<body>", "<main>").replace('<a href="#why">Why</a>\n', "")
    assert body(saved, "<main>", '<section id="block">') == body(run, "<main>", '<section id="block">')
    assert body(saved, '<section id="raw">', "</main>") == body(run, '<section id="raw">', "</main>")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("report", "nothing.json", "-o", "x.html"), "nothing.json"),
        (("report", "other.json", "-o", "x.html"), "no result of ioi-stress"),
        (("report", "damaged.json", "-o", "x.html"), "damaged.json: a result of ioi-stress that is damaged"),
        (("report", "other.csv", "-o", "x.html"), "no rows of a sweep"),
        (("report", "other.csv", "-o", "-", "--json"), "both print"),
        (("run", "uniform", "--report", "-"), "would mix with the table"),
        (("run", "uniform", "--report", "missing/x.html"), "missing"),
        (("sweep", "uniform", "--report", "-"), "would mix with the table"),
    ],
)
def test_what_it_refuses(
    arguments: tuple[str, ...],
    says: str,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text('{"format": "another"}')
    damaged = json.loads((made / "run.json").read_text())
    damaged["repetitions"][0]["blocks"][0]["seconds"] = {"total": "long"}
    (tmp_path / "damaged.json").write_text(json.dumps(damaged))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    before = sorted(os.listdir(tmp_path))
    assert main(list(arguments)) != 0
    assert says in capsys.readouterr().err and sorted(os.listdir(tmp_path)) == before


def test_without_a_schedule_or_a_whole_run_it_says_why_there_is_no_timeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(["run", "uniform", "--block-size", "10", "--workers", "0", "--repeat", "1", "--report", "alone.html"]) == 0
    )
    assert "there is no schedule to record" in (tmp_path / "alone.html").read_text()
    assert (
        main(
            [
                "run",
                "uniform",
                "--block-size",
                "10",
                "--repeat",
                "1",
                "--workers",
                "1",
                "--report",
                "none.html",
                "--report-block",
                "7",
            ]
        )
        == 0
    )
    assert "There is no block 7 to record." in (tmp_path / "none.html").read_text()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ioi_stress",
            "run",
            "uniform",
            "--block-size",
            "100",
            "--repeat",
            "100000",
            "--workers",
            "1",
            "--csv",
            "raw.csv",
            "--state",
            "state",
            "--report",
            "cut.html",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    repetitions_seen(tmp_path, process, 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1 and "Traceback" not in err, (out, err)
    text = (tmp_path / "cut.html").read_text()
    assert "Interrupted." in text and "no block was recorded afterwards" in text


def opened(chromium: Browser, path: Path, width: int = 1280, fragment: str = "") -> Page:
    page = chromium.page(width)
    page.open(address(path) + fragment)
    return page


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["run", "sweep"])
def test_a_browser_shows_it_and_asks_for_nothing(chromium: Browser, made: Path, name: str, width: int) -> None:
    page = opened(chromium, made / f"{name}.html", width)
    assert page.requests == [address(made / f"{name}.html")] and page.complaints == []
    assert page.evaluate("document.compatMode") == "CSS1Compat"
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # what is wider scrolls within itself
    assert page.evaluate("[...document.querySelectorAll('nav a')].every((a) => document.querySelector(a.hash))")
    boxes = page.evaluate(
        "[...document.querySelectorAll('svg')].map((each) => each.getBoundingClientRect())"
        ".map((box) => [box.width, box.height])"
    )
    assert len(boxes) > 5 and all(across > 10 and high > 5 for across, high in boxes)
    assert page.evaluate("document.fonts.size + document.images.length") == 0


def test_the_figures_on_the_page_are_those_of_the_result(chromium: Browser, made: Path) -> None:
    result = Result.from_json((made / "run.json").read_text(), "run.json")
    page = opened(chromium, made / "run.html")
    rows = page.evaluate(
        "[...document.querySelectorAll('table.figures tbody tr')].map((row) => [...row.cells].map((cell) => "
        "cell.innerText))"
    )
    shown = {row[0]: row[1:4] for row in rows}
    for name, label in (
        ("transactions_per_second", "throughput"),
        ("speedup", "speedup, executing"),
        ("aborts_per_transaction", "aborts"),
    ):
        interval = result.summary()[name]
        assert shown[label] == [significant(each) for each in (interval.median, interval.low, interval.high)]
    assert len(rows) == len(result.summary()) + 1
    assert (
        page.evaluate("document.querySelectorAll('table.figures tr:nth-child(1) .dot').length")
        == len(result.repetitions)
        == 6
    )
    assert page.evaluate("document.querySelector('.verdict').innerText").startswith("Verified.")
    roots = page.evaluate("document.querySelector('#raw details').textContent")
    assert all(block.state_root in roots for repetition in result.repetitions for block in repetition.blocks)
    words = page.evaluate("document.querySelector('pre').innerText").replace("\\\n", " ").split()
    assert words[:3] == ["ioi-stress", "run", "hot"] and words[words.index("--seed") + 1] == "9"


def most_compact(data: dict[str, Any]) -> int:
    """The transaction of which most is one execution: shown by itself, there is room for its number however loaded the
    machine was."""
    pieces: dict[int, list[tuple[int, int, int]]] = {}
    for lane in data["lanes"]:
        at = 0
        for gap, length, code, tx in zip(lane[0::4], lane[1::4], lane[2::4], lane[3::4]):
            at += gap + length
            if 0 <= tx < N and data["classes"][code % 16][2] > 0:
                executed = length if data["classes"][code % 16][2] == 1 else 0
                pieces.setdefault(tx, []).append((at - length, at, executed))

    def share(tx: int) -> float:
        begins, ends, executed = zip(*pieces[tx])
        span = max(ends) - min(begins)
        return max(executed) / span if span < (data["end"] - data["begin"]) / 8 else 0.0

    return max(pieces, key=share)


def look_for(page: Page, tx: int) -> None:
    page.evaluate(
        f"""(() => {{
          const input = document.getElementById('timeline-tx');
          input.value = {tx};
          input.dispatchEvent(new Event('change'));
        }})()"""
    )


def test_the_timeline_zooms_moves_and_tells(chromium: Browser, made: Path) -> None:
    page = opened(chromium, made / "run.html")
    begin, end = whole = [int(each) for each in page.evaluate(f"{VIEW}.view").split("-")]
    everything = int(page.evaluate(f"{VIEW}.pieces"))
    assert everything >= N and page.evaluate("document.querySelectorAll('button[data-whole]:disabled').length") == 3

    def view() -> list[int]:
        page.drawn()
        return [int(each) for each in page.evaluate(f"{VIEW}.view").split("-")]

    def press(does: str) -> list[int]:
        page.evaluate(f"document.querySelector('button[data-do={does}]').click()")
        return view()

    inside = press("in")
    assert begin < inside[0] < inside[1] < end and abs((inside[1] - inside[0]) * 1.6 - (end - begin)) < 10
    assert int(page.evaluate(f"{VIEW}.pieces")) < everything
    moved = press("right")
    assert moved[0] > inside[0] and abs(moved[1] - moved[0] - inside[1] + inside[0]) <= 2
    assert press("all") == whole
    half = (begin + end) // 2
    page.evaluate(f"location.hash = '#t={begin + 1000}-{half}'")
    page.evaluate("new Promise((done) => setTimeout(done, 0))")
    assert view() == [begin + 1000, half]
    page.evaluate("document.getElementById('timeline').focus()")
    page.command("Input.dispatchKeyEvent", type="keyDown", key="-", text="-")
    assert view()[1] > half
    page.command("Input.dispatchKeyEvent", type="keyDown", key="Home")
    assert view() == whole
    # A transaction by its number: then it is wide enough to bear it.
    tx = most_compact(page.evaluate("JSON.parse(document.getElementById('timeline-data').textContent)"))
    look_for(page, tx)
    assert view() != whole
    assert str(tx) in page.evaluate(
        "[...document.querySelectorAll('#timeline-lanes text')].map((each) => each.textContent)"
    )
    assert page.evaluate("document.getElementById('timeline-tx').checkValidity()")
    x, y = page.evaluate(
        """((tx) => {
          const it = [...document.querySelectorAll('#timeline-lanes text')].find((each) => each.textContent === tx);
          it.scrollIntoView();
          const box = it.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2];
        })"""
        + f"('{tx}')"
    )
    page.mouse("mouseMoved", x, y)
    tip = page.evaluate("document.getElementById('timeline-tip').innerText")
    assert tip.startswith(f"Transaction {tx}, incarnation ") and "worker " in tip and "took" in tip
    before = view()
    later = before[1] < whole[1]  # what is looked for may stand at the end already, from where it only goes back
    to = x - 100 if later else x + 100
    page.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    page.mouse("mouseMoved", to, y, button="left", buttons=1)
    page.mouse("mouseReleased", to, y, button="left", clickCount=1)
    after = view()
    assert (after[0] > before[0] if later else after[0] < before[0]) and page.evaluate("document.getElementById('timeline-tip').hidden")
    look_for(page, 999)
    assert not page.evaluate("document.getElementById('timeline-tx').checkValidity()")
    assert page.complaints == [] and len(page.requests) == 1


def test_an_address_opens_the_part_it_names(chromium: Browser, made: Path) -> None:
    whole = opened(chromium, made / "run.html")
    data = whole.evaluate("JSON.parse(document.getElementById('timeline-data').textContent)")
    first, last = ((data["begin"] * (4 - part) + data["end"] * part) // 4 for part in (1, 2))
    page = opened(chromium, made / "run.html", fragment=f"#t={first}-{last}")
    assert page.evaluate(f"{VIEW}.view") == f"{first}-{last}" and page.evaluate("scrollY") > 0
    assert opened(chromium, made / "run.html", fragment=f"#t={last}-{first}").evaluate(f"{VIEW}.pieces") != "0"


def test_without_scripts_dark_and_printed(chromium: Browser, made: Path) -> None:
    page = chromium.page()
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    page.open(address(made / "run.html"), drawn=False)
    still = "document.querySelectorAll('#timeline-lanes path').length"
    assert (
        page.evaluate(still) >= 2
        and page.evaluate("getComputedStyle(document.querySelector('.controls')).display") == "none"
    )
    assert page.evaluate(f"{VIEW}.view") is None
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    dark = page.evaluate(ground)
    page.command(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert (light, page.evaluate(ground)) == ("rgb(255, 255, 255)",) * 2 and dark != light
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
