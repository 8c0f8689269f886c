"""The Go ics23 library verifies what a node proves to its app hash: the tree's spec, then its own TendermintSpec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from abci_client import CHAIN, block, genesis
from ics23_peers import go_peer
from ioi_storage import ics23

from ioi_exec import ExecutionMachine
from ioi_exec.node.app_hash import NODE, STATE, verify_entry
from ioi_exec.node.application import Application
from ioi_exec.node.messages import QueryRequest
from ioi_exec.node.records import Records

pytestmark = pytest.mark.long


class Words:
    def execute(self, tx, state, ctx):  # type: ignore[no-untyped-def]
        state.put(*tx.split(b"="))


def test_two_steps(tmp_path: Path) -> None:
    real = go_peer(Path(__file__).parent / "ics23" / "go", tmp_path / "real-ics23")
    (outer,) = real.ask(["spec tendermint"])
    true, false = [], []
    for tree in ("jellyfish", "iavl"):
        machine = ExecutionMachine.create(None, Words, tree, {b"a": b"0"}, chain_id=CHAIN, workers=0)
        application, hashes = Application(machine, Records(None)), {}
        hashes[0] = application.init_chain(genesis()).app_hash
        for height in range(1, 6):
            hashes[height] = application.finalize_block(block(height, b"b=%d" % height, b"k%d=v" % height)).app_hash
            application.commit()
        for height in range(1, 5):
            for key in (b"a", b"b", b"k1", b"k4", b"none"):
                answer = application.query(QueryRequest(key, "/store/state/key", height, True))
                assert answer.proof_ops is not None
                inside, outside = answer.proof_ops.ops
                root = verify_entry(hashes[height], STATE, outside)
                value = answer.value.hex() if not answer.log else "-"
                true.append(f"verify {ics23.spec(tree).hex()} {root.hex()} {key.hex()} {value} {inside.data.hex()}")
                true.append(f"verify {outer} {hashes[height].hex()} {STATE.hex()} {root.hex()} {outside.data.hex()}")
                false.append(f"verify {outer} {hashes[height - 1].hex()} {STATE.hex()} {root.hex()} {outside.data.hex()}")
                false.append(f"verify {outer} {hashes[height].hex()} {NODE.hex()} {root.hex()} {outside.data.hex()}")
            answer = application.query(replace(QueryRequest(b"", "/node", height, True)))
            assert answer.proof_ops is not None
            step = answer.proof_ops.ops[0]
            true.append(f"verify {outer} {hashes[height].hex()} {NODE.hex()} {answer.value.hex()} {step.data.hex()}")
            false.append(f"verify {outer} {hashes[height].hex()} {NODE.hex()} {answer.value.hex()}00 {step.data.hex()}")
        application.close()
    assert set(real.ask(true)) == {"true"} and set(real.ask(false)) == {"false"}
