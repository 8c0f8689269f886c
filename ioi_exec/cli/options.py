"""Values and options that several commands share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import Any, Iterator, TypeAlias

from ioi_exec.errors import InputError
from ioi_exec.files.strict_json import Malformed, hex_bytes, number, parse
from ioi_exec.vm.loading import LoadedVM, load_vm

Commands: TypeAlias = "argparse._SubParsersAction[Any]"


def add_command(
    commands: Commands, name: str, summary: str, epilog: str = "", *, example: str, needs_state: bool = True
) -> argparse.ArgumentParser:
    """example: one command a line."""
    shown = "\n".join(f"  {line}" for line in example.splitlines())
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary, epilog=f"{epilog}\n\nexample:\n\n{shown}".strip(), allow_abbrev=False,
        formatter_class=Formatter,
    )
    add_json(command)
    if needs_state:
        command.add_argument("state", metavar="STATE", help="directory of the state")
    return command


def add_json(command: argparse.ArgumentParser, default: Any = False) -> None:
    command.add_argument(
        "--json", action="store_true", default=default, help="print JSON objects, one a line; errors too, on standard error"
    )


class Formatter(argparse.HelpFormatter):
    """Fills text as wide as the terminal is, paragraph by paragraph; those that are indented stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        filled = [part if part.startswith("  ") else super(Formatter, self)._fill_text(part, width, indent) for part in paragraphs]
        return "\n\n".join(filled).replace("example:\n\n", "example:\n")


def hex_value(text: str) -> bytes:
    try:
        return hex_bytes(text, "the value")
    except Malformed as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole_number(text: str) -> int:
    try:
        return number(text, "the value", (1 << 63) - 1)
    except Malformed as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_fields(value: dict[str, Any]) -> None:
    """The same for people: one field a line, names aligned."""
    width = max(map(len, value))
    for name, shown in value.items():
        if isinstance(shown, dict):
            shown = "  ".join(f"{part.replace('_', ' ')} {of}" for part, of in shown.items() if of is not None)
        if shown is not None and shown != "":
            sys.stdout.write(f"{name.replace('_', ' '):<{width}}  {shown}\n")
    sys.stdout.flush()


def add_vm(command: argparse.ArgumentParser, help: str, default: str | None = None) -> None:
    command.add_argument("--vm", default=default, help=help)
    add_vm_args(command)


def add_vm_args(command: argparse.ArgumentParser) -> None:
    command.add_argument("--vm-args", metavar="JSON", help="arguments of the VM's class: an object by name, or a list")


def add_accept(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--accept-interpreter", action="store_true",
        help="execute under this Python and these versions of what the VM depends on, though the state recorded others",
    )
    command.add_argument("--accept-vm", action="store_true", help="execute with other code of the VM than the state recorded, under the same version")


def vm_args_value(text: str | None) -> dict[str, Any] | list[Any] | None:
    """What --vm-args says. Raises InputError."""
    if text is None:
        return None
    try:
        value = parse(text.encode("utf-8", "surrogateescape"), floats=True)
    except Malformed as error:
        raise InputError(f"--vm-args: {error}") from None
    if not isinstance(value, (dict, list)):
        raise InputError("--vm-args: give a JSON object (arguments by name) or a list (in order)")
    return value


def given_vm(options: argparse.Namespace) -> LoadedVM:
    """The VM of --vm and --vm-args, which were given. Raises VMError, InputError."""
    args = vm_args_value(options.vm_args)
    find_own_code()
    with vm_may_print():
        return load_vm(options.vm, args)


def find_own_code() -> None:
    """From now on modules are found in the working directory too. Only for commands that the operator gave a VM: what lies
    in a directory may have been downloaded, and a module of it would take the place of an installed one."""
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)


@contextmanager
def vm_may_print() -> Iterator[None]:
    """What a VM prints goes to standard error: standard output is the results' alone."""
    with redirect_stdout(sys.stderr):
        yield
