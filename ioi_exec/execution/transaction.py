"""One execution of a transaction, or of a hook: the same code wherever it runs, so that it ends in the same receipt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Protocol, Sequence

from ioi_shm import Plain, State, call_apart

from ioi_exec.block.context import BlockContext, TxContext
from ioi_exec.block.hook import Hook
from ioi_exec.block.receipt import CODE_OUT_OF_GAS, DONE, Receipt, Receipts
from ioi_exec.block.updates import EndBlock
from ioi_exec.execution.faults import done_receipt, failed_receipt
from ioi_exec.limits import Limits
from ioi_exec.vm.interpreter import RECURSION_LIMIT
from ioi_exec.vm.loading import LoadedVM


class Abandoned(BaseException):
    """Raised into a VM whose execution is of no use any more: the state below cannot be read, or its reads were overtaken.

    No Exception: `except Exception` must not stop it, and a VM that swallows it all the same meets it again at its next
    step and is thrown away at the end. Never leaves the executor.
    """


class BackEnd(Protocol):
    """What stands behind a state: `ioi_shm.View` or `ioi_shm.Plain`."""

    def end(self) -> None: ...
    def meter(self) -> None: ...
    def gas_limit(self, limit: int, /) -> None: ...
    def gas(self) -> tuple[int, int, bool] | None: ...


def run_transaction(
    back: Plain,
    state: State,
    vm: Any,
    decode: Callable[[Any], Any] | None,
    tx: Any,
    ctx: TxContext,
    limits: Limits,
    ante: bool = False,
    what: str = "execute",
) -> tuple[Receipt, BaseException | None]:
    """Its receipt, and beside it the exception that is none and stops the block. decode: calls the VM's, if it has one. ante: the VM
    has one. what: the method that stands as `execute` in the VM. The state has ended before anything looks at what was returned or raised.

    Whether the back end is cut must be looked at afterwards: then this says nothing.
    """
    try:
        back.meter()
        execute, given = vm.execute, tx if decode is None else decode(tx)
        if limits.gas is not None and hasattr(vm, "gas_limit"):
            back.gas_limit(call_apart(RECURSION_LIMIT, vm.gas_limit, given))
        if ante:
            call_apart(RECURSION_LIMIT, vm.ante, given, state, ctx)
            back.hold()
        output = call_apart(RECURSION_LIMIT, execute, given, state, ctx)
    except BaseException as error:
        back.end()
        return _metered(back, _failed(error, limits, ante and not back.held), ante and not back.held)
    back.end()
    return _metered(back, (done_receipt(output, limits, what), None), ante and not back.held)


def kept(plain: Plain, receipt: Receipt) -> tuple[Receipt, list[bytes]]:
    """Take what a transaction wrote, executed on `plain`, into the block. Its receipt with its events, and the keys."""
    if not (receipt.ok or plain.held):
        return receipt, []
    keys, events = plain.keep(receipt.ok)
    return replace(receipt, packed_events=events) if events else receipt, keys


def settled(
    back: BackEnd, output: object, error: BaseException | None, refused: bool, limits: Limits
) -> tuple[Receipt, BaseException | None]:
    """The same of an execution that is over: what it returned, or what it raised, which is under way (`sys.exc_info`) as above.

    Not raised anew here: its traceback would hold this frame, and this frame it, and so all that the VM's frames hold would
    live on to some later collection, in the middle of another transaction.
    """
    return _metered(back, (done_receipt(output, limits), None) if error is None else _failed(error, limits, refused), refused)


def _metered(back: BackEnd, came_to: tuple[Receipt, BaseException | None], refused: bool) -> tuple[Receipt, BaseException | None]:
    """With the gas it used; and if it ran out, that alone, whatever the VM made of it."""
    if (gas := back.gas()) is None:
        return came_to
    limit, used, out = gas
    receipt, fault = (Receipt(CODE_OUT_OF_GAS, error="out of gas", refused=refused), None) if out else came_to
    return replace(receipt, gas_wanted=limit, gas_used=used), fault


def _failed(error: BaseException, limits: Limits, refused: bool) -> tuple[Receipt, BaseException | None]:
    receipt = failed_receipt(error, limits, refused)
    return (DONE, error) if receipt is None else (receipt, None)


def refused(verify: Callable[[bytes], None], tx: bytes, limits: Limits) -> tuple[Receipt | None, BaseException | None]:
    """What a VM in C has in Python to say of a transaction before it is executed: nothing, or as above."""
    try:
        call_apart(RECURSION_LIMIT, verify, tx)
    except BaseException as error:
        return _failed(error, limits, False)
    return None, None


@dataclass(frozen=True)
class HookCall:
    """What a hook is called with; `txs` and `receipts` of the block that it ends."""

    hook: Hook
    context: BlockContext
    txs: Sequence[bytes]
    receipts: Receipts

    def arguments(self, vm: LoadedVM) -> tuple[object, ...]:
        """All but the state. The VM gets a `Receipts` of its own."""
        if self.hook is Hook.END_BLOCK:
            return self.context.of_end(self.txs), Receipts(self.receipts.blob, self.receipts.ends)
        ctx = self.context.of_begin(self.hook)
        return (ctx,) if self.hook is Hook.BEGIN_BLOCK else (ctx, vm.from_version)


def run_hook(back: BackEnd, state: State, vm: LoadedVM, call: HookCall) -> tuple[Receipt, BaseException | None]:
    """What it returned, as a receipt, and what it raised, if anything; as above."""
    name = call.hook.method
    try:
        given = call_apart(RECURSION_LIMIT, getattr(vm.instance, name), state, *call.arguments(vm))
        if given is not None and not (call.hook is Hook.END_BLOCK and type(given) is EndBlock):
            kind = str.__str__(type.__dict__["__name__"].__get__(type(given)))
            raise TypeError(f"{name} returned {kind}: return {'EndBlock or ' * (call.hook is Hook.END_BLOCK)}None")
    except BaseException as error:
        back.end()
        return DONE, error
    back.end()
    return DONE if given is None else Receipt(output=given.encode()), None
