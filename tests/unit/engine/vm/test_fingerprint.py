"""Fingerprints of code: what has one, what they are of, and what is no library."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import ioi_shm
import pytest

from ioi_exec.vm import code, library
from ioi_exec.vm.fingerprint import fingerprint, other_code, said_code
from ioi_exec.vm.loading import load_vm

RULES = "RATE = {rate}\nclass Part:\n    def fee(self): return RATE\nclass Chain:\n    part = Part()\n    def execute(self, tx, state, ctx): state.put(tx, b'%d' % self.part.fee())\n"


class InATest:
    """In a module that pytest rewrites."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None: ...


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, rate: int) -> str | None:
    package = folder / "chain_of_test"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "rules.py").write_text(RULES.format(rate=rate))
    monkeypatch.syspath_prepend(str(folder))
    for name in [name for name in sys.modules if name.startswith("chain_of_test")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    return fingerprint(load_vm("chain_of_test.rules:Chain"))


@pytest.mark.parametrize("installed", [False, True])
def test_a_package_of_its_own_counts_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    if installed:
        monkeypatch.setattr(code, "_installed", lambda: (f"{tmp_path}/",))
    found = [made(tmp_path / name, monkeypatch, rate) for name, rate in (("a", 1), ("elsewhere", 1), ("b", 2))]
    assert found[0] is not None and found[0] == found[1] and other_code(found[0], found[2])


def test_what_has_none() -> None:
    class Local:
        def execute(self, tx: bytes, state: Any, ctx: Any) -> None: ...

    class OfTheEngine:
        def native(self) -> object:
            return ioi_shm.payments_vm(False)

    for vm in ("payments", "ioi_exec.vm.payments_reference:PaymentsReference", InATest, Local):
        assert fingerprint(load_vm(vm)) is None, vm
    inside = fingerprint(load_vm(OfTheEngine))
    assert inside is not None and inside.startswith("ELF "), "its library is what it was loaded from"


def test_what_cannot_be_compared_is_not_other_code() -> None:
    assert other_code("ELF 1", "ELF 2") and not other_code("ELF 1", "ELF 1")
    for one, other in (("CPython 3.11 1", "CPython 3.12 2"), (None, "ELF 1"), ("ELF 1", None), (None, None), ("ELF 1", "CPython 3.11 2")):
        assert not other_code(one, other)
    for wrong in (None, 5, "x" * 201, "a\nb"):
        with pytest.raises(ValueError, match="fingerprint"):
            said_code(wrong)


def test_a_file_that_is_no_library_is_its_bytes() -> None:
    whole = Path(ioi_shm._core.__file__ or "").read_bytes()
    assert library.digest(whole) == library.digest(whole + b"beyond its sections")
    assert library.digest(b"") != library.digest(b"a")
    head = whole[:4096]
    for size in (0, 5, 6, 0x27, 0x28, 0x3A, 0x3F, 64, 4096):
        assert library.digest(head[:size])
    for at in range(0x28, 0x40):  # where its sections are, and how many
        assert library.digest(whole[:at] + b"\xff" + whole[at + 1 :])
