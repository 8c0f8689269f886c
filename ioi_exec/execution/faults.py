"""Which exceptions are a transaction's own, and so its receipt, and which stop the block."""

from __future__ import annotations

from ioi_exec.block.receipt import CODE_EXCEPTION, DONE, Receipt, kept_error
from ioi_exec.errors import LimitExceeded, VMFault
from ioi_exec.limits import Limits
from ioi_exec.vm.revert import Revert, valid_code

# These depend on the machine (free memory, stack depth, disk, installation), so they must not decide a result.
MACHINE_FAULTS = (MemoryError, RecursionError, OSError, ImportError)


class BlockStopped(BaseException):
    """Passes through a VM's `except Exception` when the state below cannot be read. Never leaves the executor."""


def failed_receipt(error: BaseException) -> Receipt | None:
    """The receipt of a transaction that raised `error`, or None if it is the machine's fault and stops the block.

    The text is the type's name alone: messages may hold addresses or ids, which differ from run to run.
    """
    if isinstance(error, MACHINE_FAULTS) or not isinstance(error, Exception):
        return None
    # A subclass may have skipped Revert's constructor or changed its fields: then it is a VM bug like any other.
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if isinstance(error, Revert) and valid_code(code) and isinstance(message, str):
        return Receipt(code=int(code), error=kept_error(message))
    return Receipt(code=CODE_EXCEPTION, error=kept_error(type(error).__name__))


def done_receipt(output: bytes | None, limits: Limits) -> Receipt:
    """The receipt of a transaction that returned `output`. Raises what `failed_receipt` then takes."""
    if output is None:
        return DONE
    if not isinstance(output, bytes):
        raise TypeError(f"execute returned {type(output).__name__}, not bytes or None")
    if len(output) > limits.output_bytes:
        raise LimitExceeded(f"an output of {len(output)} bytes: at most {limits.output_bytes} (Limits.output_bytes)")
    return Receipt(output=output)


def transaction_fault(tx_index: int, error: BaseException) -> VMFault:
    """The error that ends the block when transaction `tx_index` raised what is no receipt."""
    return transaction_failed(tx_index, _text(error))


def transaction_failed(tx_index: int, why: str) -> VMFault:
    """The same where only the text is left of what was raised."""
    return VMFault(
        tx_index,
        f"transaction {tx_index} stopped the block: {why}. This is a fault of the machine, not of the transaction, "
        "so nothing was staged; when its cause is gone, execute the block again",
    )


def end_block_fault(transactions: int, error: BaseException) -> VMFault:
    """The error that ends the block when `end_block` raised."""
    return end_block_failed(transactions, _text(error))


def end_block_failed(transactions: int, why: str) -> VMFault:
    """The same where only the text is left of what was raised."""
    return VMFault(transactions, f"end_block stopped the block: {why}. Nothing was staged; correct the VM")


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
