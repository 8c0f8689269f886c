"""What the calling program's signal handlers raise at `workers=0` is the program's, whatever a VM makes of it."""

from __future__ import annotations

import asyncio
import decimal
import os
import signal
import sys
import threading
import warnings
from types import FrameType
from typing import Any, Callable, Iterator

import pytest
from ioi_shm import signal_restarts

from ioi_exec import ExecutionMachine, Revert, StateView, TxContext, VMFault
from ioi_exec.execution import sequential, settings, signals


class SoftTimeLimit(Exception):
    pass


class Stop(KeyboardInterrupt):
    pass


class Signalled:
    """Sends its own process a signal, and does with what comes of it what the transaction says."""

    def __init__(self, where: str = "execute") -> None:
        if where == "decode":
            self.decode = self.decoding
        if where == "end_block":
            self.end_block = self.ending

    def decoding(self, tx: bytes) -> bytes:
        self.meet(tx)
        return b"decoded"

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        state.put(b"key", tx)
        if not hasattr(self, "end_block"):
            self.meet(tx)

    def ending(self, state: StateView, ctx: Any, receipts: Any) -> None:
        self.meet(ctx.txs[0])

    def meet(self, tx: bytes) -> None:
        if tx == b"lets it pass":
            self.signal()
        elif tx == b"makes it its own":
            try:
                self.signal()
            except BaseException:
                raise Revert("too late") from None
        elif tx == b"catches it":
            try:
                self.signal()
            except BaseException:
                pass
        elif tx == b"puts an error of the system in its place":
            try:
                self.signal()
            finally:
                open("/nowhere/at/all")

    def signal(self) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1000):
            pass  # a handler runs between two instructions


WAYS = [b"lets it pass", b"makes it its own", b"catches it", b"puts an error of the system in its place"]


@pytest.fixture
def handled() -> Iterator[Callable[[Any], Any]]:
    """handled(what): from now on SIGUSR1 raises it, or calls it; the handler."""
    before = signal.getsignal(signal.SIGUSR1)

    def put(what: Any) -> Any:
        def handler(number: int, frame: Any) -> None:
            if isinstance(what, BaseException):
                raise what
            what(number, frame)

        signal.signal(signal.SIGUSR1, handler)
        return handler

    yield put
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("error", [SoftTimeLimit("60 s"), SystemExit(7), Stop("enough"), MemoryError(), TimeoutError("over")], ids=repr)
@pytest.mark.parametrize("where", ["execute", "decode", "end_block"])
@pytest.mark.parametrize("tx", WAYS)
def test_it_propagates_and_nothing_is_staged(handled: Callable[[Any], Any], error: BaseException, where: str, tx: bytes) -> None:
    handler = handled(error)
    with ExecutionMachine.create(None, Signalled, vm_args={"where": where}, workers=0) as machine:
        root, told = machine.root, []
        with pytest.raises(type(error)) as caught:
            machine.execute([tx, b"next"], on_receipt=lambda index, receipt: told.append(index))
        assert caught.value is error and signal.getsignal(signal.SIGUSR1) is handler
        assert told == ([0, 1] if where == "end_block" else [])
        assert (machine.version, machine.root) == (0, root)
        handled(lambda number, frame: None)
        assert machine.execute([b"after"]).receipts[0].ok


def test_a_handler_that_raises_nothing_changes_nothing(handled: Callable[[Any], Any]) -> None:
    seen: list[int] = []
    handled(lambda number, frame: seen.append(number))
    with ExecutionMachine.create(None, Signalled, workers=0) as machine:
        assert machine.execute([b"lets it pass", b"catches it"]).failed == 0
    assert seen == [signal.SIGUSR1] * 2


def test_a_callback_may_handle_its_own(handled: Callable[[Any], Any]) -> None:
    handled(SoftTimeLimit())

    def told(index: int, receipt: Any) -> None:
        with pytest.raises(SoftTimeLimit):
            Signalled().signal()

    with ExecutionMachine.create(None, Signalled, workers=0) as machine:
        assert machine.execute([b"one", b"two"], on_receipt=told).failed == 0


def test_a_handler_that_puts_another_in_its_place_is_obeyed(handled: Callable[[Any], Any]) -> None:
    handled(lambda number, frame: signal.signal(signal.SIGUSR1, signal.SIG_IGN))
    with ExecutionMachine.create(None, Signalled, workers=0) as machine:
        machine.execute([b"lets it pass"])
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN


def test_what_a_vm_raises_itself_is_no_signals() -> None:
    class Raises:
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
            raise SystemExit(7) if tx == b"exit" else Stop()

    with ExecutionMachine.create(None, Raises, workers=0) as machine:
        with pytest.raises(VMFault, match="transaction 0 stopped the block: SystemExit"):
            machine.execute([b"exit"])
        with pytest.raises(Stop):
            machine.execute([b"ctrl-c"])


def test_wherever_it_is_raised_everything_is_as_it_was(handled: Callable[[Any], Any]) -> None:
    """At each line of the engine's own around a VM: settings and handlers are the program's again, all of them."""
    handler = handled(SoftTimeLimit())
    files = {module.__file__ for module in (sequential, settings, signals)}
    line = [0]

    def there() -> list[object]:
        filters = id(warnings.filters), list(warnings.filters)
        return [sys.get_int_max_str_digits(), repr(decimal.DefaultContext), filters, *map(signal.getsignal, signal.valid_signals())]

    def traced(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in files or "seeing" in frame.f_code.co_name:
            return None
        if event == "line":
            line[0] -= 1
            if line[0] == 0:
                signal.raise_signal(signal.SIGUSR1)
        return traced

    class Changes:
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
            sys.set_int_max_str_digits(0)
            warnings.simplefilter("error")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before, raised, number = there(), 0, 0
        while raised == number or number == 0:
            number += 1
            line[0] = number
            with ExecutionMachine.create(None, Changes, workers=0) as machine:
                former = sys.gettrace()
                sys.settrace(traced)
                try:
                    machine.execute([b"one", b"two"], on_receipt=lambda index, receipt: None)
                except SoftTimeLimit:
                    raised += 1
                finally:
                    sys.settrace(former)
            assert there() == before, f"the {number}th line"
    assert raised > 100 and signal.getsignal(signal.SIGUSR1) is handler


@pytest.mark.parametrize("restarts", [False, True])
def test_handlers_are_left_as_they_were(handled: Callable[[Any], Any], restarts: bool) -> None:
    handler = handled(lambda number, frame: None)
    signal.siginterrupt(signal.SIGUSR1, not restarts)
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    inside: list[bool] = []

    class Looks:
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
            inside.append(signal_restarts(signal.SIGUSR1))

    with ExecutionMachine.create(None, Looks, workers=0) as machine:
        machine.execute([b"x"])
        thread = threading.Thread(target=lambda: machine.execute([b"x"]))  # where no handler runs
        thread.start()
        thread.join()

        async def beside() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, lambda: None)
            machine.execute([b"x"])
            assert signal_restarts(signal.SIGUSR2)
            asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR2)

        asyncio.run(beside())
    assert inside == [restarts] * 3 and signal_restarts(signal.SIGUSR1) == restarts
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
    assert signal.getsignal(signal.SIGUSR1) is handler
