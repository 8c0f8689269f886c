"""The settings of the interpreter under which every VM executes: stated here, the same in every process and mode.

Workers are started with them; execution in the calling process (`workers=0`) puts them in force around the VM and brings the
caller's back. What is of a call (depth, recursion limit, context variables, and with these the decimal context) each call of
a VM's method gets afresh, from `apart`; what is of the process a VM may change for the rest of its transaction and no longer.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import warnings
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Callable, Iterator, Mapping

from ioi_shm import call_apart

from ioi_exec.errors import VMError
from ioi_exec.vm.interpreter import INT_DIGITS, RECURSION_LIMIT

HASH_SEED = 0  # of workers; the calling process has its own, so a VM that depends on it is found out at workers=0
DECIMAL: Mapping[str, Any] = {
    "prec": 28, "rounding": "ROUND_HALF_EVEN", "Emin": -999_999, "Emax": 999_999, "capitals": 1, "clamp": 0,
}
DECIMAL_TRAPS = ("DivisionByZero", "InvalidOperation", "Overflow")  # decimal's own defaults, all of these

apart: Callable[..., Any] = functools.partial(call_apart, RECURSION_LIMIT)
"""apart(function, *arguments): the call of a VM's method."""


# For a worker's environment: what may reach the interpreter from outside. Threads of number crunchers would only be in the way of
# the other workers, and make a process that cannot be forked.
_KEPT = ("PYTHONHOME", "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def interpreter_arguments() -> list[str]:
    """How a worker's interpreter is started: the command without what it is to do."""
    if not sys.executable:
        raise VMError("this Python does not know where its interpreter is (sys.executable): use workers=0")
    return [sys.executable, "-X", "utf8", "-X", f"int_max_str_digits={INT_DIGITS}"]


def interpreter_environment(hash_seed: int = HASH_SEED) -> dict[str, str]:
    """The environment a worker's interpreter is started in: this process's but for what changes how Python executes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or name in _KEPT}
    return {**dict.fromkeys(_ONE_THREAD, "1"), **kept, "PYTHONHASHSEED": str(hash_seed)}


HERE = threading.RLock()
"""Held while a VM in Python executes in a process that has other threads: settings are of the process. By a `with` of its own, around
that of the settings: a signal handler may raise anywhere in Python."""
os.register_at_fork(after_in_child=HERE._at_fork_reinit)  # type: ignore[attr-defined]  # as logging does


@contextmanager
def not_here() -> Iterator[None]:
    """For a callback: HERE is held, and let go of meanwhile."""
    HERE.release()
    try:
        yield
    finally:
        HERE.acquire()


class StatedSettings:
    """`with StatedSettings() as settings:` they are in force; at the end what was there before is."""

    def __enter__(self) -> StatedSettings:
        check_int_digits()
        self._digits = sys.get_int_max_str_digits()
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")  # none becomes an exception, none is shown
        self._filters, self._filter = warnings.filters, list(warnings.filters)
        sys.set_int_max_str_digits(INT_DIGITS)
        self._decimal = _set_decimal_defaults()
        return self

    def renew(self) -> None:
        """After a transaction: what its VM changed is as stated again. Cheap where nothing was."""
        if _int_digits() != INT_DIGITS:
            sys.set_int_max_str_digits(INT_DIGITS)
        if warnings.filters is not self._filters or self._filters != self._filter:
            self._warnings.__exit__(None, None, None)
            self._warnings = warnings.catch_warnings()
            self._warnings.__enter__()
            warnings.simplefilter("ignore")
            self._filters = warnings.filters

    def renewed(self) -> tuple[Any, ...]:
        """renew(); and by what C sees that there is nothing to renew: where the filters of warnings are, which, and what is in them;
        what says how many digits, and how many."""
        self.renew()
        return warnings.__dict__, self._filters, self._filter, _int_digits, INT_DIGITS

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The call of what a VM has beside `execute` (decode, keys): what it changed of the process does not reach that, for it is
        called in another process, or earlier, or not at all, as it comes."""
        try:
            return apart(function, *arguments)
        finally:
            self.renew()

    @contextmanager
    def away(self) -> Iterator[None]:
        """`with settings.away():` what was there before is, for a callback. HERE is held, and let go of meanwhile."""
        self.__exit__(None, None, None)
        try:
            with not_here():
                yield
        finally:
            self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._warnings.__exit__(None, None, None)
        sys.set_int_max_str_digits(self._digits)
        if self._decimal is not None:
            defaults, former = self._decimal
            _copy_context(former, defaults)


_int_digits: Callable[[], int] = getattr(sys, "get_int_max_str_digits", lambda: 0)


def check_int_digits() -> None:
    """Raises VMError: the first patches of 3.10 lack the limit, so texts of large ints would differ from those elsewhere."""
    if not hasattr(sys, "set_int_max_str_digits"):
        raise VMError(f"Python {sys.version.split()[0]} has no limit on the digits of an int: use 3.10.7 or newer")


def check_caller() -> None:
    """Whether a VM in Python can execute in this process as it does in a worker. Raises VMError."""
    check_int_digits()
    if sys.flags.optimize:
        raise VMError(
            f"this Python runs with -{'O' * sys.flags.optimize} (or PYTHONOPTIMIZE), which takes the assert statements out of a "
            "VM and so changes results: run it without, or use workers=1 or more, which are started without"
        )


def _set_decimal_defaults() -> tuple[Any, Any] | None:
    """Of contexts yet to be made, which is all that a VM meets: (the object, a copy of what it was)."""
    decimal = sys.modules.get("decimal")
    if decimal is None:
        return None  # whoever imports it later finds its defaults, which these are
    defaults = decimal.DefaultContext
    former = defaults.copy()
    traps = [getattr(decimal, name) for name in DECIMAL_TRAPS]
    _copy_context(decimal.Context(**DECIMAL, flags=[], traps=traps), defaults)
    return defaults, former


def _copy_context(source: Any, target: Any) -> None:
    for name in DECIMAL:
        setattr(target, name, getattr(source, name))
    target.flags.update(source.flags)
    target.traps.update(source.traps)
