"""A VM's file that is saved while its chain goes on (tests/e2e/test_dev_command.py has it in a process of its own)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

from ioi_exec.node import reloading
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.reloading import Reloader

NAME = "a_vm_that_is_saved"
VM = """
class Saved:
    def execute(self, tx, state, ctx):
        state.put(tx, b"1")
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of the only module that counts as one's own: the tests' are not imported anew."""

    def own() -> Iterator[tuple[str, ModuleType]]:
        if NAME in sys.modules:
            yield NAME, sys.modules[NAME]

    monkeypatch.setattr(reloading, "own_modules", own)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / f"{NAME}.py"
    path.write_text(VM)
    yield path
    sys.modules.pop(NAME, None)


def test_who_hears_of_it_finds_it_so(file: Path) -> None:
    def save(text: str) -> None:
        beside = file.with_suffix(".new")
        beside.write_text(text)
        beside.replace(file)

    failed: list[BaseException] = []
    with DevChain(f"{NAME}:Saved", {b"a": b"0"}, workers=0) as chain:
        reloader = Reloader(chain.sequencer, f"{NAME}:Saved", None, failed.append)
        heard: list[tuple[str, str]] = []
        chain.sequencer.listen(lambda happened: heard.append((happened.error, reloader.error)) if happened.kind == "reloaded" else None)
        save(VM + "this is no Python\n")
        reloader._look()
        assert "SyntaxError" in heard[0][0] == heard[0][1]
        save(VM.replace('b"1"', 'b"2"'))
        reloader._look()
        assert heard[1:] == [("", "")]
        assert chain.send(b"a").ok and chain.get(b"a") == b"2" and not failed
