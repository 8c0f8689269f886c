"""ioi-stress workloads: which there are, what each shows and what it takes."""

from __future__ import annotations

import argparse
from typing import Any

from ioi_exec.cli.options import Commands, add_command, print_json
from ioi_stress.workloads import WORKLOADS, Parameter, parameters_of


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "workloads",
        "List the workloads and their parameters.",
        needs_state=False,
        example="ioi-stress workloads",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    for name, cls in WORKLOADS.items():
        parameters = parameters_of(cls)
        if options.json:
            print_json(
                {"workload": name, "summary": cls.summary, "parameters": [_described(each) for each in parameters]}
            )
        else:
            print(f"{name:<11} {cls.summary}")
            print(f"{'':<11}   {', '.join(map(_shown, parameters))}")
    return 0


def _described(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "kind": parameter.kind,
        "required": parameter.required,
        "default": parameter.default,
        "least": parameter.least,
        "most": parameter.most,
        "choices": parameter.choices,
        "help": parameter.help,
    }


def _shown(parameter: Parameter) -> str:
    return parameter.name if parameter.default is None else f"{parameter.name}={parameter.default}"
