"""Errors on standard error, and the exit status of each."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import sys
import traceback

from ioi_exec.errors import Error, VMFault

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
        message = f"internal error: {kind}: {message}{place(error)}"
    elif isinstance(error, VMFault) and error.__cause__ is not None:
        message += place(error.__cause__)
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


def place(error: BaseException) -> str:
    """Where it was raised, so that the author of a VM finds it."""
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        return f" (raised at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})"
    in_worker = re.findall(r'File "(.+)", line (\d+), in (.+)', str(error))  # its traceback came as text
    return " (raised at {}:{} in {})".format(*in_worker[-1]) if in_worker else ""
