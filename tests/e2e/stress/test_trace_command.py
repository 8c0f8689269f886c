"""ioi-stress trace for real: text, Perfetto file, picture, declared transactions, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_stress.cli import main
from ioi_stress.workloads.rwset_file import read_rwset

Cli = Callable[..., Any]
SMALL = ("--vm", "python", "--block-size", "40", "--workers", "2", "--no-pin")
TRACE = {
    "format",
    "workload",
    "parameters",
    "block",
    "policy",
    "state_root",
    "transactions",
    "failed",
    "workers",
    "mode",
    "verified",
    "seconds",
    "cost",
    "duration_ns",
    "counts",
    "worker_ns",
    "solo_ns",
    "files",
}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says that refuses its input, and prints nothing."""
    try:
        status = main([*arguments, "--json"])
    except SystemExit as exit:
        status = exit.code  # type: ignore[assignment]
    shown = capsys.readouterr()
    error = json.loads(shown.err)
    assert status == error["exit"] == 2 and shown.out == ""
    return str(error["error"])


def test_text(stress: Cli) -> None:
    done = stress("trace", "zipf", *SMALL, "--width", "90")
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "zipf: block 0, 40 transactions, 2 workers, policy default"
    assert max(map(len, lines[1:8])) <= 90 and any(line.startswith("worker 1") for line in lines[2:8])
    assert "verified: state root and receipts equal" in done.out
    assert re.search(r"^\d+ executions, \d+ first incarnation", done.out, re.MULTILINE)


def test_files(stress: Cli, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = stress(
        "trace",
        "hot",
        *SMALL,
        "--cost-us",
        "50",
        "--share",
        "1",
        "--blocks",
        "3",
        "--block",
        "2",
        "-o",
        "t.json",
        "--picture",
        "p.png",
        "--rwset",
        "r.jsonl",
        "--from",
        "tx3",
        "--to",
        "tx20",
    )
    assert (
        "worker 0  " not in done.out.split("first incarnation")[0] and "trace: t.json" in done.out
    )  # no drawing but the one asked for
    trace = json.loads((tmp_path / "t.json").read_text())
    assert trace["metadata"]["workload"] == "hot" and trace["metadata"]["block"] == 2
    executed = [event for event in trace["traceEvents"] if event["ph"] == "X" and event["name"].startswith("tx ")]
    kept = [event for event in executed if event["args"]["outcome"] in ("first incarnation", "re-execution")]
    assert sorted(event["args"]["transaction"] for event in kept) == list(range(40))
    assert all("account/" in event["args"]["reads"] for event in kept)
    assert {
        event["tid"] for event in trace["traceEvents"] if event["ph"] == "M" and event["name"] == "thread_name"
    } == {1, 2}
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    (block,) = read_rwset((tmp_path / "r.jsonl").read_bytes(), "r.jsonl")
    assert len(block) == 40 and sorted(each.cost_ns or 0 for each in block)[20] > 40_000  # one that was preempted computed less
    assert all(set(each.reads) == set(each.writes) and len(each.reads) in (1, 2) for each in block)
    assert Counter(key for each in block for key in each.writes).most_common(1)[0][1] >= 38  # everybody pays one
    assert stress("trace", "rwset", "r.jsonl", "--workers", "1", "--json").object["transactions"] == 40


def test_json(stress: Cli) -> None:
    found = stress("trace", "uniform", *SMALL, "--json").object
    assert (
        found.keys() == TRACE
        and found["format"] == "ioi-stress/trace/1"
        and found["cost"] is None
        and found["files"] == {}
    )
    assert (
        found["transactions"] == 40
        and found["workers"] == 2
        and found["verified"] is True
        and len(found["state_root"]) == 64
    )
    assert all(sum(each[worker] for each in found["worker_ns"].values()) == found["duration_ns"] for worker in (0, 1))
    counts = found["counts"]
    assert counts["executions"] == sum(
        counts[name] for name in ("first_incarnation", "re_execution", "aborted", "cut_short")
    )
    assert counts["first_incarnation"] + counts["re_execution"] >= 40
    assert len(found["seconds"]["recorded"]) == 1


def test_cost_of_recording(stress: Cli) -> None:
    done = stress("trace", "pairs", *SMALL, "--recording-cost", "--json").object
    assert (
        done["cost"]["n"] == 15 == len(done["seconds"]["parallel"])
        and done["cost"]["low"] <= done["cost"]["median"] <= done["cost"]["high"]
    )
    shown = stress("trace", "pairs", "--vm", "payments", "--block-size", "20", "--workers", "1", "--recording-cost").out
    assert re.search(
        r"recording: [\d.]+ ms with it, [\d.]+ ms without, medians of 15 executions in turns; ratio [\d.]+, 9\d% interval",
        shown,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--block", "1"), "there is no block 1"),
        (("--workers", "0"), "at least 1"),
        (("--picture", "p.gif"), ".png, .svg or .pdf"),
        (("--picture", "same.png", "-o", "same.png"), "two things"),
        (("-o", "-"), "standard output"),
        (("-o", "missing/t.json"), "there is no directory missing"),
        (("--from", "tx40"), "no transaction 40"),
        (("--from", "1h"), "is no time"),
        (("--from", "9999s"), "after the end"),
        (("--width", "3"), "from 40 to 1000"),
        (("--repeat", "0"), "at least 1"),
        (("--block", "-1"), "the value"),
    ],
)
def test_what_it_refuses(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        refused(capsys, "trace", "zipf", "--vm", "payments", "--block-size", "40", "--workers", "1", *arguments).find(
            message
        )
        >= 0
    )
    assert list(tmp_path.iterdir()) == []


def test_a_vm_that_is_not_deterministic(stress: Cli, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import os\nclass Pid:\n    def execute(self, tx, state, ctx):\n        state.put(tx, b'%d' % os.getpid())\n"
    )
    (tmp_path / "block.jsonl").write_text('{"tx": "aa"}\n')
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    done = stress(
        "trace", "replay", "block.jsonl", "--genesis", "genesis.json", "--vm", "own:Pid", "--workers", "1", "--json", status=5
    )
    assert "state root" in done.error["error"]


@pytest.mark.parametrize("command", ["trace", "explain"])
def test_examples_of_the_help_work(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit):
        main([command, "--help"])
    examples = [
        line.strip() for line in out.getvalue().partition("\nexample:\n")[2].splitlines() if line.startswith("  ")
    ]
    assert len(examples) == 3 and all(line.startswith(f"ioi-stress {command} ") for line in examples)
    for example in examples:
        if "--picture" in example:
            pytest.importorskip("matplotlib")
        with redirect_stdout(StringIO()) as out:
            assert main(shlex.split(example)[1:]) == 0 and out.getvalue()
