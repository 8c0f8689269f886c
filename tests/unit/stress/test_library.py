"""The library has what the command line has: each command its function, each option its keyword, with the same default."""

from __future__ import annotations

import argparse
import inspect
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ioi_stress
from ioi_exec import ExecutionMachine, InputError, InputTypeError, Record
from ioi_exec.policy import Policy
from ioi_stress import chaos
from ioi_stress.chaos import ChaosPlan
from ioi_stress.cli import parser
from ioi_stress.cli.plot import FIGURES
from ioi_stress.cli.workload_options import PREFIX
from ioi_stress.workloads import WORKLOADS, parameters_of

# Where a command prints or writes what its function returns, and what it shows meanwhile.
SHOWN = {"help", "json", "quiet"}
COMMANDS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "run": (ioi_stress.run, {"save", "csv", "report", "report_block", "mismatch_dir"}),
    "replay": (ioi_stress.run, {"save", "csv", "report", "report_block", "mismatch_dir"}),
    "rwset": (ioi_stress.run, {"save", "csv", "report", "report_block", "mismatch_dir"}),
    "sweep": (ioi_stress.sweep, {"report"}),
    "compare": (ioi_stress.compare, set()),
    "report": (ioi_stress.report, set()),
    "trace": (ioi_stress.trace, {"text", "width"}),
    "explain": (ioi_stress.explain, {"top"}),
}
OF_PLANS = {"chaos", "soak", "simulate"}
"""Whose functions take a plan: that has the options. (Chaos calls two of them otherwise: fault_seed, disk.)"""


def subparsers(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = [each for each in command._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


def options(command: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {each.dest: each for each in command._actions if each.dest not in SHOWN}


def test_every_command_has_its_function() -> None:
    assert {*COMMANDS, "plot", "workloads"} == set(subparsers(parser())) - OF_PLANS
    assert set(ioi_stress.workloads.WORKLOADS) == set(WORKLOADS)
    for name in ("run", "sweep", "compare", "report", "trace", "explain"):
        assert name in ioi_stress.__all__ and getattr(ioi_stress, name) is COMMANDS[name][0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_a_keyword_with_the_same_default(name: str) -> None:
    function, others = COMMANDS[name]
    command = subparsers(parser())[name]
    nested = [each for each in command._actions if isinstance(each, argparse._SubParsersAction)]
    takes = inspect.signature(function).parameters
    for workload, each in (nested[0].choices if nested else {name: command}).items():
        known = {parameter.name for parameter in parameters_of(WORKLOADS[workload])} if workload in WORKLOADS else {"quick"}
        assert known & set(takes) == set(), "a parameter of a workload that no keyword could give"
        for dest, action in options(each).items():
            if dest in others or dest == "workload":
                continue
            if dest.startswith(PREFIX):
                assert dest.removeprefix(PREFIX) in known
                continue
            assert dest in takes, f"{name} {workload} --{dest}: the function has no such keyword"
            default = takes[dest].default
            if default is not inspect.Parameter.empty:
                assert action.default in (default, Policy.named("default") if default == "default" else default), (workload, dest)


def test_every_figure_is_a_function() -> None:
    command = options(subparsers(parser())["plot"])
    for name in FIGURES:
        takes = inspect.signature(getattr(ioi_stress.plot, name.replace("-", "_"))).parameters
        assert {"data", "path", "where"} <= set(takes) <= {"data", "path", *command}


def test_the_plans_of_chaos() -> None:
    assert "plan" in inspect.signature(chaos.run).parameters
    takes = set(inspect.signature(ChaosPlan).parameters)
    each = options(subparsers(subparsers(parser())["chaos"])["zipf"])
    called = {"fault_seed": "seed", "disk": "disk_mib"}
    assert {called.get(dest, dest) for dest in each if not dest.startswith(PREFIX)} - {"workload"} <= takes


def test_run_by_name() -> None:
    found = ioi_stress.run("zipf", s=1.1, block_size=20, accounts=10, workers=0, repeat=2, warmup=0, policy="paper,window=64")
    assert found.ok and len(found.repetitions) == 2
    assert found.parameters["workload"]["parameters"]["s"] == 1.1
    assert found.parameters["run"]["policy"]["window"] == 64 and found.parameters["run"]["verify"]
    assert ioi_stress.run(ioi_stress.workloads.make("chain", block_size=5), ioi_stress.Plan(workers=0, repeat=1)).ok


def test_explain_trace_and_report(tmp_path: Path) -> None:
    given: dict[str, Any] = {"block_size": 20, "workers": 1, "pin": False, "warmup": 0}
    explained = ioi_stress.explain("hot", repeat=2, **given)
    assert "Best possible" in str(explained) or "Best on any number of cores" in str(explained)
    traced = ioi_stress.trace("hot", output=tmp_path / "t.json", picture=tmp_path / "t.svg", begin="tx2", end=1000, **given)
    assert [name for name, _, _ in traced.files] == ["trace", "picture"] and (tmp_path / "t.svg").exists()
    assert "worker 0" in str(traced) and traced.begin > 0
    result = ioi_stress.run("hot", block_size=20, workers=0, repeat=1)
    page = ioi_stress.report(result, tmp_path / "run.html", recording=explained.recording)
    assert (tmp_path / "run.html").read_text() == page and "Best possible speed-up" in page
    swept = ioi_stress.sweep("uniform", accounts=[5, 9], block_size=5, workers=0, repeat=1, output=tmp_path / "s.csv")
    assert ioi_stress.report(tmp_path / "s.csv") == ioi_stress.report(swept)


class Binary:
    """A transaction reads the keys before the slash and writes those after it; keys are one byte, text or not."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        reads, _, writes = tx.partition(b"/")
        for key in reads:
            state.get(bytes([key]))
        for key in writes:
            state.put(bytes([key]), b"x")


def accesses(record: Record) -> tuple[list[tuple[int, bytes, int]], list[tuple[int, bytes]]]:
    reads = [(tx, record.keys[key], writer) for tx, key, writer in record.reads[["tx", "key", "writer"]].tolist()]
    return reads, [(tx, record.keys[key]) for tx, key in record.writes[["tx", "key"]].tolist()]


def test_a_recorded_block_is_a_workload_that_reads_and_writes_the_same(tmp_path: Path) -> None:
    chance = random.Random(5)
    keys = b"ab\x00\x01\xfe\xff"
    txs = [bytes(chance.choices(keys, k=2)) + b"/" + bytes(chance.choices(keys, k=2)) for _ in range(40)]
    with ExecutionMachine.create(None, Binary, genesis={b"\x00": b"0"}, workers=2, pin=False) as machine:
        first = machine.execute(txs, record=True)
        with pytest.raises(InputError, match="execute it with record=True"):
            ioi_stress.save_rwset([machine.execute(txs)], tmp_path / "none.jsonl")
    ioi_stress.save_rwset(first, tmp_path / "block.jsonl")
    again = ioi_stress.explain("rwset", file=str(tmp_path / "block.jsonl"), workers=2, pin=False, repeat=1).recording.record
    assert first.record is not None and accesses(again) == accesses(first.record)


@pytest.mark.parametrize(
    "call, kind, says",
    [
        (lambda: ioi_stress.run("zipff"), InputError, "no workload 'zipff'"),
        (lambda: ioi_stress.run("zipf", repeats=3), InputError, "no parameter 'repeats'"),
        (lambda: ioi_stress.run("zipf", policy="fast"), InputError, "fast"),
        (lambda: ioi_stress.run("zipf", observer=5), InputTypeError, "observer is int: give an Observer, or None: it has no began"),  # type: ignore[arg-type]
        (lambda: ioi_stress.run("zipf", pools=5), InputTypeError, "pools is int: give SharedPools, or None"),  # type: ignore[arg-type]
        (lambda: ioi_stress.run("zipf", on_mismatch=5), InputTypeError, "on_mismatch is int: give a function, or None"),  # type: ignore[arg-type]
        (lambda: ioi_stress.run("zipf", policy=5), InputTypeError, "policy is int: give a Policy"),
        (lambda: ioi_stress.run(ioi_stress.workloads.make("zipf"), s=2), InputError, "s: no option, and a workload that is made"),
        (lambda: ioi_stress.explain(object()), InputTypeError, "object is no workload: it has no name"),
        (lambda: ioi_stress.explain("chain", workers=0), InputError, "workers is 0"),
        (lambda: ioi_stress.trace("chain", picture="x.gif"), InputError, "x.gif"),
        (lambda: ioi_stress.trace("chain", begin="soon"), InputError, "'soon' is no time"),
        (lambda: ioi_stress.sweep("paper", accounts=5), InputError, "takes no accounts: only quick=True"),
        (lambda: ioi_stress.report(5), InputTypeError, "a report of int"),
        (lambda: ioi_stress.report(__file__), InputError, "holds no rows of a sweep"),
    ],
)
def test_what_they_refuse(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call()
