"""Which exceptions are a transaction's own, and so its receipt, and which stop the block."""

from __future__ import annotations

import builtins
import os
import re
import sys
import traceback
from opcode import opmap
from types import FrameType
from typing import Any, Iterator

from ioi_shm import call_apart, exact_bytes

from ioi_exec.block.hook import Hook
from ioi_exec.block.receipt import CODE_EXCEPTION, CODE_REFUSED, DONE, ERROR_BYTES, Receipt, kept_error
from ioi_exec.errors import LimitExceeded, VMFault
from ioi_exec.limits import Limits
from ioi_exec.vm.interpreter import RECURSION_LIMIT
from ioi_exec.vm.revert import Revert, valid_code

# These depend on the machine (free memory, installation), so they must not decide a result; nor must an OSError of the system (disk,
# network): see `_is_own`. Nor RecursionError, though every call starts at one depth under one limit: how deep it gets depends on how
# warm the interpreter's inline caches are (shown in tests/unit/engine/execution/test_settings.py).
MACHINE_FAULTS = (MemoryError, RecursionError, ImportError)

ALONE_PATIENCE = 20
"""How often stall_seconds a transaction may take that has a worker for itself: what takes long does not hang."""

# What a class was named, an error's number, and where it comes from, whatever a VM's class says of itself.
_name_of: Any = type.__dict__["__name__"].__get__
_errno_of: Any = OSError.__dict__["errno"].__get__
_args_of: Any = BaseException.__dict__["args"].__get__
_trace_of: Any = BaseException.__dict__["__traceback__"].__get__
_CAUSE: Any = BaseException.__dict__["__cause__"].__get__
_CONTEXT: Any = BaseException.__dict__["__context__"].__get__
_SUPPRESSED: Any = BaseException.__dict__["__suppress_context__"].__get__
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())  # from Python 3.11 on
_grouped_in: Any = _GROUP and _GROUP.__dict__["exceptions"].__get__

_RAISE = opmap["RAISE_VARARGS"]
_DECODERS = {"gzip", "bz2", "_compression", "compression"}  # what they raise without a number is about the bytes they were given
_OF_ITS_BYTES = {  # and so is what functions in C say with these words
    ("Invalid data stream",),  # bz2
    ("illegal IP address string passed to inet_pton",),
    ("illegal IP address string passed to inet_aton",),
    ("packed IP wrong length",),
}


_OF_THE_ENGINE = {"ioi_exec", "ioi_shm", "ioi_storage"}
_PLACE_MOST = 120  # bytes of a file's name and a line
_FRAMES_MOST, _LINKS_MOST = 50, 8  # of a traceback: the innermost of each error, and errors that led to others
_ADDRESS = re.compile(" at 0x[0-9a-f]{6,16}>")  # what object.__repr__ ends with


class NoDebugger(BaseException):
    """What `breakpoint()` raises in a worker: no Exception, so that it stops the block, whatever the VM catches."""


def no_debugger(*_: object, **__: object) -> None:
    """sys.breakpointhook of worker processes."""
    raise NoDebugger(
        "breakpoint() in a worker process, which has no terminal: use workers=0, which executes in the calling process"
    )


class WorkerFault(Exception):
    """The traceback of what stopped a block in a worker, as the cause of a VMFault."""

    def __str__(self) -> str:
        return f"\n{self.args[0].rstrip()}"


def failed_receipt(error: BaseException, limits: Limits, refused: bool = False) -> Receipt | None:
    """The receipt of a transaction that raised `error`, or None if it is the machine's fault and stops the block. refused: before or
    in `ante`.

    What kind of error it is, its type says, and not its `__class__`, which may be anything.
    """
    kind = type(error)
    if not issubclass(kind, Exception) or any(map(_is_the_machines, _leaves(error))):
        return None
    if issubclass(kind, Revert):
        try:
            code, message = error.code, error.message  # type: ignore[attr-defined]
        except Exception:
            code = message = None
        # A subclass may have skipped Revert's constructor or changed its fields: then it is a VM bug like any other.
        if valid_code(code) and issubclass(type(message), str):
            return Receipt(code=int.__index__(code), error=kept_error(message), refused=refused)
    place = _place_of(error)
    text = kept_error(_ADDRESS.sub(">", _text(error)), ERROR_BYTES - len(place.encode())) + place
    trace = fault_trace(error).encode("utf-8", "backslashreplace")[-most:] if (most := limits.traceback_bytes) else b""
    code = CODE_REFUSED if refused else CODE_EXCEPTION
    return Receipt(code=code, error=text, refused=refused, traceback=trace.decode("utf-8", "ignore"))


def _place_of(error: BaseException) -> str:
    """ (file:line) in the VM: the innermost frame that is neither the engine's nor the standard library's; empty if there is none."""
    trace, found = _trace_of(error), None
    while trace is not None:
        if _is_of_vm(trace.tb_frame):
            found = trace
        trace = trace.tb_next
    if found is None:
        return ""
    place = f" ({os.path.basename(found.tb_frame.f_code.co_filename)}:{found.tb_lineno})"
    return place if len(place.encode("utf-8", "replace")) <= _PLACE_MOST and place.isprintable() else ""


def _is_of_vm(frame: FrameType) -> bool:
    module = _module_of(frame)
    return module not in _OF_THE_ENGINE and module not in sys.stdlib_module_names


def _module_of(frame: FrameType) -> str:
    """The outermost package of what runs in it."""
    name = dict.get(frame.f_globals, "__name__")
    return name.partition(".")[0] if type(name) is str else ""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, each once, however they are nested; of any other error itself."""
    todo, seen = [error], set()
    while todo:
        leaf = todo.pop()
        if id(leaf) in seen:
            continue
        seen.add(id(leaf))
        if issubclass(type(leaf), _GROUP):
            todo.extend(_grouped_in(leaf))
        else:
            yield leaf


def _is_the_machines(error: BaseException) -> bool:
    kind = type(error)
    return issubclass(kind, MACHINE_FAULTS) or issubclass(kind, OSError) and not _is_own(error)


def _is_own(error: BaseException) -> bool:
    """Whether no system call is behind an OSError: a VM says PermissionError("not the owner"), and a sender can have it say so.

    An error of the system has its number; what a VM says first of two things (`PermissionError(owner, sender)`) stands in the
    same place, and is none. Without one it may still be the machine's (a timeout, a library that is not there), so it must
    come from a `raise`, not out of a call into C, and not one in the standard library, which gives up waiting, or the
    network, by a `raise` too. All this is in the code that ran, the same in every process and mode.
    """
    if issubclass(type(_errno_of(error)), int):
        return False
    if type(error) is OSError and _says_of_its_bytes(_args_of(error)):
        return True
    trace = _trace_of(error)
    if trace is None:
        return True  # nothing raised it: a VM made it, and put it into a group
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = _module_of(trace.tb_frame)
    if module in _DECODERS:
        return True
    code, at = trace.tb_frame.f_code.co_code, trace.tb_lasti
    # Code in C may put in a frame of its own that holds none, or says that it was nowhere in it.
    return 0 <= at < len(code) and code[at] == _RAISE and module not in sys.stdlib_module_names


def _says_of_its_bytes(args: Any) -> bool:
    return len(args) == 1 and type(args[0]) is str and args in _OF_ITS_BYTES


def done_receipt(output: object, limits: Limits, what: str = "execute") -> Receipt:
    """The receipt of a transaction that returned `output`: of a subclass of bytes, what it truly holds. what: returned it."""
    if output is None:
        return DONE
    if not issubclass(type(output), bytes):
        return _failed(TypeError, f"{what} returned {str.__str__(_name_of(type(output)))}: return bytes or None")
    exact = exact_bytes(output)  # type: ignore[arg-type]
    if len(exact) > limits.output_bytes:
        return _failed(LimitExceeded, f"an output of {len(exact)} bytes: at most {limits.output_bytes} (Limits.output_bytes)")
    return Receipt(output=exact)


def _failed(kind: type[BaseException], text: str) -> Receipt:
    return Receipt(code=CODE_EXCEPTION, error=kept_error(f"{kind.__name__}: {text}"))


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


def named(tx_index: int, transactions: int, hook: Hook) -> str:
    """What a block was at: a transaction, or what comes after the last one."""
    return f"transaction {tx_index}" if tx_index < transactions else hook.method


def hangs(tx_index: int, transactions: int, hook: Hook, seconds: float) -> VMFault:
    """The error that ends the block when what had a worker for itself was not done after so many seconds."""
    return VMFault(
        tx_index,
        f"{named(tx_index, transactions, hook)} hangs: alone in a worker it did not end within {seconds:g} seconds, {ALONE_PATIENCE} times "
        "Limits.stall_seconds. Nothing was staged",
    )


def hook_fault(hook: Hook, transactions: int, error: BaseException) -> VMFault:
    """The error that ends the block when a hook raised."""
    return hook_failed(hook, transactions, _text(error))


def hook_failed(hook: Hook, transactions: int, why: str) -> VMFault:
    """The same where only the text is left of what was raised."""
    return VMFault(transactions, f"{hook.method} stopped the block: {why}. Nothing was staged; correct the VM")


def fault_trace(error: BaseException) -> str:
    """Where it came from, for a person to read; the last line says what it was. Raises nothing, whatever the error is.

    Bounded in all that a VM makes: frames, errors that led to others, and groups, whose members are not looked at, for there may be
    more ways through them than anybody has time for."""
    told: list[str] = []
    link: BaseException | None = error
    while link is not None and len(told) < _LINKS_MOST:
        try:
            frames = "".join(traceback.format_tb(_trace_of(link), -_FRAMES_MOST))
        except BaseException:
            frames = ""
        told.append(("Traceback (most recent call last):\n" + frames if frames else "") + _text(link))
        cause, context = _CAUSE(link), _CONTEXT(link)
        link = cause if cause is not None or _SUPPRESSED(link) else context
    return "\n\nwhich led to:\n\n".join(reversed(told))


def raised_at(error: BaseException) -> str:
    """ (raised at file:line in function), so that the author of a VM finds it; empty if that is not known."""
    frames = traceback.extract_tb(_trace_of(error))
    if frames:
        return f" (raised at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})"
    in_worker = re.findall(r'File "(.+)", line (\d+), in (.+)', str(error)) if type(error) is WorkerFault else []  # it came as text
    return " (raised at {}:{} in {})".format(*in_worker[-1]) if in_worker else ""


def _text(error: BaseException) -> str:
    name = str.__str__(_name_of(type(error)))
    try:
        text = str.__str__(call_apart(RECURSION_LIMIT, str, error))  # it may be the VM's code
    except BaseException:
        text = "(its text cannot be shown)"
    return f"{name}: {text}".replace("\n", " ") if text else name
