"""A chain whose blocks are decided here: over the same application that a consensus of many drives."""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Iterator

import pytest
from cometbft import until
from node_vms import Words

from ioi_exec import (
    BlockHeader,
    ExecutionMachine,
    GasSchedule,
    InputError,
    MachineClosed,
    Receipt,
    StateExists,
    StateInUse,
    VMFault,
    VMMismatch,
)
from ioi_exec.block.decided import Vote
from ioi_exec.node.app_hash import verify_key
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.dev_keys import POWER, DevKeys
from ioi_exec.node.mempool import Mempool
from ioi_exec.node.messages import QueryRequest
from ioi_exec.node.producer import Pace, Producer
from ioi_exec.node.sequencer import Happened
from ioi_exec.vm.payments import account_key, decode_account, encode_transfer

GENESIS = {b"a": b"0"}


def made(home: Path | None = None, vm: Any = Words, **options: Any) -> DevChain:
    ticks = count(1_000, 10)
    return DevChain(vm, **{"genesis": GENESIS, **options}, home=home, workers=0, clock=lambda: next(ticks))


@pytest.fixture
def chain() -> Iterator[DevChain]:
    with made() as chain:
        yield chain


def test_blocks_are_those_of_one_by_one(chain: DevChain) -> None:
    """The same roots as a machine that is handed the blocks, and headers that stand on each other."""
    with ExecutionMachine.create(None, Words, genesis=GENESIS, chain_id="dev", workers=0) as oracle:
        last, app_hash, results = b"", b"", chain.block(chain.mine()).header.last_results_hash
        oracle.commit(oracle.execute([], BlockHeader(time_ns=1_000, proposer=chain.sequencer.proposer)))
        last, app_hash, results = chain.block().hash, chain.block().app_hash, oracle.info.receipts_root
        for txs in ([b"b=1", b"fail", b"a=2"], [], [b"c=3"]):
            for tx in txs:
                assert chain.submit(tx).ok
            block = chain.block(chain.mine())
            assert block.txs == txs and block.hash == block.header.hash()
            assert (block.header.last_block_id.hash, block.header.app_hash, block.header.last_results_hash) == (last, app_hash, results)
            votes = [Vote(chain.sequencer.proposer, POWER, "commit")]
            header = BlockHeader(time_ns=block.header.time_ns, proposer=chain.sequencer.proposer, votes=votes)
            result = oracle.execute(txs, header)
            oracle.commit(result)
            assert (block.info.state_root, block.info.receipts_root) == (result.state_root, result.receipts_root)
            assert list(block.receipts) == list(result.receipts)
            last, app_hash, results = block.hash, block.app_hash, block.info.receipts_root


def test_a_key_is_proven_to_the_app_hash_of_a_header(chain: DevChain) -> None:
    chain.send(b"b=1")
    chain.mine()
    for key, value in ((b"b", b"1"), (b"zz", None)):
        answer = chain.application.query(QueryRequest(key, "/store/state/key", 1, True))
        assert answer.proof_ops is not None
        verify_key(chain.block(2).header.app_hash, "jellyfish", key, value, answer.proof_ops)


def test_what_cannot_be_in_a_block_waits_no_longer(chain: DevChain) -> None:
    assert chain.submit(b"bad").error == "a bad word"
    assert chain.submit(b"b=1").ok and chain.submit(b"refused").ok and chain.submit(b"fault").ok and chain.submit(b"c=1").ok
    assert chain.submit(b"b=1").error == "it waits for a block already"
    chain.mine()
    assert chain.block().txs == [b"b=1", b"c=1"] and len(chain.sequencer.mempool) == 0
    assert chain.send(b"refused").error == "not in a block"
    assert chain.sequencer.mine(empty=False) is None and chain.height == 1


ONE_A_BLOCK = GasSchedule(flat=10, block_limit=15)


def test_what_a_block_had_no_room_for_is_in_the_next_ones() -> None:
    """Though nothing else comes that would wake who makes them."""
    failed: list[BaseException] = []
    with made(gas=ONE_A_BLOCK) as chain:
        producer = Producer(chain.sequencer, Pace(), failed.append)
        for tx in (b"b=1", b"c=1", b"d=1"):
            assert chain.submit(tx).ok
        producer.start()
        until(lambda: chain.height == 3)
        producer.stop()
        assert [chain.block(height).txs for height in (1, 2, 3)] == [[b"b=1"], [b"c=1"], [b"d=1"]] and not failed


def test_what_is_sent_waits_for_what_came_before_it() -> None:
    with made(gas=ONE_A_BLOCK) as chain:
        assert chain.submit(b"b=1").ok and chain.submit(b"c=1").ok
        assert chain.send(b"d=1").output == b"done"
        assert chain.block().txs == [b"d=1"] and chain.height == 3


def test_the_block_at_hand_is_the_last_one(chain: DevChain) -> None:
    chain.sequencer.listen(lambda happened: chain.sequencer.stop() if happened.height == 2 else None)
    with pytest.raises(MachineClosed, match="the chain ends"):
        chain.mine(10)
    assert chain.height == 2


def test_a_transaction_may_come_again_once_it_is_in_a_block(chain: DevChain) -> None:
    assert chain.send(b"b=1").output == chain.send(b"b=1").output == b"done"
    assert (chain.height, chain.block(2).txs) == (2, [b"b=1"])


def test_validators_and_parameters_that_the_vm_sets(chain: DevChain) -> None:
    other = b"v" * 32
    chain.send(b"power %s 5" % other.hex().encode())
    chain.send(b"set block.max_gas 7")
    assert [each.power for each in chain.ledger.validators(chain.height).validators] == [POWER]
    chain.mine()
    assert sorted(each.power for each in chain.ledger.validators(chain.height).validators) == [5, POWER]
    assert len({chain.block(height).header.validators_hash for height in (1, 2)}) == 1
    assert chain.block(3).header.validators_hash == chain.block(2).header.next_validators_hash != chain.block(2).header.validators_hash
    assert chain.block(3).header.consensus_hash != chain.block(2).header.consensus_hash
    chain.mine()
    assert b"'absent'" in chain.send(b"votes").output


def test_a_block_that_no_node_would_take_is_not_made_and_the_chain_goes_on(chain: DevChain) -> None:
    with pytest.raises(Exception, match="31 bytes"):
        chain.send(b"power %s 5" % (b"k" * 31).hex().encode())
    assert chain.height == 0
    assert chain.send(b"b=1").ok and chain.height == 1


def test_a_hook_that_fails_stops_a_block_and_not_the_chain() -> None:
    class Picky(Words):
        def end_block(self, state: Any, ctx: Any, receipts: Any) -> None:
            if b"poison=1" in ctx.txs:
                raise ValueError("poisoned")

    with made(vm=Picky) as chain:
        with pytest.raises(VMFault, match="poisoned"):
            chain.send(b"poison=1")
        assert len(chain.sequencer.mempool) == 0
        assert "poisoned" in (chain.sequencer.mempool.why_dropped(sha256(b"poison=1").digest()) or "")
        assert chain.send(b"b=1").ok


def test_simulating_keeps_nothing(chain: DevChain) -> None:
    root = chain.machine.root
    result = chain.simulate(b"b=1", b"fail")
    assert [receipt.code for receipt in result.receipts] == [0, 9] and result.height == 1
    assert (chain.machine.root, chain.height, chain.get(b"b")) == (root, 0, None)


def test_going_back(chain: DevChain) -> None:
    told: list[Happened] = []
    chain.sequencer.listen(told.append)
    start = chain.snapshot()
    chain.send(b"b=1")
    after = chain.snapshot()
    chain.send(b"b=2")
    hash_of_two = chain.block().hash
    chain.submit(b"c=1")
    assert chain.revert(after) == 1 and chain.get(b"b") == b"1" and len(chain.sequencer.mempool) == 0
    chain.send(b"b=3")
    assert chain.get(b"b") == b"3" and chain.block(2).hash != hash_of_two
    for _ in range(2):
        assert chain.revert(start) == 0 and chain.get(b"b") is None
    with pytest.raises(InputError, match="was not undone"):
        chain.revert(after)
    chain.send(b"b=1")
    with pytest.raises(InputError):
        chain.revert(after)  # another block of the same height, at another time
    for wrong in ("", "1", "-1-00", "x-y", "9" * 30 + "-00", f"1-{'0' * 64}"):
        with pytest.raises(InputError):
            chain.revert(wrong)
    kinds = [each.kind for each in told if each.kind in ("block", "reverted")]
    assert kinds == ["block", "block", "reverted", "block", "reverted", "reverted", "block"]


def test_a_home_goes_on_and_is_of_one_chain(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with made(home) as chain:
        chain.send(b"b=1")
        hashes = [chain.block().hash, chain.block().app_hash]
        names = chain.snapshot()
        chain.send(b"b=2")
    with made(home) as chain:
        assert chain.get(b"b") == b"2" and [chain.block(1).hash, chain.block(1).app_hash] == hashes
        assert chain.revert(names) == 1 and chain.send(b"c=1").ok and chain.height == 2
    for wrong in ({"chain_id": "other"}, {"keys": DevKeys("another")}, {"genesis": {b"a": b"1"}}, {"tree": "iavl"}):
        with pytest.raises(StateExists, match="give what it was made with"):
            made(home, **wrong)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StateExists, match="not empty"):
        made(tmp_path / "full")


def test_another_version_of_the_vm_is_accepted_or_refused(tmp_path: Path) -> None:
    class Later(Words):
        version = 2

        def migrate(self, state: Any, ctx: Any, from_version: str) -> None:
            state.put(b"migrated", b"from " + from_version.encode())

    Later.__qualname__ = Words.__qualname__
    Later.__module__ = Words.__module__
    with made(tmp_path / "home") as chain:
        chain.send(b"b=1")
    with pytest.raises(VMMismatch, match="--accept-vm"):
        made(tmp_path / "home", vm=Later)
    with made(tmp_path / "home", vm=Later, accept_vm=True) as chain:
        chain.send(b"c=1")
        assert (chain.get(b"b"), chain.get(b"c"), chain.get(b"migrated")) == (b"1", b"1", b"from ")


def test_accounts_of_payments() -> None:
    with DevChain(workers=0) as chain:
        ada, bob = chain.keys.accounts[:2]
        assert chain.send(encode_transfer(ada.public, bob.public, 5, fee=1, nonce=0)).ok
        assert decode_account(chain.get(account_key(bob.public))).balance == 10**12 + 5
        assert decode_account(chain.get(account_key(chain.keys.validator.public))).balance == 1
    assert DevKeys().accounts[0] == ada != DevKeys("other").accounts[0]


def test_the_pool_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioi_exec.node.mempool.MOST", 2)
    monkeypatch.setattr("ioi_exec.node.mempool.DROPPED_MOST", 1)
    pool = Mempool()
    assert pool.add(b"a") and pool.add(b"bb") and not pool.add(b"a")
    with pytest.raises(Exception, match="2 transactions of 3 bytes wait"):
        pool.add(b"c")
    pool.drop(b"a", "why")
    pool.drop(b"x", "other")
    assert (pool.size, len(pool), pool.listed(), pool.listed(0)) == (2, 1, [b"bb"], [])


def test_one_that_was_let_in_waits_though_the_state_goes_back_right_then(chain: DevChain, monkeypatch: pytest.MonkeyPatch) -> None:
    def goes_back(_: ExecutionMachine) -> None:
        raise StateInUse("the state is being rolled back")

    check_tx = chain.sequencer.application.check_tx

    def checked(tx: bytes) -> Receipt:
        receipt = check_tx(tx)
        monkeypatch.setattr(ExecutionMachine, "info", property(goes_back))
        return receipt

    monkeypatch.setattr(chain.sequencer.application, "check_tx", checked)
    told: list[Happened] = []
    chain.sequencer.listen(told.append)
    assert chain.submit(b"b=1").ok and [each.kind for each in told] == ["waits"]
    monkeypatch.undo()
    assert chain.block(chain.mine()).txs == [b"b=1"]
