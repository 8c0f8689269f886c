"""The machine a result is of: what decides its figures, and two small calibrations to tell machines apart by.

Neither host nor user is named, so that a result can be published as it is.
"""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Callable

import psutil
from ioi_shm.memory import free_memory
from ioi_storage._core import sha256_backend

from ioi_exec import __version__
from ioi_exec.cores import allowed_cores, available_cores

_LOOPS = 20_000
_HASHES = 2_000
_ROUNDS = 7
_BLOCK = bytes(64)


def machine_facts() -> dict[str, Any]:
    """Takes a few hundredths of a second. What cannot be read is None.

    cores: of the machine; cores_allowed: by affinity; cores_available: by the cgroup's quota too. memory_free_bytes: what this
    process may still take of the machine and of its cgroup. load: of the last minute, when this was asked. python_loop_ns,
    sha256_ns: of one turn of a loop in Python, and of one hash of 64 bytes through hashlib.
    """
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "cores_allowed": len(allowed_cores()),
        "cores_available": available_cores(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "turbo": _turbo(),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_free_bytes": free_memory(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "ioi_exec": __version__,
        "numpy": _version("numpy"),
        "lmdb": _version("lmdb"),
        "sha256": sha256_backend(),
        "python_loop_ns": _calibrated(_python_loop) / _LOOPS,
        "sha256_ns": _calibrated(_hashes) / _HASHES,
    }


def _calibrated(work: Callable[[], object]) -> float:
    """Nanoseconds of the fastest of several rounds: the machine at its best, whatever else runs on it."""
    times = []
    for _ in range(_ROUNDS):
        began = perf_counter_ns()
        work()
        times.append(perf_counter_ns() - began)
    return float(min(times))


def _python_loop() -> int:
    total = 0
    for i in range(_LOOPS):
        total = (total * 31 + i) & 0xFFFF
    return total


def _hashes() -> None:
    sha256 = hashlib.sha256
    for _ in range(_HASHES):
        sha256(_BLOCK).digest()


def _cpu_model() -> str | None:
    """As the kernel names it; on ARM it has only numbers for it."""
    found: dict[str, str] = {}
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    arm = " ".join(f"{name[4:]} {found[name]}" for name in ("CPU implementer", "CPU part") if name in found)
    return found.get("model name") or found.get("Model") or arm or None


def _turbo() -> bool | None:
    off = _read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    if off is not None:
        return off == "0"
    boost = _read("/sys/devices/system/cpu/cpufreq/boost")
    return None if boost is None else boost == "1"


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
