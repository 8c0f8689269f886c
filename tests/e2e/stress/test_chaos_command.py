"""ioi-stress chaos as a user has it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chaos_workloads import processes_in

from ioi_stress.cli import main

HERE = Path(__file__).parent


def command(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ioi_stress", "chaos", *arguments], cwd=HERE, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)}, start_new_session=True,
    )


def done(tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    process = command(tmp_path, *arguments)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_verified(tmp_path: Path) -> None:
    status, out, err = done(
        tmp_path, "zipf", "--blocks", "5", "--block-size", "100", "--faults", "kill-worker,kill-engine", "--rate", "1.5", "--json"
    )
    assert (status, err) == (0, "")
    report: dict[str, Any] = json.loads(out)
    assert report["ok"] and report["blocks_committed"] == 5 + report["versions_rolled_back"] and report["deep_checks"] >= 1
    assert sum(counts["injected"] for counts in report["faults"].values()) > 0
    assert report["parameters"]["chaos"]["seed"] == 1 and report["parameters"]["workload"]["name"] == "zipf"
    assert os.listdir(tmp_path) == []


def test_no_fault_is_no_verdict(tmp_path: Path) -> None:
    status, out, err = done(tmp_path, "zipf", "--blocks", "2", "--block-size", "10", "--rate", "0")
    assert status == 7 and "everything verified" not in out
    assert "NOTHING JUDGED: no fault struck; 2 blocks verified" in out and err.startswith("ioi-stress: no fault struck")


def test_what_is_wrong_is_said_and_can_be_replayed(tmp_path: Path) -> None:
    status, out, err = done(tmp_path, "own", "chaos_workloads:programs", "--set", "vm=Dice", "--rate", "0", "--quiet")
    assert status == 5
    assert "FAILED: diverged: block 1: the receipts root is" in out and "lost commits 0, orphans 0" in out
    assert err.startswith("ioi-stress: diverged: block 1") and err.count("again: ") == 2
    # A VM in Python that is not deterministic gives the same state root here: the receipts differ.
    replay = shlex.split(err.rpartition("again: ")[2])
    replayed = subprocess.run([sys.executable, "-m", "ioi_exec", *replay[1:]], cwd=HERE, capture_output=True, text=True)
    assert replayed.returncode == 0, replayed.stderr
    (left,) = os.listdir(tmp_path)
    assert f"what is left of it: {tmp_path / left}" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_what_it_saw(number: signal.Signals, tmp_path: Path) -> None:
    process = command(tmp_path, "pairs", "--blocks", "100000", "--block-size", "100", "--rate", "0.3")
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("*/block")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    time.sleep(1)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1 and "Traceback" not in err, err
    assert "interrupted: nothing was wrong until then" in out and "ioi-stress: interrupted" in err
    assert os.listdir(tmp_path) == []
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--faults", "kill-worker,nonsense"), "kill-engine"),
        (("--rate", "-1"), "rate"),
        (("--workers", "0"), "worker"),
        (("--disk", "1"), "at least 8"),
        (("--state", str(HERE)), "empty"),
    ],
)
def test_nonsense_is_refused(arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "zipf", *arguments]) == 2
    assert says in capsys.readouterr().err
