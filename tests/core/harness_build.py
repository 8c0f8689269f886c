"""Compile the C harnesses of this folder against a copy of shm/core.

    python3 tests/core/harness_build.py OUT [PROGRAM ...]        all programs unless some are named

Programs:
    unit            each part by itself                                         unit/
    threads         random blocks on threads                                    harness/threads.c
    threads-asan    the same under AddressSanitizer and UBSan
    threads-tsan    the same under ThreadSanitizer
    simulate        random blocks under simulated schedules                     harness/simulate.c
    unit-asan       the unit tests under AddressSanitizer and UBSan
    unit-tsan       the unit tests under ThreadSanitizer

Mutants are also tried on the whole package, with Python around the core (build_packages).

The simulated core is compiled with small constants (TIGHT), so that a dozen transactions reach what takes thousands in
production: tries, nodes of the index, solo runs, windows, chunks that run out. Threads have sums from the second add on, and
all else as it is shipped.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import compiled  # noqa: E402

SHM = Path(os.environ.get("IOI_SHM", HERE.parents[1] / "shm"))  # another checkout's, to compare
HARNESS = HERE / "harness"
SIMULATION = HERE.parents[1] / "tools" / "ioi_stress" / "simulation" / "core"

UNIT = [f"../unit/{name}.c" for name in ("unit", "arena", "index", "versions", "ordered", "mvmemory", "sums", "scheduler", "view", "receipts", "seal", "sequential", "cache", "native", "gas")]
COMMON = ["program.c", "block_case.c", "oracle.c", "worlds.c", "engine.c", "recorded.c"]
FLAGS = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-UNDEBUG", "-D_GNU_SOURCE", "-pthread"]
ASAN = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
TSAN = ["-O1", "-fsanitize=thread", "-Wno-tsan"]


Constant = tuple[str, str, str]
"""File, pattern with one group around the number, its replacement."""

WALK_ADDS = ("mvmemory.c", r"WALK_ADDS = (\d+)", "1")

TIGHT: tuple[Constant, ...] = (
    ("block.c", r"WAKES = (\d+)", "1"),
    ("arena.h", r"IOI_CHUNK = (32 \* 1024),", "1024"),
    ("index.c", r"uint32_t bits = (10);", "2"),
    ("recorder.h", r"IOI_EVENTS = (84)", "3"),
    ("versions.h", r"WALK_MAX = (\d+)", "2"),
    ("mvmemory.c", r"KNOW_EVERY = (\d+)", "1"),
    WALK_ADDS,
    ("sums.c", r"BITS = (\d+), WAYS", "1"),
    ("view.c", r"CHECK_EVERY = (\d+)", "7"),
    ("scheduler.c", r"RUN_FIRST = (\d+),", "2"),
    ("scheduler.c", r"VALIDATION_BATCH = (\d+),", "2"),
    ("scheduler.c", r"VALIDATION_REACH = (\d+),", "4"),
    ("scheduler.c", r"SOLO_FIRST = (\d+),", "3"),
    ("scheduler.c", r"SOLO_MAX = (\d+),", "12"),
    ("scheduler.c", r"SOLO_TURNS = (\d+),", "3"),
    ("scheduler.c", r"PUBLISH_EVERY = (\d+),", "2"),
    ("scheduler.c", r"TUNE_EVERY = (\d+),", "3"),
)


@dataclass(frozen=True)
class Program:
    """One executable: its own sources beside the core's, and how it is compiled."""

    sources: tuple[str, ...]
    flags: tuple[str, ...]
    tight: tuple[Constant, ...] = ()


PROGRAMS = {
    "threads": Program((*COMMON, "reference.c", "threads.c"), ("-O2",), (WALK_ADDS,)),
    "threads-asan": Program((*COMMON, "reference.c", "threads.c"), tuple(ASAN), (WALK_ADDS,)),
    "threads-tsan": Program((*COMMON, "reference.c", "threads.c"), tuple(TSAN), (WALK_ADDS,)),
    "unit": Program((*UNIT, "program.c"), ("-O2",)),
    "unit-asan": Program((*UNIT, "program.c"), tuple(ASAN)),
    "unit-tsan": Program((*UNIT, "program.c"), tuple(TSAN)),
    "simulate": Program((*COMMON, str(SIMULATION / "stack.c"), "sim.c", "parts.c", "simulate.c"), ("-O2", "-DIOI_SIM"), TIGHT),
}


def copy_core(target: Path) -> Path:
    """A copy of shm/core and the public header it includes, laid out alike; returns the copy of shm/core."""
    core = target / "core"
    include = target / "ioi_shm" / "include"
    for folder in (core, core / "python", include):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for source in SHM.joinpath("core").glob("**/*.[ch]"):
        shutil.copy(source, core / source.relative_to(SHM / "core"))
    for header in SHM.joinpath("ioi_shm", "include").glob("*.h"):
        shutil.copy(header, include)
    return core


def tighten(core: Path, constants: tuple[Constant, ...]) -> None:
    """Make constants of a copy small. Raises ValueError if one is not found: the core has changed, so must TIGHT."""
    for name, pattern, number in constants:
        path = core / name
        text = path.read_text()
        matches = list(re.finditer(pattern, text))
        if len(matches) != 1:
            raise ValueError(f"{name}: {pattern!r} matches {len(matches)} times")
        start, end = matches[0].span(1)
        path.write_text(text[:start] + number + text[end:])


def compile_program(name: str, core: Path, extra: tuple[str, ...] = ()) -> Path:
    """Compile one program against a copy of the core, already tight if the program wants that."""
    program = PROGRAMS[name]
    sources = [*(HARNESS / source for source in program.sources), *sorted(core.glob("*.c"))]
    includes = [core, core.parent / "ioi_shm" / "include", HARNESS, HERE / "unit", SIMULATION]
    return compiled.program(name, sources, [*FLAGS, *program.flags, *extra], includes)


def copy_packages(target: Path) -> Path:
    """A copy of the core as above, and of the packages over it (ioi_shm without its compiled core); returns that of shm/core."""
    core = copy_core(target)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(SHM / "ioi_shm", target / "ioi_shm", dirs_exist_ok=True, ignore=ignored)
    shutil.copytree(SHM.parent / "ioi_exec", target / "ioi_exec", ignore=ignored)
    return core


def compile_extension(core: Path) -> None:
    """Compile the Python module of a copy of the packages; a Python that finds the copy first uses it."""
    hashing = SHM.parent / "storage" / "core"
    sources = [*sorted(core.glob("*.c")), *sorted(core.glob("python/*.c")), *sorted(hashing.glob("sha256*.c"))]
    includes = [core, core / "python", hashing, core.parent / "ioi_shm" / "include", Path(sysconfig.get_paths()["include"])]
    flags = [*FLAGS, "-shared", "-fPIC", "-fvisibility=hidden", "-O1", "-w", "-Wno-error"]
    name = f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    shutil.copy(compiled.program(name, sources, flags, includes), core.parent / "ioi_shm")


def build(name: str, workspace: Path) -> Path:
    """Copy the core into the workspace and compile one program against it; returns the binary."""
    core = copy_core(workspace / f"{name}.core")
    tighten(core, PROGRAMS[name].tight)
    return compile_program(name, core)


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    for name in arguments[1:] or PROGRAMS:
        print(shutil.copy(build(name, out), out))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
