"""`ioi-exec ethereum statetest`: the sample that the repository carries; and a campaign over a folder of Ethereum's own, which IOI_STATETESTS
names."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ioi_exec.ethereum.state_tests import judge
from ioi_exec.files.state_tests import StateTest, read_state_tests

SAMPLE = Path(__file__).parent / "ethereum" / "state_tests.json"
FOLDER = os.environ.get("IOI_STATETESTS")
Cli = Callable[..., Any]


def test_the_sample(cli: Cli) -> None:
    *tests, summary = cli("ethereum", "statetest", SAMPLE, "--json").objects
    assert summary == {"tests": 26, "equal": 26, "differ": 0, "skipped": {}} and len(tests) == 26
    assert {test["fork"] for test in tests} >= {"frontier", "spurious_dragon", "berlin", "london", "cancun", "osaka"}
    assert any(test["refused"] for test in tests) and all(test["equal"] and all(test["compared"].values()) for test in tests)
    assert cli("ethereum", "statetest", SAMPLE, "--fork", "EIP158").out == "3 tests, 3 equal, 0 differ\n"


def test_a_difference(cli: Cli, tmp_path: Path) -> None:
    tests = json.loads(SAMPLE.read_text())
    tests["made_osaka"]["post"]["Osaka"][1]["hash"] = "0x" + "11" * 32
    (tmp_path / "some" / "more").mkdir(parents=True)
    (tmp_path / "some" / "more" / "a.json").write_text(json.dumps(tests))
    *found, summary = cli("ethereum", "statetest", "some", "--json", status=5).objects
    assert summary["differ"] == 1 and [one["said"]["state_root"] for one in found if not one["equal"]] == ["11" * 32]
    plain = cli("ethereum", "statetest", "some", "--fork", "osaka", status=5).out
    assert plain.startswith("some/more/a.json: made_osaka  osaka  data/gas/value 1/0/0  DIFFERS\n  state root: 1111")


def test_what_cannot_be_used(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": {"env": {}}}')
    (tmp_path / "b.json").write_text('{"a": {"env": {}, "pre": {}, "transaction": {}, "post": {"Amsterdam": [{}]}}}')
    (tmp_path / "none").mkdir()
    for words, said in (
        (("a.json",), "a.json: test 'a': transaction must be"), (("b.json",), "Amsterdam"), (("none",), "no *.json"),
        ((SAMPLE, "--fork", "Amsterdam"), "--fork"),
    ):
        assert said in cli("ethereum", "statetest", *words, "--json", status=2).error["error"]


@pytest.mark.long
@pytest.mark.skipif(FOLDER is None, reason="IOI_STATETESTS names no folder of state tests")
def test_a_folder_of_ethereum_s_own() -> None:
    differing, count = [], 0
    for path in sorted(Path(FOLDER or "").rglob("*.json")):
        for test in read_state_tests(io.BytesIO(path.read_bytes()), str(path)):
            if isinstance(test, StateTest):
                count += 1
                if not (judged := judge(test)).equal:
                    differing.append((path.name, test.name, test.fork.name, test.indexes, judged.compared, judged.refused))
    assert count and not differing, f"{len(differing)} of {count}: {differing[:20]}"
