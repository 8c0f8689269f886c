"""The standard streams: there whatever the caller closed, and named when they fail; and files that may be one of them."""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import secrets
import stat
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from typing import BinaryIO, Iterator, TextIO

from ioi_storage.disk.directory import sync_name

# What stands in for one that was closed. Input and output fail when used: an empty block was not given, and a result
# nobody could get was not printed. Messages go nowhere.
_STAND_INS = (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def ensure_streams() -> None:
    """Opens those that are closed. Else the next file opened, the state's perhaps, would get the number of one, and what is
    printed would go into it."""
    for number, (name, mode, access) in enumerate(_STAND_INS):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, access)
            os.dup2(opened, number)
            if opened != number:
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))


@contextmanager
def results_alone() -> Iterator[None]:
    """Inside, `sys.stdout` alone leads to standard output: what else writes to descriptor 1, a VM say, or a program or library
    that it uses, writes to standard error."""
    stream = sys.stdout
    if type(stream) is not TextIOWrapper or stream.fileno() != 1:  # a program that has put its own there keeps it
        yield
        return
    stream.flush()
    apart = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    sys.stdout = open(
        apart, "w", encoding=stream.encoding, errors=stream.errors, closefd=False, buffering=1 if stream.line_buffering else -1
    )
    os.dup2(2, 1)
    try:
        yield
    finally:
        try:
            sys.stdout.close()
        finally:
            sys.stdout = stream
            os.dup2(apart, 1)
            os.close(apart)


def name_stream(error: OSError) -> None:
    """Has an error that names no file name the standard stream it came from: files are named when opened, and what fails
    in them later is the store's to tell."""
    if error.filename is not None:
        return
    writable = fcntl.fcntl(sys.stdout.fileno(), fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.errno == errno.EBADF and not writable:
        error.filename = "standard output"
        give_up_output()
    elif error.errno == errno.EBADF:
        error.filename = "standard input"


def give_up_output() -> None:
    """Nothing more can be said on standard output, not even at exit, when Python writes what is left over."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@contextmanager
def input_file(name: str) -> Iterator[tuple[BinaryIO, str]]:
    """(a file to read, what messages call it); - is standard input."""
    if name == "-":
        yield sys.stdin.buffer, "standard input"
    else:
        with open(name, "rb") as stream:
            yield stream, name


def add_output(command: argparse.ArgumentParser) -> None:
    """What `output_file` takes."""
    command.add_argument(
        "-o", "--output", metavar="FILE", help="a file, which will be whole or not there (default, or -: standard output)"
    )


@contextmanager
def output_file(name: str | None) -> Iterator[TextIO]:
    """A file to write, which will be whole or not there; None or - is standard output. What is no plain file (a pipe, a
    device) is written as it is."""
    if name is None or name in _STANDARD_OUTPUT:
        yield sys.stdout
        return
    if os.path.exists(name) and not stat.S_ISREG(os.stat(name).st_mode):
        try:
            with open(name, "w") as out:
                yield out
        except OSError as error:
            if error.filename is None:
                error.filename = name
            raise
        return
    path = os.path.realpath(name)
    beside = f"{path}.{secrets.token_hex(4)}.part"
    try:
        with open(beside, "x") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
        sync_name(path)
    except BaseException as error:
        try:
            os.unlink(beside)
        except OSError:
            pass
        if isinstance(error, OSError) and error.filename in (None, beside):
            error.filename, error.filename2 = name, None
        raise
