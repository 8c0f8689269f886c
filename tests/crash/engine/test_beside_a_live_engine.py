"""A read-only machine executes beside an engine that commits: right for one version, or told that the state moved on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ioi_exec import ExecutionMachine, StaleResult
from ioi_exec.execution.executors import SharedPools

TXS = [b"\1\2", b"\2\1", b"\3"]
WRITER = f"""
import os, time
from ioi_exec import ExecutionMachine
with ExecutionMachine.open("state", vm="faulty_vms:Ledger", vm_args={{"microseconds": 20}}, workers=2, pin=False) as machine:
    for number in range(100_000):
        if number >= 200 and os.path.exists("enough"):
            break
        result = machine.execute({TXS})
        machine.commit(result)
        print(result.version, result.state_root.hex(), flush=True)
        time.sleep(0.004)
"""


def test_what_is_read_is_one_version_or_stale(pools: SharedPools, tmp_path: Path) -> None:
    options: dict[str, Any] = dict(workers=2, pin=False, executors=pools.executors())
    folder = tmp_path / "state"
    with ExecutionMachine.create(folder, "faulty_vms:Ledger", vm_args={"microseconds": 20}, workers=0):
        pass
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with (tmp_path / "roots").open("w") as roots:
        writer = subprocess.Popen([sys.executable, "-c", WRITER], cwd=tmp_path, stdout=roots, env=env)
    try:
        with ExecutionMachine.open(folder, read_only=True, **options) as machine:
            found: dict[int, bytes] = {}
            stale = 0
            while writer.poll() is None:
                try:
                    result = machine.execute(TXS)  # what the writer executes next: so its root is the one the writer comes to
                    found[result.version] = result.state_root
                except StaleResult:
                    stale += 1
                if found and stale:
                    (tmp_path / "enough").touch()
            last = machine.execute(TXS)
        assert writer.returncode == 0
        lines = [line.split() for line in (tmp_path / "roots").read_text().splitlines()]
        expected = {int(version): bytes.fromhex(root) for version, root in lines}
        assert last.version == max(expected) + 1 > 200 and last.stats.retries == 0
        found.pop(last.version, None)
        assert found.items() <= expected.items()
        assert found and stale, (len(found), stale)
    finally:
        writer.kill()
        writer.wait()
