"""A daemon has closed its standard streams: no file of the engine's gets one of their numbers, in no process."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain, combinations
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("closed_descriptors.py")
SUBSETS = ["".join(subset) for subset in chain.from_iterable(combinations("012", count) for count in (1, 2, 3))]


@pytest.mark.parametrize(
    "closed, when",
    [(closed, "before") if closed in ("0", "12", "012") else pytest.param(closed, "before", marks=pytest.mark.long) for closed in SUBSETS]
    + [("012", "in the program")],
)
def test_what_a_vm_prints_lands_in_no_file_of_the_engines(tmp_path: Path, closed: str, when: str) -> None:
    before = "".join(f" {number}>&-" for number in closed) if when == "before" else ""
    given = "" if when == "before" else closed
    command = f'exec "$0" "$1" {given} </dev/null >out 2>err{before}'
    done = subprocess.run(["bash", "-c", command, sys.executable, str(PROGRAM)], cwd=tmp_path, timeout=300)
    assert done.returncode == 0, (tmp_path / "err").read_text()
    assert json.loads((tmp_path / "found.json").read_text()) == [[], 4, 3301]
    seen = set(json.loads((tmp_path / "seen.json").read_text()))
    assert {to for to in seen if not to.startswith("pipe:")} <= {"/dev/null", str(tmp_path / "out"), str(tmp_path / "err")}
