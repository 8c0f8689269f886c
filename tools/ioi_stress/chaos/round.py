"""One life of a workload: a new state, its blocks executed and committed by an engine under attack, and the state judged."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
from collections import deque
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Callable, Sequence

from ioi_exec import InputError, StateCorrupt
from ioi_exec.vm.carrying import carry
from ioi_exec.vm.loading import load_vm
from ioi_stress.chaos import orphanage
from ioi_stress.chaos.attack import Attack
from ioi_stress.chaos.disk import Disk
from ioi_stress.chaos.fault import MAKING, RESTORING, ROLLING_BACK
from ioi_stress.chaos.faults.signals import LONGEST_STOP
from ioi_stress.chaos.judge import Judge
from ioi_stress.chaos.messages import (
    Broken,
    Commit,
    Committed,
    End,
    Ended,
    Executed,
    Make,
    Open,
    Opened,
    Opening,
    Refused,
    Restore,
    RollBack,
    Run,
)
from ioi_stress.chaos.orphanage import Orphanage
from ioi_stress.chaos.plan import ChaosPlan
from ioi_stress.chaos.process import TEMPORARY, EngineProcess
from ioi_stress.chaos.report import Defect, Report
from ioi_stress.chaos.schedule import Schedule, Strike
from ioi_stress.chaos.snapshot import take_snapshot
from ioi_stress.chaos.truth import Oracle, Truth
from ioi_stress.interruption import held
from ioi_stress.workload import Block, Workload

_PATIENCE = 180.0  # seconds an answer may take beyond what it takes one by one: starting workers alone may take 60
_SLOWER = 30  # how many times slower than one by one a block may be: workers die, others use the cores
_BACK_MOST = 3  # versions, that are rolled back at once
_GUESS = 0.05  # seconds that something takes of which nothing is known
_STALLS = 40  # how often stall_seconds may pass: the engine waits for so long, time and again, and is itself stopped for longer


class _Durations:
    """How long the phases of a block take, in seconds. The least of some: faults make them longer."""

    def __init__(self) -> None:
        self._last: dict[str, deque[float]] = {}

    def add(self, phase: str, seconds: float) -> None:
        self._last.setdefault(phase, deque(maxlen=8)).append(seconds)

    def of(self, phase: str, guess: float) -> float:
        return min(self._last.get(phase, [guess]))


class Round:
    """folder: where the block and the VM lie for the engine."""

    def __init__(
        self,
        workload: Workload,
        plan: ChaosPlan,
        schedule: Schedule,
        folder: Path,
        state: Path,
        disk: Disk | None,
        report: Report,
    ) -> None:
        self.block: Block | None = None
        """The one that is under way, or the last."""
        self.commit_seconds: float | None = None
        """What the last commit took that was acknowledged."""
        self._plan = plan
        self._schedule = schedule
        self._folder = folder
        self._report = report
        self._limits = plan.limits(workload)
        self._oracle = Oracle(workload, plan.tree, self._limits)
        self.truths = self._oracle.truths
        self._judge = Judge(self.truths, report, plan.keep)
        vm = load_vm(workload.vm, workload.vm_args)
        self._attack = Attack(report, str(state), plan.stall_seconds, vm.native is not None, disk)
        self._state = state
        self._opened: Opening | None = None
        self._was_open = False
        self._deaths = 0
        self._dead = Orphanage(orphanage.ENDING_SECONDS + LONGEST_STOP * plan.stall_seconds)
        self._refusals = 0
        self._pids: tuple[int, ...] = ()
        self._durations = _Durations()
        named = isinstance(workload.vm, str)
        self._open_message = Open(
            str(state), str(workload.vm) if named else None, workload.vm_args if named else None, str(folder / "vm"),
            self._limits, plan.workers, plan.pin, plan.keep, None,
        )
        if not named:
            (folder / "vm").write_bytes(pickle.dumps(carry(vm)))
        (folder / "genesis").write_bytes(pickle.dumps(dict(workload.genesis())))
        self._files: set[str] = set()  # of the state; none until it is made
        self._recent: deque[tuple[Block, Truth]] = deque(maxlen=_BACK_MOST)

    def run(self, after_block: Callable[[], bool]) -> None:
        """All blocks, or until `after_block` says it is enough; then the judgement. Raises Defect."""
        self._make()
        for block, truth in self._oracle.blocks():
            self._execute(block, truth)
            self._recent.append((block, truth))
            if after_block():
                break
            if truth.version % self._plan.passages_every == 0:
                self._roll_back()
                self._restore()
        if self._judge.acknowledged % self._plan.passages_every:
            self._roll_back()
            self._restore()
        self._end()
        self._judge.check(str(self._state), deep=True)
        self.judge_versions()

    def judge_versions(self) -> None:
        """All that the state holds. Nobody may have it open."""
        if not self._files and not self._judge.whole_or_absent(str(self._state), 0):
            return  # it was being made
        if self._judge.rolling is not None:
            self._judge.finish_rollback(str(self._state))
        self._judge.versions(str(self._state))

    def abandon(self) -> None:
        """Something is wrong, or the user has seen enough: no process is left. Raises Defect for those that will not end."""
        self._attack.end()
        process, self._attack.process = self._attack.process, None
        if process is not None:
            process.kill()
            self._dead.add(process.mark)
        self._oracle.close()
        self._no_orphans()

    # ---- between two blocks ----

    def rest(self, seconds: float) -> None:
        """Let the engine be; what faults have begun ends in its time."""
        timeline, end = self._attack.timeline, monotonic() + seconds
        while (left := end - monotonic()) > 0:
            timeline.do_what_is_due()
            sleep(timeline.next_in(left))

    def processes(self) -> dict[str, list[int]]:
        """The ids of those of the engine, by what they are."""
        process = self._attack.process
        if process is None:
            return {}
        workers = [worker.pid for worker in process.workers()]
        return {"engine": [process.handle.pid], "workers": workers, "helpers": [other.pid for other in process.others()]}

    # ---- a block ----

    def _execute(self, block: Block, truth: Truth) -> None:
        self.block = block
        (self._folder / "block").write_bytes(pickle.dumps((list(block.txs), block.header)))
        self._refusals = 0
        self._attack.arm(self._schedule.in_block(truth.version))
        while not self._attempt(truth):
            pass
        self._settle()

    def _settle(self) -> None:
        self._see_engine()
        self._see_workers()
        self._attack.settle()
        self._no_orphans(wait=False)

    def _attempt(self, truth: Truth) -> bool:
        """Whether the block is committed."""
        if self._opened != self._attack.opening:
            if not self._open():
                return False
            if self._judge.acknowledged == truth.version:  # it was durable before the engine could say so
                return True
        self._attack.execute(self._durations.of("execute", truth.seconds), self._durations.of("stage", 0.0))
        answer = self._ask(Run(str(self._folder / "block")), truth)
        if not isinstance(answer, Executed):
            self._went_wrong(answer)
            return False
        self._report.executed += 1
        self._judge.executed(answer, truth)
        self._note(answer)
        self._judge.asked = truth.version
        began = monotonic()
        self._attack.commit(self._durations.of("commit", 0.01))
        answer = self._ask(Commit(), truth)
        if isinstance(answer, Committed):
            self.commit_seconds = monotonic() - began
            self._durations.add("commit", self.commit_seconds)
            self._judge.committed(answer.version)
            return True
        self._went_wrong(answer)
        if isinstance(answer, Refused) and not answer.closed:
            self._judge.asked = None  # it is not durable, as the next version executed will show
        return False

    def _ask(self, message: object, truth: Truth | None = None) -> object | None:
        process = self._attack.process
        assert process is not None
        process.send(message)
        return process.wait(self._attack.timeline, self._patience(truth))

    def _patience(self, truth: Truth | None) -> float:
        """Seconds to wait for an answer."""
        return _PATIENCE + _STALLS * self._plan.stall_seconds + (_SLOWER * truth.seconds if truth is not None else 0)

    def _open(self) -> bool:
        """Open the state as the next block wants it. False: the engine died at it, or could not."""
        opening, self._opened = self._attack.opening, None
        self._start()
        message = replace(
            self._open_message, slow=opening.slow, limits=replace(self._limits, arena_bytes=opening.arena_bytes)
        )
        answer = self._ask(message)
        if not isinstance(answer, Opened):
            self._went_wrong(answer)
            return False
        self._opened = opening
        self._attack.opened()
        self._judge.opened(answer)
        self._report.reopened += self._was_open
        self._was_open = True
        return True

    def _start(self) -> None:
        """The engine, if there is none."""
        if self._attack.process is None:
            with held():  # half started nobody would end it
                self._attack.process = EngineProcess(self._folder)
                self._report.engine_starts += 1

    # ---- what is done to a state beside ----

    def _make(self) -> None:
        path, message = str(self._state), Make(self._open_message, self._plan.tree, str(self._folder / "genesis"))
        strikes = self._schedule.in_passage(0, MAKING)
        self._pass(MAKING, path, strikes, lambda: self._done(message, path, 0))
        self._files = set(os.listdir(self._state))

    def _roll_back(self) -> None:
        """By a few versions, which are executed again afterwards."""
        newest = self._judge.acknowledged
        strikes = self._schedule.in_passage(newest, ROLLING_BACK)
        most = min(len(self._recent), newest, (self._plan.keep or _BACK_MOST + 1) - 1)
        if not strikes or not most:
            return
        back = 1 + strikes[0].rng.randrange(most)
        self._judge.rolling = newest - back
        self._pass(ROLLING_BACK, str(self._state), strikes, self._rolled_back)
        for block, truth in list(self._recent)[-back:]:
            self._execute(block, truth)

    def _rolled_back(self) -> bool:
        if self._opened is None and not self._open():
            return False
        if self._judge.rolling is None:  # it was there before the engine could say so
            return True
        answer = self._ask(RollBack(self._judge.rolling))
        if isinstance(answer, Opened):
            self._judge.rolled_back(answer)
            return True
        self._went_wrong(answer)
        return False

    def _restore(self) -> None:
        """A copy, of a snapshot of the newest version."""
        newest = self._judge.acknowledged
        strikes = self._schedule.in_passage(newest, RESTORING)
        if not strikes:
            return
        snapshot, copy = self._folder / "snapshot", str(self._state.parent / "copy")
        take_snapshot(str(self._state), snapshot)
        message = Restore(copy, str(snapshot), self.truths[newest].state_root)
        self._pass(RESTORING, copy, strikes, lambda: self._done(message, copy, newest))
        self._judge.check(copy, deep=True)
        shutil.rmtree(copy)
        shutil.rmtree(snapshot)

    def _done(self, message: object, path: str, version: int) -> bool:
        """Whether there is a state now, which then is as it must be."""
        self._start()
        answer = self._ask(message)
        if isinstance(answer, Opened):
            self._judge.made(answer, version)
            return True
        self._went_wrong(answer)
        return self._judge.whole_or_absent(path, version)

    def _pass(self, phase: str, path: str, strikes: Sequence[Strike], attempt: Callable[[], bool]) -> None:
        """Attempt it, under attack, until it is done."""
        self._start()
        self._refusals = 0
        self._attack.passage(phase, path, strikes, self._durations.of(phase, _GUESS))
        while True:
            began = monotonic()
            if attempt():
                break
        self._durations.add(phase, monotonic() - began)
        if strikes:
            self._report.passages[phase] += 1
        self._settle()
        self._attack.state = str(self._state)

    def _note(self, executed: Executed) -> None:
        seconds = executed.seconds
        self._durations.add("execute", seconds.get("prepare", 0.0) + seconds.get("execute", 0.0))
        self._durations.add("stage", seconds.get("stage", 0.0))
        if executed.retries:
            self._attack.note("block run again")
        if executed.mode == "sequential":
            self._attack.note("one by one in a clean worker")

    def _see_engine(self) -> None:
        """It may have been killed when it had just said its last word on the block."""
        process = self._attack.process
        if process is not None and process.status is not None:
            self._died()

    def _see_workers(self) -> None:
        process = self._attack.process
        pids = tuple(worker.pid for worker in process.workers()) if process is not None else ()
        if pids != self._pids:
            self._attack.note("workers started again")
        self._pids = pids

    # ---- what may go wrong ----

    def _went_wrong(self, answer: object | None) -> None:
        """Go on if the faults explain it. Raises Defect."""
        if answer is None:
            return self._died()
        if isinstance(answer, Broken):
            raise Defect("unclear error", f"the engine raised what is no error of ioi_exec:\n{answer.text}")
        assert isinstance(answer, Refused), answer
        what = f"{answer.kind}: {answer.text}"
        if answer.exit == StateCorrupt.exit_status:
            raise Defect("corrupt", what)
        self._refusals += 1
        faults = self._attack.to_blame(answer.kind)
        if self._refusals > faults:
            if self._attack.disk is not None and self._attack.disk.outgrown:
                raise InputError(
                    f"the state has outgrown its disk after {self._judge.acknowledged} blocks, without a fault: give a larger --disk, "
                    "a smaller --keep, or fewer and smaller blocks"
                )
            raise Defect("refused without cause", f"{what} ({self._refusals} refusals of the block, {faults} faults that may cause it)")
        self._attack.refused(answer.kind)
        if answer.closed:
            self._attack.note("state opened again")
            self._opened = None

    def _died(self) -> None:
        process, self._attack.process, self._opened = self._attack.process, None, None
        assert process is not None
        process.close()
        if process.status != -signal.SIGKILL or not process.killed:
            raise Defect("ended by itself", f"the engine ended with status {process.status}; its last words:\n{process.last_words}")
        self._attack.note("engine started again")
        self._attack.rest()
        self._dead.add(process.mark)  # the next engine comes at once, and may meet what is left of this one
        self._deaths += 1
        if self._deaths % self._plan.check_every == 0 and self._files and self._judge.rolling is None:
            self._judge.check(str(self._state), deep=False)

    def _end(self) -> None:
        """Close the state in peace, and see that nothing is left."""
        self._attack.end()
        process = self._attack.process
        if process is not None:
            answer = self._ask(End())
            if not isinstance(answer, Ended):
                raise Defect("refused without cause", f"the engine could not close the state: {answer}")
            if process.wait(self._attack.timeline, _PATIENCE) is not None or process.status != 0:
                raise Defect("ended by itself", f"the engine ended with status {process.status}; its last words:\n{process.last_words}")
            process.close()
            self._dead.add(process.mark)
            self._attack.process = None
        self._oracle.close()
        self._no_orphans()
        left = [str(self._folder / TEMPORARY / name) for name in os.listdir(self._folder / TEMPORARY)]
        left += [str(each) for each in self._state.parent.iterdir() if each.name.startswith((f".{self._state.name}.", ".copy."))]
        left += [str(each) for each in self._state.iterdir() if each.name not in self._files]
        if left:
            raise Defect("left behind", f"files were left: {', '.join(left)}")

    def _no_orphans(self, *, wait: bool = True) -> None:
        """Raises Defect for processes that outlive the engine that started them."""
        left = self._dead.overdue(wait=wait)
        if left:
            self._report.orphans += len(left)
            raise Defect("orphans", f"processes outlived the engine that started them: {'; '.join(left)}")
