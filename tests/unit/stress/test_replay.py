"""Recorded blocks: the files of ioi-exec, and real ones where they are beside this checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ioi_exec import ExecutionMachine, InputError
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer
from ioi_stress.vm import encoding
from ioi_stress.workloads import make

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "mainnet"
NUMBERS = sorted((path.name.split(".")[0] for path in FOLDER.glob("*.block.jsonl")), key=int)
A, B = b"\xaa" * 32, b"\xbb" * 32


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A genesis and two blocks of payments."""
    (tmp_path / "genesis").write_text(json.dumps({"accounts": {A.hex(): {"balance": 10}}}))
    (tmp_path / "one").write_text(json.dumps({"from": A.hex(), "to": B.hex(), "amount": 4, "nonce": 0}) + "\n")
    header = {"header": {"height": 9, "proposer": "0f" * 32}}
    second = {"from": B.hex(), "to": A.hex(), "amount": 1, "fee": 2, "nonce": 0}
    (tmp_path / "two").write_text(json.dumps(header) + "\n" + json.dumps(second) + "\n")
    return [str(tmp_path / name) for name in ("genesis", "one", "two")]


def test_payments(files: list[str]) -> None:
    genesis, *blocks = files
    workload = make("replay", genesis=genesis, files=blocks)
    assert workload.vm == "payments" and workload.vm_args is None
    assert workload.genesis() == {account_key(A): encode_account(10)}
    first, second = workload.blocks()
    assert first.header is None and first.txs == [encode_transfer(A, B, 4, nonce=0)]
    assert second.header is not None and second.header.height == 9 and second.header.proposer == b"\x0f" * 32
    assert second.txs == [encode_transfer(B, A, 1, fee=2, nonce=0)]
    assert workload.parameters["files"] == blocks and json.dumps(workload.parameters)


def test_the_contents_are_part_of_the_parameters(files: list[str]) -> None:
    genesis, one, two = files
    digests = {
        make("replay", genesis=genesis, files=order).parameters["sha256"] for order in ([one], [one, two], [two, one])
    }
    assert len(digests) == 3


def test_any_vm(tmp_path: Path) -> None:
    tx = encoding.transaction(1, encoding.read(encoding.key(b"k")))
    (tmp_path / "genesis").write_text(json.dumps({"state": {b"k".hex(): b"v".hex()}}))
    (tmp_path / "block").write_text(json.dumps({"tx": tx.hex()}))
    outputs = []
    for vm in ("python", "native", "ioi_stress.vm:Program"):
        workload = make(
            "replay", genesis=str(tmp_path / "genesis"), files=[str(tmp_path / "block")], vm=vm, vm_args="{}"
        )
        assert workload.vm_args == {}
        with ExecutionMachine.create(
            None, workload.vm, genesis=workload.genesis(), vm_args=workload.vm_args, workers=0
        ) as machine:
            (block,) = workload.blocks()
            outputs.append(machine.execute(block.txs).receipts[0].output)
    assert len(set(outputs)) == 1


def test_what_is_refused(files: list[str], tmp_path: Path) -> None:
    genesis, one, two = files
    (tmp_path / "bad").write_text('{"from": 1}\n')
    with pytest.raises(InputError, match=r"bad:1: "):
        make("replay", genesis=genesis, files=[one, str(tmp_path / "bad")])
    with pytest.raises(InputError, match="one: unknown field"):
        make("replay", genesis=one, files=[one])
    with pytest.raises(InputError, match="standard input .* was given twice"):
        make("replay", genesis="-", files=["-"])
    with pytest.raises(InputError, match="--vm-args"):
        make("replay", genesis=genesis, files=[one], vm_args="3")
    with pytest.raises(FileNotFoundError):
        make("replay", genesis=genesis, files=["no such file"])


@pytest.mark.skipif(not NUMBERS, reason="the real blocks are not beside this checkout")
def test_real_blocks() -> None:
    for number in NUMBERS:
        path = FOLDER / f"{number}.block.jsonl"
        workload = make("replay", genesis=str(FOLDER / f"{number}.genesis.json"), files=[str(path)])
        (block,) = workload.blocks()
        assert len(block.txs) == len(path.read_text().splitlines()) and workload.genesis()
