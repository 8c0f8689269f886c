"""How much memory processes take together."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def memory_bytes(pids: Iterable[int | None]) -> int:
    """What these processes (None: this one) hold now, pages that several map counted once (PSS). It costs a millisecond a process.

    Where the kernel does not tell: the sum of their resident sets less what is shared, plus what is shared once. Processes that are
    no more count nothing."""
    total, shared = 0, 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            try:
                total += process.memory_full_info().pss
            except psutil.AccessDenied:
                plain = process.memory_info()
                total += plain.rss - plain.shared
                shared = max(shared, plain.shared)
        except psutil.NoSuchProcess:
            continue
    return total + shared
