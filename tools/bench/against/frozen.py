"""A revision of this repository, built beside it, in a folder that is kept for the next time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]


class CannotBuild(Exception):
    """Why there is no such revision to run."""


def frozen(revision: str, folder: Path) -> Path:
    """The tree of `revision` under `folder`, with a .venv that runs it; made if it is not there yet, which takes some minutes.
    Raises CannotBuild."""
    parse = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    commit = _run(parse, TREE, f"there is no revision {revision!r} here").strip()
    tree = folder / commit[:12]
    built = tree / ".built"
    if not built.exists():
        print(f"building {commit[:12]} in {tree}", file=sys.stderr, flush=True)
        tree.mkdir(parents=True, exist_ok=True)
        archive = folder / f"{commit[:12]}.tar"
        _run(["git", "archive", "--output", str(archive), commit], TREE, "the revision cannot be taken out")
        _run(["tar", "-xf", str(archive), "-C", str(tree)], TREE, "the revision cannot be unpacked")
        archive.unlink()
        _run([sys.executable, "-m", "venv", str(tree / ".venv")], tree, "no virtual environment can be made")
        python = str(tree / ".venv" / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[test,stress]"]
        _run(pip, tree, "the revision does not build")
        built.touch()
    return tree


def _run(command: list[str], where: Path, wrong: str) -> str:
    ran = subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ran.returncode:
        raise CannotBuild(f"{wrong}: {' '.join(command)}\n{ran.stderr.strip()}")
    return ran.stdout
