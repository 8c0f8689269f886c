"""The Program VM in C under sanitizers, against the one in Python: programs, mutated ones and random bytes.

IOI_SEED   where the random programs begin (default 1)
IOI_PROGRAMS   how many
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import compiled
import effort
import pytest
from program_fuzz import named_keys, random_transactions, scans

from ioi_exec import ExecutionMachine

ROOT = Path(__file__).parents[3]
NATIVE = ROOT / "tools" / "ioi_stress" / "native"
SHA256 = ROOT / "storage" / "core"
SEED = effort.seed(1)
PROGRAMS = effort.amount("IOI_PROGRAMS", sample=3000, many=10_000)
TOGETHER = 250

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture(scope="module")
def harness() -> Path:
    flags = "-std=c11 -O1 -g -Wall -Wextra -Werror -UNDEBUG -D_GNU_SOURCE -fno-omit-frame-pointer".split()
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    includes = [NATIVE, SHA256, ROOT / "shm" / "ioi_shm" / "include"]
    sources = [Path(__file__).with_name("program_harness.c"), *sorted(NATIVE.glob("*.c"))]
    # SHA-256 has a test of its own under sanitizers, and takes them long to compile.
    parts = [*compiled.objects(sources, [*flags, *sanitizers], includes), *compiled.objects(sorted(SHA256.glob("sha256*.c")), flags, [SHA256])]
    return compiled.linked("program_harness", parts, [*flags, *sanitizers])


@pytest.mark.sampled
def test_programs_under_sanitizers(harness: Path) -> None:
    # Each seed chooses sizes, and with them which limits are met: many small parts meet all.
    parts = (random_transactions(SEED * effort.APART + number, TOGETHER) for number in range(PROGRAMS // TOGETHER))
    txs = [tx for part in parts for tx in part if not scans(tx)]
    stream = b"".join(struct.pack("<I", len(tx)) + tx for tx in txs)
    done = subprocess.run([harness], input=stream, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    with ExecutionMachine.create(None, "ioi_stress.vm:Program", workers=0) as machine:
        receipts = machine.execute(txs).receipts
    # In C an error has no more than its kind.
    expected = [f"{receipt.code} {receipt.output.hex()} {receipt.error.partition(':')[0]}" for receipt in receipts]
    assert done.stdout.decode().splitlines() == expected
    kinds = {re.sub("[0-9a-f]{64}", "digest", line) for line in expected}
    assert {"0 digest ", "1  malformed", "2  LimitExceeded"} <= kinds
    said = re.match(rb"(\d+) stops, (\d+) hints", done.stderr)
    assert said is not None and int(said[1]) > 500
    assert int(said[2]) == sum(map(named_keys, txs)) > 500
