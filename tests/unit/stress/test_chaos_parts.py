"""The parts of chaos, each alone."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from random import Random
from time import sleep

import pytest

from ioi_exec import ExecutionMachine, InputError
from ioi_stress.chaos import (
    FAULTS,
    ChaosPlan,
    Fault,
    Report,
    Target,
    all_faults,
    named_faults,
)
from ioi_stress.chaos.attack import Attack
from ioi_stress.chaos.fault import BETWEEN, COMMITTING, STAGING
from ioi_stress.chaos.faults.memory import LittleMemory
from ioi_stress.chaos.judge import Judge
from ioi_stress.chaos.messages import TEXT_MOST, Executed, Opened, Refused
from ioi_stress.chaos.orphanage import Orphanage
from ioi_stress.chaos.process import EngineProcess
from ioi_stress.chaos.processes import MARK
from ioi_stress.chaos.report import DEFECTS, Defect, FaultCounts
from ioi_stress.chaos.schedule import Strike, strikes
from ioi_stress.chaos.timeline import Timeline
from ioi_stress.chaos.truth import Truth


def test_strikes_follow_from_the_seed() -> None:
    plan = ChaosPlan(rate=1.5, seed=9)
    drawn = [strikes(plan, 1, block) for block in range(1, 2_001)]
    again = [strikes(ChaosPlan(rate=1.5, seed=9), 1, block) for block in range(1, 2_001)]
    shown = [[(each.fault.name, each.phase, each.moment, each.rng.random()) for each in block] for block in drawn]
    assert shown == [[(each.fault.name, each.phase, each.moment, each.rng.random()) for each in block] for block in again]
    assert [len(block) for block in drawn] != [len(strikes(plan, 2, block)) for block in range(1, 2_001)]
    assert 1.4 < sum(map(len, drawn)) / 2_000 < 1.6  # fixed by the seed
    assert {each.fault.name for block in drawn for each in block} == set(FAULTS)
    assert all(each.phase in each.fault.phases and 0 <= each.moment <= 1.1 for block in drawn for each in block)
    assert not any(strikes(ChaosPlan(rate=0), 1, block) for block in range(100))


def test_faults_by_name() -> None:
    assert [each.name for each in named_faults(["full-disk", "kill-worker", "full-disk"])] == ["full-disk", "kill-worker"]
    assert [each.name for each in named_faults(["all"])] == [each.name for each in all_faults()] == list(FAULTS)
    with pytest.raises(InputError, match="kill-engine"):
        named_faults(["kill"])


@pytest.mark.parametrize(
    "options", [{"faults": []}, {"rate": -1}, {"rate": float("nan")}, {"seconds": 0}, {"workers": 0}, {"keep": 1}, {"check_every": 0}]
)
def test_plans_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        ChaosPlan(**options)  # type: ignore[arg-type]


def test_a_timeline_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("ioi_stress.chaos.timeline.monotonic", lambda: now[0])
    timeline, done = Timeline(), []
    timeline.after(0.02, lambda: done.append("second"))
    timeline.after(0.0, lambda: done.append("first"))
    timeline.after(60, lambda: timeline.after(60, lambda: done.append("last")))
    assert timeline.next_in(5) == 0
    timeline.do_what_is_due()
    assert done == ["first"] and timeline.next_in(5) == 0.02
    now[0] = 0.03
    timeline.do_what_is_due()
    assert done == ["first", "second"] and timeline.next_in(5) == 5
    timeline.do_all()
    assert done == ["first", "second", "last"]


class Lasting(Fault):
    name = "lasting"
    help = "says when it strikes and when it is over"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def strike(self, target: Target, rng: Random) -> bool:
        self.seen.append("struck")
        target.later(60, lambda: self.seen.append("over"))
        return True


def test_at_the_end_what_lasts_is_over_and_nothing_strikes_any_more() -> None:
    fault = Lasting()
    report = Report({}, {fault.name: FaultCounts()})
    attack = Attack(report, "state", 1.0, False, None)
    attack.arm([Strike(fault, BETWEEN, 0.0, Random(1)), Strike(fault, COMMITTING, 1.0, Random(2)), Strike(fault, STAGING, 0.5, Random(3))])
    attack.commit(60)  # a strike that is late, and one whose phase never came
    assert fault.seen == ["struck"] and attack.to_blame("VMFault") == 1
    attack.settle()
    assert attack.to_blame("VMFault") == 1
    attack.end()
    assert fault.seen == ["struck", "over"] and attack.to_blame("VMFault") == 0
    assert (report.faults["lasting"].injected, report.faults["lasting"].missed) == (1, 0)


class Starving(LittleMemory):
    def strike(self, target: Target, rng: Random) -> bool:
        return True


def test_only_a_fault_that_may_cause_a_refusal_explains_it() -> None:
    """A worker that has just been started, and then gets no memory, cannot load the VM; one that is slow can."""
    report = Report({}, {name: FaultCounts() for name in ("little-memory", "lasting")})
    attack = Attack(report, "state", 1.0, False, None)
    attack.arm([Strike(Lasting(), BETWEEN, 0.0, Random(1)), Strike(Starving(), BETWEEN, 0.0, Random(2))])
    assert [attack.to_blame(kind) for kind in ("ResourceError", "VMFault", "VMError", "StateInUse")] == [2, 2, 1, 0]
    attack.refused("VMError")
    attack.end()
    assert FAULTS["kill-engine"].refusals == FAULTS["kill-upkeep"].refusals == ()  # an engine that is dead refuses nothing
    assert report.faults["little-memory"].followed == {"refused: VMError": 1} and not report.faults["lasting"].followed


TRUTHS = [Truth(version, bytes([version]) * 32, bytes([version + 100]) * 32, 10, 1, 0.1) for version in range(4)]


@pytest.fixture
def judge() -> Judge:
    judge = Judge(TRUTHS, Report({}, {}), None)
    for version in (1, 2):
        judge.asked = version
        judge.committed(version)
    return judge


@pytest.mark.parametrize(
    "asked, version, root, kind",
    [
        (None, 2, 2, None),
        (3, 2, 2, None),
        (3, 3, 3, None),
        (None, 1, 1, "lost commit"),
        (3, 1, 1, "lost commit"),
        (None, 3, 3, "corrupt"),  # nobody asked for it
        (3, 4, 4, "corrupt"),
        (None, 2, 1, "corrupt"),
        (3, 3, 2, "corrupt"),
    ],
)
def test_the_version_rule(judge: Judge, asked: int | None, version: int, root: int, kind: str | None) -> None:
    judge.asked = asked
    if kind is None:
        judge.opened(Opened(version, bytes([root]) * 32))
        assert (judge.acknowledged, judge.asked) == (version, None)
        return
    with pytest.raises(Defect) as found:
        judge.opened(Opened(version, bytes([root]) * 32))
    assert found.value.kind == kind


@pytest.mark.parametrize("keep, found", [(None, "those from 0 on"), (4, "those from 0 on"), (2, "those from 2 on"), (1, "root")])
def test_versions_that_were_to_be_kept_are_there(tmp_path: Path, keep: int | None, found: str) -> None:
    with ExecutionMachine.create(tmp_path / "state", workers=0) as machine:
        for _ in range(3):
            machine.commit(machine.execute([]))
        machine.prune(1)
    judge = Judge(TRUTHS, Report({}, {}), keep)
    judge.asked = 3
    with pytest.raises(Defect, match=found):
        judge.versions(str(tmp_path / "state"))


def test_what_was_being_made_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with ExecutionMachine.create(state, workers=0) as machine:
        truth = Truth(0, machine.root, bytes(32), 0, 0, 0.1)
    judge = Judge([truth, TRUTHS[1]], Report({}, {}), None)
    assert judge.whole_or_absent(str(state), 0) and not judge.whole_or_absent(str(tmp_path / "other"), 0)
    with pytest.raises(Defect, match="at version 0, and not at 1"):
        judge.whole_or_absent(str(state), 1)
    with pytest.raises(Defect, match="committed was"):
        Judge(TRUTHS, Report({}, {}), None).whole_or_absent(str(state), 0)
    (state / "data.mdb").write_bytes(b"")
    with pytest.raises(Defect):
        judge.whole_or_absent(str(state), 0)


def test_a_rollback_that_was_ended_is_done_or_not(judge: Judge) -> None:
    judge.rolling = 1
    judge.opened(Opened(2, bytes([2]) * 32))
    assert (judge.acknowledged, judge.rolling) == (2, 1)
    judge.opened(Opened(1, bytes([1]) * 32))
    assert (judge.acknowledged, judge.rolling) == (1, None)
    judge.rolling = 0
    with pytest.raises(Defect, match="rolled back to version 0"):
        judge.rolled_back(Opened(1, bytes([1]) * 32))


@pytest.mark.parametrize("field", ["version", "state_root", "receipts_root", "failed"])
def test_every_result_is_compared(judge: Judge, field: str) -> None:
    truth = TRUTHS[3]
    right = {"version": 3, "state_root": truth.state_root, "receipts_root": truth.receipts_root, "failed": 1}
    judge.executed(Executed(**right, mode="parallel", retries=0, seconds={}), truth)  # type: ignore[arg-type]
    wrong = {**right, field: bytes(32) if "root" in field else 7}
    with pytest.raises(Defect, match=field.split("_")[0]) as found:
        judge.executed(Executed(**wrong, mode="parallel", retries=0, seconds={}), truth)  # type: ignore[arg-type]
    assert found.value.kind == "diverged"


def test_an_answer_that_came_while_the_campaign_itself_was_stopped_counts() -> None:
    process, timeline = EngineProcess.__new__(EngineProcess), Timeline()
    process._pipe, theirs = Pipe()
    with process._pipe, theirs:
        theirs.send("said")
        timeline.after(0, lambda: sleep(0.05))  # Ctrl-Z, for longer than the patience
        assert process.wait(timeline, 0.01) == "said"


def test_an_answer_is_one_write_so_that_a_stopped_engine_has_not_said_half_of_it() -> None:
    longest = Refused("ResourceError", "\U0001f980" * TEXT_MOST, 4, True)
    assert len(pickle.dumps(longest)) <= 16_384  # multiprocessing.connection sends what is longer after its length


def test_the_worst_defect_decides_the_exit_status() -> None:
    report = Report({}, {"kill-worker": FaultCounts(injected=1)}, verified=1)
    assert report.ok and report.exit_status == 0
    report.interrupted = True
    assert not report.ok and report.exit_status == 1
    for kind, status in (("orphans", 1), ("diverged", 5), ("refused without cause", 5), ("lost commit", 6)):
        report.defect(Defect(kind, "because"))
        assert report.exit_status == status
    assert report.lost_commits == 1 and set(DEFECTS.values()) == {1, 5, 6}


def test_without_a_fault_or_a_block_there_is_nothing_to_judge() -> None:
    for struck, verified in ((0, 5), (1, 0)):
        report = Report({}, {"kill-worker": FaultCounts(injected=struck, missed=3)}, verified=verified)
        assert report.sound and not report.ok and report.exit_status == 7 and report.to_json()["ok"] is False
        report.defect(Defect("orphans", "because"))
        assert report.exit_status == 1


def test_processes_that_outlive_their_engine_are_found_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]  # a clock that a look at the time advances by 0.1 s

    def monotonic() -> float:
        now[0] += 0.1
        return now[0]

    monkeypatch.setattr("ioi_stress.chaos.orphanage.monotonic", monotonic)
    homes = Orphanage(seconds=1.0)
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, MARK: "some"})
    homes.add("some")
    homes.add("other")
    assert homes.overdue(wait=False) == []
    (found,) = homes.overdue(wait=True)
    assert 1.0 <= now[0] < 2.0 and str(sleeper.pid) in found
    assert sleeper.wait(60) == -9 and homes.overdue(wait=True) == []
    assert sleeper.stdin is not None
    sleeper.stdin.close()
