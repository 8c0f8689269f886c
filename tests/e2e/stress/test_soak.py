"""Soaks for real: a short one ends as it should and leaves nothing, and leaks that are planted are found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import repeat
from pathlib import Path
from typing import Iterator

import pytest
from chaos_workloads import Leaky, processes_in

from ioi_stress import SoakPlan, soak
from ioi_stress.cli import main
from ioi_stress.soaking.quantities import QUANTITIES
from ioi_stress.soaking.report import GROWS
from ioi_stress.workload import Block, FixedWorkload

HERE = Path(__file__).parent
_FORGETFUL = """
import sys, time
from ioi_storage.disk.environment import open_environment
while True:
    try:
        env, _ = open_environment(sys.argv[1], read_only=True)
        break
    except Exception:
        time.sleep(0.1)
held = []
while len(held) < 900:
    held.append(env.begin())
    time.sleep(0.05)
input()
"""


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ioi_stress", "soak", "--workers", "2", "--no-pin", *arguments], cwd=HERE, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}, start_new_session=True,
    )  # fmt: skip


def test_a_short_soak_looks_at_everything_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "--seconds", "4", "--rate", "1", "--json", "-o", str(tmp_path / "page.html"))
    out, err = process.communicate(timeout=240)
    assert process.returncode == 7, err  # too short
    report = json.loads(out)
    assert report["exit"] == 7 and not report["ok"] and "too short to tell" in report["verdict"]
    assert report["chaos"]["defects"] == [] and report["chaos"]["blocks_committed"] > 0
    seen = set().union(*report["looks"])
    assert {each.name for each in QUANTITIES} <= seen
    assert {each["name"] for each in report["judged"]} == {each.name for each in QUANTITIES if each.more is not None}
    page = (tmp_path / "page.html").read_text()
    assert "No verdict." in page and page.count('role="img"') == len({each.group for each in QUANTITIES})
    assert os.listdir(tmp_path) == ["page.html"] and processes_in(tmp_path) == []


def test_interrupted_it_tells_what_it_saw(tmp_path: Path) -> None:
    process = start(tmp_path, "--hours", "5")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/block")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in err, err
    assert "interrupted, until then: " in out and "ioi-stress: interrupted" in err
    assert os.listdir(tmp_path) == [] and processes_in(tmp_path) == []


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--seconds", "0"), "seconds is 0"),
        (("--duty", "2"), "duty is 2"),
        (("--faults", "nonsense"), "kill-engine"),
        (("-o", "-"), "give -o a file"),
        (("-o", "no/such/directory/page.html"), "no/such/directory"),
        (("--state", str(HERE)), "empty"),
    ],
)
def test_nonsense_is_refused_before_anything_is_done(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["soak", *arguments]) in (1, 2)
    assert says in capsys.readouterr().err


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[None]:
    """A reader that begins transactions and ends none."""
    process = subprocess.Popen([sys.executable, "-c", _FORGETFUL, str(tmp_path / "soak" / "state")], stdin=subprocess.PIPE)
    yield
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.long
def test_leaks_are_found(tmp_path: Path, forgetful: None) -> None:
    """Of memory and descriptors in the workers, and of slots by a reader; what does not leak is not blamed."""
    txs = [bytes([number % 50]) for number in range(50)]
    endless = FixedWorkload("leaky", Leaky, {b"key-%d" % number: b"x" for number in range(50)}, Endless(Block(txs)))
    report = soak(SoakPlan(seconds=25, rate=0, workers=2, pin=False, state=str(tmp_path / "soak")), endless)
    shown = {each.quantity.name: (each.verdict, each.trend) for each in report.judged()}
    grows = {name for name, (verdict, _) in shown.items() if verdict == GROWS}
    assert {"memory", "memory_workers", "descriptors", "descriptors_workers", "slots"} <= grows, shown
    assert not grows & {"descriptors_engine", "descriptors_helpers", "descriptors_reader", "processes"}, shown
    assert report.verdict[0] == 1 and "falls short" in report.verdict[1]


class Endless(list[Block]):
    """The same block again and again."""

    def __init__(self, block: Block) -> None:
        super().__init__([block])

    def __iter__(self) -> Iterator[Block]:
        return repeat(self[0])
