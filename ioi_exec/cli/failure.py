"""Errors on standard error, and the exit status of each."""

from __future__ import annotations

import errno
import json
import os
import resource
import sys

from ioi_exec.errors import Error, VMFault
from ioi_exec.execution.faults import raised_at

FAILED = 1
USAGE = 2
RESOURCES = 4
INTERRUPTED = 1

_RESOURCE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def exit_status(error: BaseException) -> int:
    if isinstance(error, Error):
        return error.exit_status
    if isinstance(error, MemoryError):
        return RESOURCES
    if isinstance(error, OSError):
        return RESOURCES if error.errno in _RESOURCE_ERRNOS else USAGE
    return FAILED


def report(error: Exception | str, kind: str, status: int, as_json: bool, program: str) -> None:
    """One line for people that begins with the program's name, or with --json one object: error, kind, exit."""
    message = str(error) or kind
    if isinstance(error, OSError) and not isinstance(error, Error):
        message = system_text(error)
    elif isinstance(error, Exception) and not isinstance(error, Error):
        message = f"internal error: {kind}: {message}{raised_at(error)}"
    elif isinstance(error, VMFault) and error.__cause__ is not None:
        message += raised_at(error.__cause__)
    try:
        if as_json:
            print(json.dumps({"error": message, "kind": kind, "exit": status}), file=sys.stderr, flush=True)
        else:
            print(f"{program}: {message}", file=sys.stderr, flush=True)
    except OSError:
        pass  # standard error is closed: the exit status still says it


def system_text(error: OSError) -> str:
    text = f"{os.fspath(error.filename)}: {error.strerror}" if error.filename else str(error)
    if error.errno == errno.EFBIG:
        text += f": this process may write no file of more than {resource.getrlimit(resource.RLIMIT_FSIZE)[0]} bytes (ulimit -f)"
    return text
