"""What is a transaction's failure, and what stops the block."""

from __future__ import annotations

import _ctypes
import builtins
import bz2
import concurrent.futures
import ctypes
import errno
import gzip
import os
import socket
import sys
from typing import Any, Callable
from xml.parsers import expat

import pytest

from ioi_exec import (
    ExecutionMachine,
    Limits,
    Receipt,
    Receipts,
    Revert,
    StateCorrupt,
    StateView,
    TxContext,
    VMFault,
)
from ioi_exec.block.preparation import block_context, decided_header
from ioi_exec.execution.executor import Block
from ioi_exec.execution.sequential import SequentialExecutor
from ioi_exec.state.base import CommittedState
from ioi_exec.vm.loading import load_vm

Make = Callable[..., ExecutionMachine]


class Custom(Exception):
    def __str__(self) -> str:
        raise ValueError("even its text fails")


class Bare(Revert):
    def __init__(self) -> None:
        """Without Revert's own constructor."""


class Changed(Revert):
    def __init__(self) -> None:
        super().__init__("text")
        self.code = 0


RAISED: dict[bytes, Callable[[], BaseException]] = {
    b"revert": lambda: Revert("why"),
    b"revert9": lambda: Revert("other why", code=9),
    b"revertmax": lambda: Revert("", code=2**32 - 1),
    b"revert0": lambda: Revert("x", code=0),
    b"revertbig": lambda: Revert("x", code=2**32),
    b"revertbool": lambda: Revert("x", code=True),
    b"reverttext": lambda: Revert(7),  # type: ignore[arg-type]
    b"bare": Bare,
    b"changed": Changed,
    b"key": lambda: KeyError(object()),
    b"custom": Custom,
    b"stop": lambda: StopIteration(),
    b"assert": lambda: AssertionError("text that differs from run to run"),
    b"memory": MemoryError,
    b"recursion": lambda: RecursionError("too deep"),
    b"os": lambda: FileNotFoundError(2, "gone", "file"),
    b"import": lambda: ModuleNotFoundError("no module"),
    b"exit": lambda: SystemExit(0),
    b"generator": GeneratorExit,
    b"base": lambda: BaseException("base"),
}


class Raiser:
    """Writes, then raises what the transaction names; or returns what it names."""

    def __init__(self, where: str = "execute") -> None:
        self.where = where
        if where == "decode":
            self.decode = self.decoding
        if where == "end_block":
            self.end_block = self.ending

    def decoding(self, tx: bytes) -> bytes:
        if tx in RAISED:
            raise RAISED[tx]()
        return tx

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> Any:
        state.put(b"k%d" % ctx.tx_index, tx)
        if self.where == "execute" and tx in RAISED:
            raise RAISED[tx]()
        if tx.startswith(b"return "):
            return eval(tx[7:])
        return None

    def ending(self, state: StateView, ctx: TxContext, receipts: Receipts) -> None:
        state.put(b"end", b"%d" % ctx.tx_index)
        for tx in RAISED:
            if state.get(b"k0") == tx:
                raise RAISED[tx]()


@pytest.mark.parametrize("where", ["execute", "decode"])
@pytest.mark.parametrize(
    "tx, receipt",
    [
        (b"fine", Receipt()),
        (b"revert", Receipt(1, error="why")),
        (b"revert9", Receipt(9, error="other why")),
        (b"revertmax", Receipt(2**32 - 1, error="")),
        (b"revert0", Receipt(2, error="ValueError")),
        (b"revertbig", Receipt(2, error="ValueError")),
        (b"revertbool", Receipt(2, error="ValueError")),
        (b"reverttext", Receipt(2, error="TypeError")),
        (b"bare", Receipt(2, error="Bare")),
        (b"changed", Receipt(2, error="Changed")),
        (b"key", Receipt(2, error="KeyError")),
        (b"custom", Receipt(2, error="Custom")),
        (b"stop", Receipt(2, error="StopIteration")),
        (b"assert", Receipt(2, error="AssertionError")),
        (b"return b'out'", Receipt(output=b"out")),
        (b"return b''", Receipt()),
        (b"return 'text'", Receipt(2, error="TypeError")),
        (b"return bytearray(1)", Receipt(2, error="TypeError")),
        (b"return 0", Receipt(2, error="TypeError")),
        (b"return bytes(11)", Receipt(2, error="LimitExceeded")),
    ],
)
def test_receipts(make: Make, where: str, tx: bytes, receipt: Receipt) -> None:
    machine = make(Raiser, vm_args={"where": where}, limits=Limits(output_bytes=10))
    result = machine.execute([b"before", tx, b"after"])
    assert list(result.receipts) == [Receipt(), receipt, Receipt()]
    assert dict(result.writes) == {b"k0": b"before", **({b"k1": tx} if receipt.ok else {}), b"k2": b"after"}


FAULTS = [b"memory", b"recursion", b"os", b"import", b"exit", b"generator", b"base"]


@pytest.mark.parametrize("where", ["execute", "decode"])
@pytest.mark.parametrize("tx", FAULTS)
def test_faults_of_the_machine_stop_the_block_and_name_the_transaction(make: Make, where: str, tx: bytes) -> None:
    machine = make(Raiser, vm_args={"where": where})
    root = machine.root
    with pytest.raises(VMFault, match=f"transaction 1 stopped.*{type(RAISED[tx]()).__name__}") as caught:
        machine.execute([b"before", tx, b"after"])
    assert caught.value.tx_index == 1
    assert (machine.version, machine.root) == (0, root)
    assert machine.execute([b"again"]).receipts[0].ok


@pytest.mark.parametrize("tx", [b"revert", b"key", *FAULTS])
def test_an_error_in_end_block_stages_nothing(make: Make, tx: bytes) -> None:
    machine = make(Raiser, vm_args={"where": "end_block"})
    with pytest.raises(VMFault, match="end_block") as caught:
        machine.execute([tx, b"after"])
    assert caught.value.tx_index == 2
    assert machine.version == 0 and machine.execute([b"fine"]).writes == [(b"end", b"1"), (b"k0", b"fine")]


class BadDisk(CommittedState):
    """A committed state whose disk fails at one key."""

    def get(self, key: bytes) -> bytes | None:
        if key == b"bad":
            raise StateCorrupt("row damaged")
        return super().get(key)

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Any:
        yield b"a", b"1"
        raise StateCorrupt("row damaged")


class Swallows:
    """Catches whatever reading raises, as badly written VMs do."""

    def __init__(self, where: str) -> None:
        if where == "end":
            self.end_block = self.ending

    def read(self, tx: bytes, state: StateView) -> None:
        try:
            state.get(b"bad") if tx == b"get" else list(state.scan())
        except BaseException:
            pass

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        if not hasattr(self, "end_block"):
            self.read(tx, state)

    def ending(self, state: StateView, ctx: Any, receipts: Receipts) -> None:
        self.read(ctx.txs[0], state)


@pytest.mark.parametrize("tx", [b"get", b"scan"])
@pytest.mark.parametrize("where", ["execute", "end"])
def test_a_state_that_cannot_be_read_is_no_receipt_whatever_the_vm_catches(tx: bytes, where: str) -> None:
    vm = load_vm(Swallows, [where])
    with ExecutionMachine.create(None, Swallows, vm_args=[where], workers=0) as machine:
        block = Block([tx], block_context(decided_header(None, 0, first=True), machine.root))
        with pytest.raises(StateCorrupt, match="row damaged"):
            SequentialExecutor(vm, Limits()).run(block, BadDisk([machine._store]), None)


class Watched(CommittedState):
    """A committed state that knows how many of its scans are open."""

    scans = 0

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Any:
        self.scans += 1
        try:
            yield from super().scan(start, end, reverse)
        finally:
            self.scans -= 1


class KeepsScans:
    def __init__(self) -> None:
        self.kept: list[Any] = []

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        self.kept.append(state.scan())
        next(self.kept[-1])
        if tx == b"fail":
            raise Revert("no")


def test_scans_end_with_their_transaction_even_if_the_vm_keeps_them() -> None:
    vm = load_vm(KeepsScans())
    with ExecutionMachine.create(None, KeepsScans(), genesis={b"a": b"1", b"b": b"2"}, workers=0) as machine:
        base = Watched([machine._store])
        block = Block([b"done", b"fail"], block_context(decided_header(None, 0, first=True), machine.root))
        SequentialExecutor(vm, Limits()).run(block, base, None)
        assert base.scans == 0 and len(vm.instance.kept) == 2


class NotOwner(PermissionError):
    @property
    def errno(self) -> Any:  # type: ignore[override]
        raise ValueError("it says nothing of itself")


class Clear(OSError):
    """Whatever it is asked for, it has none."""

    errno = None  # type: ignore[assignment]
    __traceback__ = None


class NoName(str):
    def partition(self, by: str) -> Any:  # type: ignore[override]
        raise MemoryError


class Both(OSError, MemoryError):
    pass


def through_generator(error: BaseException) -> Any:
    yield raised(error)


def raised(error: BaseException) -> Any:
    try:
        raise error
    finally:
        str(error.args)


def caught_and_changed() -> Any:
    try:
        open("/nowhere/at/all")
    except OSError:
        raise PermissionError("as I say") from None


def changed_class() -> Any:
    error = Clear(errno.EIO, "of the system")
    raise error


# An OSError that a VM says, in all the ways in which it may; and one that comes of the machine.
OWN: dict[bytes, Callable[[], Any]] = {
    b"permission": lambda: raised(PermissionError("not the owner")),
    b"timeout": lambda: raised(TimeoutError("too late")),
    b"bare": lambda: raised(OSError()),
    b"connection": lambda: raised(ConnectionResetError("peer")),
    b"subclass": lambda: raised(NotOwner("not the owner")),
    b"generator": lambda: list(through_generator(BlockingIOError("later"))),
    b"changed": caught_and_changed,
    b"gzip": lambda: gzip.decompress(b"no gzip at all"),
    b"bz2": lambda: bz2.decompress(b"no bz2 at all"),
    b"decoder": lambda: bz2.BZ2Decompressor().decompress(b"no bz2 at all"),
    b"address": lambda: socket.inet_pton(socket.AF_INET, "no address"),
    b"two": lambda: raised(PermissionError("who owns it", "who is not the owner")),
    b"in a group": lambda: _wide_group(_group([_raised_error(PermissionError("not the owner")), PermissionError("made only")])),
    b"executed": lambda: exec("raise PermissionError('not the owner')", {}),
    b"unnamed": lambda: exec("raise PermissionError('not the owner')", {"__name__": NoName()}),
}
SYSTEMS: dict[bytes, Callable[[], Any]] = {
    b"open": lambda: open("/nowhere/at/all"),
    b"stat": lambda: os.stat("/nowhere/at/all"),
    b"kept": lambda: raised(_system_error()),
    b"numbered": lambda: raised(OSError(errno.EIO, "as the system says it")),
    b"disguised": changed_class,
    b"both": lambda: raised(Both("an OSError, and no OSError alone")),
    b"waited": lambda: concurrent.futures.Future().result(timeout=0),
    b"socket": lambda: _timed_out(),
    b"library": lambda: ctypes.CDLL("no_such_library_anywhere.so"),
    b"c frame": lambda: _out_of_a_frame_of_c(),
    b"grouped": lambda: raised(_group([ValueError(), _group([_system_error()])])),
    b"memory grouped": lambda: raised(_group([ValueError(), MemoryError()])),
}
if sys.version_info < (3, 11):  # where this is no OSError yet, and there are no groups
    for name in (b"waited", b"grouped", b"memory grouped"):
        del SYSTEMS[name]
    del OWN[b"in a group"]


def _group(errors: list[Exception]) -> Any:
    return builtins.ExceptionGroup("several", errors)


def _wide_group(error: Exception) -> Any:
    """Each holds the one before twice: few, unless one walks all ways through them."""
    for _ in range(60):
        error = _group([error, error])
    raise error


def _raised_error(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def _out_of_a_frame_of_c() -> None:
    """expat puts a frame into the traceback for each handler, as code in C that was compiled from Python does for its functions."""
    parser = expat.ParserCreate()
    parser.EndElementHandler = _ctypes.dlopen
    parser.Parse("<no_such_library_anywhere.so/>", True)


def _system_error() -> OSError:
    try:
        os.stat("/nowhere/at/all")
    except OSError as error:
        return error
    raise AssertionError


def _timed_out() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(0.001)
        left.recv(1)


class Says:
    """Raises in execute, or in decode, which may be asked for several times."""

    def __init__(self, where: str) -> None:
        if where != "execute":
            self.decode = self.decoding
        if where == "hinted":
            self.keys = self.hinting

    def decoding(self, tx: bytes) -> bytes:
        return self.say(tx)

    def hinting(self, tx: bytes) -> list[bytes]:
        return [tx]

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        state.put(b"last", b"%d" % (int(state.get(b"last") or b"0") + 1))
        if not hasattr(self, "decode"):
            self.say(tx)

    def say(self, tx: bytes) -> bytes:
        said = OWN.get(tx) or SYSTEMS.get(tx)
        if said is not None:
            said()
        return tx


WHERE = ["execute", "decode", "hinted"]


@pytest.mark.parametrize("where", WHERE)
def test_an_oserror_that_a_vm_says_is_its_transactions(make: Make, where: str) -> None:
    machine = make(Says, vm_args={"where": where})
    result = machine.execute([tx for name in OWN for tx in (b"fine", name)])
    names = {b"subclass": "NotOwner", b"gzip": "BadGzipFile", b"connection": "ConnectionResetError", b"timeout": "TimeoutError",
             b"generator": "BlockingIOError", b"bare": "OSError", b"bz2": "OSError", b"decoder": "OSError", b"address": "OSError",
             b"in a group": "ExceptionGroup"}
    expected = [receipt for name in OWN for receipt in (Receipt(), Receipt(2, error=names.get(name, "PermissionError")))]
    assert list(result.receipts) == expected
    assert result.writes == [(b"last", b"%d" % len(OWN))]
    assert list(machine.execute([tx for name in OWN for tx in (b"fine", name)], sequential=True).receipts) == expected
    try:
        raise OSError(errno.EIO, "the caller's")
    except OSError:  # what the caller is at changes nothing
        assert machine.execute([b"permission"]).receipts[0].error.startswith("PermissionError: not the owner (test_faults.py:")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("tx", sorted(SYSTEMS))
def test_an_oserror_of_the_system_stops_the_block_and_names_the_transaction(make: Make, where: str, tx: bytes) -> None:
    machine = make(Says, vm_args={"where": where})
    for sequential in (False, True):
        with pytest.raises(VMFault, match="transaction 2 stopped the block") as caught:
            machine.execute([b"fine", b"permission", tx, b"fine"], sequential=sequential)
        assert caught.value.tx_index == 2 and machine.version == 0


class Interrupted:
    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_passes_through() -> None:
    with ExecutionMachine.create(None, Interrupted, workers=0) as machine:
        with pytest.raises(KeyboardInterrupt):
            machine.execute([b"x"])
        assert machine.version == 0


class Counter:
    """end_block sees the receipts, the transactions and the state after them; what it writes is part of the block."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        if tx == b"bad":
            raise Revert("bad")
        state.put(b"last", tx)
        return tx.upper()

    def end_block(self, state: StateView, ctx: Any, receipts: Receipts) -> None:
        state.put(b"end", repr((ctx.tx_index, ctx.height, list(ctx.txs), [r.output for r in receipts], receipts.failed)).encode())
        state.put(b"last", (state.get(b"last") or b"none") + b"!")


def test_end_block_is_part_of_the_block(make: Make) -> None:
    machine = make(Counter)
    result = machine.execute([b"a", b"bad", b"b"])
    writes = dict(result.writes)
    assert eval(writes[b"end"] or b"") == (3, 1, [b"a", b"bad", b"b"], [b"A", b"", b"B"], 1) and writes[b"last"] == b"b!"
    assert dict(machine.execute([]).writes)[b"last"] == b"none!"


class DecodeCounts:
    calls = 0

    def decode(self, tx: bytes) -> str:
        type(self).calls += 1
        return tx.decode()

    def execute(self, tx: str, state: StateView, ctx: TxContext) -> bytes:
        return f"{tx} {self.calls}".encode()


def test_decode_comes_before_execute_once() -> None:
    DecodeCounts.calls = 0
    with ExecutionMachine.create(None, DecodeCounts, workers=0) as machine:
        assert [r.output for r in machine.execute([b"a", b"b"]).receipts] == [b"a 1", b"b 2"]
