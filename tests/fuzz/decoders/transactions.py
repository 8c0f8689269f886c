"""Transactions of the VMs that are there in C and in Python: both must say the same of any bytes, on any state."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from decoder import Decoder
from ioi_shm import Plain

from ioi_exec import LimitExceeded, Limits
from ioi_exec.block.context import BlockContext
from ioi_exec.block.receipt import Receipt, Receipts
from ioi_exec.execution.executor import Block
from ioi_exec.execution.native import NativeSequentialExecutor
from ioi_exec.execution.transaction import Abandoned, HookCall, run_hook, run_transaction
from ioi_exec.vm.loading import LoadedVM, load_vm
from ioi_exec.vm.payments import account_key, decode_transfer, encode_account, encode_transfer
from ioi_exec.vm.payments_reference import PaymentsReference
from ioi_stress.vm import encoding
from ioi_stress.vm.native import NativeProgram
from ioi_stress.vm.program import Program

TIGHT = Limits(key_bytes=40, value_bytes=300, tx_keys=4, tx_write_bytes=700, checkpoint_depth=3, output_bytes=40)


class _Base:
    """A state that is a dict."""

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self._state = state

    def get(self, key: bytes) -> bytes | None:
        return self._state.get(key)

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return list(map(self._state.get, keys))

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        found = [(k, v) for k, v in sorted(self._state.items()) if (start or b"") <= k and (end is None or k < end)]
        return iter(found[::-1] if reverse else found)


Did = tuple[list[Receipt], list[tuple[bytes, "bytes | None"]]]
"""Receipts and writes."""


def _native(vm: LoadedVM, block: Block, base: _Base) -> Did:
    outcome = NativeSequentialExecutor(vm, TIGHT).run(block, base, None)  # type: ignore[arg-type]
    return list(outcome.receipts), outcome.writes


def _python(vm: LoadedVM, block: Block, base: _Base) -> Did:
    """As SequentialExecutor does it, without what it does about signals and settings, which takes fifty times as long."""
    plain = Plain(TIGHT.of_transaction(), base.get, base.scan, LimitExceeded, Abandoned)
    decode = vm.decoder()
    receipts = []
    for index, tx in enumerate(block.txs):
        ctx = block.context.of_transaction(index)
        receipt, fault = run_transaction(plain, plain.begin(), vm.instance, decode, tx, ctx, TIGHT)
        assert fault is None and plain.broken is None, fault
        if receipt.ok:
            plain.keep(True)
        receipts.append(receipt)
    if vm.end_block:
        _, fault = run_hook(plain, plain.begin(), vm, HookCall(block.hook, block.context, block.txs, Receipts.of(receipts)))
        assert fault is None and plain.broken is None, fault
        plain.keep(True)
    return receipts, plain.batch()


@lru_cache(maxsize=None)
def _loaded(vm: type | str) -> LoadedVM:
    return load_vm(vm)


def _same(native: type | str, python: type, block: Block, state: Mapping[bytes, bytes]) -> None:
    one, other = _native(_loaded(native), block, _Base(state)), _python(_loaded(python), block, _Base(state))
    assert one[0] == other[0], "the receipts of C and of Python differ"
    assert one[1] == other[1], "the writes of C and of Python differ"


# ---- payments ----

_ADDRESSES = [bytes([number]) * 32 for number in range(4)]
_U64, _U128 = (1 << 64) - 1, (1 << 128) - 1
_ACCOUNTS = {
    account_key(_ADDRESSES[0]): encode_account(1000, 0),
    account_key(_ADDRESSES[1]): encode_account(_U128, 1),
    account_key(_ADDRESSES[2]): encode_account(_U128 - 5, _U64),
    account_key(_ADDRESSES[3]): b"no account",
}
_NUMBERS = struct.Struct(">BB16sQQQ")


def check_payments(data: bytes) -> None:
    """Two bytes for height and proposer; then a kind each: a transfer between four addresses, or what is left as it stands."""
    txs, at = [], 2
    while at < len(data) and len(txs) < 6:
        kind, at = data[at], at + 1
        if kind & 1 or len(data) - at < _NUMBERS.size:
            size = len(data) - at if kind & 2 else min(104, len(data) - at)
            txs.append(data[at : at + size])
            at += size
            continue
        sender, recipient, amount, fee, nonce, expiry = _NUMBERS.unpack_from(data, at)
        small = amount if kind & 4 else amount[-1:]
        from_, to = _ADDRESSES[sender % 4], _ADDRESSES[recipient % 4]
        txs.append(encode_transfer(from_, to, int.from_bytes(small, "big"), fee=fee, nonce=nonce, expiry=expiry))
        at += _NUMBERS.size
    for tx in txs:
        if len(tx) == 104:
            t = decode_transfer(tx)
            assert encode_transfer(t.sender, t.recipient, t.amount, fee=t.fee, nonce=t.nonce, expiry=t.expiry) == tx
    height, proposer = data[:1] or b"\1", ([b"", b"short", *_ADDRESSES] * 50)[(data[1:2] or b"\0")[0]]
    context = BlockContext(height[0], 0, proposer, b"", bytes(32), b"")
    _same("payments", PaymentsReference, Block(txs, context), _ACCOUNTS)


def payments() -> Iterator[bytes]:
    def transfer(sender: int, to: int, amount: int, fee: int = 0, nonce: int = 0, expiry: int = 0) -> bytes:
        return b"\4" + _NUMBERS.pack(sender, to, amount.to_bytes(16, "big"), fee, nonce, expiry)

    yield b"\5\2" + transfer(0, 1, 5) + transfer(0, 2, 5, 1, 1) + transfer(0, 0, 5, 1, 2) + transfer(0, 3, 990, 0, 3)
    yield b"\5\3" + transfer(1, 0, _U128, 1, 1) + transfer(1, 0, _U128, 0, 1) + transfer(2, 0, 1, 0, _U64)
    yield b"\5\4" + transfer(0, 1, 1) + transfer(0, 2, 6) + transfer(0, 3, 1, 2, 0, 4) + transfer(3, 0, 0, 0)
    yield b"\5\1" + b"\3" + bytes(103)
    yield b"\5\1" + b"\1" + bytes(104) + b"\1" + b"\xff" * 104


# ---- programs of the stress tool ----


_LEFT_OUT = (encoding.BURN, encoding.SLEEP, encoding.SCAN)


def check_program(data: bytes) -> None:
    """One byte: how long the first transaction is; the second is the rest. What takes long is left out."""
    if not data:
        return
    txs = [b"\1" + tx for tx in (data[1 : 1 + data[0]], data[1 + data[0] :])]
    for tx in txs:
        try:
            operations = encoding.decode(tx)
        except encoding.Malformed:
            continue
        if any(each.code in _LEFT_OUT or each.code == encoding.WRITE and each.number > 1000 for each in _all(operations)):
            return
    context = BlockContext(1, 0, b"", b"", bytes(32), b"")
    state = {b"key": b"value", b"n00000001": b"1", b"empty": b""}
    _same(NativeProgram, Program, Block(txs, context), state)


def _all(operations: encoding.Operations) -> Iterator[encoding.Operation]:
    for operation in operations:
        yield operation
        yield from _all(operation.body)


def programs() -> Iterator[bytes]:
    key, computed = encoding.key(b"key"), encoding.key(b"n", 3)
    some = encoding.read(key) + encoding.exists(computed) + encoding.write(computed, 100) + encoding.delete(key)
    nested = encoding.when(1, 1, encoding.undo(3, 1, some) + encoding.read(key)) + encoding.when(1, 0, encoding.revert(7, 1, 9))
    deep = some
    for _ in range(17):
        deep = encoding.undo(0, 1, deep)
    for operations in (some, nested, deep, encoding.write(key, 400), encoding.revert()):
        tx = encoding.transaction(7, operations)[1:]
        yield bytes([min(len(tx), 255)]) + tx + encoding.transaction(8, some)[1:]


_HOLDS = "the C VM and the Python one give the same receipts and writes"
PAYMENTS = Decoder("payments", _HOLDS, check_payments, payments, most=600)
PROGRAM = Decoder("program", f"{_HOLDS}, within tight limits", check_program, programs, most=600)
