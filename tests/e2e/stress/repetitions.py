"""How far an `ioi-stress run --state state` has come, seen from outside."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


def repetitions_seen(folder: Path, process: subprocess.Popen[str], wanted: int) -> None:
    """Wait until so many states have come and gone: each repetition has one of its own."""
    seen: dict[int, int] = {}  # descriptors, by inodes, which as long as they are open name no other file
    deadline = time.monotonic() + 300
    try:
        while len(seen) <= wanted:
            try:
                opened = os.open(folder / "state", os.O_RDONLY)
            except FileNotFoundError:
                pass
            else:
                if seen.setdefault(os.fstat(opened).st_ino, opened) != opened:
                    os.close(opened)
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
    finally:
        for opened in seen.values():
            os.close(opened)
