"""Compiles and runs sha256.c: what one SHA-256 costs, by back end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CORE = HERE.parent.parent / "storage" / "core"


def measure(rounds: int = 201) -> list[dict[str, Any]]:
    """ns a message of 64 bytes: {"backend", "messages" a call, "median", "p10", "p90"}; nothing without a C compiler."""
    compiler = os.environ.get("CC", "gcc")
    if shutil.which(compiler) is None:
        return []
    with tempfile.TemporaryDirectory(prefix="ioi-bench-") as folder:
        program = Path(folder) / "sha256"
        sources = [HERE / "sha256.c", *sorted(CORE.glob("sha256*.c"))]
        flags = ["-std=c11", "-O3", "-D_GNU_SOURCE", "-UNDEBUG", f"-I{CORE}"]
        subprocess.run([compiler, *flags, *map(str, sources), "-o", str(program)], check=True)
        ran = subprocess.run([program, str(rounds)], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]
