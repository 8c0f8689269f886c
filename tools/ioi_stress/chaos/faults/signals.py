"""Processes that are killed, and processes that are stopped for a while."""

from __future__ import annotations

import signal
from abc import abstractmethod
from random import Random

import psutil

from ioi_stress.chaos.fault import PASSAGES, ROLLING_BACK, Fault, Target

GONE = "the process is gone"
LONGEST_STOP = 2.0  # in stall_seconds


def _is_there(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def drawn(processes: list[psutil.Process], rng: Random) -> psutil.Process | None:
    return rng.choice(processes) if processes else None


class _Signals(Fault):
    @abstractmethod
    def victim(self, target: Target, rng: Random) -> psutil.Process | None: ...


class _Kill(_Signals):
    def strike(self, target: Target, rng: Random) -> bool:
        victim = self.victim(target, rng)
        if victim is None:
            return False
        victim.send_signal(signal.SIGKILL)

        def look() -> None:
            if not _is_there(victim):
                target.followed(GONE)

        target.at_rest(look)
        return True


class _Stop(_Signals):
    """For a twentieth of LONGEST_STOP to all of it: both sides of what counts as a stall are met."""

    def strike(self, target: Target, rng: Random) -> bool:
        victim, seconds = self.victim(target, rng), target.stall_seconds * LONGEST_STOP * 20 ** -rng.random()
        if victim is None:
            return False
        victim.send_signal(signal.SIGSTOP)

        def go_on() -> None:
            if not _is_there(victim):
                return target.followed(GONE)
            target.followed("went on when it was let" if victim.status() == psutil.STATUS_STOPPED else "was woken by another")
            victim.send_signal(signal.SIGCONT)

        target.later(seconds, go_on)
        return True


class KillWorker(_Kill):
    name = "kill-worker"
    help = "SIGKILL a worker, in a block or between two"

    def victim(self, target: Target, rng: Random) -> psutil.Process | None:
        return drawn(target.workers(), rng)


class StopWorker(_Stop):
    name = "stop-worker"
    help = "SIGSTOP a worker for a while, shorter or longer than what counts as a stall"

    def victim(self, target: Target, rng: Random) -> psutil.Process | None:
        return drawn(target.workers(), rng)


class KillEngine(_Kill):
    name = "kill-engine"
    help = "SIGKILL the engine: executing, staging, committing, between blocks, making, rolling back or restoring a state"
    passages = PASSAGES
    kills_engine = True
    refusals = ()

    def victim(self, target: Target, rng: Random) -> psutil.Process | None:
        return target.engine()


class StopEngine(_Stop):
    name = "stop-engine"
    help = "SIGSTOP the engine for a while; its workers go on"
    passages = PASSAGES

    def victim(self, target: Target, rng: Random) -> psutil.Process | None:
        return target.engine()


class KillUpkeep(_Kill):
    name = "kill-upkeep"
    help = "SIGKILL the process that keeps the latest values up to date and prunes"
    passages = (ROLLING_BACK,)
    refusals = ()  # the store does its work

    def victim(self, target: Target, rng: Random) -> psutil.Process | None:
        return drawn(target.upkeep(), rng)


class StopUpkeep(_Stop):
    name = "stop-upkeep"
    help = "SIGSTOP that process for a while, maybe while it holds the store's write lock"
    passages = (ROLLING_BACK,)

    def victim(self, target: Target, rng: Random) -> psutil.Process | None:
        return drawn(target.upkeep(), rng)
