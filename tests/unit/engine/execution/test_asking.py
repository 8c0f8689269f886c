"""machine.check and machine.query; ctx.random."""

from __future__ import annotations

from typing import Any

import pytest

from ioi_exec import ExecutionMachine, InputTypeError, Revert, StateView, VMError


class Asked:
    """A transaction is a sender, who pays one and tells dice."""

    def ante(self, tx: bytes, state: StateView, ctx: Any) -> None:
        left = int(state.get(tx) or b"0")
        if left == 0:
            raise Revert("cannot pay", code=4)
        state.put(tx, b"%d" % (left - 1))

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> bytes:
        assert ctx.random().random() == ctx.random(b"").random() != ctx.random(b"x").random()
        return b"%d" % ctx.random().getrandbits(64)

    def query(self, path: str, data: bytes, state: StateView) -> bytes | None:
        if path == "memory":
            raise MemoryError("none")
        if path == "number":
            return 5  # type: ignore[return-value]
        if path == "left":
            state.put(data, b"written by a query")
            return b"%s of %d" % (state.get(data) or b"none", len(list(state.scan())))
        raise LookupError(path)


def create(vm: Any = Asked) -> ExecutionMachine:
    return ExecutionMachine.create(None, vm, genesis={b"ada": b"2", b"bob": b"1"}, workers=0)


def test_a_check_is_over_what_is_pending_until_the_next_commit() -> None:
    with create() as machine:
        assert [machine.check(b"ada").code for _ in range(3)] == [0, 0, 4]
        assert machine.check(b"bob").ok and machine.check(b"cy").error == "cannot pay"
        assert machine.get(b"ada") == b"2"  # nothing of it is written
        machine.commit(machine.execute([b"ada"]))
        assert [machine.check(b"ada").code for _ in range(2)] == [0, 4]
        with machine.sandbox():
            assert [machine.check(b"ada").code for _ in range(2)] == [0, 4]
            machine.commit(machine.execute([b"ada"]))
            assert machine.check(b"ada").code == 4
        assert machine.check(b"bob").ok  # outside, anew


def test_a_query_reads_the_committed_state_and_writes_nothing() -> None:
    with create() as machine:
        assert machine.query("left", b"ada").output == b"written by a query of 2"
        assert machine.get(b"ada") == b"2"
        failed = machine.query("nothing")
        assert failed.code == 2 and failed.error.startswith("LookupError: nothing (test_asking.py:")
        assert machine.query("number").error == "TypeError: query returned int: return bytes or None"
        with pytest.raises(VMError, match="query was stopped: MemoryError: none"):
            machine.query("memory")
        with pytest.raises(InputTypeError):
            machine.query(b"left")  # type: ignore[arg-type]


def test_a_vm_that_has_neither_is_named() -> None:
    class Neither:
        def execute(self, tx: bytes, state: StateView, ctx: Any) -> None: ...

    for vm in (Neither, "payments"):
        with ExecutionMachine.create(None, vm, workers=0) as machine:
            with pytest.raises(VMError, match="has no method query"):
                machine.query("a")
            with pytest.raises(VMError, match="has no method check"):
                machine.check(b"a")


def test_dice_are_the_same_everywhere_and_never_twice(ioi: Any) -> None:
    with create() as reference:
        machine = ioi(vm=Asked, genesis={b"ada": b"2", b"bob": b"1"})
        seen = set()
        for _ in range(2):
            expected = reference.execute([b"ada", b"bob"])
            result = machine.execute([b"ada", b"bob"])
            assert result.receipts == expected.receipts
            seen |= {receipt.output for receipt in expected.receipts if receipt.ok}
            reference.commit(expected)
            machine.commit(result)
        assert len(seen) == 3
