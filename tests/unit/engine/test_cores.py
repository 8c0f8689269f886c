"""How many cores are there to use: affinity and cgroup quotas."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ioi_exec import ExecutionMachine, cores


def test_by_default_one_worker_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 6})
    monkeypatch.setattr(cores, "_cgroup_cores", lambda: None)
    assert cores.available_cores() == 3
    with ExecutionMachine.create(None) as machine:
        assert machine.workers == 3
    for quota, expected in ((2.5, 2), (0.5, 1), (64.0, 3)):
        monkeypatch.setattr(cores, "_cgroup_cores", lambda quota=quota: quota)
        assert cores.available_cores() == expected


@pytest.mark.parametrize(
    "membership, files, quota",
    [
        ("0::/", {}, None),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3.0),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000"}, 2.0),
        ("0::/a", {"b/cpu.max": "100000 100000"}, None),
        ("4:cpu,cpuacct:/x\n0::/", {"cpu/x/cpu.cfs_quota_us": "200000", "cpu/x/cpu.cfs_period_us": "100000"}, 2.0),
        ("4:cpu,cpuacct:/x", {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, None),
        ("", {"cpu.max": "100000 50000"}, 2.0),
        ("0::/", {"cpu.max": "nonsense"}, None),
        (None, {"cpu.max": "100000 50000"}, 2.0),
    ],
)
def test_cgroup_quotas(tmp_path: Path, membership: str | None, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if membership is not None:
        (tmp_path / "membership").write_text(membership)
    assert cores._cgroup_cores(tmp_path / "cgroup", tmp_path / "membership") == quota
