"""Memory that runs out in the middle of a block, in the calling process: whichever allocation it is, an error says so, nothing is
committed and the next block is right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import compiled
import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("case", ["payments 0", "payments 2 record", "python 0", "python 1", "python 2 record"])
def test_each_allocation_of_a_block_fails_once(case: str) -> None:
    library = compiled.program("starving.so", [HERE / "starving.c"], ["-O1", "-shared", "-fPIC"], [HERE])
    env = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run([sys.executable, str(HERE / "starved.py"), case], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(r"failures (\d+)\n", done.stdout)
    assert found and int(found[1]) > 10, done.stdout
