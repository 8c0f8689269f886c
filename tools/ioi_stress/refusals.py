"""What leaves the library when a file cannot be read or written."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ioi_exec import Error, InputError, ResourceError
from ioi_exec.cli.failure import exit_status, system_text

_P = ParamSpec("_P")
_R = TypeVar("_R")


def refusing(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """An OSError that names a file leaves the call as an InputError, or a ResourceError where disk or memory ran out. Others are of
    the standard streams, which the command line names."""

    @wraps(call)
    def called(*args: _P.args, **options: _P.kwargs) -> _R:
        try:
            return call(*args, **options)
        except OSError as error:
            if isinstance(error, Error) or error.filename is None:
                raise
            kind = ResourceError if exit_status(error) == ResourceError.exit_status else InputError
            raise kind(system_text(error)) from error

    return called
