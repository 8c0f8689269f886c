"""Heights only rise: the first is free, each other is one more than the one before; versions are found by theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ioi_storage import Store

from ioi_exec import BlockHeader, ExecutionMachine, InputError, VersionMissing
from ioi_exec.block.header import hash_of


class Put:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(tx, b"%d" % ctx.height)


def commit(machine: ExecutionMachine, *txs: bytes, height: int | None = None) -> int:
    result = machine.execute(txs, BlockHeader(height))
    machine.commit(result)
    return result.height


def test_the_first_header_is_free_and_each_other_is_one_more() -> None:
    with ExecutionMachine.create(None, Put, workers=0, initial_height=10) as machine:
        with pytest.raises(InputError, match=r"has height 9, and the next one of this state is 10: .*below the first"):
            commit(machine, b"a", height=9)
        assert commit(machine, b"a", height=50) == 50
        assert commit(machine, b"b") == 51
        assert commit(machine, b"c", height=52) == 52
        for height in (0, 50, 51, 52):
            with pytest.raises(InputError, match=f"has height {height}, and the next one of this state is 53: .*committed already.*--resume"):
                commit(machine, b"d", height=height)
        with pytest.raises(InputError, match=r"has height 55, and the next one of this state is 53: .*leave out 2"):
            commit(machine, b"d", height=55)
        assert machine.version == 3 and machine.get(b"d") is None
        with machine.sandbox():
            assert commit(machine, b"d", height=53) == 53
            with pytest.raises(InputError, match="is 54"):
                machine.execute([], BlockHeader(53))
        machine.rollback(1)
        assert commit(machine, b"e", height=51) == 51


def test_the_last_height_there_is() -> None:
    with ExecutionMachine.create(None, Put, workers=0) as machine:
        commit(machine, height=2**63 - 1)
        with pytest.raises(InputError, match="height"):
            machine.execute([])


def test_a_version_by_its_height() -> None:
    with ExecutionMachine.create(None, Put, workers=0, initial_height=10) as machine:
        assert machine.at_height(9).version == 0
        for height in (50, 51, 52, 53):
            commit(machine, b"k", height=height)
        for height in (50, 51, 52, 53):
            assert machine.at_height(height).get(b"k") == b"%d" % height
        for missing in (0, 8, 10, 49, 54, 2**63, 2**100):
            with pytest.raises(VersionMissing, match="theirs are 9 to 53"):
                machine.at_height(missing)
        machine.prune(2)
        with pytest.raises(VersionMissing, match="theirs are 52 to 53"):
            machine.at_height(51)
        assert machine.at_height(52).version == 3


def test_what_the_last_block_was_is_remembered(tmp_path: Path) -> None:
    with ExecutionMachine.create(tmp_path / "state", Put, workers=0) as machine:
        assert machine.info.transactions_hash is None
        commit(machine, b"a", b"b")
    with ExecutionMachine.open(tmp_path / "state", read_only=True) as machine:
        assert machine.info.transactions_hash == hash_of([b"a", b"b"])


def test_a_version_from_before_it_was_remembered(tmp_path: Path) -> None:
    with ExecutionMachine.create(tmp_path / "state", Put, workers=0) as machine:
        pass
    old = b"\1" + BlockHeader(7, extra=b"x").encode(bytes(32))[1:-32]
    with Store.open(tmp_path / "state") as store:
        store.commit(store.stage([]), receipts_root=bytes(32), height=7, header=old, transactions=0, failed=0)
    with ExecutionMachine.open(tmp_path / "state", workers=0) as machine:
        assert machine.info.transactions_hash is None and machine.info.header == BlockHeader(7, extra=b"x")
        assert commit(machine, height=8) == 8
