"""The books of an attack: what strikes when, how long it lasts, and what followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Sequence

import psutil

from ioi_stress.chaos.disk import Disk
from ioi_stress.chaos.fault import BETWEEN, COMMITTING, EXECUTING, STAGING, Fault
from ioi_stress.chaos.messages import Opening
from ioi_stress.chaos.process import EngineProcess
from ioi_stress.chaos.processes import wait_dead
from ioi_stress.chaos.report import Report
from ioi_stress.chaos.schedule import Strike
from ioi_stress.chaos.timeline import Timeline


@dataclass
class _Injection:
    """A fault that struck. lasting: its actions that are still to come. lingers: what it broke may show later."""

    fault: Fault
    lasting: int = 0
    lingers: bool = False
    followed: set[str] = field(default_factory=set)


class Attack:
    """A Target. An injection is open from its strike until the block is settled and nothing of it lasts."""

    def __init__(self, report: Report, state: str, stall_seconds: float, native: bool, disk: Disk | None) -> None:
        self.state = state
        self.stall_seconds = stall_seconds
        self.disk = disk
        self.native = native
        self.opening = Opening()
        self.timeline = Timeline()
        self.process: EngineProcess | None = None
        self._report = report
        self._ended = False
        self._strikes: list[Strike] = []
        self._open: list[_Injection] = []
        self._lingering: list[_Injection] = []
        self._current: _Injection | None = None
        self._at_rest: list[tuple[_Injection, Callable[[], None]]] = []
        self._phase = BETWEEN

    # ---- what a fault may do: Target ----

    def engine(self) -> psutil.Process:
        if self.process is None:
            raise psutil.NoSuchProcess(0)
        return self.process.handle

    def workers(self) -> list[psutil.Process]:
        return self.process.workers() if self.process is not None else []

    def upkeep(self) -> list[psutil.Process]:
        return self.process.others() if self.process is not None else []

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        injection = self._injection
        injection.lasting += 1
        self.timeline.after(seconds, lambda: self._act(injection, action))

    def at_rest(self, action: Callable[[], None]) -> None:
        injection = self._injection
        injection.lasting += 1
        self._at_rest.append((injection, action))

    def may_show_later(self) -> None:
        self._injection.lingers = True

    def followed(self, what: str) -> None:
        self._injection.followed.add(what)

    # ---- what the campaign tells it ----

    def arm(self, strikes: Sequence[Strike]) -> None:
        """For the block to come. Those between blocks strike now."""
        self._strikes = list(strikes)
        self._phase = BETWEEN
        self._begin(BETWEEN, 0.0, 0.0)
        self.timeline.do_what_is_due()

    def execute(self, executing: float, staging: float) -> None:
        """The block begins, and these are the seconds it probably takes."""
        self._phase = f"{EXECUTING} or {STAGING}"  # only the engine knows which
        self._begin(EXECUTING, 0.0, executing)
        self._begin(STAGING, executing, staging)

    def passage(self, phase: str, state: str, strikes: Sequence[Strike], seconds: float) -> None:
        """No block, but something else is done to this state, which probably takes so long."""
        self.state = state
        self._strikes = list(strikes)
        self._phase = phase
        self._begin(phase, 0.0, seconds)

    def commit(self, seconds: float) -> None:
        self._phase = COMMITTING
        self._begin(COMMITTING, 0.0, seconds)

    def note(self, what: str) -> None:
        """Something happened that may be the consequence of each fault that is open."""
        for injection in self._open:
            injection.followed.add(what)

    def to_blame(self, kind: str) -> int:
        """How many of the faults that may have consequences now an error of this class may follow from."""
        return sum(kind in injection.fault.refusals for injection in (*self._open, *self._lingering))

    def refused(self, kind: str) -> None:
        """The engine refused the block. What was to last until it is settled ends."""
        for injection in (*self._open, *self._lingering):
            if kind in injection.fault.refusals:
                injection.followed.add(f"refused: {kind}")
        self.rest()

    def opened(self) -> None:
        """The state was opened: whatever had been broken before is over."""
        lingering, self._lingering = self._lingering, []
        for injection in lingering:
            self._count(injection)
        for injection in self._open:
            injection.lingers = injection.lingers and injection.lasting > 0

    def rest(self) -> None:
        """The block was committed, or could not be: what was to last until then ends."""
        self.opening = Opening()
        actions, self._at_rest = self._at_rest, []
        for injection, action in actions:
            self._act(injection, action)

    def settle(self) -> None:
        """The block is committed."""
        self.rest()
        self._phase = BETWEEN
        for injection in [each for each in self._open if not each.lasting]:
            self._open.remove(injection)
            if injection.lingers:
                self._lingering.append(injection)
            else:
                self._count(injection)

    def end(self) -> None:
        """All that lasts ends now; what has not struck yet does not."""
        self._ended = True
        self.timeline.do_all()
        self.settle()
        self.opened()

    def _begin(self, phase: str, after: float, seconds: float) -> None:
        for strike in [each for each in self._strikes if each.phase == phase]:
            self._strikes.remove(strike)
            self.timeline.after(after + strike.moment * seconds, lambda strike=strike: self._strike(strike))  # type: ignore[misc]

    def _strike(self, strike: Strike) -> None:
        if self._ended:
            return
        counts = self._report.faults[strike.fault.name]
        injection = self._current = _Injection(strike.fault)
        try:
            hit = strike.fault.strike(self, strike.rng)
        except (psutil.NoSuchProcess, ProcessLookupError):
            hit = False
        finally:
            self._current = None
        if not hit:
            counts.missed += 1
            return
        counts.injected += 1
        counts.phases[self._phase] += 1
        if strike.fault.kills_engine and self.process is not None:
            wait_dead(self.process.handle)  # or the block might be over, and the fault with it, before the death shows
            self.process.killed = True
        self._open.append(injection)

    def _count(self, injection: _Injection) -> None:
        counts = self._report.faults[injection.fault.name]
        counts.effective += bool(injection.followed)
        counts.followed.update(injection.followed)

    def _act(self, injection: _Injection, action: Callable[[], None]) -> None:
        injection.lasting -= 1
        self._current = injection
        try:
            action()
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass
        finally:
            self._current = None

    @property
    def _injection(self) -> _Injection:
        assert self._current is not None, "outside of a fault"
        return self._current
