"""The options that choose a workload: the same for every command that runs one.

ioi-stress COMMAND WORKLOAD [the workload's parameters] [the command's own options]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any, Callable, Mapping

from ioi_exec.cli.options import Commands, Formatter, add_json
from ioi_stress.cli.values import checked, several
from ioi_stress.workload import Workload
from ioi_stress.workloads import WORKLOADS, Parameter, make, parameters_of
from ioi_stress.workloads.parameters import INTEGER, NUMBER, TEXTS

PREFIX = "parameter_"


def add_workloads(
    command: argparse.ArgumentParser,
    common: Callable[[argparse.ArgumentParser], None],
    defaults: Mapping[str, Any] | None = None,
    *,
    lists: bool = False,
) -> Commands:
    """A parser for each workload, in `command`. common: adds the command's own options to one.
    defaults: of parameters by name, where the command has others than the workloads.
    lists: numbers and choices may be several, with commas between, and are then lists. Returns what more parsers may be added to.

    What `ioi_exec.cli.options.add_command` gives `command` (--json) each of them has too.
    """
    choices = command.add_subparsers(dest="workload", required=True, metavar="WORKLOAD", title="workloads")
    for name, cls in WORKLOADS.items():
        parser = choices.add_parser(
            name,
            help=cls.summary,
            description=cls.summary[0].upper() + cls.summary[1:] + ".",
            epilog=f"{cls.details}\n\nexample:\n\n  {command.prog} {cls.example}".strip(),
            allow_abbrev=False,
            formatter_class=Formatter,
        )
        add_json(parser, default=argparse.SUPPRESS)  # it may stand before the workload as well
        add_parameters(parser, name, defaults, lists=lists)
        common(parser)
    return choices


def add_parameters(
    parser: argparse.ArgumentParser, name: str, defaults: Mapping[str, Any] | None = None, *, lists: bool = False
) -> None:
    """The parameters of one workload, which `chosen_workload` then finds it by."""
    parser.set_defaults(workload=name)
    group = parser.add_argument_group("workload")
    for each in parameters_of(WORKLOADS[name]):
        default: Any = argparse.SUPPRESS
        if defaults is not None and each.name in defaults:
            default = defaults[each.name]
            each = replace(each, default=default)
        options: dict[str, Any] = {"metavar": each.metavar, "help": _help(each), "type": checked(each.parse)}
        if lists and not each.positional and (each.kind in (INTEGER, NUMBER) or each.choices is not None):
            options.update(type=several(each.parse), metavar=f"{each.metavar},...")
        if each.kind == TEXTS:
            options.update(nargs="+", action="extend")
        if each.positional:
            group.add_argument(PREFIX + each.name, **options)
        else:
            flag = "--" + each.name.replace("_", "-")
            group.add_argument(flag, dest=PREFIX + each.name, default=default, required=each.required, **options)


def chosen_workload(options: argparse.Namespace) -> Workload:
    """Raises InputError for parameters that do not fit together."""
    return make(options.workload, **chosen_parameters(options))


def chosen_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Those that were given."""
    return {name[len(PREFIX) :]: value for name, value in vars(options).items() if name.startswith(PREFIX)}


def _help(parameter: Parameter) -> str:
    text = parameter.help.replace("%", "%%")
    if parameter.choices is not None and not all(choice in parameter.help for choice in parameter.choices):
        text += f" ({', '.join(parameter.choices)})"
    return text if parameter.required or parameter.default in (None, ()) else f"{text} (default: {parameter.default})"
