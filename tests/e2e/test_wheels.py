"""What is given to others: the source distribution is whole, and the wheel has a manylinux tag and executes a block."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("build")
pytest.importorskip("auditwheel")

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(*command: str, cwd: Path, **variables: str) -> str:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.long
def test_source_distribution_and_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--outdir", "built", ".", cwd=source)
    (archive,) = (source / "built").glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"README.md", "tools/ioi_stress/hot.svg", "tests/e2e/test_wheels.py", "Makefile", "shm/core/scheduler.c"} <= names
    (wheel,) = (source / "built").glob("*.whl")
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", "fixed", str(wheel), cwd=source)
    (fixed,) = (source / "fixed").glob("*.whl")
    assert "manylinux" in fixed.name and "-linux_" not in fixed.name
    installed = tmp_path / "installed"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed), str(fixed), cwd=tmp_path)
    (tmp_path / "genesis.json").write_text(json.dumps({"state": {}}))
    (tmp_path / "block.jsonl").write_text(json.dumps({"tx": "00"}) + "\n")
    path = str(installed)
    code = "import ioi_shm._core, ioi_storage._core, ioi_stress._program; print(ioi_shm._core.__file__)"
    assert run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=path).startswith(path)
    run(sys.executable, "-m", "ioi_exec", "init", "state", "--genesis", "genesis.json", cwd=tmp_path, PYTHONPATH=path)
    said = run(sys.executable, "-m", "ioi_exec", "run", "state", "block.jsonl", "--json", cwd=tmp_path, PYTHONPATH=path)
    assert json.loads(said)["transactions"] == 1
