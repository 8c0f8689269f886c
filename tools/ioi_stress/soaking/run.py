"""A soak: a campaign that goes on for hours, looks at what the engine holds, and says whether that grows."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import monotonic
from typing import Callable, Sequence

from ioi_exec import InputTypeError
from ioi_exec.arguments import wrong_type
from ioi_stress.chaos import Report
from ioi_stress.chaos.campaign import run
from ioi_stress.chaos.round import Round
from ioi_stress.chaos.schedule import Strike, strikes
from ioi_stress.refusals import refusing
from ioi_stress.running.machine_facts import machine_facts
from ioi_stress.soaking.company import Company
from ioi_stress.soaking.looking import Look, held
from ioi_stress.soaking.mix import Mix
from ioi_stress.soaking.plan import SoakPlan
from ioi_stress.soaking.report import SoakReport
from ioi_stress.workload import Workload, lacking, vm_words

OnProgress = Callable[[SoakReport], None]
_VISITS = 200  # in a soak, at most
_PAUSE_LEAST = 0.5  # seconds


@refusing
def soak(
    plan: SoakPlan | None = None,
    workload: Workload | None = None,
    on_progress: OnProgress | None = None,
    command: str | None = None,
) -> SoakReport:
    """Execute and commit blocks, prune, snapshot, read, through storms of faults, and look at memory, descriptors, file, reader slots
    and commit times all the while. Ctrl-C ends it early, and the report says what it saw until then.

    workload: one whose honest size is level, and that has blocks for so long; None: `Mix`. Raises as `ioi_stress.chaos.run`."""
    plan = plan if plan is not None else SoakPlan()
    if not isinstance(plan, SoakPlan):
        raise wrong_type("plan", plan, "a SoakPlan, or None")
    if workload is not None and (missing := lacking(workload)):
        raise InputTypeError(f"{type(workload).__name__} is no workload: it has no {', '.join(missing)}")
    return _Soak(plan, workload if workload is not None else Mix(plan.seed), on_progress).run(command)


class _Soak:
    """A Companion."""

    def __init__(self, plan: SoakPlan, workload: Workload, on_progress: OnProgress | None) -> None:
        self._plan = plan
        self._workload = workload
        self._on_progress = on_progress
        self._state = ""
        self._company: Company | None = None
        self._began = self._resumed = monotonic()
        self._looked = -plan.look_every
        self._storm: int | None = None
        self._commits: list[float] = []
        self.report = SoakReport(
            Report({"workload": {"name": workload.name, **workload.parameters}, "soak": plan.to_json()}, {}),
            plan.allowance, machine_facts(),
        )

    def run(self, command: str | None) -> SoakReport:
        chaos = run(self._workload, self._plan.chaos, None, command, self)
        chaos.parameters = self.report.chaos.parameters
        self.report.chaos = chaos
        return self.report

    # ---- what the campaign asks ----

    def begin(self, folder: Path, state: Path) -> None:
        company = folder / "company"
        company.mkdir()
        self._state = str(state)
        pause = max(_PAUSE_LEAST, self._plan.seconds / _VISITS) / self._plan.duty
        vm = [] if self._workload.vm == "payments" and not self._workload.vm_args else vm_words(self._workload)
        self._company = Company(company, self._state, vm, pause, self._plan.seed)
        self.report.visits = self._company.visits
        self._began = self._resumed = monotonic()

    def strikes(self, block: int) -> Sequence[Strike]:
        storm = self._plan.storm(monotonic() - self._began)
        if storm is not None and storm != self._storm and self._plan.rate:
            self.report.storms += 1
        self._storm = storm
        plan = self._plan.at(storm) if storm is not None else None
        return strikes(plan, 1, block) if plan is not None else []

    def after_block(self, this: Round, report: Report) -> None:
        assert self._company is not None
        self.report.chaos = report
        if this.commit_seconds is not None:
            self._commits.append(1000 * this.commit_seconds)
            this.commit_seconds = None
        self._company.look_after()
        seconds = monotonic() - self._began
        if seconds >= self._looked + self._plan.look_every:
            self._looked = seconds
            self._look(this, seconds)
        if self._on_progress is not None:
            self._on_progress(self.report)
        now = monotonic()
        rest = (now - self._resumed) * (1 / self._plan.duty - 1)
        this.rest(max(0.0, min(rest, self._began + self._plan.seconds - now)))
        self._resumed = monotonic()

    def end(self) -> None:
        if self._company is not None:
            self._company.close()
            self._company = None

    def _look(self, this: Round, seconds: float) -> None:
        assert self._company is not None
        roles = this.processes()
        if not roles:
            return
        reader = self._company.reader_pid
        roles["reader"] = [] if reader is None else [reader]
        values = held(roles, self._state)
        if values is None:
            return
        if self._commits:
            values["commit"] = median(self._commits)
            self._commits.clear()
        lives = {role: tuple(pids) for role, pids in roles.items()}
        self.report.looks.append(Look(seconds, self._storm is not None, values, lives))
