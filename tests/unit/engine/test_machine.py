"""ExecutionMachine: create, open, execute, commit, read, close."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable

import pytest

import ioi_exec
from ioi_exec import (
    BlockHeader,
    Error,
    ExecutionMachine,
    InputError,
    InputTypeError,
    LimitExceeded,
    Limits,
    MachineBusy,
    MachineClosed,
    ReadOnly,
    Receipt,
    StaleResult,
    StateError,
    StateExists,
    StateInUse,
    StateMissing,
    StateView,
    TxContext,
    VersionMissing,
    VMMismatch,
)
from ioi_exec.limits import CONSENSUS_LIMITS

Make = Callable[..., ExecutionMachine]
GENESIS = {b"k": b"0", b"other": b"x"}


class Put:
    """A transaction is `key=value`; no value deletes; a key of `?` shows the context; `!` fails."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes | None:
        key, _, value = tx.partition(b"=")
        if key == b"?":
            return repr(tuple(ctx)).encode()
        if key == b"!":
            raise ioi_exec.Revert("told to", code=7)
        if value:
            state.put(key, value)
        else:
            state.delete(key)
        return None


class Other(Put):
    version = 2


def create(path: Path | None, **options: Any) -> ExecutionMachine:
    return ExecutionMachine.create(path, **{"vm": Put, "genesis": GENESIS, "workers": 0, **options})


def test_execute_stages_and_commit_makes_durable(make: Make, tmp_path: Path) -> None:
    machine = make(Put, GENESIS)
    root = machine.root
    result = machine.execute([b"k=1", b"!", b"new=2", b"other="])
    assert (machine.version, machine.root, machine.get(b"k")) == (0, root, b"0")
    assert (result.version, result.height, result.transactions, result.failed) == (1, 1, 4, 1)
    assert len(result.state_root) == len(result.receipts_root) == 32 and result.state_root != root
    assert list(result.receipts) == [Receipt(), Receipt(7, error="told to"), Receipt(), Receipt()]
    assert result.writes == [(b"k", b"1"), (b"new", b"2"), (b"other", None)]
    assert machine.commit(result) == 1
    assert (machine.version, machine.root) == (1, result.state_root)
    assert list(machine.scan()) == [(b"k", b"1"), (b"new", b"2")]
    assert machine.get(b"k", 0) == b"0" and machine.get(b"other", version=0) == b"x" and machine.get(b"new", 0) is None
    assert machine.get(b"k", 1) == b"1"


def test_an_empty_block_is_a_block(make: Make) -> None:
    machine = make(Put, GENESIS)
    result = machine.execute([])
    assert result.state_root == machine.root and result.writes == [] and len(result.receipts) == 0
    assert result.receipts_root.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert machine.commit(result) == 1


def test_what_a_transaction_knows(make: Make) -> None:
    machine = make(Put, GENESIS, initial_height=10, chain_id="c")
    plain = machine.execute([b"?", b"?"])
    assert [eval(r.output) for r in plain.receipts] == [(10, 0, b"", b"", machine.root, "c", (), (), i) for i in range(2)]
    full = machine.execute([b"?"], BlockHeader(height=99, time_ns=5, proposer=b"me", block_id=b"id", extra=b"more"))
    assert eval(full.receipts[0].output) == (99, 5, b"me", b"more", machine.root, "c", (), (), 0)
    machine.commit(full)
    assert machine.info.header == BlockHeader(99, 5, b"me", b"id", b"more") and machine.info.height == 99
    assert machine.execute([]).height == 100


def test_several_results_on_one_parent_and_one_is_committed(make: Make) -> None:
    machine = make(Put, GENESIS)
    one, two = machine.execute([b"k=1"]), machine.execute([b"k=2"])
    machine.commit(two)
    for stale in (one, two):
        with pytest.raises(StaleResult, match="version 0"):
            machine.commit(stale)
    assert machine.get(b"k") == b"2" and machine.version == 1
    with pytest.raises(StaleResult, match="another machine"):
        make(Put, GENESIS).commit(two)
    with pytest.raises(InputTypeError):
        machine.commit("result")  # type: ignore[arg-type]


def test_a_state_on_disk_is_opened_as_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with create(path, vm=f"{__name__}:Put", initial_height=5) as machine:
        machine.commit(machine.execute([b"k=1"]))
        root, info = machine.root, machine.info
    with ExecutionMachine.open(path, workers=0) as machine:
        assert (machine.version, machine.root, machine.info) == (1, root, info)
        assert machine.info.vm.name == f"{__name__}:Put" and machine.info.initial_height == 5
        machine.commit(machine.execute([b"k=2"]))
    with ExecutionMachine.open(path, read_only=True, workers=0) as machine:
        assert [machine.get(b"k", v) for v in (0, 1, 2)] == [b"0", b"1", b"2"]


def test_create_opens_an_equal_state_at_version_0_only(tmp_path: Path) -> None:
    path = tmp_path / "state"
    create(path).close()
    with create(path, genesis=list(reversed(GENESIS.items()))) as machine:
        assert machine.version == 0
    others: list[dict[str, Any]] = [
        *({"genesis": genesis} for genesis in ({b"k": b"0"}, {**GENESIS, b"k": b"1"}, {**GENESIS, b"l": b"0"}, {})),
        {"initial_height": 2},
        {"limits": Limits(key_bytes=9)},
    ]
    for different in others:
        with pytest.raises(StateExists):
            create(path, **different)
    with pytest.raises(VMMismatch):
        create(path, vm=Other)
    with create(path) as machine:
        machine.commit(machine.execute([]))
    with pytest.raises(StateExists, match="version 1"):
        create(path)


def test_create_refuses_what_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateExists):
        create(tmp_path)
    with pytest.raises(StateExists):
        create(tmp_path / "file")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
    (tmp_path / "empty").mkdir()
    create(tmp_path / "empty").close()


def test_open_creates_nothing_and_guesses_nothing(tmp_path: Path) -> None:
    with pytest.raises(StateMissing):
        ExecutionMachine.open(tmp_path / "none", workers=0)
    assert not (tmp_path / "none").exists()
    with pytest.raises(StateMissing):
        ExecutionMachine.open(tmp_path, workers=0)
    path = tmp_path / "state"
    create(path).close()
    with pytest.raises(VMMismatch, match="version 2"):
        ExecutionMachine.open(path, vm=Other, workers=0)
    with pytest.raises(VMMismatch):
        ExecutionMachine.open(path, vm="payments", workers=0)
    with pytest.raises(InputError, match="vm_args"):
        ExecutionMachine.open(path, vm_args={}, workers=0)
    with ExecutionMachine.open(path, vm=Put, workers=0) as machine:
        assert machine.version == 0


def test_two_engines_on_one_state(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with create(path) as machine:
        for opening in (lambda: ExecutionMachine.open(path, workers=0), lambda: create(path)):
            with pytest.raises(StateInUse) as caught:
                opening()
            assert caught.value.exit_status == 3
        beside = "import sys, ioi_exec; m = ioi_exec.ExecutionMachine.open(sys.argv[1], read_only=True); print(m.get(b'k'), m.version)"
        for version in range(2):
            read = subprocess.run([sys.executable, "-c", beside, str(path)], capture_output=True, text=True)
            assert read.stdout.split() == [f"b'{version}'", str(version)], read.stderr
            machine.commit(machine.execute([b"k=1"]))


def test_read_only(tmp_path: Path) -> None:
    path = tmp_path / "state"
    create(path).close()
    with ExecutionMachine.open(path, read_only=True, workers=0) as machine:
        assert machine.read_only and machine.get(b"k") == b"0"
        staged = machine.execute([b"k=1"])
        assert staged.writes == [(b"k", b"1")]
        with pytest.raises(ReadOnly):
            machine.commit(staged)
        assert machine.version == 0


def test_errors_of_the_store_are_the_engines(make: Make, tmp_path: Path) -> None:
    machine = make(Put, GENESIS)
    with pytest.raises(VersionMissing):
        machine.get(b"k", 1)
    for version in (-1, 1 << 70):
        with pytest.raises(VersionMissing):
            machine.get(b"k", version)
    with pytest.raises(InputError, match="willow"):
        create(None, tree="willow")
    for path in ("/dev/null/state", tmp_path / "none" / "state", tmp_path / ("n" * 300)):
        with pytest.raises(StateError) as caught:
            create(path)
        assert caught.value.exit_status == 2


@pytest.mark.parametrize("txs", [[b"k=1", "k=2"], [bytearray(b"k=1")], [None], b"k=1", "k=1", 7, None], ids=repr)
def test_transactions_that_are_not_bytes_stop_before_anything(make: Make, txs: Any) -> None:
    seen: list[int] = []
    machine = make(Put, GENESIS)
    with pytest.raises(TypeError) as caught:
        machine.execute(txs, on_receipt=lambda i, r: seen.append(i))
    assert isinstance(caught.value, InputTypeError) and not seen and machine.version == 0


def test_transactions_may_come_from_an_iterator(make: Make) -> None:
    assert make(Put, GENESIS).execute(b"k=%d" % i for i in range(5)).writes == [(b"k", b"4")]


@pytest.mark.parametrize(
    "txs, limits, fits",
    [
        ([b"k=1"] * 3, Limits(block_transactions=3), True),
        ([b"k=1"] * 4, Limits(block_transactions=3), False),
        ([b"k=12"], Limits(tx_bytes=4), True),
        ([b"k=123"], Limits(tx_bytes=4), False),
        ([b"k=1"] * 3, Limits(block_bytes=9), True),
        ([b"k=1"] * 3, Limits(block_bytes=8), False),
    ],
)
def test_limits_of_a_block(make: Make, txs: list[bytes], limits: Limits, fits: bool) -> None:
    machine = make(Put, GENESIS, limits=limits)
    if fits:
        machine.execute(txs)
    else:
        with pytest.raises(LimitExceeded, match="Limits"):
            machine.execute(txs)


def test_the_limits_that_decide_receipts_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state"
    create(path, limits=Limits(key_bytes=5, tx_bytes=100)).close()
    with ExecutionMachine.open(path, workers=0) as machine:
        assert machine.limits.key_bytes == 5 and machine.limits.tx_bytes == Limits().tx_bytes
        assert machine.execute([b"sixsix=1"]).receipts[0].error.startswith("LimitExceeded: a key of 6 bytes")
    patient = Limits(stall_seconds=30, key_bytes=5)
    for limits in (Limits(stall_seconds=30), patient, pickle.loads(pickle.dumps(patient)), copy.copy(patient)):
        with ExecutionMachine.open(path, workers=0, limits=limits) as machine:
            assert (machine.limits.key_bytes, machine.limits.stall_seconds) == (5, 30)
            assert machine.execute([b"sixsix=1"]).receipts[0].error.startswith("LimitExceeded: a key of 6 bytes")
        with ExecutionMachine.open(path, workers=0, limits=machine.limits):
            pass


@pytest.mark.parametrize("name", CONSENSUS_LIMITS)
def test_a_limit_that_decides_receipts_is_the_states(tmp_path: Path, name: str) -> None:
    path, there = tmp_path / "state", getattr(Limits(), name) - 1
    create(path, limits=Limits(**{name: there})).close()
    for other in (there - 1, there + 1):  # the second is the default, but said
        with pytest.raises(InputError, match=rf"Limits\.{name} is {other}, .* {there}:"):
            ExecutionMachine.open(path, workers=0, limits=Limits(**{name: other}))
    with ExecutionMachine.open(path, workers=0, limits=Limits(**{name: there})) as machine:
        assert getattr(machine.limits, name) == there


@pytest.mark.parametrize(
    "genesis, error",
    [
        ({"k": b"v"}, TypeError), ({b"k": "v"}, TypeError), ([b"kv"], TypeError), ([(b"k", b"v"), (b"k", b"v")], InputError),
        ({b"": b"v"}, InputError), ({b"k" * 257: b"v"}, LimitExceeded), (7, TypeError), ([(b"k", b"v", b"w")], TypeError),
    ],
    ids=str,
)
def test_wrong_genesis(tmp_path: Path, genesis: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        create(tmp_path / "state", genesis=genesis)
    assert isinstance(caught.value, Error) and not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"workers": -1}, {"workers": "2"}, {"workers": True}, {"workers": 100_000}, {"initial_height": 0},
        {"initial_height": 1 << 63}, {"initial_height": "1"}, {"limits": {"key_bytes": 1}}, {"limits": Limits(key_bytes=5000)},
    ],
    ids=str,
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises((InputError, InputTypeError)):
        create(tmp_path / "state", **options)
    assert not (tmp_path / "state").exists()


def test_wrong_header(make: Make) -> None:
    with pytest.raises(InputTypeError, match="BlockHeader"):
        make(Put).execute([], {"height": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.get("k"), lambda m: m.get(b"k", "1"), lambda m: m.get(b"k", True), lambda m: m.scan(start="a"),
        lambda m: m.scan(prefix=b"a", end=b"b"), lambda m: m.scan(limit=-1),
    ],
)
def test_wrong_reads_raise_at_the_call(make: Make, call: Callable[[ExecutionMachine], Any]) -> None:
    with pytest.raises((InputError, InputTypeError)):
        call(make(Put, GENESIS))


def test_reads_of_the_committed_state(make: Make) -> None:
    machine = make(Put, {b"a": b"1", b"b": b"2", b"ba": b"3"})
    assert machine.get(b"") is None and machine.get(b"k" * 9000) is None
    assert [k for k, _ in machine.scan(prefix=b"b")] == [b"b", b"ba"]
    assert [k for k, _ in machine.scan(reverse=True, limit=2)] == [b"ba", b"b"]
    assert [k for k, _ in machine.scan(b"b", b"ba")] == [b"b"]
    assert list(machine.scan(b"b", b"a")) == []


def test_receipts_stream_in_order_exactly_once(make: Make) -> None:
    machine, seen, threads = make(Put, GENESIS), [], set()

    def on_receipt(index: int, receipt: Receipt) -> None:
        seen.append((index, receipt))
        threads.add(threading.get_ident())
        assert machine.get(b"k") == b"0" and machine.version == 0  # reading is allowed

    result = machine.execute([b"k=1", b"!", b"?"], on_receipt=on_receipt)
    assert seen == list(enumerate(result.receipts)) and threads == {threading.get_ident()}


def test_an_error_in_on_receipt_stages_nothing(make: Make) -> None:
    machine = make(Put, GENESIS)

    def on_receipt(index: int, receipt: Receipt) -> None:
        if index == 1:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        machine.execute([b"k=1", b"k=2", b"k=3"], on_receipt=on_receipt)
    assert machine.version == 0
    machine.commit(machine.execute([b"k=9"]))
    assert machine.get(b"k") == b"9"


def test_executing_inside_on_receipt_is_refused(make: Make) -> None:
    machine = make(Put, GENESIS)
    for call in (lambda: machine.execute([]), machine.close, lambda: machine.sandbox().__enter__()):
        with pytest.raises(MachineBusy, match="inside"):
            machine.execute([b"k=1"], on_receipt=lambda i, r: call())
    assert not machine.closed


def test_another_thread_at_the_same_time_may_read_and_nothing_else(make: Make) -> None:
    machine, errors, read = make(Put, GENESIS), [], []

    def elsewhere() -> None:
        read.extend((machine.get(b"k"), machine.version, list(machine.scan()), machine.root, len(machine.prove(b"k")), machine.info.height))
        for call in (lambda: machine.execute([]), lambda: machine.prune(1), machine.close):
            try:
                call()
            except Error as error:
                errors.append(error)

    def on_receipt(index: int, receipt: Receipt) -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    machine.execute([b"k=1"], on_receipt=on_receipt)
    assert [type(error) for error in errors] == [MachineBusy] * 3 and "another thread" in str(errors[0])
    assert read == [b"0", 0, list(GENESIS.items()), machine.root, len(machine.prove(b"k")), 0]
    thread = threading.Thread(target=lambda: errors.append(machine.get(b"k")))
    thread.start()
    thread.join()
    assert errors[-1] == b"0"  # one after another is fine


def test_a_forked_child_cannot_use_it(make: Make) -> None:
    machine = make(Put, GENESIS)
    child = os.fork()
    if child == 0:
        try:
            machine.execute([])
        except MachineBusy as error:
            os._exit(7 if "fork" in str(error) else 1)
        except BaseException:
            pass
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_closed_machine_says_so(make: Make) -> None:
    machine = make(Put, GENESIS)
    result = machine.execute([])
    machine.close()
    machine.close()
    assert machine.closed
    calls: list[Callable[[], Any]] = [
        lambda: machine.execute([]), lambda: machine.commit(result), lambda: machine.get(b"k"), lambda: machine.scan(),
        lambda: machine.version, lambda: machine.root, lambda: machine.info, lambda: machine.sandbox().__enter__(),
    ]
    for call in calls:
        with pytest.raises(MachineClosed):
            call()


def test_sequential_is_the_same_block(make: Make, workers: int) -> None:
    machine = make(Put, GENESIS)
    one, other = machine.execute([b"k=1", b"!"]), machine.execute([b"k=1", b"!"], sequential=True)
    assert (one.state_root, one.receipts_root, one.receipts) == (other.state_root, other.receipts_root, other.receipts)
    assert other.stats.mode == "sequential" and other.stats.workers == min(workers, 1)


def test_stats(make: Make, workers: int) -> None:
    stats = make(Put, GENESIS).execute([b"k=1", b"k=2"]).stats
    assert stats.executions >= 2 and stats.workers == workers
    assert {"prepare", "execute", "stage", "total"} <= stats.seconds.keys()
    assert all(seconds >= 0 for seconds in stats.seconds.values()) and stats.busy_seconds
    assert stats.to_json()["executions"] == stats.executions


def test_every_public_name_is_there() -> None:
    for name in ioi_exec.__all__:
        assert getattr(ioi_exec, name) is not None
    assert set(ioi_exec._HOME_OF) == set(ioi_exec.__all__) - {"__version__"} and set(dir(ioi_exec)) == set(ioi_exec.__all__)
    with pytest.raises(AttributeError):
        ioi_exec.nothing
    assert issubclass(StateError, Error) and issubclass(InputError, ValueError) and issubclass(InputTypeError, TypeError)
