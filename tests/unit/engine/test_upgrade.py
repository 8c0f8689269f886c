"""Another VM takes over at a height: on every replica, on any number of workers, in every version that is read, and again after a rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from upgrading_vms import Fails, One, Three, Two

from ioi_exec import (
    BlockHeader,
    ExecutionMachine,
    InputError,
    MachineBusy,
    ReadOnly,
    StaleResult,
    StateError,
    StateExists,
    StateView,
    VersionMissing,
    VMError,
    VMFault,
    VMMismatch,
)
from ioi_exec.state import given
from ioi_exec.state.identity import Identity
from ioi_exec.vm.payments_native import Payments

Make = Callable[..., ExecutionMachine]
TXS = [b"k%d" % i for i in range(12)]


def block(machine: ExecutionMachine, *txs: bytes, **options: Any) -> Any:
    result = machine.execute(list(txs), **options)
    machine.commit(result)
    return result


def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another process."""
    monkeypatch.setattr(given, "_remembered", {})


def test_it_takes_over_with_its_block(make: Make) -> None:
    """In every mode what one by one in this process gives."""
    machine, alone = make(One), make(One, workers=0)
    for each in (machine, alone):
        block(each, *TXS[:5])
        each.upgrade(Two, at_height=3)
        assert block(each, b"last").receipts[0].output == b"one"
    expected = alone.execute(TXS)
    assert [event.name for event in expected.events] == ["migrated", "begun", "ended"]
    assert dict(expected.events[0].attributes).items() >= {("moved", 6), ("at", 3)} and expected.events[0]["dice"] != expected.events[1]["dice"]
    for options in ({}, {"sequential": True}, {"propose": True}):
        result = machine.execute(TXS, **options)
        assert (result.state_root, result.receipts, result.writes) == (expected.state_root, expected.receipts, expected.writes)
        assert result.events == expected.events and {"migrate", "begin_block"} <= result.stats.seconds.keys()
    machine.commit(result)
    assert machine.get(b"begun") == b"3 with 6" and machine.get(b"two/last") == b"2 from 1" and machine.get(b"one/last") is None
    after = block(machine, b"more")
    assert [event.name for event in after.events] == ["begun", "ended"] and "migrate" not in after.stats.seconds


def test_versions_belong_to_the_vm_that_made_them(make: Make) -> None:
    machine = make(One)
    block(machine, b"a")
    machine.upgrade(Two, at_height=2)
    info = machine.info
    assert info.vm.version == "1" and info.upgrade is not None and (info.upgrade.height, info.upgrade.vm.version) == (2, "2")
    assert machine.query("", b"a").output == b"one has 1" and not machine.check(b"a").ok
    block(machine, b"b")
    assert machine.query("", b"a").output == b"two has 1 from 1"
    assert machine.info.vm.version == "2" and machine.info.upgrade is None
    assert [(each.height, each.vm.version) for each in machine.info.vms] == [(1, "1"), (2, "2")]
    past = machine.at_height(1)
    assert past.info.vm.version == "1" and past.get(b"one/a") == b"1" and past.info.upgrade is not None


@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_an_earlier_version_is_asked_under_its_own_vm(make: Make, tree: str) -> None:
    machine = make(One, tree=tree)
    block(machine, b"a")
    machine.upgrade(Two, at_height=2)
    block(machine, b"b")
    block(machine, b"a")
    assert [machine.at(version).query("", b"a").output for version in (0, 1, 2, 3)] == [
        b"one has none", b"one has 1", b"two has 1 from 1", b"two has 3",
    ]
    assert machine.query("", b"b", version=1).output == b"one has none" and machine.query("", b"b", version=2).output == b"two has 2"
    with pytest.raises(VersionMissing):
        machine.query("", b"a", version=4)
    machine.prune(1)
    with pytest.raises(VersionMissing):
        machine.query("", b"a", version=1)


def test_who_scans_an_earlier_version(make: Make) -> None:
    """As `scan` of the machine: by key on iavl alone."""

    class Scans(One):
        def query(self, path: str, data: bytes, state: StateView) -> bytes:
            return b" ".join(key for key, _ in state.scan(prefix=b"one/"))

    for tree in ("iavl", "jellyfish"):
        machine = make(Scans, tree=tree, workers=0)
        block(machine, b"a")
        block(machine, b"b")
        assert machine.at(2).query("").output == b"one/a one/b"
        if tree == "iavl":
            assert machine.at(1).query("").output == b"one/a"
        else:
            with pytest.raises(InputError, match="Jellyfish|jellyfish"):
                machine.at(1).query("")


def test_a_rollback_makes_it_pending_again(make: Make) -> None:
    machine = make(One)
    block(machine, b"a")
    machine.upgrade(Two, at_height=2)
    second, third = block(machine, b"b"), block(machine, b"c")
    machine.rollback(1)
    assert machine.query("", b"a").output == b"one has 1" and machine.info.upgrade is not None
    assert block(machine, b"b").state_root == second.state_root and block(machine, b"c").state_root == third.state_root
    machine.rollback(1)
    machine.cancel_upgrade()
    assert block(machine, b"b").receipts[0].output == b"one" and machine.info.upgrade is None and len(machine.info.vms) == 1


def test_one_that_is_pending_is_replaced_or_cancelled(make: Make) -> None:
    machine = make(One)
    machine.upgrade(Two, at_height=1)
    machine.upgrade(Three, at_height=2)
    assert [each.vm.version for each in machine.info.vms] == ["1", "3"]
    block(machine, b"a")
    block(machine, b"b")
    assert machine.get(b"from") == b"1" and machine.get(b"one/b") == b"2"
    machine.upgrade(Two, at_height=3)
    machine.cancel_upgrade()
    assert [each.vm.version for each in machine.info.vms] == ["1", "3"]
    with pytest.raises(InputError, match="no upgrade is pending"):
        machine.cancel_upgrade()
    for height in (1, 2):
        with pytest.raises(InputError, match=f"height {height} is committed, the state is at 2: give a later one"):
            machine.upgrade(Two, at_height=height)
    machine.upgrade(Two, at_height=3)
    block(machine, b"c")
    assert machine.get(b"two/a") == b"1 from 3"
    machine.rollback(0)  # below both: they are all pending again, and one takes their place
    machine.upgrade(Two, at_height=1)
    block(machine, b"c")
    assert [each.vm.version for each in machine.info.vms] == ["1", "2"] and machine.get(b"begun") == b"1 with 0"


def test_a_block_that_was_staged_before_is_of_the_wrong_vm(make: Make) -> None:
    machine = make(One)
    staged = machine.execute([b"a"])
    machine.upgrade(Two, at_height=1)
    with pytest.raises(StaleResult, match="another VM was decided for height 1"):
        machine.commit(staged)
    of_two = machine.execute([b"a"])
    machine.cancel_upgrade()
    with pytest.raises(StaleResult):
        machine.commit(of_two)
    machine.commit(staged)
    assert machine.get(b"one/a") == b"1"


def test_the_first_block_may_leave_heights_out(make: Make) -> None:
    machine = make(One, {b"one/g": b"genesis"})
    machine.upgrade(Two, at_height=5)
    block(machine, b"a", header=BlockHeader(height=9))
    assert machine.get(b"two/g") == b"genesis from 1" and machine.get(b"begun") == b"9 with 1"


def test_in_a_sandbox_it_happens_too(make: Make) -> None:
    machine = make(One)
    machine.upgrade(Two, at_height=2)
    with machine.sandbox():
        with pytest.raises(MachineBusy):
            machine.upgrade(Three, at_height=9)
        inside = [block(machine, tx).state_root for tx in (b"a", b"b", b"c")]
        assert machine.query("", b"a").output == b"two has 1 from 1"
    assert machine.query("", b"a").output == b"one has none"
    assert [block(machine, tx).state_root for tx in (b"a", b"b", b"c")] == inside


def test_what_migrate_raises_stops_the_block(make: Make) -> None:
    machine = make(One)
    machine.upgrade(Fails, at_height=1)
    for sequential in (False, True):
        with pytest.raises(VMFault, match="migrate stopped the block: LookupError: cannot. Nothing was staged; correct the VM") as caught:
            machine.execute([b"a"], sequential=sequential)
        assert caught.value.tx_index == -1
    machine.upgrade(Two, at_height=1)  # a mended one
    block(machine, b"a")


def test_the_version_decides(make: Make) -> None:
    machine = make(One)
    for _ in range(2):
        with pytest.raises(InputError, match="is the VM that the state has already: give the new one another version"):
            machine.upgrade(One, at_height=7)
    machine.upgrade(One, at_height=7, accept_vm=True)
    assert machine.info.upgrade is not None and machine.info.upgrade.height == 7
    with pytest.raises(VMError):
        machine.upgrade(object(), at_height=7)


def test_a_vm_in_c_migrates_nothing(make: Make) -> None:
    class Moving(Payments):
        def migrate(self, state: Any, ctx: Any, from_version: str) -> None: ...

    machine = make(One)
    with pytest.raises(VMError, match="is in C, and its method migrate would never be called"):
        machine.upgrade(Moving, at_height=1)
    machine.upgrade("payments", at_height=1)
    assert block(machine, b"x").receipts[0].error == "malformed"


def test_a_state_says_what_it_upgrades_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is given each of its VMs when that is needed, by the operator alone."""
    path = tmp_path / "s"
    with ExecutionMachine.create(path, One, workers=0) as machine:
        block(machine, b"a")
        machine.upgrade(Two, at_height=3)
    with pytest.raises(StateExists, match="holds a state at version 1"):
        ExecutionMachine.create(path, One, workers=0)
    with ExecutionMachine.open(path, workers=0) as machine:
        assert machine.info.upgrade is not None
    forgotten(monkeypatch)
    with pytest.raises(VMError, match="nobody has given"):
        ExecutionMachine.open(path, workers=0)
    with pytest.raises(VMMismatch, match="the block of height 2 belongs to the VM .*One version 1, not to .*Three version 3"):
        ExecutionMachine.open(path, vm=Three, workers=0)
    with ExecutionMachine.open(path, vm=One, workers=0) as machine:
        root = block(machine, b"b").state_root
        for _ in range(2):
            with pytest.raises(VMError, match="from height 3 on the state's VM is .*Two version 2, and it is not to be had here"):
                machine.execute([b"c"])
        assert (machine.version, machine.root) == (2, root) and machine.query("", b"b").output == b"one has 2"
    with pytest.raises(VMMismatch, match="It was created with .* and upgrades to .*Two version 2 at height 3"):
        ExecutionMachine.open(path, vm=One, workers=0)
    with ExecutionMachine.open(path, vm=Two, workers=0) as machine:
        block(machine, b"c")
        assert machine.get(b"two/b") == b"2 from 1"
    with ExecutionMachine.open(path, read_only=True, workers=0) as machine:
        assert machine.info.vm.version == "2"
        with pytest.raises(ReadOnly):
            machine.upgrade(Three, at_height=9)


def test_both_may_be_given_before_it_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    with ExecutionMachine.create(path, One, workers=0) as machine:
        machine.upgrade(Two, at_height=2)
    forgotten(monkeypatch)
    with pytest.raises(VMError, match="nobody has given"):
        ExecutionMachine.open(path, vm=Two, workers=0)  # it is not its turn yet
    ExecutionMachine.open(path, vm=One, workers=0).close()
    with ExecutionMachine.open(path, vm=Two, workers=0) as machine:
        assert block(machine, b"a").receipts[0].output == b"one"
        block(machine, b"b")
        assert machine.info.vm.version == "2"


def test_a_reader_beside_hears_of_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with ExecutionMachine.create(path, One, workers=0) as machine:
        context = machine.info
        assert context.upgrade is None
    import multiprocessing

    ready, go = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_reads, args=(str(path), go))
    process.start()
    try:
        assert ready.recv() == (None, b"one")
        with ExecutionMachine.open(path, workers=0) as machine:
            machine.upgrade(Two, at_height=1)
        ready.send("go on")
        assert ready.recv() == (1, b"two, begun")
    finally:
        process.join()


def _reads(path: str, channel: Any) -> None:
    with ExecutionMachine.open(path, vm=One, read_only=True, workers=0) as machine:
        given.remember(path, ExecutionMachine.create(None, Two, workers=0).info.vm)
        channel.send((machine.info.upgrade, machine.execute([b"a"]).receipts[0].output))
        channel.recv()
        upgrade = machine.info.upgrade
        channel.send((upgrade and upgrade.height, machine.execute([b"a"]).receipts[0].output[:10]))


@pytest.mark.parametrize(
    "said",
    [
        3, [3], [{"height": 1}], [{"height": 0, "vm": {"name": "a:B", "args": None, "version": ""}}],
        [{"height": 2, "vm": {"name": "a:B", "args": None, "version": ""}}] * 2, [{"height": 1, "vm": 3}],
    ],
)
def test_what_a_state_says_wrong_is_refused(said: Any) -> None:
    with ExecutionMachine.create(None, One, workers=0) as machine:
        meta = dict(machine._store.meta)
    with pytest.raises(StateError, match="the state was not made by ioi-exec"):
        Identity.from_meta({**meta, "upgrades": said})
