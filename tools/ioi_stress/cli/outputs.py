"""Files that a command is told to write, looked at before it measures anything."""

from __future__ import annotations

import argparse
import os
from typing import Iterable, Iterator, Sequence

from ioi_exec import InputError
from ioi_stress.cli.workload_options import chosen_parameters
from ioi_stress.workloads import WORKLOADS, parameters_of


def check_outputs(outputs: Sequence[str | None], inputs: Iterable[str]) -> None:
    """Raises InputError for a file that would be written twice, or over what is read, and for a name that is none.

    None: not asked for. Standard output (-), pipes and devices may be any number of things."""
    read = {os.path.realpath(name) for name in inputs if _is_file(name)}
    written: set[str] = set()
    for name in outputs:
        if name == "":
            raise InputError("the name of a file to write is empty: give one")
        if name is None or not _is_file(name):
            continue
        path = os.path.realpath(name)
        if path in read:
            raise InputError(f"{name}: it is read, and would be overwritten: name another file to write")
        if path in written:
            raise InputError(f"{name}: it was given for two things: name a file of its own")
        written.add(path)


def files_read(options: argparse.Namespace) -> Iterator[str]:
    """By the chosen workload."""
    given = chosen_parameters(options)
    for each in parameters_of(WORKLOADS[options.workload]) if options.workload in WORKLOADS else ():
        if each.metavar == "FILE" and each.name in given:
            value = given[each.name]
            yield from [value] if isinstance(value, str) else value


def _is_file(name: str) -> bool:
    """Or nothing yet."""
    return name != "-" and (os.path.isfile(name) or not os.path.exists(name))
