"""Every error of the engine. `except ioi_exec.Error` catches them all; each says what was wrong, where, and what to do.

`exit_status` is what the command line returns for it (1 failed, 2 wrong usage or input, 3 state in use, 4 disk or
memory, 5 diverged, 6 state corrupt). Whatever is raised, the committed state is as it was.
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """The base of all errors of ioi_exec."""

    exit_status: ClassVar[int] = 1


# What the caller handed in.


class InputError(Error, ValueError):
    """A value, file or argument that cannot be accepted as it is."""

    exit_status = 2


class InputTypeError(Error, TypeError):
    """A value of the wrong type."""

    exit_status = 2


class LimitExceeded(Error):
    """Something is larger than `Limits` allows. Raised into a VM it fails the transaction; raised by `execute`, the block."""

    exit_status = 2


class VMError(InputError):
    """The virtual machine cannot be found, imported, built or used."""


class VMMismatch(InputError):
    """The state belongs to another virtual machine, or to another version of this one."""


# The state on disk.


class StateError(Error):
    """Something about a state directory."""

    exit_status = 2


class StateMissing(StateError):
    """There is no state at this path."""


class StateExists(StateError):
    """The path is taken: by a state with a history or another genesis, or by other files."""


class VersionMissing(StateError):
    """The state does not hold this version."""


class ReadOnly(StateError):
    """The machine was opened read-only."""


class StateInUse(StateError):
    """Another engine holds this state."""

    exit_status = 3


class ResourceError(Error):
    """Disk or memory ran out, or the disk failed. The committed state is whole."""

    exit_status = 4


class StateCorrupt(StateError):
    """The state's bytes are not what was written. Restore it from a snapshot or another node."""

    exit_status = 6


# The use of a machine.


class MachineClosed(Error):
    """The machine was closed."""


class MachineBusy(Error):
    """The machine is in use by another thread, or was called again from inside `execute`. Reads are never refused so, but in a sandbox."""


class StaleResult(Error):
    """The result was staged on a state that is no longer the current one, or by another machine."""


# The execution of a block.


class VMFault(Error):
    """The block stopped: a fault of the machine or an error in a hook of the VM. The original exception is `__cause__`.

    `tx_index` names the transaction that was running; it is the number of transactions when `end_block` was, -1 when `begin_block` or
    `migrate` was.
    """

    def __init__(self, tx_index: int, message: str) -> None:
        super().__init__(message)
        self.tx_index = tx_index

    def __reduce__(self) -> tuple[type[VMFault], tuple[int, str]]:
        return type(self), (self.tx_index, str(self))


class Diverged(Error):
    """A result is not the one that was expected."""

    exit_status = 5
