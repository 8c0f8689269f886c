"""FinalizeBlock's answer, which is put together from packed receipts, says the same to another implementation."""

from __future__ import annotations

import abci_protos
from ioi_storage import receipts_merkle_root
from node_chains import Make

from ioi_exec import Event, GasSchedule, Receipt
from ioi_exec.block.receipt import DONE, Receipts
from ioi_exec.block.updates import ValidatorUpdate
from ioi_exec.node.messages import BlockParams, ConsensusParams
from ioi_exec.node.results import check_result, finalized
from ioi_exec.node.wire import encode


def test_a_block(make: Make) -> None:
    chain = make(gas=GasSchedule(flat=5)).begin()
    key = (b"w" * 32).hex().encode()
    done = chain.decide(b"b=1", b"fail", b"", b"power %s 7" % key)
    said = finalized(done.result.receipts, done.result.events, done.result.updates.validators, done.params, done.app_hash)
    found = abci_protos.classes()["Finalized"].FromString(said)
    assert found.app_hash == done.app_hash and len(found.tx_results) == 4
    for receipt, result in zip(done.result.receipts, found.tx_results):
        assert (result.code, result.data, result.log) == (receipt.code, receipt.output, receipt.error)
        assert (result.gas_wanted, result.gas_used) == (receipt.gas_wanted, receipt.gas_used)
        assert [event.type for event in result.events] == [event.name for event in receipt.events]
    first = found.tx_results[0].events[0]
    assert [(part.key, part.value, part.index) for part in first.attributes] == [("key", "62", True), ("size", "1", True)]
    assert [event.type for event in found.events] == ["ended"]
    assert [(update.public_key.ed25519, update.power) for update in found.validator_updates] == [(b"w" * 32, 7)]
    assert not found.HasField("consensus_param_updates")


def test_last_results_hash() -> None:
    """Of the results without what CometBFT leaves out is the receipts root."""
    receipts = Receipts.of([DONE, Receipt(9, b"", 5, 4, "why"), Receipt(0, b"out" * 100, 1 << 40, 1)])
    found = abci_protos.classes()["Finalized"].FromString(finalized(receipts, (), (), None, bytes(32)))
    leaves, ends = b"", b""
    for result in found.tx_results:
        assert result.log == ("why" if result.code else "")
        result.log = ""
        leaves += result.SerializeToString(deterministic=True)
        ends += len(leaves).to_bytes(8, "little")
    assert receipts_merkle_root(leaves, ends) == receipts.root()


def test_no_transactions() -> None:
    said = finalized(Receipts.of([]), (), (ValidatorUpdate(b"s" * 33, 0, "secp256k1"),), ConsensusParams(BlockParams(5, 6)), b"h" * 32)
    found = abci_protos.classes()["Finalized"].FromString(said)
    assert not found.tx_results and found.app_hash == b"h" * 32 and found.consensus_param_updates.block.max_gas == 6
    assert [(update.public_key.secp256k1, update.power) for update in found.validator_updates] == [(b"s" * 33, 0)]


def test_check() -> None:
    refused = check_result(Receipt(7, error="no \ud800"))
    assert (refused.code, refused.codespace) == (7, "ioi-exec") and abci_protos.classes()["TxResult"].FromString(encode(refused)).code == 7
    assert encode(check_result(Receipt())) == b""


def test_receipts_that_tell_more() -> None:
    receipts = [DONE, Receipt(output=b"x" * 5000), Receipt(1, error="e"), DONE, Receipt(refused=True, code=3), Receipt(traceback="t")]
    assert Receipts.of(receipts).telling() == [2, 4, 5]
    assert Receipts.of([]).telling() == []
    assert Event("e").attributes == ()
