"""How much memory a run takes: this process and the engine's workers together."""

from __future__ import annotations

from typing import Iterable

import psutil


def memory_bytes(workers: Iterable[int]) -> int:
    """What this process and `workers` (process ids) hold now, pages that several map counted once (PSS).

    Where the kernel does not tell: the sum of their resident sets less what is shared, plus what is shared once. Workers that are no
    more count nothing."""
    total, shared = 0, 0
    for pid in (None, *workers):
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
