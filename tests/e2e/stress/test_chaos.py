"""Every fault for real, and defects that are planted, which the judge must find."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, Callable, Iterator

import ioi_storage
import psutil
import pytest
from chaos_workloads import Ledger, payments, processes_in, programs

from ioi_exec import InputError
from ioi_stress.chaos import FAULTS, ChaosPlan, Fault, Report, Target, named_faults, run
from ioi_stress.chaos.attack import Attack
from ioi_stress.chaos.disk import _run
from ioi_stress.chaos.fault import BETWEEN, COMMITTING, PASSAGES, ROLLING_BACK
from ioi_stress.chaos.faults.signals import KillEngine
from ioi_stress.chaos.orphanage import ENDING_SECONDS
from ioi_stress.chaos.processes import wait_dead
from ioi_stress.chaos.round import Round
from ioi_stress.nothing import NothingJudged
from ioi_stress.workload import FixedWorkload


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process, no descriptor, no file of a campaign."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before
    assert remaining_in(tmp_path) == []


def remaining_in(folder: Path) -> list[str]:
    """Processes that do not come to an end: an engine killed as it starts has a child that does not know that yet."""
    patience = monotonic() + ENDING_SECONDS
    while processes_in(folder) and monotonic() < patience:
        sleep(0.02)
    return processes_in(folder)


SEED = 6  # strikes in every block, in most phases
TRIES = 12  # seeds, until a fault has struck in what may be over too soon


def plan(*faults: str, **options: Any) -> ChaosPlan:
    return ChaosPlan(**{"faults": named_faults(faults), "rate": 1, "workers": 2, "pin": False, "stall_seconds": 0.3, **options})


def until(struck: Callable[[Report], object], attempt: Callable[[int], Report], first: int = SEED) -> Report:
    """The report of the first attempt(seed) of which `struck` holds, or that found a defect: a quick machine may be through with what a
    fault is to strike in, and a busy one may be at it when everything else is over."""
    for seed in range(first, first + TRIES):
        report = attempt(seed)
        if report.defects or struck(report):
            break
    return report


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault(fault: str, tmp_path: Path) -> None:
    def struck(report: Report) -> bool:
        counts = report.faults[fault]
        if fault == "full-disk" and not counts.followed["refused: ResourceError"]:
            return False
        return bool(counts.injected if fault == "little-memory" else counts.effective)  # there may be enough all the same

    report = until(struck, lambda seed: run(payments(), plan(fault, seed=seed)))
    assert report.ok and report.exit_status == 0, report.defects
    committed = 3 + report.rolled_back
    assert report.committed == committed and report.transactions == committed * 1_200 and report.verified >= committed
    assert report.deep_checks == 1 + report.passages["restoring"] and report.read_again == 4
    counts = report.faults[fault]
    assert struck(report) and counts.injected == sum(counts.phases.values())
    if fault == "kill-engine":
        assert 1 < report.engine_starts <= 1 + counts.injected
    assert os.listdir(tmp_path) == []


def test_all_faults_at_once_on_a_vm_in_python() -> None:
    report = until(lambda report: report.injected >= 4, lambda seed: run(programs(blocks=5), plan("all", rate=2, tree="iavl", keep=3, seed=seed)))
    assert report.ok, report.defects
    assert report.injected >= 4 and report.read_again == 3


def test_a_vm_that_is_no_name_and_whose_transactions_sleep() -> None:
    fixed = programs(blocks=2)
    workload, followed = FixedWorkload("own", Ledger(), fixed.state, fixed.fixed), "ran with transactions that sleep"
    report = until(lambda report: report.faults["slow-tx"].followed[followed], lambda seed: run(workload, plan("slow-tx", seed=seed)))
    assert report.ok, report.defects
    assert report.faults["slow-tx"].followed[followed]


def test_rounds_begin_anew_until_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]  # a clock of its own: each block takes a second
    monkeypatch.setattr("ioi_stress.chaos.campaign.monotonic", lambda: now[0])

    def second(so_far: Report) -> None:
        now[0] += 1

    report = run(programs(blocks=2), plan("kill-worker", seconds=2.5, state=str(tmp_path / "kept")), second)
    # Whether a fault strikes in so few blocks is a matter of luck.
    assert report.sound and (report.rounds, report.deep_checks, report.committed) == (2, 2, 3)
    assert sorted(os.listdir(tmp_path / "kept")) == ["state"]
    with ioi_storage.Store.open(tmp_path / "kept" / "state") as store:
        assert store.version == 1
    with pytest.raises(InputError, match="empty"):
        run(programs(), plan("kill-worker", state=str(tmp_path / "kept")))


def test_the_disk_that_is_a_file() -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    try:
        report = until(
            lambda report: report.faults["full-disk"].followed["refused: ResourceError"],
            lambda seed: run(payments(blocks=6), plan("full-disk", disk_mib=24, keep=None, seed=seed)),
        )
    except InputError as error:
        pytest.skip(str(error))
    assert report.ok, report.defects
    followed = report.faults["full-disk"].followed
    assert followed["refused: ResourceError"]
    # ENOSPC: the store goes on, but for a rollback and for what is only being made
    assert not followed["state opened again"] or report.passages["rolling back"] or report.passages["making the state"]


def test_a_disk_that_is_too_small_for_the_state_is_no_defect(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    with pytest.raises(InputError) as refused:
        run(payments(blocks=60), plan("kill-worker", disk_mib=8, keep=None, rate=0))
    if "outgrown" not in str(refused.value):
        pytest.skip(str(refused.value))
    assert os.listdir(tmp_path) == []


class Undo(Fault):
    """Takes back the last commit behind the engine's back."""

    name = "undo"
    help = "roll the state back while nobody has it open"
    phases = (COMMITTING,)
    kills_engine = True

    def strike(self, target: Target, rng: Random) -> bool:
        engine = target.engine()
        if not self.possible(target):
            return False
        children = engine.children(recursive=True)  # which it is no longer asked for once it is dead
        engine.kill()
        wait_dead(engine)
        psutil.wait_procs(children, timeout=300)
        with ioi_storage.Store.open(target.state) as store:
            self.change(store)
        return True

    def possible(self, target: Target) -> bool:
        with ioi_storage.Store.open(target.state, read_only=True) as store:
            return store.version > 0

    def change(self, store: ioi_storage.Store) -> None:
        store.rollback(store.version - 1)


def test_a_lost_commit_is_found(tmp_path: Path) -> None:
    report = run(programs(blocks=12), ChaosPlan(faults=[Undo()], rate=3, workers=1), command="the same again")
    assert report.exit_status == 6 and report.lost_commits == 1
    assert [kind for kind, _ in report.defects] == ["lost commit"] and "was acknowledged" in report.defects[0][1]
    assert report.evidence is not None and report.replay == ["the same again"]
    assert {"state", "block.jsonl", "genesis.json", "engine.log", "report.json"} <= set(os.listdir(report.evidence))


def test_making_rolling_back_and_restoring_under_attack() -> None:
    passages = {"making the state", "rolling back", "restoring"}
    struck: Counter[str] = Counter()
    done: Counter[str] = Counter()
    rolled_back = 0
    for seed in range(2, 2 + TRIES):  # a quick machine is through with one of them before anything strikes
        report = run(programs(blocks=3), plan("kill-engine", "stop-engine", "full-disk", rate=3, seed=seed, keep=3, stall_seconds=0.1))
        assert report.ok, report.defects
        done.update(report.passages.keys())
        rolled_back += report.rolled_back
        struck += sum((counts.phases for counts in report.faults.values()), Counter())
        if passages <= set(struck):
            break
    assert set(done) == passages and rolled_back
    assert passages <= set(struck), struck


class Further(Undo):
    """Where a rollback is ended by a kill, the state is further back than it was to go."""

    name = "further"
    help = "SIGKILL the engine while it rolls back, and roll back to genesis"
    passages = (ROLLING_BACK,)

    def possible(self, target: Target) -> bool:
        assert isinstance(target, Attack)
        return target._phase == ROLLING_BACK

    def change(self, store: ioi_storage.Store) -> None:
        store.rollback(0)


def test_a_rollback_that_went_elsewhere_is_found() -> None:
    report = until(
        lambda report: report.exit_status != NothingJudged.exit_status,  # it struck while it rolled back
        lambda seed: run(programs(blocks=5), ChaosPlan(faults=[Further()], rate=3, workers=1, seed=seed)),
    )
    assert (report.exit_status, [kind for kind, _ in report.defects]) == (6, ["lost commit"])
    assert "came back at version 0" in report.defects[0][1]


class Enough(Fault):
    """The user has seen enough."""

    name = "enough"
    help = "Ctrl-C"

    def __init__(self, passage: str) -> None:
        self.passages = (passage,)  # type: ignore[misc]

    def strike(self, target: Target, rng: Random) -> bool:
        assert isinstance(target, Attack)
        if target._phase in self.passages:
            signal.raise_signal(signal.SIGINT)
        return False


@pytest.mark.parametrize("passage", PASSAGES)
def test_ctrl_c_while_something_else_is_done_to_a_state(passage: str, tmp_path: Path) -> None:
    def attempt(seed: int) -> Report:
        kept = str(tmp_path / f"kept-{seed}")
        return run(programs(blocks=2), ChaosPlan(faults=[Enough(passage)], rate=5, workers=1, seed=seed, state=kept))

    report = until(lambda report: report.interrupted, attempt)
    assert report.interrupted and not report.defects and report.exit_status == 1


class Thin(Undo):
    """Drops versions that are to be kept."""

    name = "thin"
    help = "prune the state to its newest version"

    def change(self, store: ioi_storage.Store) -> None:
        store.prune(1)


def test_versions_that_vanish_are_found() -> None:
    report = run(programs(), ChaosPlan(faults=[Thin()], rate=1, workers=1, seed=SEED))
    assert (report.exit_status, [kind for kind, _ in report.defects]) == (6, ["corrupt"])
    assert "those from 0 on were to be kept" in report.defects[0][1] and report.committed == 4


class KillWithItsLastWord(KillEngine):
    """When what it has to say of the commit is on its way, and nobody has read it."""

    name = "kill-with-its-last-word"
    help = "SIGKILL when the commit is acknowledged"
    phases = (COMMITTING,)

    def strike(self, target: Target, rng: Random) -> bool:
        assert isinstance(target, Attack)
        if target._phase != COMMITTING or target.process is None:  # the commit was too quick for it
            return False
        return target.process._pipe.poll(60) and super().strike(target, rng)


def test_an_engine_killed_with_its_last_word_has_not_ended_by_itself() -> None:
    name = KillWithItsLastWord.name
    report = until(
        lambda report: report.faults[name].injected >= 4,
        lambda seed: run(programs(blocks=5), plan(rate=4, faults=[KillWithItsLastWord()], seed=seed)),
    )
    assert report.ok, report.defects
    counts = report.faults[name]
    assert counts.injected == counts.effective == counts.followed["engine started again"] >= 4


class Orphan(Fault):
    """Kills the engine while its upkeep process is stopped, which then cannot see that it is to end."""

    name = "orphan"
    help = "SIGSTOP the store's process, SIGKILL the engine"
    kills_engine = True

    def strike(self, target: Target, rng: Random) -> bool:
        for process in target.upkeep():
            process.suspend()
            target.later(target.stall_seconds, process.resume)
            engine = target.engine()
            engine.kill()
            wait_dead(engine)
            return True
        return False


def test_what_is_stopped_for_as_long_as_stops_last_is_no_orphan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioi_stress.chaos.orphanage.ENDING_SECONDS", 0.0)
    report = until(
        lambda report: report.faults["orphan"].injected,
        lambda seed: run(payments(), plan(faults=[Orphan()], stall_seconds=3.0, seed=seed)),
    )
    assert report.ok and report.faults["orphan"].injected, report.defects


def test_an_engine_that_is_stopped_for_as_long_as_stops_last_answers_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioi_stress.chaos.round._PATIENCE", 0.0)
    report = until(lambda report: report.injected, lambda seed: run(programs(), plan("stop-engine", stall_seconds=2.0, seed=seed)))
    assert report.ok and report.injected, report.defects


def test_ctrl_c_while_an_engine_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = psutil.Process

    def interrupted(pid: int) -> psutil.Process:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)  # the engine runs, and nobody knows it yet
        return handle(pid)

    monkeypatch.setattr("ioi_stress.chaos.process.psutil.Process", interrupted)
    with tempfile.TemporaryDirectory() as folder:  # the fixture's patch is undone, too
        report = run(programs(), plan("kill-worker", state=folder))
        assert report.interrupted and report.engine_starts == 1 and not report.defects
        assert remaining_in(Path(folder)) == []


def test_ctrl_c_while_a_defect_is_cleaned_up_does_not_cost_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    abandon = Round.abandon

    def interrupted(self: Round) -> None:
        signal.raise_signal(signal.SIGINT)
        abandon(self)

    monkeypatch.setattr(Round, "abandon", interrupted)
    report = run(programs("Dice"), plan("kill-worker", rate=0))
    assert report.exit_status == 5 and report.interrupted
    assert report.evidence is not None and (Path(report.evidence) / "report.json").exists()


def test_ctrl_c_in_a_terminal_does_not_reach_the_programs_that_mount() -> None:
    _run(sys.executable, "-c", f"import os; assert os.getpgid(0) != {os.getpgid(0)}")


class Harmless(Fault):
    """Is open in every block, and does nothing."""

    name = "harmless"
    help = "nothing at all"
    phases = (BETWEEN,)

    def strike(self, target: Target, rng: Random) -> bool:
        return True


def test_a_death_that_no_fault_has_caused_is_found_while_another_fault_is_open() -> None:
    report = run(programs("Murderer"), plan(rate=4, faults=[Harmless()], seed=SEED))
    assert (report.exit_status, [found for found, _ in report.defects]) == (1, ["ended by itself"])
    assert report.faults["harmless"].injected >= 2 and report.committed == 1


class Litter(Harmless):
    """Leaves a file in the state."""

    name = "litter"

    def strike(self, target: Target, rng: Random) -> bool:
        (Path(target.state) / "left.tmp").touch()
        return True


def test_a_file_that_is_left_in_the_state_is_found() -> None:
    report = run(programs(blocks=2), plan(faults=[Litter()], seed=SEED))
    assert (report.exit_status, [found for found, _ in report.defects]) == (1, ["left behind"])
    assert report.defects[0][1].endswith("state/left.tmp")


@pytest.mark.parametrize(
    "vm, kind, status, says",
    [
        ("Dice", "diverged", 5, "receipts root"),
        ("Murderer", "ended by itself", 1, "status -9"),
        ("Forgetful", "refused without cause", 1, "MemoryError"),
    ],
)
def test_a_defect_is_found(vm: str, kind: str, status: int, says: str) -> None:
    report = run(programs(vm), plan("kill-worker", rate=0))
    assert (report.exit_status, [found for found, _ in report.defects]) == (status, [kind])
    assert says in report.defects[0][1] and report.committed == (0 if vm == "Dice" else 1)
    assert report.evidence is not None and (Path(report.evidence) / "state" / "data.mdb").exists()
