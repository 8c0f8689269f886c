"""A host that is not as one would have it: it works, or says what is in the way and what to do."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = str(Path(__file__).with_name("surroundings.py"))

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="system calls have other numbers here")


@pytest.mark.parametrize(
    "case, locale, said",
    [
        ("file size", "C.UTF-8", r"ResourceError .*may write no file of more than 1048576.*ulimit -f"),
        ("memfd, workers 2", "C.UTF-8", "ResourceError .*refuses memfd_create.*workers=0$"),
        ("memfd, workers 1", "C.UTF-8", "ResourceError .*refuses memfd_create.*workers=0$"),
        ("memfd, workers 0", "C.UTF-8", "version 1"),
        ("memfd, in memory", "C.UTF-8", "StateError .*refuses memfd_create.*give a path$"),
        ("address space, MiB: 256 workers 0", "C.UTF-8", "ResourceError no memory left .*ulimit -v"),
        ("address space, MiB: 1500 workers 2", "C.UTF-8", "ResourceError workers cannot be started.*ulimit -v"),
        ("address space, MiB: 1500 workers 0", "C.UTF-8", "version 1"),
        ("address space, MiB: 8192 workers 2", "C.UTF-8", "version 1"),
        ("permission LOCK", "C.UTF-8", "version 1\nStateError .*/LOCK may not be written by this user .*open the state read-only"),
        ("permission LOCK read-only", "C.UTF-8", "version 1\nversion 1"),
        ("permission lock.mdb", "C.UTF-8", "version 1\nStateError .*must be allowed to read and write .*/state/lock.mdb and is not"),
        ("permission lock.mdb read-only", "C.UTF-8", "version 1\nStateError .*/state/lock.mdb, where each reader notes itself, and is not"),
        ("permission data.mdb", "C.UTF-8", "version 1\nStateError .*must be allowed to read and write .*/state/data.mdb and is not"),
        ("permission data.mdb read-only", "C.UTF-8", "version 1\nversion 1"),
        ("path", "C.UTF-8", "version 1"),
        ("path", "C", "version 1"),
        ("directory", "C.UTF-8", "version 1"),
    ],
)
def test_it_works_or_says_what_to_do(tmp_path: Path, case: str, locale: str, said: str) -> None:
    env = {**os.environ, "LC_ALL": locale, **({"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} if locale == "C" else {})}
    done = subprocess.run([sys.executable, PROGRAM, case], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert re.match(said, done.stdout), done.stdout + done.stderr
