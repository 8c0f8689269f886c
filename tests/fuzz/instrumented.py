"""The C extensions built again to be fuzzed: clang's coverage and AddressSanitizer, kept in build/fuzz, found before the installed ones."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
_CLANGS = ("clang", *(f"clang-{version}" for version in range(22, 13, -1)))
_FLAGS = "-fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer -fno-sanitize-recover=all"


def compiler() -> str | None:
    """A clang that has what is needed, if there is one."""
    for name in _CLANGS:
        if shutil.which(name):
            command = [name, *_FLAGS.split(), "-x", "c", "-c", "-", "-o", os.devnull]
            if subprocess.run(command, input=b"int x;", capture_output=True).returncode == 0:
                return name
    return None


def built(clang: str) -> Path:
    """The folder of the extensions, made once for what the sources are. Raises CalledProcessError."""
    sources = sorted(path for folder in ("shm", "storage", "tools/ioi_stress/native") for path in (ROOT / folder).rglob("*.[ch]"))
    key = sha256(b"".join(map(Path.read_bytes, [ROOT / "setup.py", *sources]))).hexdigest()[:16]
    folder = BUILD / f"extensions-{key}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another campaign may be at it
        if not folder.exists():
            unfinished = BUILD / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            command = [sys.executable, "setup.py", "-q", "build_ext", f"--build-lib={unfinished}", f"--build-temp={unfinished}/objects"]
            environ = os.environ | {"CC": clang, "LDSHARED": f"{clang} -shared", "CFLAGS": _FLAGS}
            subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            shutil.rmtree(unfinished / "objects")
            unfinished.rename(folder)
    return folder


class Finder:
    """For sys.meta_path."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            ".".join((*path.relative_to(folder).parts[:-1], path.name.split(".")[0])): path for path in folder.rglob("*.so")
        }

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self._files[name]) if name in self._files else None
