"""Votes and misbehaviour: a VM in Python sees them wherever it executes, they are kept with the version, and without them nothing changes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ioi_exec import BlockHeader, ExecutionMachine, InputError, Limits, Misbehaviour, StateView, TxContext, Vote
from ioi_exec.cli import main
from ioi_exec.files.block import read_block
from ioi_stress.notation.files import write_block
from ioi_stress.workload import Block

VOTES = [Vote(b"ada", 5), Vote(b"b" * 20, 2**63 - 1, "absent"), Vote(b"c" * 64, 0, "nil")]
EVIDENCE = [Misbehaviour("duplicate_vote", b"ada", 1, 2, 3, 4), Misbehaviour("light_client_attack", b"b" * 20, 2**63 - 1, 5, 6, 7)]


class Watcher:
    def ante(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        state.put(b"ante", repr((ctx.votes, ctx.misbehaviour)).encode())

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        return repr((ctx.votes, ctx.misbehaviour)).encode()

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
        for vote in ctx.votes:
            state.put(b"vote/" + vote.validator, vote.flag.encode())
        state.put(b"evidence", b"%d" % len(ctx.misbehaviour))


@pytest.mark.parametrize("header", [BlockHeader(votes=VOTES, misbehaviour=EVIDENCE), BlockHeader(misbehaviour=iter(EVIDENCE[:1])), BlockHeader()])  # type: ignore[arg-type]
def test_a_vm_sees_them_wherever_it_executes(header: BlockHeader) -> None:
    with ExecutionMachine.create(None, Watcher, workers=0) as alone, ExecutionMachine.create(None, Watcher, workers=2, pin=False) as many:
        results = [alone.execute([b"x"] * 3, header), many.execute([b"x"] * 3, header), many.execute([b"x"] * 3, header, sequential=True)]
        said = repr((tuple(header.votes), tuple(header.misbehaviour))).encode()
        for result in results:
            assert [receipt.output for receipt in result.receipts] == [said] * 3
            assert result.state_root == results[0].state_root and result.header == results[0].header
        alone.commit(results[0])
        assert alone.info.header == results[0].header and alone.get(b"ante") == said
        assert alone.get(b"evidence") == b"%d" % len(tuple(header.misbehaviour))
        assert alone.get(b"vote/" + b"b" * 20) == (b"absent" if header.votes else None)


def test_files_and_info_say_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, file = tmp_path / "state", tmp_path / "block"
    header = BlockHeader(votes=VOTES, misbehaviour=EVIDENCE)
    written = io.StringIO()
    write_block(written, Block([], header))
    assert read_block(io.BytesIO(written.getvalue().encode()), "block", Limits(), transfers=True).header == header
    file.write_text(written.getvalue())
    (tmp_path / "genesis").write_text('{"accounts": {}}')
    assert main(["init", str(state), "--genesis", str(tmp_path / "genesis")]) == 0
    assert main(["run", str(state), str(file), "--workers", "0"]) == 0
    capsys.readouterr()
    assert main(["info", str(state), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["votes"] == json.loads(written.getvalue())["header"]["votes"] and len(said["votes"]) == 3
    assert said["misbehaviour"][1] == {
        "kind": "light_client_attack", "validator": "62" * 20, "power": str(2**63 - 1), "height": 5, "time_ns": 6, "total_power": 7
    }


def test_a_validator_has_one_vote() -> None:
    with ExecutionMachine.create(None, Watcher, workers=0) as machine:
        with pytest.raises(InputError, match=r"votes\[1\] and votes\[3\] are of the same validator, 6262"):
            machine.execute([b"x"], BlockHeader(votes=[*VOTES, VOTES[1]._replace(power=1)]))
        machine.commit(machine.execute([b"x"], BlockHeader(votes=VOTES, misbehaviour=EVIDENCE * 2)))  # the same evidence may come twice
