"""The application, without a socket: what it says at each step of a chain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from abci_client import CHAIN, PARAMS, VALIDATOR, block, genesis
from node_chains import Chain, Make
from node_vms import Words

from ioi_exec import InputError, MachineClosed, ResourceError, StateError, VMFault
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.application import CANDIDATES_MOST, Application, Refused
from ioi_exec.node.messages import (
    LastCommit,
    Misbehavior,
    Moment,
    Proposal,
    PublicKey,
    Validator,
    ValidatorPower,
    VersionParams,
    Vote,
)
from ioi_exec.node.records import Records
from ioi_exec.node.retention import Retention

EVIDENCE = Misbehavior(1, Validator(b"m" * 20, 5), 1, Moment(7, 1), 11)


def executions(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The heights of the blocks that are executed from now on."""
    seen: list[int] = []
    execute = ExecutionMachine.execute

    def counted(machine: ExecutionMachine, txs: Any, header: Any = None, **options: Any) -> Any:
        seen.append(header.height)
        return execute(machine, txs, header, **options)

    monkeypatch.setattr(ExecutionMachine, "execute", counted)
    return seen


def test_height_is_0_until_a_block_is_committed(make: Make) -> None:
    chain = make(initial_height=50)
    assert chain.application.info().last_block_height == 0
    chain.begin(initial_height=50)
    assert chain.application.info().last_block_height == 0
    done = chain.decide(b"b=1")
    info = chain.application.info()
    assert (info.last_block_height, info.last_block_app_hash) == (50, done.app_hash)


def test_the_chain_begins_the_same_again_until_a_block_is_committed(make: Make) -> None:
    chain = make()
    first = chain.application.init_chain(genesis())
    assert chain.application.init_chain(genesis()) == first
    assert first.consensus_params == PARAMS and first.validators == () and len(first.app_hash) == 32
    other = chain.application.init_chain(genesis(validators=(replace(VALIDATOR, power=11),)))
    assert other.app_hash != first.app_hash  # validators are in it
    chain.decide(b"b=1")
    with pytest.raises(StateError, match="at height 1"):
        chain.application.init_chain(genesis())


def test_the_version_of_the_genesis_is_the_applications(make: Make) -> None:
    chain = make()
    params = replace(PARAMS, version=VersionParams(3))
    assert chain.application.init_chain(genesis(consensus_params=params)).consensus_params == params
    assert chain.application.info().app_version == 3


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"chain_id": "another"}, "'another'.*'test-chain'"),
        ({"initial_height": 7}, "initial height 7"),
        ({"validators": ()}, "no validators"),
        ({"validators": (VALIDATOR, ValidatorPower(None, 5))}, "no kind that is known"),
        ({"validators": (ValidatorPower(PublicKey(), 5),)}, "no kind"),
        ({"app_state_bytes": b'{"state": {"61": "31"}}'}, "is not the genesis"),
        ({"app_state_bytes": b'{"accounts": {}}'}, "app_state of CometBFT's genesis: "),
        ({"app_state_bytes": b"["}, "app_state of CometBFT's genesis: "),
    ],
)
def test_a_genesis_that_does_not_fit(make: Make, changes: dict[str, Any], said: str) -> None:
    chain = make()
    with pytest.raises(InputError, match=said):
        chain.application.init_chain(genesis(**changes))
    assert chain.begin().application.info().last_block_height == 0  # nothing came of it


@pytest.mark.parametrize("app_state", [b"", b"{}", b"null", json.dumps({"state": {"61": "30"}}).encode()])
def test_a_genesis_that_fits(make: Make, app_state: bytes) -> None:
    make().begin(app_state_bytes=app_state).decide(b"b=1")


def test_a_candidate_is_executed_once(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = executions(chain, monkeypatch)
    first, second = block(1, b"a=1"), block(1, b"a=2", round=1)
    assert chain.application.process_proposal(first) and chain.application.process_proposal(second)
    assert chain.application.finalize_block(first).result.txs == [b"a=1"]
    chain.application.commit()
    assert seen == [1, 1] and chain.machine.get(b"a") == b"1"
    chain.application.finalize_block(block(2))  # as in a replay, where nothing is proposed
    chain.application.commit()
    assert seen == [1, 1, 2]


def test_a_hash_alone_is_not_believed(chain: Chain) -> None:
    """The block that is decided has to be the one that was executed."""
    assert chain.application.process_proposal(block(1, b"a=1"))
    chain.application.finalize_block(replace(block(1, b"a=2"), hash=block(1, b"a=1").hash))
    chain.application.commit()
    assert chain.machine.get(b"a") == b"2"


def test_rounds_that_fail_do_not_add_up(chain: Chain) -> None:
    for round in range(3 * CANDIDATES_MOST):
        assert chain.application.process_proposal(block(1, b"a=%d" % round, round=round))
    assert len(chain.application._candidates) == CANDIDATES_MOST
    chain.decide(b"a=x")
    assert not chain.application._candidates


def test_blocks_that_are_wrong_everywhere_are_rejected(chain: Chain) -> None:
    limits = chain.machine.limits
    for wrong in (
        block(2, b"a=1"), block(1, b"x" * (limits.tx_bytes + 1)), block(1, b"power 00 5"), block(1, b"set block.max_bytes 0"),
        replace(block(1), time=None, height=0),
    ):
        assert not chain.application.process_proposal(wrong)
        with pytest.raises(Refused):
            chain.application.finalize_block(wrong)
    chain.decide(b"a=1")


def test_a_fault_of_this_machine_is_tried_again(chain: Chain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    execute, faults = ExecutionMachine.execute, [VMFault(0, "memory ran out")]

    def failing(machine: ExecutionMachine, *arguments: Any, **options: Any) -> Any:
        if faults:
            raise faults.pop()
        return execute(machine, *arguments, **options)

    monkeypatch.setattr(ExecutionMachine, "execute", failing)
    assert chain.application.process_proposal(block(1, b"a=1"))
    faults += [VMFault(0, "memory ran out")] * 2
    assert not chain.application.process_proposal(block(1, b"a=2", round=1))
    assert caplog.text.count("could not be executed here") == 3
    assert chain.application.process_proposal(block(1, b"a=2", round=1))  # nothing was remembered
    faults += [VMFault(0, "memory ran out")]
    with pytest.raises(VMFault):
        chain.application.finalize_block(block(1, b"a=3", round=2))


def test_check_tx(chain: Chain) -> None:
    check = chain.application.check_tx
    assert check(b"a=1").ok
    assert (check(b"bad").code, check(b"bad").error) == (7, "a bad word")
    too_long = check(b"x" * (chain.machine.limits.tx_bytes + 1))
    assert not too_long.ok and "at most" in too_long.error
    chain.decide(b"a=1")
    assert check(b"a=1", again=True).ok


def test_a_vm_without_a_check_lets_everything_in(make: Make) -> None:
    class Plain:
        def execute(self, tx: bytes, state: Any, ctx: Any) -> None: ...

    check = make(vm=Plain).begin().application.check_tx
    assert check(b"anything").ok and check(b"anything").ok
    assert not check(b"x" * (1 << 21)).ok


def test_a_proposal_is_filled_from_the_front(chain: Chain) -> None:
    txs = (b"a=1", b"b" * 200, b"c=3")
    taken = [3 + 2, 200 + 3, 3 + 2]  # each with its tag and length
    for count in range(4):
        for spare in (0, 1):
            proposal = Proposal(sum(taken[:count]) + spare, txs, height=1)
            assert chain.application.prepare_proposal(proposal) == list(txs[:count])


def test_what_cannot_be_in_a_block_is_taken_out(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    check, large = chain.application.check_tx, b"x" * 5000
    waiting = (b"a=1", b"refused", b"fail", b"fault", large, b"b=2")
    assert all(check(tx).ok for tx in waiting)
    assert chain.application.prepare_proposal(Proposal(1000, waiting, height=1)) == [b"a=1", b"fail", b"b=2"]
    assert caplog.text.count("taken out") == 3
    chain.decide(b"a=1", b"fail", b"b=2")
    assert [check(tx, again=True).code for tx in (b"refused", b"fault", large)] == [6, 1, 1]
    assert check(b"refused").ok  # it may be sent anew
    assert [check(tx).code for tx in (b"fault", large)] == [1, 1]  # these may not


def test_a_proposer_executes_once(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = executions(chain, monkeypatch)
    of_one = block(1, b"a=1", b"votes")
    proposal = Proposal(1000, of_one.txs, None, (), 1, of_one.time, of_one.next_validators_hash, of_one.proposer_address)
    assert chain.application.prepare_proposal(proposal) == list(of_one.txs)
    assert chain.application.process_proposal(of_one)
    done = chain.application.finalize_block(of_one)
    chain.application.commit()
    assert seen == [1] and done.result.header.block_id == of_one.hash
    assert chain.machine.info.header is not None and chain.machine.info.header.block_id == of_one.hash
    for other in (block(2, b"a=2"), replace(block(2, b"a=3"), time=of_one.time), replace(block(2, b"a=3"), misbehavior=(EVIDENCE,))):
        assert chain.application.prepare_proposal(Proposal(1000, (b"a=3",), None, (), 2, block(2).time, bytes(32), b"p" * 20)) == [b"a=3"]
        assert chain.application.process_proposal(other)
    assert seen == [1] + [2] * 6


def test_a_proposer_that_cannot_execute_proposes_nothing(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise ResourceError("memory ran out")

    with monkeypatch.context() as patched:
        patched.setattr(ExecutionMachine, "execute", failing)
        assert chain.application.prepare_proposal(Proposal(1000, (b"a=1",), height=1)) == []
    assert chain.application.prepare_proposal(Proposal(1000, (b"a=1",), height=1)) == [b"a=1"]


def test_votes_and_evidence_reach_the_vm(chain: Chain) -> None:
    votes = LastCommit(0, (Vote(Validator(b"a" * 20, 5), 2), Vote(Validator(b"b" * 20, 6), 1)))
    told = replace(block(1, b"votes"), last_commit=votes, misbehavior=(EVIDENCE,))
    output = chain.application.finalize_block(told).result.receipts[0].output.decode()
    assert "flag='commit'" in output and "power=6, flag='absent'" in output and "kind='duplicate_vote'" in output and "time_ns=7000000001" in output
    for wrong in (
        replace(told, last_commit=LastCommit(0, (Vote(Validator(b"a" * 20, 5), 0),))),
        replace(told, last_commit=LastCommit(0, (Vote(Validator(b"a" * 20, -5), 2),))),
        replace(told, misbehavior=(replace(EVIDENCE, type=3),)), replace(told, misbehavior=(replace(EVIDENCE, validator=None),)),
        replace(told, time=Moment(-1)),
    ):
        assert not chain.application.process_proposal(wrong)


def test_changes_of_the_consensus_are_in_the_app_hash(chain: Chain) -> None:
    key = b"w" * 32
    plain = chain.decide(b"a=1")
    assert plain.params is None and plain.consensus.validators == (VALIDATOR,)
    done = chain.decide(b"power %s 5" % key.hex().encode(), b"set block.max_gas 1000")
    assert done.consensus.validators == (VALIDATOR, ValidatorPower(PublicKey(ed25519=key), 5))
    assert done.params is not None and done.params.block is not None and done.params.evidence is None
    assert (done.params.block.max_bytes, done.params.block.max_gas) == (4_194_304, 1000)  # whole, as the node wants it
    assert chain.records.at(1) == plain.consensus and chain.records.at(2) == done.consensus == chain.records.at(3)
    assert chain.application.info().last_block_app_hash == done.app_hash


def test_it_goes_on_where_it_was(make: Make, tmp_path: Path) -> None:
    chain = make(tmp_path / "state").begin()
    done = chain.decide(b"power %s 5" % (b"w" * 32).hex().encode())
    chain.application.close()
    with ExecutionMachine.open(tmp_path / "state", vm=Words, workers=0) as machine:
        again = Application(machine, Records(tmp_path / "consensus.db"))
        assert again.info().last_block_app_hash == done.app_hash
        again.close()


@pytest.mark.parametrize("lost", ["before the state", "before the record"])
def test_a_crash_between_the_record_and_the_state(make: Make, tmp_path: Path, lost: str) -> None:
    """Whatever of the two is there, the block is executed again and comes to the same."""
    chain = make(tmp_path / "state").begin()
    chain.decide(b"a=1")
    change = block(2, b"power %s 5" % (b"w" * 32).hex().encode())
    expected = chain.application.finalize_block(change)
    if lost == "before the state":
        chain.records.put(2, expected.consensus)
    again = Application(chain.machine, chain.records)
    assert again.info().last_block_height == 1 and again._consensus == chain.records.at(1) != expected.consensus
    assert again.finalize_block(change).app_hash == expected.app_hash
    again.commit()
    assert again.info().last_block_app_hash == expected.app_hash


def test_rolled_back_it_takes_another_way(make: Make, tmp_path: Path) -> None:
    """What was recorded of the heights that are gone counts for nothing."""
    chain = make(tmp_path / "state").begin()
    plain = chain.decide(b"a=1")
    chain.decide(b"power %s 5" % (b"w" * 32).hex().encode())
    chain.decide(b"power %s 6" % (b"x" * 32).hex().encode())
    chain.machine.rollback(1)
    chain.application = Application(chain.machine, chain.records)
    assert chain.application.info().last_block_app_hash == plain.app_hash
    for _ in range(3):
        assert chain.decide(b"a=2").consensus == plain.consensus
    assert chain.records.newest() == 0


def test_a_state_without_its_records_is_refused(make: Make, tmp_path: Path) -> None:
    chain = make(tmp_path / "state").begin()
    chain.decide(b"a=1")
    with pytest.raises(StateError, match="not recorded"):
        Application(chain.machine, Records(None))
    others = Records(None)
    others.put(0, replace(chain.decide(b"a=2").consensus, chain_id="another"))
    with pytest.raises(StateError, match="another"):
        Application(chain.machine, others)


def test_blocks_that_are_to_be_kept(make: Make) -> None:
    few = replace(PARAMS, evidence=replace(PARAMS.evidence, max_age_num_blocks=2))
    chain = make().begin(consensus_params=few)
    chain.application = Application(chain.machine, chain.records, retention=Retention(3))
    kept = []
    for height in range(1, 6):
        chain.application.finalize_block(block(height))
        kept.append(chain.application.commit())
    assert kept == [0, 0, 1, 2, 3]


def test_blocks_that_something_needs_are_kept_longer(chain: Chain) -> None:
    """A version that may be rolled back to needs those behind it, and evidence its own."""
    consensus = chain.application.finalize_block(block(1)).consensus
    few = replace(consensus, params=replace(PARAMS, evidence=replace(PARAMS.evidence, max_age_num_blocks=20)))
    assert Retention(3, 0).height(1000, few, None) == 981
    assert Retention(3, 50).height(1000, few, None) == 951
    assert Retention(100, 50).height(1000, few, None) == Retention(100, 50).height(1000, few, 950) == 901
    assert Retention(100, 50).height(1000, few, 700) == 700  # the oldest snapshot's
    assert Retention(100, 50).height(1000, consensus, None) == Retention(0, 50).height(1000, few, None) == 0


def test_it_halts_at_a_height(make: Make) -> None:
    chain = make().begin()
    halted: list[int] = []
    chain.application = Application(chain.machine, chain.records, halt_height=2, at_halt=lambda: halted.append(chain.machine.info.height))
    chain.decide()
    assert not halted
    chain.decide(b"a=1")
    assert halted == [2]
    for call in (chain.application.process_proposal, chain.application.finalize_block):
        with pytest.raises(MachineClosed, match="halts at height 2"):
            call(block(3))
    assert chain.application.info().last_block_height == 2
    for passed in (1, 2):
        with pytest.raises(InputError, match="engine.halt_height.*height 2: this node has halted"):
            Application(chain.machine, chain.records, halt_height=passed)
    chain.application = Application(chain.machine, chain.records, halt_height=3)
    chain.decide()


def test_commit_without_a_block(chain: Chain) -> None:
    with pytest.raises(InputError, match="without a block"):
        chain.application.commit()


def test_closed(chain: Chain) -> None:
    chain.application.close()
    for call in (
        lambda: chain.application.check_tx(b"a"), lambda: chain.application.process_proposal(block(1)), chain.application.info,
    ):
        with pytest.raises(MachineClosed):
            call()


def test_a_block_before_the_chain_has_begun(make: Make) -> None:
    assert not make().application.process_proposal(block(1))
    assert make().machine.info.chain_id == CHAIN
