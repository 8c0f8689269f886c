"""What a transaction costs beside its reads and writes: time on its core, or time waiting.

A burn reads the clock in a loop and adds up its steps, of which one takes far less than a microsecond. A step longer
than GAP_NS means that the thread did not run (another process had the core, or the hypervisor), and counts as GAP_NS
only. So more workers than cores do not make work vanish, as they would with a deadline, and a microsecond is one, as
it could not be with the clock of the thread's CPU time, whose reading is a system call. It stands for time on a core,
not for a kind of work: it does not compete for caches or memory. A sleep takes as long as asked and what the kernel
adds (by default about 50 us).

The results never depend on any of this.
"""

from __future__ import annotations

import time

GAP_NS = 20_000


def burn(nanoseconds: int) -> None:
    clock = time.perf_counter_ns
    then, left = clock(), nanoseconds
    while left > 0:
        now = clock()
        step = now - then
        left -= step if step < GAP_NS else GAP_NS
        then = now


def sleep(nanoseconds: int) -> None:
    time.sleep(nanoseconds / 1e9)
