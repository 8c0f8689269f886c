"""What is kept of who executed what, and of what transactions read and wrote; and what keys were."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Iterator

import pytest
from node_vms import Copies

from ioi_exec import ExecutionMachine, InputError, VersionMissing
from ioi_exec.block.record import EVENT, EventKind
from ioi_exec.node import history as looking_back
from ioi_exec.node import recordings
from ioi_exec.node.history import Change, history
from ioi_exec.node.recordings import Recordings

A, B, C = b"a", b"b", b"c"
BLOCK = [b"a b", b"b a c", b"x c-"]


@pytest.fixture(scope="module")
def machine() -> Iterator[ExecutionMachine]:
    with ExecutionMachine.create(None, Copies(), genesis={A: b"1"}, workers=1, pin=False) as made:
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ExecutionMachine]:
    with ExecutionMachine.create(tmp_path / "state", Copies(), genesis={A: b"1"}, workers=0) as made:
        yield made


def commit(machine: ExecutionMachine, kept: Recordings, txs: list[bytes], record: bool = True) -> int:
    result = machine.execute(txs, record=record)
    machine.commit(result)
    kept.record(result.height, result)
    return result.height


def test_a_block_by_workers(machine: ExecutionMachine) -> None:
    kept = Recordings()
    height = commit(machine, kept, BLOCK)
    found = kept.at(height)
    assert found is not None and found is kept.newest() and found.hashes[32:64] == sha256(BLOCK[1]).digest()
    lanes = json.loads(json.dumps(found.lanes()))
    assert (lanes["height"], lanes["transactions"], lanes["workers"], lanes["why"], lanes["left_out"]) == (height, 3, 1, "", 0)
    assert set(lanes["events"]) == set(EVENT.names or ()) and len({len(column) for column in lanes["events"].values()}) == 1
    executed = [
        tx for tx, kind, done in zip(lanes["events"]["tx"], lanes["events"]["kind"], lanes["events"]["result"])
        if kind == EventKind.EXECUTE and done
    ]
    assert sorted(executed) == [0, 1, 2]

    def accesses(index: int) -> tuple[list[tuple[str, int | None]], list[tuple[str, bool]]]:
        it = found.accesses(index)
        assert it is not None and not it["why"] and it["hash"] == sha256(BLOCK[index]).hexdigest()
        assert (len(it["reads"]), len(it["writes"])) == (it["reads_total"], it["writes_total"])
        return [(each["key"], each["writer"]) for each in it["reads"]], [(each["key"], each["deleted"]) for each in it["writes"]]

    assert accesses(0) == ([("61", None)], [("62", False)])
    assert accesses(1) == ([("62", 0)], [("61", False), ("63", False)])
    assert accesses(2) == ([("78", None)], [("63", True)])
    end_block = found.accesses(3)
    assert end_block is not None and end_block["hash"] is None and found.accesses(4) is None is found.accesses(-1)
    assert (found.writers(A), found.writers(C), found.writers(b"zz")) == ([1], [1, 2], [])


def test_no_answer_is_too_long(machine: ExecutionMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Recordings()
    found = kept.at(commit(machine, kept, [b"a " + b" ".join(b"%d" % n for n in range(50))] * 3))
    assert found is not None
    monkeypatch.setattr(recordings, "EVENTS_MOST", 2)
    monkeypatch.setattr(recordings, "ACCESSES_MOST", 7)
    lanes, accesses = found.lanes(), found.accesses(1)
    assert len(lanes["events"]["kind"]) == 2 and lanes["left_out"] > 0
    assert accesses is not None and (len(accesses["writes"]), accesses["writes_total"]) == (7, 50)


def test_a_block_in_this_process(alone: ExecutionMachine) -> None:
    kept = Recordings()
    with pytest.raises(InputError, match="record"):
        commit(alone, kept, BLOCK)
    found = kept.at(commit(alone, kept, BLOCK, record=False))
    assert found is not None
    lanes, accesses = found.lanes(), found.accesses(0)
    assert lanes["workers"] == 1 and "one by one" in lanes["why"] and lanes["events"]["tx"] == [0, 1, 2]
    assert lanes["events"]["start"] == [0, *lanes["events"]["end"][:-1]] and lanes["events"]["kind"] == [EventKind.EXECUTE] * 3
    assert accesses is not None and accesses["why"] and found.writers(A) is None


def test_a_block_that_was_not_recorded(machine: ExecutionMachine) -> None:
    kept = Recordings()
    found = kept.at(commit(machine, kept, BLOCK, record=False))
    assert found is not None
    lanes = found.lanes()
    assert lanes["events"] is None and lanes["why"] and json.dumps(lanes)


def test_the_oldest_are_let_go(alone: ExecutionMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Recordings(3)
    assert kept.newest() is None
    for _ in range(5):
        commit(alone, kept, BLOCK, record=False)
    assert [height for height in range(7) if kept.at(height)] == [3, 4, 5]
    kept.reverted(3)
    newest = kept.newest()
    assert newest is not None and newest.height == 3 and kept.at(4) is None
    monkeypatch.setattr(recordings, "BYTES_MOST", newest.size)
    commit(alone, kept, BLOCK, record=False)
    assert [height for height in range(9) if kept.at(height)] == [6]
    monkeypatch.setattr(recordings, "BYTES_MOST", 1)
    commit(alone, kept, BLOCK, record=False)
    assert kept.at(7) is not None and kept.at(6) is None


def test_a_height_that_comes_again(alone: ExecutionMachine) -> None:
    """After going back: what was recorded of the heights above counts for nothing."""
    kept = Recordings()
    results = []
    for _ in range(3):
        results.append(alone.execute(BLOCK))
        alone.commit(results[-1])
        kept.record(results[-1].height, results[-1])
    kept.record(2, results[1])
    assert [height for height in range(5) if kept.at(height)] == [1, 2]


@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_the_history_of_a_key(tree: str) -> None:
    with ExecutionMachine.create(None, Copies(), tree, {A: b"1"}, workers=0) as machine:
        for txs in ([b"a b"], [], [b"b a"], [b"x b-"], [b"x b"]):
            machine.commit(machine.execute(txs))
        assert history(machine, A) .changes == (Change(3, b"1.."), Change(0, b"1"))
        found = history(machine, B)
        assert found.changes == (Change(5, b"."), Change(4, None), Change(1, b"1.")) and (found.next, found.oldest) == (None, 0)
        assert history(machine, B, 3).changes == (Change(1, b"1."),)
        assert history(machine, b"nothing").changes == () == history(machine, b"k" * 2000).changes
        with pytest.raises(VersionMissing):
            history(machine, A, 6)


@pytest.mark.parametrize("limit", ["CHANGES_MOST", "LOOKED_AT", "VALUE_BYTES"])
def test_history_goes_on_where_it_ended(limit: str, alone: ExecutionMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(9):
        alone.commit(alone.execute([b"a a"]))
    whole = history(alone, A)
    assert [change.height for change in whole.changes] == list(range(9, -1, -1))
    monkeypatch.setattr(looking_back, limit, 2)
    parts, at = [], None
    for _ in range(12):
        part = history(alone, A, at)
        parts += part.changes
        at = part.next
        if at is None:
            break
    assert tuple(parts) == whole.changes


def test_history_ends_with_what_is_kept(alone: ExecutionMachine) -> None:
    for _ in range(5):
        alone.commit(alone.execute([b"a a"]))
    alone.prune(2)
    found = history(alone, A)
    assert [change.height for change in found.changes] == [5, 4] and (found.next, found.oldest) == (None, 4)
