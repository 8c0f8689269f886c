"""What the commands that look after a state share. They need no virtual machine, so they work on the store itself."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import contextmanager
from types import TracebackType
from typing import Iterator

from ioi_storage import Store

from ioi_exec.cli.options import given_vm
from ioi_exec.errors import InputError, VMError
from ioi_exec.state.base import storage_errors
from ioi_exec.vm.loading import LoadedVM, VMSpec, load_vm

_PAUSE = 0.1  # seconds between two lines of progress


@contextmanager
def opened_store(options: argparse.Namespace, *, read_only: bool) -> Iterator[Store]:
    """read_only: as it is now, whatever a live engine does meanwhile."""
    with storage_errors():
        with Store.open(options.state, read_only=read_only) as store, store.pinned():
            yield store


def add_yes(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="do it; without this it says what it would do, and stops (exit 2)")


def confirmed(options: argparse.Namespace, what: str) -> None:
    """Raises InputError unless --yes was given."""
    if not options.yes:
        raise InputError(f"{what}: add --yes to do it")


def vm_of_new_state(options: argparse.Namespace, said: VMSpec, source: str) -> LoadedVM:
    """The VM of --vm and --vm-args, which must be the one that `source` says; without them only one that is built in.

    Raises VMError, VMMismatch, InputError."""
    if options.vm is None and options.vm_args is not None:
        raise InputError("--vm-args was given without --vm: give both, or neither")
    if options.vm is None and not said.built_in:
        raise VMError(
            f"{source} says that it belongs to the VM {said}, and nothing is imported because {source} says so: if this is your "
            f"VM, say so with --vm {said.name}"
        )
    loaded = load_vm(said.name, said.args) if options.vm is None else given_vm(options)
    said.check_same(loaded.spec)
    return loaded


def versions(first: int, last: int) -> str:
    return f"version {first}" if first == last else f"versions {first} to {last}"


class Progress:
    """One line on standard error that is written over, if that is a terminal; nothing with --json."""

    def __init__(self, what: str, options: argparse.Namespace, *, streaming: bool = False) -> None:
        """streaming: results come all the while, and are progress enough where they go to a terminal."""
        self._what = what
        self._quiet = options.json or not sys.stderr.isatty() or (streaming and sys.stdout.isatty())
        self._last = time.monotonic()
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.clear()

    def clear(self) -> None:
        """Make room for something else that is printed."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._shown = False

    def __call__(self, done: int, of: int | None = None, what: str | None = None) -> None:
        if self._quiet or time.monotonic() < self._last + _PAUSE:
            return
        self._last, self._shown = time.monotonic(), True
        what = what or self._what
        text = f"{done:,} {what}" if of is None else f"{done:,} of {of:,} {what}"
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)
