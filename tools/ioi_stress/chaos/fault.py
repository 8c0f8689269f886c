"""What a fault is, and what it may do to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Callable, ClassVar, Protocol

import psutil

from ioi_stress.chaos.disk import Disk
from ioi_stress.chaos.messages import Opening

BETWEEN = "between blocks"
EXECUTING = "executing"
STAGING = "staging"
COMMITTING = "committing"
PHASES = (BETWEEN, EXECUTING, STAGING, COMMITTING)
MAKING = "making the state"
ROLLING_BACK = "rolling back"
RESTORING = "restoring"
PASSAGES = (MAKING, ROLLING_BACK, RESTORING)


class Target(Protocol):
    """The engine under attack, as a fault sees it."""

    state: str
    """Directory of the state that is worked on, which may not be there yet."""
    stall_seconds: float
    native: bool
    """Whether the VM is native: then no Python of ours can be put around it."""
    disk: Disk | None
    """The disk of the state, where it has one of its own."""
    opening: Opening
    """How the machine is opened for the block to come; a fault between blocks may set it. Afterwards it is as it was."""

    def engine(self) -> psutil.Process: ...
    def workers(self) -> list[psutil.Process]: ...
    def upkeep(self) -> list[psutil.Process]:
        """The store's own process, if there is one."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do this in so many seconds, or when the campaign ends. The fault lasts until then."""

    def at_rest(self, action: Callable[[], None]) -> None:
        """Do this when the block was committed, or could not be. The fault lasts until then."""

    def may_show_later(self) -> None:
        """What it broke may be met only after the fault is over, by a block to come, unless the state is opened again before."""

    def followed(self, what: str) -> None:
        """Count what followed from the fault that strikes just now (also in what it does `later`)."""


class Fault(ABC):
    """Something that may happen to an engine. Nothing of it is kept from one strike to the next.

    name: as `--faults` takes it. help: one line. phases: when it may strike in a block. passages: in which it may strike beside.
    kills_engine: whether it sends the engine SIGKILL;
    after any other fault the engine must live on. refusals: the errors, by class, that may follow from it.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    phases: ClassVar[tuple[str, ...]] = PHASES
    passages: ClassVar[tuple[str, ...]] = ()
    kills_engine: ClassVar[bool] = False
    refusals: ClassVar[tuple[str, ...]] = ("ResourceError", "VMFault")

    @abstractmethod
    def strike(self, target: Target, rng: Random) -> bool:
        """Do it. False: there was nothing to do it to. Processes may vanish meanwhile: psutil.NoSuchProcess is as good as False."""
