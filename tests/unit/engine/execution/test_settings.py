"""The interpreter's settings, as a VM meets them: the same in every process and mode, and the caller's left as they were."""

from __future__ import annotations

import decimal
import subprocess
import sys
import warnings
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ioi_exec import ExecutionMachine, Receipt, StateView, TxContext
from ioi_exec.execution.executors import SharedPools
from ioi_exec.execution.settings import INT_DIGITS, RECURSION_LIMIT, apart
from ioi_exec.pytest_plugin import Machines

CALLERS: ContextVar[str] = ContextVar("CALLERS", default="none")


class Seen:
    """Says what it finds, by name; and changes it, which the next transaction must not notice."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        state.get(b"k")
        return str(getattr(self, tx.decode())()).encode()

    def digits(self) -> object:
        try:
            found: object = len(str(10**5000))
        except ValueError:
            found = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)
        return found

    def limit(self) -> object:
        found = sys.getrecursionlimit()
        sys.setrecursionlimit(found + 100)
        return found

    def depth(self) -> object:
        def deeper(n: int) -> int:
            try:
                return deeper(n + 1)
            except RecursionError:
                return n

        return deeper(0)

    def third(self) -> object:
        found = decimal.Decimal(1) / 3
        decimal.getcontext().prec = 3
        return found

    def traps(self) -> object:
        return decimal.getcontext()

    def warned(self) -> object:
        try:
            warnings.warn("a VM's own", DeprecationWarning, stacklevel=1)
            return "went on"
        except DeprecationWarning:
            return "raised"
        finally:
            warnings.simplefilter("error")

    def variable(self) -> object:
        found = CALLERS.get()
        CALLERS.set("a VM's")
        return found


ASKED = [b"digits", b"limit", b"depth", b"third", b"traps", b"warned", b"variable"]


@pytest.fixture
def strange_caller() -> Iterator[Callable[[], tuple[object, ...]]]:
    """Everything in the caller is otherwise; the function says what it is."""
    former = sys.get_int_max_str_digits(), sys.getrecursionlimit(), decimal.DefaultContext.copy(), decimal.getcontext().copy()
    token = CALLERS.set("the caller's")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sys.set_int_max_str_digits(0)
        sys.setrecursionlimit(3000)
        for context in (decimal.DefaultContext, decimal.getcontext()):
            context.prec, context.rounding, context.Emax, context.clamp = 7, decimal.ROUND_UP, 99, 1
            context.traps[decimal.Inexact] = True
        yield lambda: (
            sys.get_int_max_str_digits(), sys.getrecursionlimit(), repr(decimal.DefaultContext), repr(decimal.getcontext()),
            list(warnings.filters), CALLERS.get(),
        )
    CALLERS.reset(token)
    sys.set_int_max_str_digits(former[0])
    sys.setrecursionlimit(former[1])
    decimal.setcontext(former[3])
    for name in ("prec", "rounding", "Emax", "clamp"):
        setattr(decimal.DefaultContext, name, getattr(former[2], name))
    decimal.DefaultContext.traps.update(former[2].traps)


def test_a_vm_meets_the_stated_settings_whatever_the_callers_are(
    ioi: Machines, strange_caller: Callable[[], tuple[object, ...]]
) -> None:
    before = strange_caller()
    machine = ioi(vm=Seen)
    found = [receipt.output or receipt.error for receipt in machine.execute(ASKED * 3).receipts]
    assert strange_caller() == before
    digits, limit, depth, third, traps, warned, variable = found[: len(ASKED)]
    assert (digits, limit, warned, variable) == (b"%d" % INT_DIGITS, b"%d" % RECURSION_LIMIT, b"went on", b"none")
    assert RECURSION_LIMIT - 10 < int(depth) < RECURSION_LIMIT
    assert third == b"0." + b"3" * 28
    assert b"prec=28, rounding=ROUND_HALF_EVEN" in traps and b"Inexact" not in traps  # type: ignore[operator]
    assert found == found[: len(ASKED)] * 3, "a transaction left something behind"


class Beside(Seen):
    """What it has beside `execute` changes what `execute` must not notice: it is called in another process, or earlier, or not."""

    def decode(self, tx: bytes) -> bytes:
        sys.set_int_max_str_digits(0)
        warnings.simplefilter("error")
        sys.setrecursionlimit(5000)
        decimal.getcontext().prec = 3
        return tx

    def keys(self, tx: bytes) -> Iterator[bytes]:
        yield b"k"
        self.decode(tx)


def test_what_a_vm_has_beside_execute_changes_nothing_for_it(ioi: Machines) -> None:
    receipts = ioi(vm=Beside).execute(ASKED * 3).receipts
    assert list(receipts) == list(ioi(vm=Seen).execute(ASKED * 3).receipts)


def test_callbacks_have_the_callers_settings(ioi: Machines, strange_caller: Callable[[], tuple[object, ...]]) -> None:
    before = strange_caller()
    seen: list[object] = []

    def on_receipt(index: int, receipt: Receipt) -> None:
        seen.append(strange_caller())

    ioi(vm=Seen).execute(ASKED, on_receipt=on_receipt, on_progress=lambda progress: seen.append(strange_caller()))
    assert seen == [before] * len(seen) and len(seen) > len(ASKED)


def test_however_deep_the_caller_is(pools_of_this_file: SharedPools) -> None:
    def deep(n: int, machine: ExecutionMachine) -> Any:
        return deep(n - 1, machine) if n else machine.execute([b"depth"]).receipts[0].output

    found = set()
    for workers in (0, 1):
        with ExecutionMachine.create(None, Seen, workers=workers, pin=False, executors=pools_of_this_file.executors()) as machine:
            found |= {deep(0, machine), deep(500, machine)}
    assert len(found) == 1


ITERABLE = """
class Iterable:
    def __iter__(self):
        return iter([1])

def deep(n):
    return list(Iterable()) if n == 0 else deep(n - 1)
"""


def deepest(made: Callable[[], Callable[[int], object]]) -> int:
    """The largest argument at which what is made does not raise RecursionError under the stated limit."""

    def goes(n: int) -> bool:
        try:
            apart(made(), n)
            return True
        except RecursionError:
            return False

    return max(n for n in range(RECURSION_LIMIT - 20, RECURSION_LIMIT) if goes(n))


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="whose depth changes, if any is known, differs between minor versions")
def test_a_recursion_error_must_not_decide_a_receipt() -> None:
    """The same code at the same depth under the same limit fails when it is new and succeeds when it has run for a while."""

    def made() -> Callable[[int], object]:
        namespace: dict[str, Any] = {}
        exec(ITERABLE, namespace)
        deep: Callable[[int], object] = namespace["deep"]
        return deep

    warm = made()
    for _ in range(100):
        warm(3)
    assert deepest(made) < deepest(lambda: warm)


@pytest.fixture(scope="module")
def pools_of_this_file() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


SCRIPT = """
import sys
from ioi_exec import ExecutionMachine, VMError
from asserting import Asserting

try:
    with ExecutionMachine.create(None, Asserting, workers=int(sys.argv[1]), pin=False) as machine:
        print(machine.execute([b"1" * 5000, b"x"]).receipts_root.hex())
except VMError as error:
    print("refused:", error)
"""
ASSERTING = """
import os, sys, warnings

class Asserting:
    def execute(self, tx, state, ctx):
        if tx == b"x":
            warnings.warn("old")
            assert "PYTHONOPTIMIZE" not in os.environ or os.environ["PYTHONOPTIMIZE"] == ""
            assert False
        return b"%d" % int(tx)
"""


@pytest.mark.parametrize(
    "options, environment",
    [
        (["-O"], {}), ([], {"PYTHONOPTIMIZE": "1"}), (["-W", "error", "-bb", "-X", "dev", "-X", "int_max_str_digits=0"], {}),
        ([], {"PYTHONWARNINGS": "error", "PYTHONINTMAXSTRDIGITS": "0", "PYTHONDEVMODE": "1"}),
    ],
)
def test_flags_of_the_caller(tmp_path: Path, options: list[str], environment: dict[str, str]) -> None:
    (tmp_path / "asserting.py").write_text(ASSERTING)
    (tmp_path / "script.py").write_text(SCRIPT)

    def root(workers: int, *options: str, **environment: str) -> str:
        command = [sys.executable, *options, "script.py", str(workers)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={"PATH": "", **environment})
        assert done.returncode == 0, done.stderr
        return done.stdout

    expected = root(0)
    assert len(expected) == 65
    assert root(1, *options, **environment) == expected
    alone = root(0, *options, **environment)
    if "-O" in "".join(options) or "PYTHONOPTIMIZE" in environment:
        assert alone.startswith("refused: this Python runs with -O") and "workers=1" in alone
    else:
        assert alone == expected
