"""What every fault must leave behind: nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Iterator

import pytest
from faulty_vms import Ledger
from processes import descendants, open_files

from ioi_exec import ExecutionMachine
from ioi_exec.execution.executors import SharedPools


def _there() -> tuple[int, set[str], set[int]]:
    """Descriptors, names of shared memory but those of other tests beside this one, processes."""
    names = {name for name in os.listdir("/dev/shm") if not name.startswith("ioi-replay-")}
    return open_files(), names, {child.pid for child in descendants(os.getpid())}


@pytest.fixture(scope="session")
def warm() -> None:
    """What a process opens once and keeps: the thread that starts processes, the root they come from, imports."""
    with ExecutionMachine.create(None, Ledger, workers=1, pin=False) as machine:
        machine.execute([b"\1"])


@pytest.fixture(autouse=True)
def nothing_left(warm: None) -> Iterator[None]:
    """No process, no descriptor, no named shared memory is left by the test."""
    before = _there()
    yield
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        left = _there()
        if left[0] <= before[0] and left[1] <= before[1] and left[2] <= before[2]:  # workers of other tests may have ended
            return
        time.sleep(0.05)
    links = sorted(os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.exists())
    raise AssertionError(f"left behind: {left}, before {before}\n{links}")


@pytest.fixture
def pools(nothing_left: None) -> Iterator[SharedPools]:
    """Pools of this test alone: it will kill their workers."""
    pools = SharedPools()
    yield pools
    pools.close()
