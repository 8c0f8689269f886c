"""C compiled once, whoever needs it: kept in build/tests by what went into it, for all processes and the next run.

`make clean` removes it. Nothing is ever out of date there: a source, a header or a flag that changes is another file.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

KEPT = Path(__file__).resolve().parents[1] / "build" / "tests"


def program(
    name: str, sources: Iterable[Path], flags: Sequence[str], includes: Sequence[Path], link: Sequence[str] = (), compiler: str = "gcc"
) -> Path:
    """The executable, or with -shared the library, of that name. link: flags for the linker alone."""
    return linked(name, objects(sources, flags, includes, compiler), [*flags, *link], compiler)


def objects(sources: Iterable[Path], flags: Sequence[str], includes: Sequence[Path], compiler: str = "gcc") -> list[Path]:
    """includes: all directories that a source finds headers in, its own too; their headers count. Raises CalledProcessError
    if the compiler refuses."""
    headers = [_hash_of(path) for folder in includes for path in sorted(folder.glob("*.h"))]
    found = [f"-I{folder}" for folder in includes]

    def compiled(source: Path) -> Path:
        command = [compiler, *flags, *found, "-c", str(source)]
        return _made("object.o", compiler, [*flags, *headers, _hash_of(source)], command)

    return [compiled(source) for source in sources]


def linked(name: str, parts: Sequence[Path], flags: Sequence[str], compiler: str = "gcc") -> Path:
    inputs = list(map(str, parts))
    return _made(name, compiler, [*flags, *inputs], [compiler, *flags, *inputs])


def _made(name: str, compiler: str, made_of: Iterable[str], command: list[str]) -> Path:
    key = sha256("\0".join((name, _version(compiler), *made_of)).encode()).hexdigest()
    folder = KEPT / key[:40]
    out = folder / name
    if out.exists():
        return out
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be at it
        if not out.exists():
            unfinished = folder / "unfinished"
            subprocess.run([*command, "-o", str(unfinished)], check=True)
            os.replace(unfinished, out)
    return out


def _hash_of(path: Path) -> str:
    return f"{path.name} {sha256(path.read_bytes()).hexdigest()}"


@lru_cache(maxsize=None)
def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
