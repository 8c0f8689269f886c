"""The Program VM in C under sanitizers, against the one in Python: programs, mutated ones and random bytes.

IOI_PROGRAM_SEED   where the random programs begin (default 1)
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from program_fuzz import named_keys, random_transactions, scans

from ioi_exec import ExecutionMachine

ROOT = Path(__file__).parents[3]
NATIVE = ROOT / "tools" / "ioi_stress" / "native"
SHA256 = ROOT / "storage" / "core"
SEED = int(os.environ.get("IOI_PROGRAM_SEED", "1"))

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harness")
    flags = "-std=c11 -O1 -g -Wall -Wextra -Werror -UNDEBUG -D_GNU_SOURCE -fno-omit-frame-pointer".split()
    includes = [f"-I{path}" for path in (NATIVE, SHA256, ROOT / "shm" / "ioi_shm" / "include")]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    # SHA-256 has a test of its own under sanitizers, and takes them long to compile.
    subprocess.run(["gcc", *flags, "-c", *sorted(SHA256.glob("sha256*.c"))], check=True, cwd=folder)
    sources = [Path(__file__).with_name("program_harness.c"), *NATIVE.glob("*.c"), *folder.glob("*.o")]
    subprocess.run(["gcc", *flags, *sanitizers, *includes, *sources, "-o", "program_harness"], check=True, cwd=folder)
    return folder / "program_harness"


def test_programs_under_sanitizers(harness: Path) -> None:
    txs = [tx for tx in random_transactions(SEED, 3000) if not scans(tx)]
    stream = b"".join(struct.pack("<I", len(tx)) + tx for tx in txs)
    done = subprocess.run([harness], input=stream, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    with ExecutionMachine.create(None, "ioi_stress.vm:Program", workers=0) as machine:
        receipts = machine.execute(txs).receipts
    expected = [f"{receipt.code} {receipt.output.hex()} {receipt.error}" for receipt in receipts]
    assert done.stdout.decode().splitlines() == expected
    kinds = {re.sub("[0-9a-f]{64}", "digest", line) for line in expected}
    assert {"0 digest ", "1  malformed", "2  LimitExceeded"} <= kinds
    said = re.match(rb"(\d+) stops, (\d+) hints", done.stderr)
    assert said is not None and int(said[1]) > 500
    assert int(said[2]) == sum(map(named_keys, txs)) > 500
