"""Choosing a workload on a command line, whatever the command."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from ioi_exec.cli import program
from ioi_exec.cli.options import Commands, add_command
from ioi_stress.cli import main
from ioi_stress.cli.workload_options import (
    add_parameters,
    add_workloads,
    chosen_workload,
)
from ioi_stress.workloads import WORKLOADS, parameters_of


class Command:
    """A command that runs a workload, and one that runs a particular one."""

    def __init__(self) -> None:
        self.chosen: Any = None
        self.options: Any = None

    def register(self, commands: Commands) -> None:
        command = add_command(commands, "act", "Act.", example="ioi-stress act zipf", needs_state=False)
        add_workloads(command, lambda parser: parser.add_argument("--workers", type=int, help="processes"))
        command.set_defaults(run=self.run)
        trace = add_command(commands, "trace", "Trace.", example="ioi-stress trace f", needs_state=False)
        add_parameters(trace, "rwset")
        trace.set_defaults(run=self.run)

    def run(self, options: argparse.Namespace) -> int:
        self.options = options
        self.chosen = chosen_workload(options)
        return 0


def act(*arguments: str) -> tuple[int, Command]:
    command = Command()
    return program.run(program.parser("ioi-stress", "d", "e", (command,)), arguments, "x"), command


def test_a_workload_and_the_commands_own_options() -> None:
    status, command = act(
        "act", "zipf", "--s", "1.25", "--block-size", "7", "--workers", "3", "--cost-us", "2", "--json"
    )
    assert status == 0 and command.options.workers == 3 and command.options.json is True
    parameters = command.chosen.parameters
    assert (command.chosen.name, parameters["s"], parameters["block_size"], parameters["cost_us"]) == (
        "zipf",
        1.25,
        7,
        2.0,
    )
    assert act("act", "--json", "zipf")[1].options.json is True
    assert act("act", "zipf")[1].options.json is False


def test_files(tmp_path: Any) -> None:
    (tmp_path / "g").write_text('{"state": {}}')
    (tmp_path / "b").write_text('{"tx": "00"}')
    (tmp_path / "t").write_text('{"reads": ["a"]}')
    block, genesis, trace = (str(tmp_path / name) for name in "bgt")
    command = act("act", "replay", block, block, "--genesis", genesis, "--vm", "native")[1]
    assert [block.txs for block in command.chosen.blocks()] == [[b"\0"], [b"\0"]]
    for arguments in (("act", "rwset", trace), ("trace", trace, "--value-bytes", "3")):
        assert list(act(*arguments)[1].chosen.genesis()) == [b"a"]
    command = act("act", "own", "ioi_stress.workloads:make", "--set", 'name="uniform"', "--set", "blocks=2", "seed=5")[
        1
    ]
    assert command.chosen.parameters["seed"] == 5 and len(list(command.chosen.blocks())) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("zipf", "--s", "x"), "argument --s: s is 'x': give a number from 0 to 10"),
        (("zipf", "--blocks", "0"), "argument --blocks: blocks is 0: give an integer from 1"),
        (("zipf", "--vm", "wasm"), "vm is 'wasm': give one of native, python, payments"),
        (("zipf", "--se", "1"), "unrecognized arguments"),
        (("zipff",), "invalid choice: 'zipff'"),
        ((), "required: WORKLOAD"),
        (("replay", "--genesis", "f"), "required: FILE"),
        (("replay", __file__), "without --genesis a file is taken for a block of Ethereum"),
        (("rwset",), "required: FILE"),
        (("pairs", "--accounts", "5"), "disjoint pairs need 20000"),
    ],
)
def test_usage(arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status, _ = act("act", *arguments, "--json")
    except SystemExit as end:
        assert isinstance(end.code, int)
        status = end.code
    error = json.loads(capsys.readouterr().err)
    assert status == 2 and says in error["error"] and error["exit"] == 2


@pytest.mark.parametrize("name", WORKLOADS)
def test_help_lists_every_parameter_with_its_default(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        act("act", name, "--help")
    text = " ".join(capsys.readouterr().out.split())
    for each in parameters_of(WORKLOADS[name]):
        assert each.positional or f"--{each.name.replace('_', '-')} {each.metavar}" in text
        if each.default not in (None, ()):
            assert f"(default: {each.default})" in text
        for choice in each.choices or ():
            assert choice in text
    assert f"example: ioi-stress act {name} " in text and "--workers" in text


def test_the_list_of_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workloads", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["workload"] for each in listed] == list(WORKLOADS)
    zipf = next(each for each in listed if each["workload"] == "zipf")
    s = next(each for each in zipf["parameters"] if each["name"] == "s")
    assert s.pop("help") and s == {
        "name": "s",
        "kind": "a number",
        "required": False,
        "default": 1.0,
        "least": None,
        "most": 10,
        "choices": None,
    }
    assert main(["workloads"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in WORKLOADS) and "s=1.0" in text
