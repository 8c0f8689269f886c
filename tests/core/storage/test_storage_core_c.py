"""The C core without Python, under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import compiled
import effort
import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[2] / "storage" / "core"
FLAGS = "-std=c11 -O1 -g -Wall -Wextra -Werror -UNDEBUG -D_GNU_SOURCE -fno-omit-frame-pointer".split()
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all".split()
CAN_FAIL = ("malloc", "calloc", "realloc", "mmap", "pool_take")
OPTIONS = {"crown_harness": [f"-Wl,--wrap={name}" for name in CAN_FAIL]}
SEEDS = effort.seeds("IOI_STORAGE_C_SEEDS", sample=100, many=1000)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


def build(harness: str) -> Path:
    sources = [HERE / f"{harness}.c", *sorted(CORE.glob("*.c"))]
    return compiled.program(harness, sources, [*FLAGS, *SANITIZERS], [CORE, HERE], OPTIONS.get(harness, ()))


@pytest.fixture(scope="module")
def sha256_harness() -> Path:
    return build("sha256_harness")


@pytest.mark.parametrize("backend", ["portable", "sha-ni", "armv8"])
def test_sha256(sha256_harness, backend: str) -> None:
    done = subprocess.run([sha256_harness, backend], capture_output=True, text=True)
    if done.returncode == 3 and backend != "portable":
        pytest.skip(f"this CPU has no {backend}")
    assert done.returncode == 0, done.stderr
    check_digests(done.stdout, backend)


@pytest.mark.skipif(
    not all(map(shutil.which, ("aarch64-linux-gnu-gcc", "qemu-aarch64"))), reason="no aarch64-linux-gnu-gcc, or no qemu-aarch64"
)
def test_sha256_on_an_aarch64_that_is_not_there() -> None:
    sources = [HERE / "sha256_harness.c", *sorted(CORE.glob("sha256*.c"))]
    flags = "-std=c11 -O2 -Wall -Wextra -Werror -UNDEBUG -D_GNU_SOURCE -static"
    program = compiled.program("sha256_harness", sources, flags.split(), [CORE, HERE], compiler="aarch64-linux-gnu-gcc")
    done = subprocess.run(["qemu-aarch64", program, "armv8"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_digests(done.stdout, "armv8")


def check_digests(printed: str, backend: str) -> None:
    lines = printed.splitlines()
    assert len(lines) == 301 * 36 + sum(1 + seed % 40 for seed in range(400))
    for line in lines:
        size, index, digest = line.split()
        message = bytes((int(index) * 31 + j * 7 + int(size)) & 255 for j in range(int(size)))
        assert hashlib.sha256(message).hexdigest() == digest, (backend, size, index)


FIPS_180 = {  # the examples published with FIPS 180
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu": (
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
    b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}


@pytest.mark.parametrize("backend", ["portable", "sha-ni", "armv8"])
@pytest.mark.parametrize("message", FIPS_180, ids=len)
def test_sha256_has_the_published_digests(sha256_harness, backend: str, message: bytes) -> None:
    done = subprocess.run([sha256_harness, backend, "-"], input=message, capture_output=True)
    if done.returncode == 3 and backend != "portable":
        pytest.skip(f"this CPU has no {backend}")
    assert done.stdout.decode() == FIPS_180[message] + "\n", done.stderr.decode()


@pytest.mark.sampled
@pytest.mark.parametrize("harness", ["jellyfish", "crown", "iavl", "cells"])
def test_random_lives(harness: str) -> None:
    done = subprocess.run([build(f"{harness}_harness"), str(SEEDS.start), str(len(SEEDS))], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{len(SEEDS)} seeds\n"


def test_a_child_forked_beside_threads_has_memory() -> None:
    # without sanitizers: their own memory does not survive such a fork
    sources = [HERE / "pool_harness.c", CORE / "pool.c"]
    program = compiled.program("pool_harness", sources, [*FLAGS, "-pthread"], [CORE, HERE])
    done = subprocess.run([program, "300"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
