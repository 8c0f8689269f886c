"""Transactions that take much longer than the others."""

from __future__ import annotations

import signal
from dataclasses import replace
from random import Random

import psutil

from ioi_stress.chaos.fault import BETWEEN, Fault, Target
from ioi_stress.chaos.faults.signals import drawn
from ioi_stress.chaos.messages import Slow

_PULSES = 20


class SlowTx(Fault):
    """Around a VM in Python goes one that sleeps. A native one is slowed from outside: its worker stops again and again."""

    name = "slow-tx"
    help = "let some of a block's transactions sleep up to 20 ms (a native VM's worker is stopped for as long, 20 times)"
    phases = (BETWEEN,)

    def strike(self, target: Target, rng: Random) -> bool:
        if target.native:
            for _ in range(_PULSES):
                self._pulse(target, rng.uniform(0, 0.5), rng.uniform(0.001, 0.02), Random(rng.random()))
            return True
        slow = Slow(rng.randrange(1, 100), rng.uniform(0.001, 0.02), rng.getrandbits(32))
        target.opening = replace(target.opening, slow=slow)
        target.followed("ran with transactions that sleep")
        return True

    def _pulse(self, target: Target, after: float, seconds: float, rng: Random) -> None:
        def begin() -> None:
            victim = drawn(target.workers(), rng)
            if victim is None:
                return
            try:
                victim.send_signal(signal.SIGSTOP)
            except psutil.NoSuchProcess:
                return
            target.followed("ran with workers that stop")
            target.later(seconds, lambda: _go_on(victim))

        target.later(after, begin)


def _go_on(victim: psutil.Process) -> None:
    try:
        victim.send_signal(signal.SIGCONT)
    except psutil.NoSuchProcess:
        pass
