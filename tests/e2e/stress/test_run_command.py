"""ioi-stress run for real: what it prints and writes, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import psutil
import pytest
from repetitions import repetitions_seen

from ioi_stress.cli import main
from ioi_stress.results.raw import columns
from ioi_stress.results.result import Result

Cli = Callable[..., Any]
SMALL = ("run", "uniform", "--vm", "python", "--block-size", "40", "--blocks", "2", "--workers", "2", "--repeat", "2", "--no-pin")


def test_table(stress: Cli) -> None:
    done = stress(*SMALL, "--vm", "payments", "--policy", "default")
    assert done.err == ""
    for shown in ("uniform: ", "block_size 40", "2 workers, policy default", "throughput", "speedup", "memory at most", "MiB",
                  "low and high are the least and the greatest of 2", "verified: state roots and receipts of 6 executions"):
        assert shown in done.out, shown
    table = done.out.split("\n\n")[1].splitlines()
    assert len({line.find("transactions") for line in table if "throughput" in line}) == 1
    assert "nothing of its noise" in stress(*SMALL, "--vm", "payments", "--repeat", "1", "--workers", "0").out


def test_json_csv_and_saved_result_say_the_same(stress: Cli, tmp_path: Path) -> None:
    done = stress(*SMALL, "--json", "--csv", "raw.csv", "--save", "saved.json", "--seed", "7")
    result = Result.from_json(done.out, "standard output")
    assert done.err == "" and result.ok and Result.from_json((tmp_path / "saved.json").read_text(), "saved.json") == result
    assert result.parameters["workload"]["parameters"]["seed"] == 7 and result.parameters["run"]["workers"] == 2
    assert [len(repetition.blocks) for repetition in result.repetitions] == [2, 2]
    assert result.verification.executed == result.verification.compared == 6  # warm-up included
    rows = list(csv.DictReader((tmp_path / "raw.csv").open()))
    assert list(rows[0]) == columns()
    assert [(row["repetition"], row["block"], row["state_root"]) for row in rows] == [
        (str(repetition.number), str(block.block), block.state_root) for repetition in result.repetitions for block in repetition.blocks
    ]
    assert sorted(os.listdir(tmp_path)) == ["raw.csv", "saved.json"]
    printed = stress(*SMALL, "--csv", "-", "--seed", "7", "--no-sequential", "--no-verify", "--warmup", "0", "--tree", "iavl").out
    again = list(csv.DictReader(io.StringIO(printed)))
    assert len(again) == 4 and {row["sequential_total_seconds"] for row in again} == {""}
    assert [row["receipts_root"] for row in again] == [row["receipts_root"] for row in rows]  # of the same seed
    assert again[0]["state_root"] != rows[0]["state_root"]  # another tree


def test_verification_can_be_left_out_or_asked_for(stress: Cli) -> None:
    big = ("run", "uniform", "--vm", "python", "--cost", "sleep", "--json", "--repeat", "1", "--warmup", "0", "--no-sequential",
           "--workers", "0")
    few = ("--block-size", "4", "--cost-us", "1000")
    assert json.loads(stress(*big, *few).out)["verification"]["compared"] == 1
    assert json.loads(stress(*big, *few, "--no-verify").out)["verification"] == {
        "wanted": False, "executed": 0, "compared": 0, "mismatches": [], "shrunk": "", "files": [], "replay": "",
    }


@pytest.mark.parametrize("arguments, says", [
    (("run",), "WORKLOAD"),
    (("run", "nonsense"), "nonsense"),
    (("run", "uniform", "--block-size", "0"), "block_size is 0"),
    (("run", "uniform", "--repeat", "0"), "Plan.repeat is 0"),
    (("run", "uniform", "--workers", "-1"), "--workers"),
    (("run", "uniform", "--workers", "100000"), "workers is 100000"),
    (("run", "uniform", "--policy", "best"), "there is no policy 'best'"),
    (("run", "uniform", "--policy", "window=x"), "window is a number or auto"),
    (("run", "uniform", "--policy", "estimates=maybe"), "estimates is on or off"),
    (("run", "uniform", "--policy", "paper,tempo=1"), "'tempo=1' is none of"),
    (("run", "uniform", "--tree", "oak"), "oak"),
    (("run", "uniform", "--state", "missing/state"), "missing"),
    (("run", "uniform", "--state", "."), ". is there already"),
    (("run", "uniform", "--save", "missing/file"), "missing/file"),
    (("run", "uniform", "--save", "-"), "use --json"),
    (("run", "uniform", "--save", ""), "the name of a file to write is empty"),
    (("run", "uniform", "--save", "same", "--csv", "./same"), "./same: it was given for two things"),
])
def test_wrong_input(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for options in ((), ("--json",)):
        try:
            status = main([*arguments, *options])
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert (status, out) == (2, "") and says in err
        if options:
            (only,) = err.splitlines()
            assert json.loads(only)["exit"] == 2
    assert os.listdir(tmp_path) == []


def test_a_save_that_fails_leaves_what_was_there(stress: Cli, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("before")
    stress("run", "uniform", "--state", ".", "--save", "kept.json", status=2)
    assert (tmp_path / "kept.json").read_text() == "before" and os.listdir(tmp_path) == ["kept.json"]


def test_what_was_measured_is_kept_though_it_cannot_be_printed(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = started(tmp_path, *SMALL, "--save", "saved.json", stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 4 and err == "ioi-stress: standard output: No space left on device\n"
    assert Result.from_json((tmp_path / "saved.json").read_text(), "saved.json").ok


def test_what_is_read_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text(text := '{"reads": ["a"]}\n')
    (tmp_path / "link").symlink_to(trace)
    for command in (("run", "rwset", "--save"), ("rwset", "--csv"), ("trace", "rwset", "--rwset"), ("sweep", "rwset", "--report")):
        assert main([*command[:-1], str(trace), command[-1], str(tmp_path / "link")]) == 2
        assert "it is read, and would be overwritten" in capsys.readouterr().err
    assert main(["report", str(trace), "-o", str(trace)]) == 2
    assert "it is read, and would be overwritten" in capsys.readouterr().err
    assert trace.read_text() == text


def started(folder: Path, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ioi_stress", *arguments]
    return subprocess.Popen(command, cwd=folder, text=True, start_new_session=True, **streams)


@pytest.mark.usefixtures("hang_up")
@pytest.mark.parametrize("number, as_json", [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)])
def test_an_interruption_tells_what_was_measured(number: signal.Signals, as_json: bool, tmp_path: Path) -> None:
    endless = ("run", "uniform", "--vm", "python", "--block-size", "300", "--blocks", "3", "--repeat", "1000000", "--state", "state", "--workers", "2")
    process = started(
        tmp_path, *endless, "--no-pin", "--warmup", "0", "--save", "saved.json", *(["--json"] if as_json else []),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        repetitions_seen(tmp_path, process, 2)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 1, err
    assert os.listdir(tmp_path) == ["saved.json"]  # the state is gone
    result = Result.from_json((tmp_path / "saved.json").read_text(), "saved.json")
    assert result.interrupted and len(result.repetitions[0].blocks) == 3 and result.verification.ok
    if as_json:
        assert Result.from_json(out, "standard output") == result and json.loads(err)["kind"] == "Interrupted"
    else:
        assert "interrupted: these are the figures" in out and "throughput" in out and err.startswith("ioi-stress: interrupted: ")
    assert not psutil.wait_procs(workers, timeout=300)[1]


def on_a_terminal(folder: Path, *arguments: str, term: str = "xterm-256color", path: str = "") -> tuple[str, str]:
    """(standard output, what came to the terminal that standard error is)."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": term, "COLUMNS": "150", "PYTHONPATH": path}
    process = started(folder, *arguments, stdout=subprocess.PIPE, stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    try:
        while True:
            shown += os.read(ours, 4096)
    except OSError:  # the last writer has closed it
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, shown
    return out, shown.decode()


# Mostly asleep, so that it takes about as long on any machine: longer than it takes until a line is printed.
LONG = ("run", "uniform", "--vm", "python", "--block-size", "10", "--blocks", "2", "--repeat", "3", "--workers", "2", "--cost", "sleep",
        "--cost-us", "20000", "--no-pin")


def test_the_live_view_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    out, shown = on_a_terminal(tmp_path, *LONG)
    for word in ("repetition", "of 3", "transactions/s", "worker 1", "MiB", "watermark", "aborts", "suspensions", "commit", "━"):
        assert word in shown, word
    assert "verified: " in out and "\x1b" not in out


@pytest.mark.parametrize("how", ["no rich", "dumb terminal"])
def test_lines_now_and_then_without_a_picture(how: str, tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "rich.py").write_text("raise ImportError('not installed')\n")
    path = str(tmp_path / "without") if how == "no rich" else ""
    out, shown = on_a_terminal(tmp_path, *LONG, term="dumb" if how == "dumb terminal" else "xterm", path=path)
    lines = shown.splitlines()
    assert lines and all(line.startswith("ioi-stress: ") and "transactions/s" in line and "workers busy" in line for line in lines)
    assert "\x1b" not in shown and "verified: " in out


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_nothing_is_drawn_for_machines(option: str, tmp_path: Path) -> None:
    assert on_a_terminal(tmp_path, *SMALL, option)[1] == ""
