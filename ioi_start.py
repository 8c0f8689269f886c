"""Where the programs begin: a module of its own, so that what interrupts them while they still import ends them as it does later."""

from __future__ import annotations

import signal
import sys
from importlib import import_module

INTERRUPTED = 1  # ioi_exec/cli/failure.py, which is not imported yet


def ioi_exec() -> int:
    return _started("ioi-exec", "ioi_exec.cli")


def ioi_stress() -> int:
    return _started("ioi-stress", "ioi_stress.cli")


def _started(program: str, module: str) -> int:
    """The status of one command."""
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # one that is ignored stays so
                signal.signal(number, signal.default_int_handler)
        status: int = import_module(module).main()
        return status
    except KeyboardInterrupt:
        error = f'{{"error": "interrupted", "kind": "Interrupted", "exit": {INTERRUPTED}}}'
        try:
            print(error if "--json" in sys.argv else f"{program}: interrupted", file=sys.stderr, flush=True)
        except OSError:
            pass  # standard error is closed: the status says it
        return INTERRUPTED
