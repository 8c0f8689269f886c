"""Values and options that several commands share."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import contextmanager, redirect_stdout
from typing import Any, Iterator, TypeAlias

from ioi_exec.files.strict_json import Malformed, hex_bytes, number

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
        if shown is not None and shown != "":
            sys.stdout.write(f"{name.replace('_', ' '):<{width}}  {shown}\n")
    sys.stdout.flush()


@contextmanager
def vm_may_print() -> Iterator[None]:
    """What a VM prints goes to standard error: standard output is the results' alone."""
    with redirect_stdout(sys.stderr):
        yield
