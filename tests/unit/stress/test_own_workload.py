"""A workload of one's own, by the name of what makes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ioi_exec import InputError
from ioi_stress.cli import main
from ioi_stress.workloads import make

MODULE = """
from ioi_stress.workload import Block, FixedWorkload

def blind(count=1, word="w"):
    state, blocks = {b"k": word.encode()}, [Block([b"x"] * count)]
    return FixedWorkload("blind", "ioi_stress.vm:Program", state, blocks, {"count": count})

class Made:
    blind = staticmethod(blind)

def nothing():
    return 3

def fails():
    raise ZeroDivisionError("inside")

def leaves():
    raise SystemExit(0)

number = 7
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_workloads.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "own_workloads", raising=False)


def test_a_function_and_its_arguments() -> None:
    workload = make("own", target="own_workloads:blind", set=["count=3", "word=two words"])
    assert (
        workload.genesis() == {b"k": b"two words"}
        and workload.vm == "ioi_stress.vm:Program"
        and workload.vm_args is None
    )
    assert [block.txs for block in workload.blocks()] == [[b"x"] * 3]
    parameters = {"count": 3, "target": "own_workloads:blind", "set": ["count=3", "word=two words"]}
    assert workload.parameters == parameters and json.dumps(parameters)
    assert list(make("own", target="own_workloads:Made.blind").genesis().values()) == [b"w"]


@pytest.mark.parametrize(
    ("target", "arguments", "says"),
    [
        ("own_workloads", [], "names nothing: give module:function"),
        ("no_such_module:x", [], "the module no_such_module cannot be imported"),
        ("own_workloads:nobody", [], "has no function or class 'nobody'"),
        ("own_workloads:number", [], "has no function or class 'number'"),
        ("own_workloads:nothing", [], "made a int without 'name': that is no workload"),
        ("own_workloads:blind", ["count"], "--set 'count': give NAME=VALUE"),
        ("own_workloads:blind", ["2=3"], "--set '2=3': give NAME=VALUE"),
        ("own_workloads:blind", ["accounts=3"], "unexpected keyword argument 'accounts'"),
    ],
)
def test_what_is_no_workload(target: str, arguments: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        make("own", target=target, set=arguments)


def test_code_that_ends_the_program_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "own", "own_workloads:leaves"]) == 1
    said = capsys.readouterr().err
    assert "ended the program (SystemExit: 0)" in said and "own_workloads.py" in said and "in leaves" in said


def test_what_the_function_raises_passes_through() -> None:
    with pytest.raises(ZeroDivisionError, match="inside"):
        make("own", target="own_workloads:fails")
