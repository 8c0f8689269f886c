"""What a sweep says while it runs, and where it says nothing."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ioi_stress.sweeps import progress as module
from ioi_stress.sweeps.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, wanted: bool | None, stream: io.StringIO, seconds: float = 6.0) -> str:
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    with progress(wanted, 10, 4, stream) as show:
        for number in range(4, 10):
            show(number, f"accounts {number}")
            now[0] += seconds
        show(10, "")
    return stream.getvalue()


def test_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, True, io.StringIO()).splitlines()
    assert (
        lines[0] == "6 of 10 rows, about 24 s left; next accounts 6"
        and lines[-1] == "10 of 10 rows"
        and len(lines) == 3
    )
    assert shown(monkeypatch, True, io.StringIO(), seconds=0.1) == ""  # nothing of what is done at once
    assert "about 80 min left" in shown(monkeypatch, True, io.StringIO(), seconds=1200.0)


def test_nothing_for_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, None, io.StringIO()) == shown(monkeypatch, False, Terminal()) == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    text = shown(monkeypatch, None, Terminal())
    assert "10/10" in text
    monkeypatch.setattr(module, "_rich", lambda: None)
    assert "10 of 10 rows" in shown(monkeypatch, None, Terminal())


def test_a_notebook_is_known_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    assert not module.in_notebook()
    fake: Any = type("IPython", (), {"get_ipython": staticmethod(lambda: type("ZMQInteractiveShell", (), {})())})
    monkeypatch.setitem(sys.modules, "IPython", fake)
    assert module.in_notebook()
