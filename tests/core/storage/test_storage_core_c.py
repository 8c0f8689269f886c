"""The C core without Python, under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[2] / "storage" / "core"
SEEDS = os.environ.get("IOI_STORAGE_C_SEEDS", "300")

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    def run(harness: str) -> Path:
        program = tmp_path_factory.mktemp("harness") / harness
        sources = [HERE / f"{harness}.c", *CORE.glob("*.c")]
        flags = "-std=c11 -O1 -g -Wall -Wextra -Werror -UNDEBUG -D_GNU_SOURCE -fno-omit-frame-pointer"
        sanitizers = "-fsanitize=address,undefined -fno-sanitize-recover=all"
        subprocess.run(["gcc", *flags.split(), *sanitizers.split(), f"-I{CORE}", *sources, "-o", program], check=True)
        return program

    return run


@pytest.fixture(scope="module")
def sha256_harness(build) -> Path:
    return build("sha256_harness")


@pytest.mark.parametrize("backend", ["portable", "sha-ni"])
def test_sha256(sha256_harness, backend: str) -> None:
    done = subprocess.run([sha256_harness, backend], capture_output=True, text=True)
    if done.returncode == 3 and backend != "portable":
        pytest.skip(f"this CPU has no {backend}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 301 * 36
    for line in lines:
        size, index, digest = line.split()
        message = bytes((int(index) * 31 + j * 7 + int(size)) & 255 for j in range(int(size)))
        assert hashlib.sha256(message).hexdigest() == digest, (backend, size, index)


@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_trees(build, tree: str) -> None:
    done = subprocess.run([build(f"{tree}_harness"), "0", SEEDS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{SEEDS} seeds\n"
