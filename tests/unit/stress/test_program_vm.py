"""What programs mean, operation by operation, in Python and in C against digests worked out by hand."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ioi_exec import ExecutionMachine, InputError, Limits, Receipt
from ioi_stress.vm import NativeProgram, Program, cost
from ioi_stress.vm.encoding import (
    COST_MAX_NS,
    DEPTH_MAX,
    NUMBER_MAX,
    SIZE_MAX,
    Malformed,
    add,
    decode,
    delete,
    exists,
    key,
    read,
    revert,
    scan,
    transaction,
    undo,
    when,
    write,
)
from ioi_stress.vm.encoding import cost as cost_of

GENESIS = {b"a": b"1", b"b": b"", b"key/00000000": b"zero", b"key/00000001": b"one", b"key/00000002": b"two"}
A, B, C = key(b"a"), key(b"b"), key(b"c")
ALWAYS, NEVER = (0, 0), (0, 1)
"""Masks and bits of a condition."""


@pytest.fixture(params=[Program, NativeProgram])
def vm(request: pytest.FixtureRequest) -> type:
    found: type = request.param
    return found


def run(
    vm: type, *programs: bytes, limits: Limits | None = None
) -> tuple[list[Receipt], dict[bytes, bytes | None], list[bytes]]:
    """Receipts, what was written, and the transactions."""
    txs = [transaction(i, program) for i, program in enumerate(programs)]
    with ExecutionMachine.create(None, vm, genesis=GENESIS, workers=0, limits=limits) as machine:
        result = machine.execute(txs)
        return list(result.receipts), dict(result.writes), txs


def observed(tx: bytes, *what: bytes) -> bytes:
    digest = sha256(tx).digest()
    for each in what:
        digest = sha256(digest + each).digest()
    return digest


def test_reads_go_into_the_digest(vm: type) -> None:
    receipts, writes, txs = run(vm, b"", read(A), read(B) + read(C), exists(A) + exists(C))
    assert [receipt.output for receipt in receipts] == [
        observed(txs[0]),
        observed(txs[1], b"\x011"),
        observed(txs[2], b"\x01", b"\x00"),
        observed(txs[3], b"\x03", b"\x02"),
    ]
    assert writes == {}


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1024, 1025, 70_001])
def test_what_is_written_is_the_digest(vm: type, size: int) -> None:
    receipts, writes, txs = run(vm, read(A) + write(C, size), read(C))
    digest = observed(txs[0], b"\x011")
    value = (digest * 3000)[:size]
    assert receipts[0].output == digest and writes == {b"c": value}
    assert receipts[1].output == observed(txs[1], b"\x01" + value)


def test_equal_programs_write_different_values(vm: type) -> None:
    _, writes, _ = run(vm, write(A, 8), write(B, 8))
    assert writes[b"a"] != writes[b"b"]


def test_deletions(vm: type) -> None:
    receipts, writes, txs = run(vm, delete(A) + delete(C) + read(A), read(A))
    assert [receipt.output for receipt in receipts] == [observed(txs[0], b"\x00"), observed(txs[1], b"\x00")]
    assert writes == {b"a": None, b"c": None}


@pytest.mark.parametrize("size", [1, 7, 16, 17, 40])
def test_adds_go_into_the_digest_as_done_or_not(vm: type, size: int) -> None:
    width = min(size, 16)
    receipts, writes, txs = run(vm, add(C, size, 3) + add(C, size, -4) + add(C, size, -1), add(C, size, 5) + read(C), add(C, size, -8))
    counted = (7).to_bytes(width, "big") + bytes(size - width)
    assert [receipt.output for receipt in receipts] == [
        observed(txs[0], b"\x07", b"\x06", b"\x07"), observed(txs[1], b"\x07", b"\x01" + counted), observed(txs[2], b"\x06"),
    ]
    assert writes == {b"c": counted}


def test_an_add_to_a_value_of_another_length_fails(vm: type) -> None:
    receipts, writes, _ = run(vm, add(A, 2, 1), add(A, 1, 2**63 - 1), add(A, 1, 1))
    assert [(receipt.code, receipt.error) for receipt in receipts] == [(4, "another length"), (0, ""), (0, "")]
    assert writes == {b"a": b"2"}


@pytest.mark.parametrize("size, delta", [(0, 1), (SIZE_MAX + 1, 1), (1, 2**63), (1, -(2**63))])
def test_an_add_that_does_not_fit(vm: type, size: int, delta: int) -> None:
    with pytest.raises(InputError, match="programs add"):
        add(A, size, delta)
    tx = transaction(0, b"\x0b" + A + size.to_bytes(4, "big") + (delta % 2**64).to_bytes(8, "big"))
    receipts, _, _ = run(vm, tx[9:])
    assert receipts[0].error == "malformed"
    with pytest.raises(Malformed):
        decode(tx)


def test_computed_keys(vm: type) -> None:
    programs = [read(A) + read(key(b"key/", 3)) for _ in range(12)] + [read(A) + write(key(b"key/", 3), 1)]
    receipts, writes, txs = run(vm, *programs)
    met = set()
    for tx, receipt in zip(txs[:-1], receipts):
        number = int.from_bytes(observed(tx, b"\x011")[:8], "big") % 3
        met.add(number)
        assert receipt.output == observed(tx, b"\x011", b"\x01" + (b"zero", b"one", b"two")[number])
    assert met == {0, 1, 2}
    assert list(writes) == [b"key/%08d" % (int.from_bytes(observed(txs[-1], b"\x011")[:8], "big") % 3)]


def test_longest_keys(vm: type) -> None:
    long, computed = b"k" * 255, b"n" * 247
    _, writes, txs = run(vm, write(key(long), 1) + write(key(computed, NUMBER_MAX), 1))
    number = int.from_bytes(sha256(txs[0]).digest()[:8], "big") % NUMBER_MAX
    assert set(writes) == {long, computed + b"%08d" % number}


def test_conditions(vm: type) -> None:
    programs = [read(A) + when(3, i % 4, write(key(b"w%d" % i), 1)) for i in range(16)]
    receipts, writes, _ = run(vm, *programs)
    expected = {b"w%d" % i for i, receipt in enumerate(receipts) if receipt.output[31] & 3 == i % 4}
    assert set(writes) == expected and 0 < len(expected) < 16


def test_what_is_undone_was_still_read(vm: type) -> None:
    receipts, writes, txs = run(
        vm,
        undo(*ALWAYS, read(A) + write(C, 4)) + read(C),
        undo(*NEVER, read(A) + write(C, 4)) + read(C),
        undo(*ALWAYS, undo(*NEVER, write(A, 1)) + read(A)) + read(A),
    )
    assert receipts[0].output == observed(txs[0], b"\x011", b"\x00")
    kept = observed(txs[1], b"\x011")
    assert receipts[1].output == sha256(kept + b"\x01" + kept[:4]).digest()
    first = observed(txs[2], b"\x01" + sha256(txs[2]).digest()[:1])
    assert receipts[2].output == sha256(first + b"\x011").digest()
    assert writes == {b"c": kept[:4]}


def test_failures(vm: type) -> None:
    receipts, writes, _ = run(
        vm,
        write(A, 1) + revert() + write(B, 1),
        write(A, 1) + undo(*NEVER, write(C, 1) + revert(code=255)),
        write(A, 1) + when(*ALWAYS, undo(*ALWAYS, revert(code=2))),
        revert(*NEVER) + exists(A),
    )
    assert [(receipt.code, receipt.error, receipt.output) for receipt in receipts[:3]] == [
        (1, "reverted", b""),
        (255, "reverted", b""),
        (2, "reverted", b""),
    ]
    assert receipts[3].ok and writes == {}


def test_limits_fail_the_transaction(vm: type) -> None:
    limits = Limits(key_bytes=12, value_bytes=64, tx_keys=2, tx_write_bytes=100, checkpoint_depth=2)
    deep = undo(*NEVER, undo(*NEVER, undo(*NEVER, write(A, 1))))
    receipts, writes, _ = run(
        vm,
        write(key(b"1234567890123"), 1),
        write(A, 65),
        write(A, 1) + write(B, 1) + write(C, 1),
        write(A, 60) + write(B, 60),
        deep,
        write(A, SIZE_MAX),
        read(key(b"1234567890123")) + write(A, 64),
        limits=limits,
    )
    assert [(receipt.code, receipt.error.partition(":")[0]) for receipt in receipts[:6]] == [(2, "LimitExceeded")] * 6
    assert receipts[6].ok and set(writes) == {b"a"}


HEAD = b"\x01" + bytes(8)


@pytest.mark.parametrize(
    "tx",
    [
        b"",
        HEAD[:8],
        b"\x00" + HEAD[1:],
        HEAD + b"\x00",
        HEAD + b"\x0b",
        HEAD + read(A)[:-1],
        HEAD + read(b"\x00\x00"),  # an empty key
        HEAD + read(b"\x02\x01a"),  # no kind of key
        HEAD + read(b"\x01\x01a" + bytes(4)),  # no numbers
        HEAD + read(b"\x01\x01a" + (NUMBER_MAX + 1).to_bytes(4, "big")),
        HEAD + read(b"\x01\xf8" + bytes(248) + b"\0\0\0\1"),  # too long with its number
        HEAD + b"\x03" + A + (SIZE_MAX + 1).to_bytes(4, "big"),
        HEAD + b"\x05\x10" + bytes(4),  # no such flag
        HEAD + b"\x05\x0a" + bytes(4) + A + A,  # a prefix beside a start
        HEAD + b"\x05\x02" + bytes(4),  # no start
        HEAD + b"\x06\x00\x00\x00\x00\x00\x05" + read(A),  # a body beyond the end
        HEAD + when(0, 1, b"\x00"),  # a body that is never executed is still looked at
        HEAD + b"\x08\x00\x00\x00",  # code 0
        HEAD + b"\x09" + (COST_MAX_NS + 1).to_bytes(8, "big"),
        HEAD + b"\x0a" + bytes(7),
    ],
)
def test_malformed(vm: type, tx: bytes) -> None:
    with pytest.raises(Malformed):
        decode(tx)
    with ExecutionMachine.create(None, vm, genesis=GENESIS, workers=0) as machine:
        (receipt,) = machine.execute([tx]).receipts
    assert (receipt.code, receipt.error) == (1, "malformed")


def test_depth(vm: type) -> None:
    def nested(depth: int) -> bytes:
        return read(A) if depth == 0 else when(*ALWAYS, nested(depth - 1))

    receipts, _, txs = run(vm, nested(DEPTH_MAX), nested(DEPTH_MAX + 1))
    assert receipts[0].output == observed(txs[0], b"\x011") and receipts[1].error == "malformed"


def test_scans_in_python() -> None:
    receipts, _, txs = run(
        Program,
        scan(prefix=key(b"key/")),
        scan(start=B, end=key(b"key/00000002")),
        scan(end=key(b"key/00000002"), limit=2, reverse=True),
        scan(limit=1) + write(C, 1),
        write(C, 1) + scan(start=A, end=key(b"d")),
    )

    def pair(name: bytes, value: bytes) -> bytes:
        return b"\x04" + len(name).to_bytes(2, "big") + name + value

    zero, one, two = (pair(b"key/0000000%d" % i, word) for i, word in enumerate((b"zero", b"one", b"two")))
    a, b, end = pair(b"a", b"1"), pair(b"b", b""), b"\x05"
    assert receipts[0].output == observed(txs[0], zero, one, two, end)
    assert receipts[1].output == observed(txs[1], b, zero, one, end)
    assert receipts[2].output == observed(txs[2], one, zero, end)
    written = observed(txs[3], a, end)
    assert receipts[3].output == written
    mine = sha256(txs[4]).digest()[:1]
    assert receipts[4].output == observed(txs[4], a, b, pair(b"c", mine), end)


def test_the_native_vm_refuses_scans() -> None:
    receipts, writes, _ = run(NativeProgram, write(A, 1) + when(*NEVER, scan(prefix=A)), write(A, 1) + scan() + b"\x00")
    assert (receipts[0].code, receipts[0].error) == (3, "a scan: only the Python VM has them")
    assert receipts[1].error == "malformed" and writes == {}


def test_hints_are_the_keys_read_by_name() -> None:
    vm = Program()
    program = read(A) + when(*NEVER, exists(B) + undo(*ALWAYS, read(C))) + read(key(b"n", 3)) + write(key(b"w"), 1)
    assert vm.keys(vm.decode(transaction(0, program))) == [b"a", b"b", b"c"]


def test_what_cannot_be_encoded() -> None:
    for make in (
        lambda: key(b""),
        lambda: key(b"k" * 256),
        lambda: key(b"k" * 248, 1),
        lambda: key(b"k", NUMBER_MAX + 1),
        lambda: write(A, SIZE_MAX + 1),
        lambda: scan(A, prefix=A),
        lambda: cost_of("burn", COST_MAX_NS + 1),
    ):
        with pytest.raises(InputError):
            make()


def test_a_burn_does_not_count_the_time_others_had_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = []

    def script() -> int:
        now = 0
        yield now
        for step in (100, 100, 5_000_000, 100, 100, 100, 100, 100, 100, 10_000, 10_000):  # 5 ms somewhere else
            now += step
            yield now

    clock = script()
    monkeypatch.setattr(cost.time, "perf_counter_ns", lambda: readings.append(next(clock)) or readings[-1])
    cost.burn(20_750)
    assert len(readings) == 10  # 2 * 100 + 20,000 for the gap + 6 * 100
    cost.burn(0)


def test_costs_change_no_result(vm: type) -> None:
    receipts, _, txs = run(vm, read(A) + cost_of("burn", 1000) + cost_of("sleep", 1000) + read(C))
    assert receipts[0].output == observed(txs[0], b"\x011", b"\x00")
    assert cost_of("burn", 0) == b""


def test_costs_take_their_time(vm: type) -> None:
    """At least as long as asked, whatever else the machine does."""
    for kind in ("burn", "sleep"):
        with ExecutionMachine.create(None, vm, genesis=GENESIS, workers=0) as machine:
            stats = machine.execute([transaction(0, cost_of(kind, 20_000_000))]).stats
            assert stats.seconds["execute"] >= 0.02
