"""The program in docs/vm.md is run as it stands, block after block, and so is its VM in C."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import compiled
import ioi_shm
import pytest

from ioi_exec import Event, ExecutionMachine, GasSchedule

GUIDE = Path(__file__).parents[2] / "docs" / "vm.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_guide_is_a_program(tmp_path: Path) -> None:
    parts = blocks("python")
    assert len(parts) >= 2
    (tmp_path / "guide.py").write_text("\n\n".join(parts))
    done = subprocess.run([sys.executable, "guide.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "[True, True, False]" in lines
    assert "[(('sun', 2024), b'ada'), (('sun', 2025), b'bob')]" in lines
    assert "[(('sun', 2025), b'bob')] 3" in lines
    assert "['', 'signature']" in lines
    assert "['not today', 'nonce', 'not today', 'fee']" in lines


class Purse:
    def __init__(self, library: str) -> None:
        self._library = library

    def native(self) -> object:
        return ioi_shm.load_native_vm(self._library, "ioi_vm_purse")


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_the_vm_in_c_is_one(tmp_path: Path, workers: int) -> None:
    (source,) = blocks("c")
    (tmp_path / "purse.c").write_text(source)
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]
    library = compiled.program("purse.so", [tmp_path / "purse.c"], flags, [ioi_shm.include_dir()])
    ada, bob = b"ada".ljust(8), b"bob".ljust(8)
    txs = [ada + bob + number(3), ada + bob + number(99), b"cy".ljust(8) + ada + number(1), bob, bob + b"?", b"?"]
    gas = GasSchedule(scan=100, emit=1, tx_limit=650)
    genesis = {b"m" + ada: number(10), b"m" + bob: number(3)}
    for schedule, total, used in ((None, number(10)[::-1], 0), (gas, b"", 650)):
        with ExecutionMachine.create(None, Purse, vm_args=[str(library)], genesis=genesis, gas=schedule, workers=workers, pin=False) as machine:
            result = machine.execute(txs)
            machine.commit(result)
            sent, funds, poor, asked, malformed, nothing = result.receipts
            assert sent.events == (Event("transfer", (("to", bob), ("amount", 3))),) and sent.ok
            assert (funds.code, funds.error, funds.refused, funds.events) == (2, "funds", False, ())
            assert poor.refused and nothing.refused and (malformed.code, malformed.error) == (3, "malformed")
            assert asked.output == total and asked.gas_used == used and asked.code == (11 if schedule else 0)
            assert dict(machine.scan()) == {b"m" + ada: number(5), b"m" + bob: number(4)}
