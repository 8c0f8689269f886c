"""What each workload promises: read off its transactions, and off what becomes of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from ioi_exec import (
    ExecutionMachine,
    InputError,
    InputTypeError,
    Receipt,
    ResourceError,
)
from ioi_exec.vm.payments import MAX_U128, decode_transfer
from ioi_stress.vm import encoding
from ioi_stress.workload import Workload
from ioi_stress.workloads import WORKLOADS, make, parameters_of
from ioi_stress.workloads.parameters import parameters_of as parameters_of_class

ACCOUNTS = ("uniform", "zipf", "hot", "market", "chain", "pairs")
PROGRAMS = ("read-heavy", "scan-heavy", "growing", "shrinking", "mixed")
MADE = ACCOUNTS + PROGRAMS
SMALL = {"block_size": 200, "blocks": 3}


def vms(name: str) -> tuple[str, ...]:
    (parameter,) = (each for each in parameters_of(WORKLOADS[name]) if each.name == "vm")
    assert parameter.choices is not None
    return parameter.choices


EVERY = [(name, vm) for name in MADE for vm in vms(name)]


def executed(workload: Workload) -> tuple[list[list[Receipt]], dict[bytes, bytes]]:
    """Receipts of every block, and the state at the end."""
    with ExecutionMachine.create(
        None, workload.vm, genesis=workload.genesis(), vm_args=workload.vm_args, workers=0
    ) as machine:
        receipts = []
        for block in workload.blocks():
            result = machine.execute(block.txs, block.header)
            machine.commit(result)
            receipts.append(list(result.receipts))
        return receipts, dict(machine.scan())


def operations(tx: bytes) -> list[tuple[int, bytes]]:
    """(code, name of the key) of a program without branches."""
    return [(operation.code, operation.key.name) for operation in encoding.decode(tx)]


def touched(tx: bytes) -> tuple[bytes, bytes]:
    """Sender and recipient of a payment, however it is written down."""
    if len(tx) == 104:
        transfer = decode_transfer(tx)
        return transfer.sender, transfer.recipient
    reads = [name for code, name in operations(tx) if code == encoding.READ]
    writes = [name for code, name in operations(tx) if code == encoding.WRITE]
    assert reads == writes and len(reads) == 2
    return reads[0], reads[1]


@pytest.mark.parametrize(("name", "vm"), EVERY)
def test_all_succeed_unless_told_to_fail(name: str, vm: str) -> None:
    workload = make(name, vm=vm, cost_us=0, **SMALL)
    receipts, _ = executed(workload)
    assert [len(block) for block in receipts] == [200] * 3
    failed = [receipt for block in receipts for receipt in block if not receipt.ok]
    if name == "mixed":
        assert {receipt.error for receipt in failed} == {"reverted", "malformed"} and len(failed) < 100
    else:
        assert failed == []


@pytest.mark.parametrize(("name", "vm"), [pair for pair in EVERY if pair[0] != "mixed"])
@pytest.mark.parametrize("rate", [0.013, 1.0])
def test_the_failure_rate_is_exact(name: str, vm: str, rate: float) -> None:
    receipts, _ = executed(make(name, vm=vm, cost_us=0, failure_rate=rate, **SMALL))
    failed = [sum(not receipt.ok for receipt in block) for block in receipts]
    assert [sum(failed[: i + 1]) for i in range(3)] == [int(rate * 200 * (i + 1)) for i in range(3)]
    texts = {receipt.error for block in receipts for receipt in block if not receipt.ok}
    assert texts <= ({"balance"} if vm in ("payments", "signed") else {"reverted"})


@pytest.mark.parametrize(("name", "vm"), EVERY)
def test_parameters_are_all_that_decides(name: str, vm: str) -> None:
    workload = make(name, vm=vm, **SMALL)
    again = make(name, **json.loads(json.dumps(dict(workload.parameters))))
    blocks = [block.txs for block in workload.blocks()]
    assert again.parameters == workload.parameters and again.genesis() == workload.genesis()
    assert [block.txs for block in again.blocks()] == blocks == [block.txs for block in workload.blocks()]
    assert len({bytes(b"".join(txs)) for txs in blocks}) == 3
    if name not in ("chain", "shrinking"):
        assert [block.txs for block in make(name, vm=vm, seed=2, **SMALL).blocks()] != blocks


@pytest.mark.parametrize("vm", ["native", "payments"])
@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_a_chain_is_a_chain(vm: str, rate: float) -> None:
    """Each payment is made by whoever the last successful one before it paid, from money only that one brought."""
    workload = make("chain", vm=vm, accounts=50, failure_rate=rate, **SMALL)
    assert isinstance(workload.genesis(), dict)
    txs = [tx for block in workload.blocks() for tx in block.txs]
    receipts, _ = executed(workload)
    fails = [not receipt.ok for block in receipts for receipt in block]
    holder = touched(txs[0])[0]
    for tx, fail in zip(txs, fails):
        sender, recipient = touched(tx)
        assert sender == holder != recipient
        if vm == "payments":
            amount = decode_transfer(tx).amount
            assert amount == (MAX_U128 if fail else 1_000_000)
        if not fail:
            holder = recipient
    if vm == "payments":
        with_money = [value for value in workload.genesis().values() if any(value[:16])]
        assert with_money == [(1_000_000).to_bytes(16, "big") + bytes(8)]


def test_what_a_chain_ends_with_depends_on_its_first_payment() -> None:
    first, *others = next(iter(make("chain", cost_us=0, block_size=50).blocks())).txs
    assert len(first) == len(others[0])
    outputs = []
    for beginning in (first, encoding.transaction(10**6, first[9:])):
        with ExecutionMachine.create(
            None, "ioi_stress.vm:NativeProgram", genesis=make("chain").genesis(), workers=0
        ) as machine:
            outputs.append([receipt.output for receipt in machine.execute([beginning, *others]).receipts])
    assert all(left != right for left, right in zip(*outputs))


@pytest.mark.parametrize("vm", ["native", "payments"])
def test_pairs_share_nothing(vm: str) -> None:
    for accounts in (None, 450):
        for block in make("pairs", vm=vm, accounts=accounts, **SMALL).blocks():
            used = [account for tx in block.txs for account in touched(tx)]
            assert len(set(used)) == 400


@pytest.mark.parametrize("name", ACCOUNTS)
def test_added_or_written_it_is_the_same_payments(name: str) -> None:
    for added, written in zip(make(name, credit="add", **SMALL).blocks(), make(name, **SMALL).blocks()):
        for tx, other in zip(added.txs, written.txs):
            found = encoding.decode(tx)
            assert [each.code for each in found if each.code != encoding.BURN] == [encoding.READ, encoding.WRITE, encoding.ADD]
            assert (found[0].key.name, found[-1].key.name) == tuple(touched(other))


@pytest.mark.parametrize("vm", ["native", "payments"])
@pytest.mark.parametrize(("receivers", "share"), [(1, 0.5), (3, 0.8), (2, 0.0), (5, 1.0)])
def test_hot_accounts_get_their_share(vm: str, receivers: int, share: float) -> None:
    workload = make("hot", vm=vm, receivers=receivers, share=share, accounts=50, **SMALL)
    names = list(workload.genesis())
    prefix = len(b"acct/") if vm == "payments" else 0
    hot = {name[prefix:] for name in names[:receivers]}
    received: Counter[bytes] = Counter()
    for number, block in enumerate(workload.blocks(), 1):
        for tx in block.txs:
            sender, recipient = touched(tx)
            assert sender not in hot and sender != recipient
            received[recipient] += recipient in hot
        assert sum(received.values()) == share * 200 * number
    if share > 0:
        assert all(received[name] > 0 for name in hot)


def test_market_agents_pay_providers() -> None:
    workload = make("market", accounts=100, providers=4, s=1.0, block_size=5000)
    received: Counter[bytes] = Counter()
    for tx in next(iter(workload.blocks())).txs:
        sender, recipient = touched(tx)
        assert sender.startswith(b"agent/") and recipient.startswith(b"provider/")
        received[recipient] += 1
    shares = [received[b"provider/%08d" % i] for i in range(4)]
    assert sum(shares) == 5000
    for i, share in enumerate(shares):  # 1 + 1/2 + 1/3 + 1/4 = 25/12
        assert abs(share - 5000 * 12 / 25 / (i + 1)) < 200
    assert len(workload.genesis()) == 104


def test_zipf_prefers_low_numbers() -> None:
    workload = make("zipf", s=1.0, accounts=1000, block_size=5000)
    received = Counter(touched(tx)[1] for tx in next(iter(workload.blocks())).txs)
    sent = Counter(touched(tx)[0] for tx in next(iter(workload.blocks())).txs)
    top = 5000 / sum(1 / k for k in range(1, 1001))
    for counts in (received, sent):
        assert 0.8 * top < counts[b"account/00000000"] < 1.2 * top


def test_read_heavy_reads_and_writes_as_asked() -> None:
    workload = make("read-heavy", reads=7, write_share=0.25, **SMALL)
    for block in workload.blocks():
        kinds = [[code for code, _ in operations(tx)] for tx in block.txs]
        assert all(each.count(encoding.READ) == 7 for each in kinds)
        assert sum(each.count(encoding.WRITE) for each in kinds) == 50


def test_scan_heavy_meets_phantoms() -> None:
    workload = make("scan-heavy", accounts=300, scan_length=10, cost_us=0, **SMALL)
    before = workload.genesis()
    _, after = executed(workload)
    assert after.keys() - before.keys() and before.keys() - after.keys()
    scans = [encoding.decode(tx)[0] for block in workload.blocks() for tx in block.txs]
    assert {scan.number for scan in scans} == {10} and {bool(scan.flags & encoding.REVERSE) for scan in scans} == {
        True,
        False,
    }
    writes = sum(len(encoding.decode(tx)) - 2 for block in make("scan-heavy", **SMALL).blocks() for tx in block.txs)
    assert writes == 300


@pytest.mark.parametrize("vm", ["native", "python"])
def test_the_state_grows_and_shrinks(vm: str) -> None:
    sizes = {}
    for name in ("growing", "shrinking"):
        workload = make(name, vm=vm, keys=3, accounts=10, cost_us=0, failure_rate=0.1, **SMALL)
        sizes[name] = len(workload.genesis()), len(executed(workload)[1])
    assert sizes == {"growing": (10, 10 + 3 * 540), "shrinking": (10 + 1800, 10 + 3 * 60)}


def test_mixed_has_everything_in_it() -> None:
    found: Counter[int] = Counter()

    def count(all_of_them: encoding.Operations) -> None:
        for operation in all_of_them:
            found[operation.code] += 1
            found[100] += operation.key.numbers > 0
            count(operation.body)

    for tx in next(iter(make("mixed", vm="python", block_size=400).blocks())).txs:
        try:
            count(encoding.decode(tx))
        except encoding.Malformed:
            found[0] += 1
    assert all(found[code] for code in (0, 100, *range(1, 10)))
    native = next(iter(make("mixed", vm="native", block_size=400).blocks())).txs
    assert not any(operation.code == encoding.SCAN for tx in native for operation in decoded(tx))


def decoded(tx: bytes) -> encoding.Operations:
    try:
        return encoding.decode(tx)
    except encoding.Malformed:
        return ()


def test_costs() -> None:
    def costs(**parameters: Any) -> set[tuple[int, int]]:
        txs = next(iter(make("uniform", block_size=5, **parameters).blocks())).txs
        return {
            (each.code, each.number)
            for tx in txs
            for each in encoding.decode(tx)
            if each.code in (encoding.BURN, encoding.SLEEP)
        }

    assert costs() == {(encoding.BURN, 10_000)}
    assert costs(cost="sleep", cost_us=0.25) == {(encoding.SLEEP, 250)}
    assert costs(cost_us=0) == set()
    assert costs(cost_us=1.0005) == {(encoding.BURN, 1000)}  # to the nearest nanosecond, ties to even


def test_value_sizes() -> None:
    for size in (0, 5, 100):
        workload = make("uniform", accounts=20, value_bytes=size, cost_us=0, block_size=50)
        assert {len(value) for value in workload.genesis().values()} == {size}
        assert {len(value) for value in executed(workload)[1].values()} == {size}


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("zippf", {}, "there is no workload 'zippf': give one of uniform, zipf"),
        ("zipf", {"z": 1}, "no parameter 'z': it has s, "),
        ("zipf", {"s": -0.5}, "zipf: s is -0.5: give a number from 0 to 10"),
        ("zipf", {"s": float("nan")}, "zipf: s is nan"),
        ("zipf", {"s": "1"}, "zipf: s is str: give a number from 0 to 10"),
        ("zipf", {"accounts": 1}, "accounts is 1: give an integer from 2 to 100000000"),
        ("zipf", {"accounts": 2.5}, "accounts is float: give an integer"),
        ("zipf", {"accounts": None}, "accounts is NoneType: give an integer"),
        ("zipf", {"blocks": True}, "blocks is bool: give an integer"),
        ("zipf", {"block_size": 0}, "block_size is 0: give an integer from 1 to 200000"),
        ("zipf", {"seed": -1}, "seed is -1"),
        ("zipf", {"vm": "wasm"}, "vm is 'wasm': give one of native, python, payments"),
        ("zipf", {"cost": "wait"}, "cost is 'wait': give one of burn, sleep"),
        ("zipf", {"failure_rate": 1.1}, "failure_rate is 1.1: give a number from 0 to 1"),
        ("zipf", {"vm": "payments", "cost_us": 5}, "payments takes what it takes"),
        ("market", {"vm": "payments", "credit": "add"}, "market: credit is for programs that write values"),
        ("hot", {"value_bytes": 0, "credit": "add"}, "hot: credit is for programs that write values"),
        ("hot", {"credit": "get"}, "credit is 'get': give one of write, add"),
        ("scan-heavy", {"vm": "native"}, "vm is 'native': give one of python"),
        ("pairs", {"accounts": 100}, "pairs: 100 accounts: 10000 disjoint pairs need 20000"),
        ("hot", {"accounts": 10, "receivers": 9}, "hot: 10 accounts: 9 hot ones and at least 2 others"),
        ("growing", {"keys": 10_000, "blocks": 1000}, "there are keys for 4294967296"),
        ("mixed", {"failure_rate": 0.1}, "no parameter 'failure_rate'"),
        ("replay", {"genesis": "g"}, "the workload replay needs files"),
        ("replay", {"files": [], "genesis": "g"}, "files is .*: give a list of texts"),
        ("replay", {"files": ["a", 1], "genesis": "g"}, "files is .*: give a list of texts"),
        ("rwset", {}, "the workload rwset needs file"),
    ],
)
def test_nonsense_is_refused(name: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=says):
        make(name, **parameters)


@pytest.mark.parametrize("name", MADE)
def test_a_state_that_memory_has_no_room_for_is_refused_before_it_is_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioi_stress.workloads.base.free_memory", lambda: 1 << 20)
    workload = make(name, block_size=40, value_bytes=1 << 15)
    with pytest.raises(ResourceError, match=f"{name}: a state of .* values of 32,768 bytes takes about .* 1 MiB are free"):
        workload.genesis()
    assert make(name, block_size=4, value_bytes=1).genesis()


@pytest.mark.parametrize("name", WORKLOADS)
def test_descriptions(name: str) -> None:
    cls = WORKLOADS[name]
    assert cls.name == name and cls.summary and cls.example.split()[0] == name
    for parameter in parameters_of_class(cls):
        assert parameter.help and not parameter.help.endswith(".")
        if not parameter.required and parameter.default is not None:
            assert parameter.checked(parameter.default) == parameter.default
