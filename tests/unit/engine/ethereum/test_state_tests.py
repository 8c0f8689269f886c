"""Reading state tests, and judging them: what is expected and does not come is told."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import secret, signed
from state_tests import sample

from ioi_exec import InputError
from ioi_exec.ethereum.state_tests import Judged, judge
from ioi_exec.files.state_tests import SkippedTests, StateTest, fork_called, read_state_tests
from ioi_exec.vm.ethereum.forks import fork_named

SAMPLE = Path(__file__).parents[3] / "e2e" / "ethereum" / "state_tests.json"
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def berlin() -> dict[str, Any]:
    """One test of one transaction, that is taken."""
    test: dict[str, Any] = json.loads(SAMPLE.read_text())["made_berlin"]
    del test["post"]["Berlin"][1:]
    return test


def read(*tests: Any) -> list[StateTest | SkippedTests]:
    return list(read_state_tests(io.BytesIO(json.dumps({f"t{i}": test for i, test in enumerate(tests)}).encode()), "a"))


def judged(test: Any) -> Judged:
    (only,) = read(test)
    assert isinstance(only, StateTest)
    return judge(only)


def changed(test: dict[str, Any], change: Change) -> dict[str, Any]:
    copied = deepcopy(test)
    change(copied)
    return copied


@pytest.mark.long
def test_the_sample_is_what_the_specification_makes() -> None:
    assert json.loads(SAMPLE.read_text()) == sample(), "python tests/support/state_tests.py writes it anew"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda test: test["post"]["Berlin"][0].update(hash="0x" + "11" * 32), "state_root"),
        (lambda test: test["post"]["Berlin"][0].update(logs="0x" + "11" * 32), "logs"),
        (lambda test: test["post"]["Berlin"][0].update(expectException="TransactionException.NONCE_TOO_LOW"), "exception"),
        (lambda test: test["pre"].update({"0x" + "99" * 20: {"balance": "0x1"}}), "state_root"),
        (lambda test: test["pre"].pop(test["env"]["currentCoinbase"], None) or test["env"].update(currentCoinbase="0x" + "99" * 20), "state_root"),
    ],
)
def test_what_differs(berlin: dict[str, Any], change: Change, part: str) -> None:
    assert judged(berlin).equal
    found = judged(changed(berlin, change))
    assert not found.equal and not found.compared[part]


def test_one_that_must_be_refused(berlin: dict[str, Any]) -> None:
    """And is, or cannot even be encoded; then the state is as it was."""
    for value in ("0x" + "f" * 64, "0x" + "f" * 65, "0x:bigint 0x1" + "0" * 64):
        found = judged(changed(berlin, lambda test: test["transaction"].update(value=[value, value])))
        assert found.refused is not None and not found.compared["exception"]
        assert found.logs.hex() == "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"  # of none


def test_transaction_bytes_are_taken_as_they_are(berlin: dict[str, Any]) -> None:
    fork = fork_named("berlin")
    poor = signed(fork, secret(99), 0, {"nonce": 0, "gasPrice": 10, "gas": 21000, "to": b"\x11" * 20, "value": 0, "input": b""})
    for raw in (poor["raw"], b"\x02\xc0", b"\x00", b"", b"\xff" * 9):
        found = judged(changed(berlin, lambda test: test["post"]["Berlin"][0].update(txbytes="0x" + raw.hex())))
        assert found.refused, raw


def test_forks_by_their_names() -> None:
    for called, name in (
        ("EIP150", "tangerine_whistle"), ("EIP158", "spurious_dragon"), ("ConstantinopleFix", "constantinople"), ("Merge", "paris"),
        ("Paris", "paris"), ("MuirGlacier", "muir_glacier"), ("BPO1", "bpo1"), ("cancun", "cancun"), ("spurious_dragon", "spurious_dragon"),
    ):
        found = fork_called(called)
        assert found is not None and found.name == name
    for called in ("Constantinople", "Amsterdam", "", "BerlinToLondonAt5"):
        assert fork_called(called) is None


def test_forks_that_are_not_known_are_skipped(berlin: dict[str, Any]) -> None:
    (skipped, taken) = read(changed(berlin, lambda test: test.update(post={"Amsterdam": test["post"]["Berlin"], **test["post"]})))
    assert skipped == SkippedTests("t0", "Amsterdam", 1, unknown=True) and isinstance(taken, StateTest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda test: test.pop("env"), "env must be an object"),
        (lambda test: test["env"].pop("currentNumber"), "currentNumber is missing"),
        (lambda test: test["env"].update(currentGasLimit="1 gas"), "currentGasLimit"),
        (lambda test: test["pre"].update({"0x11": {}}), "an address has 1 bytes"),
        (lambda test: test["transaction"].pop("secretKey"), "no secretKey"),
        (lambda test: test["transaction"].update(secretKey="0x" + "00" * 32), "its secretKey is none"),
        (lambda test: test["transaction"].update(data="0x"), "data"),
        (lambda test: test["transaction"].update(nonce=None), "nonce is missing"),
        (lambda test: test["post"]["Berlin"][0]["indexes"].update(data=7), "and 7 is asked for"),
        (lambda test: test["post"]["Berlin"][0].update(hash="0x11"), "hash has 1 bytes"),
        (lambda test: test["post"].update(Berlin={}), "a list is wanted"),
    ],
)
def test_what_is_no_state_test(berlin: dict[str, Any], change: Change, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read(changed(berlin, change))
    assert str(raised.value).startswith("a: test 't0': ") and said in str(raised.value)
    with pytest.raises(InputError, match="no test in it"):
        read()
