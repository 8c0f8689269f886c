"""A campaign: a workload under attack, round after round, until the time is over or something is wrong."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from time import monotonic
from typing import Callable, Protocol, Sequence

from ioi_exec import InputError
from ioi_stress.chaos.disk import Disk
from ioi_stress.chaos.evidence import leave_evidence
from ioi_stress.chaos.plan import ChaosPlan
from ioi_stress.chaos.process import TEMPORARY
from ioi_stress.chaos.report import Defect, FaultCounts, Report
from ioi_stress.chaos.round import Round
from ioi_stress.chaos.schedule import Schedule, Strike, drawn
from ioi_stress.interruption import held
from ioi_stress.workload import Workload

OnProgress = Callable[[Report], None]


class Companion(Protocol):
    """Whoever goes along with a campaign, and has a say in it."""

    def begin(self, folder: Path, state: Path) -> None:
        """The state is about to be made; the folder beside it is there."""

    def strikes(self, block: int) -> Sequence[Strike]:
        """What strikes in this block."""

    def after_block(self, this: Round, report: Report) -> None:
        """The engine is at rest. Raises Defect."""

    def end(self) -> None:
        """No block comes any more. Idempotent."""


def run(
    workload: Workload,
    plan: ChaosPlan,
    on_progress: OnProgress | None = None,
    command: str | None = None,
    companion: Companion | None = None,
) -> Report:
    """Attack the engine while it executes the workload. Ctrl-C ends it early, and the report says what it saw until then.

    on_progress(report so far): after every block. command: a line that does the same, for the report of a failure.
    Raises InputError for a directory that is taken, and what executing the workload one by one raises.
    """
    return _Campaign(workload, plan, on_progress, command, companion).run()


class _Campaign:
    def __init__(
        self,
        workload: Workload,
        plan: ChaosPlan,
        on_progress: OnProgress | None,
        command: str | None,
        companion: Companion | None,
    ) -> None:
        self._workload = workload
        self._plan = plan
        self._on_progress = on_progress
        self._command = command
        self._companion = companion
        self._began = monotonic()
        self._report = Report(
            {"workload": {"name": workload.name, **workload.parameters}, "chaos": plan.to_json()},
            {fault.name: FaultCounts() for fault in plan.faults},
        )

    def run(self) -> Report:
        report = self._report
        folder: Path | None = None
        disk: Disk | None = None
        try:
            with held():
                folder = _folder(self._plan.state)
                (folder / TEMPORARY).mkdir()
                if self._plan.disk_mib is not None:
                    disk = Disk(folder, self._plan.disk_mib)
            self._rounds(folder, disk)
        except KeyboardInterrupt:
            report.interrupted = True
        finally:
            try:
                with held():
                    if self._companion is not None:
                        self._companion.end()
                    report.seconds = monotonic() - self._began
                    if disk is not None:
                        disk.unmount()
                    if folder is not None and report.evidence is None:
                        self._tidy(folder)
            except KeyboardInterrupt:
                report.interrupted = True
        return report

    def _rounds(self, folder: Path, disk: Disk | None) -> None:
        while True:
            self._report.rounds += 1
            state = (disk.path if disk is not None else folder) / "state"
            if self._companion is not None:
                self._companion.begin(folder, state)
            this = Round(self._workload, self._plan, self._schedule(self._report.rounds), folder, state, disk, self._report)
            try:
                this.run(lambda this=this: self._after_block(this))  # type: ignore[misc]
            except Defect as defect:
                self._report.defect(defect)
            except KeyboardInterrupt:
                self._report.interrupted = True
            except BaseException:
                with held():
                    self._abandon(this)
                raise
            with held():
                if not self._report.sound:
                    self._abandon(this)
                if self._report.defects:
                    leave_evidence(self._report, self._workload, this, folder, state, disk, self._command)
                if not self._report.sound or self._plan.seconds is None or self._over():
                    return
                shutil.rmtree(state)

    def _abandon(self, this: Round) -> None:
        try:
            this.abandon()
            if not self._report.defects:
                this.judge_versions()
        except Defect as defect:
            self._report.defect(defect)

    def _schedule(self, number: int) -> Schedule:
        return Schedule(self._companion.strikes, lambda block, phase: []) if self._companion is not None else drawn(self._plan, number)

    def _after_block(self, this: Round) -> bool:
        """Whether it was the last one."""
        self._report.seconds = monotonic() - self._began
        if self._companion is not None:
            self._companion.after_block(this, self._report)
        if self._on_progress is not None:
            self._on_progress(self._report)
        if not self._over():
            return False
        if self._companion is not None:
            self._companion.end()  # nobody has the state open while it is judged
        return True

    def _over(self) -> bool:
        self._report.seconds = monotonic() - self._began
        return self._plan.seconds is not None and self._report.seconds >= self._plan.seconds

    def _tidy(self, folder: Path) -> None:
        """The state stays where the user has said where; a temporary directory goes."""
        if self._plan.state is None:
            shutil.rmtree(folder)
            return
        for name in ("block", "vm", "genesis", "engine.log"):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / TEMPORARY)


def _folder(state: str | None) -> Path:
    if state is None:
        return Path(tempfile.mkdtemp(prefix="ioi-stress-chaos-"))
    folder = Path(os.path.realpath(state))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{state} is not an empty directory: chaos makes a new state; choose another path")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
