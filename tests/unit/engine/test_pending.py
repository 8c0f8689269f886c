"""machine.pending(): those that wait for a block are checked over each other, and again after every commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ioi_exec import ExecutionMachine, LimitExceeded, Pending, Receipt, Revert, StaleResult, StateView, TxContext, VMError


class Nonces:
    """b"sender:nonce". It pays with its nonce, in ante."""

    def decode(self, tx: bytes) -> tuple[bytes, int]:
        sender, _, nonce = tx.partition(b":")
        return sender, int(nonce)

    def ante(self, tx: tuple[bytes, int], state: StateView, ctx: TxContext) -> None:
        sender, nonce = tx
        if int(state.get(sender) or b"0") != nonce:
            raise Revert(f"nonce {nonce}", code=9)
        state.put(sender, b"%d" % (nonce + 1))

    def execute(self, tx: tuple[bytes, int], state: StateView, ctx: TxContext) -> None:
        pass


@pytest.fixture(params=["disk", "memory"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ExecutionMachine]:
    with ExecutionMachine.create(tmp_path / "state" if request.param == "disk" else None, Nonces, workers=0) as machine:
        yield machine


def commit(machine: ExecutionMachine, *txs: bytes) -> None:
    machine.commit(machine.execute(txs))


def test_they_are_checked_over_each_other_and_again_after_a_commit(machine: ExecutionMachine) -> None:
    pending = machine.pending()
    assert [pending.check(tx).ok for tx in (b"ada:0", b"ada:1", b"bob:0", b"ada:3", b"ada:2")] == [True, True, True, False, True]
    assert list(pending) == [b"ada:0", b"ada:1", b"bob:0", b"ada:2"]
    assert pending.check(b"ada:0").ok, "one that waits already keeps its receipt"
    commit(machine, b"ada:0")
    assert pending.check(b"ada:3").ok and list(pending) == [b"ada:1", b"bob:0", b"ada:2", b"ada:3"], "nobody had to check again"
    commit(machine, b"bob:0", b"ada:1", b"ada:2", b"ada:3", b"ada:4")
    assert pending.check(b"ada:4").error == "nonce 4" and len(pending) == 0 and pending.renew() == {}


def test_what_may_no_longer_wait_is_told_once(machine: ExecutionMachine) -> None:
    pending = machine.pending()
    for tx in (b"ada:0", b"ada:01", b"ada:2"):
        assert pending.check(tx).ok
    commit(machine, b"ada:00")  # another transaction with the nonce of the first
    gone = pending.renew()
    assert {tx: receipt.code for tx, receipt in gone.items()} == {b"ada:0": 9} and list(pending) == [b"ada:01", b"ada:2"]
    assert pending.renew() == {}
    pending.remove(b"ada:01")
    pending.remove(b"never seen")
    assert pending.check(b"ada:3").ok, "what was removed is there until the next commit"
    commit(machine)
    assert {tx: receipt.error for tx, receipt in pending.renew().items()} == {b"ada:2": "nonce 2", b"ada:3": "nonce 3"}


def test_a_commit_that_failed_takes_nothing_away(machine: ExecutionMachine) -> None:
    pending = machine.pending()
    pending.check(b"ada:0")
    stale = machine.execute([b"ada:0"])
    commit(machine, b"bob:0")
    with pytest.raises(StaleResult):
        machine.commit(stale)
    assert pending.renew() == {} and list(pending) == [b"ada:0"]
    with machine.sandbox():
        commit(machine, b"ada:0")
    pending.renew()
    assert list(pending) == [b"ada:0"]


def test_who_checks_while_a_commit_fails_takes_nothing_away(machine: ExecutionMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    pending = machine.pending()
    assert pending.check(b"ada:0").ok and pending.check(b"bob:0").ok
    commit(machine, b"cy:0")  # since then nobody has checked
    result = machine.execute([b"ada:0"])
    told: list[dict[bytes, Receipt]] = []

    def fails(*args: object, **fields: object) -> int:
        thread = threading.Thread(target=lambda: told.append(pending.renew()))
        thread.start()
        thread.join()
        raise StaleResult("planted")

    with monkeypatch.context() as patched:
        patched.setattr(type(machine._store), "commit", fails)
        with pytest.raises(StaleResult, match="planted"):
            machine.commit(result)
    assert told == [{}] and list(pending) == [b"ada:0", b"bob:0"]
    machine.commit(result)
    assert pending.renew() == {} and list(pending) == [b"bob:0"]


def test_blocks_without_a_check_between_them(machine: ExecutionMachine) -> None:
    pending = machine.pending()
    for number in range(60):
        assert pending.check(b"ada:%d" % number).ok
    for number in range(40):
        commit(machine, b"ada:%d" % number)
    assert len(pending._committed) <= 16 and pending.renew() == {} and list(pending) == [b"ada:%d" % number for number in range(40, 60)]
    machine.rollback(3)
    assert set(pending.renew()) == {b"ada:%d" % number for number in range(40, 60)}


def test_bounds_and_what_is_no_vm_for_it(machine: ExecutionMachine) -> None:
    pending = machine.pending(most=1)
    assert isinstance(pending, Pending) and pending.check(b"ada:0").ok and not machine.pending().check(b"ada:1").ok
    with pytest.raises(LimitExceeded, match="1 transactions wait"):
        pending.check(b"ada:1")
    with ExecutionMachine.create(None, workers=0) as payments, pytest.raises(VMError, match="check"):
        payments.pending()


def test_beside_blocks(machine: ExecutionMachine) -> None:
    """Each thread sends for one account, in order; blocks take what waits. In the end all are committed, each once."""
    pending, failed, most = machine.pending(), [], 40

    def send(sender: bytes) -> None:
        try:
            for nonce in range(most):
                receipt = pending.check(sender + b":%d" % nonce)
                assert receipt.ok, receipt
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in (b"ada", b"bob", b"cy")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or len(pending):
        result = machine.execute(list(pending), propose=True)
        machine.commit(result)
        assert not failed and result.dropped == {}, (failed, result.dropped)
        pending.renew()
    for thread in threads:
        thread.join()
    assert not failed and [machine.get(sender) for sender in (b"ada", b"bob", b"cy")] == [b"%d" % most] * 3
