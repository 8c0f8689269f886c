"""Files that users hand to the commands, and the bytes a block header is kept as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO, StringIO

from decoder import Decoder

from ioi_exec import BlockHeader, InputError, LimitExceeded, Limits, Misbehaviour, StateCorrupt, Vote
from ioi_exec.block.header import decode_kept
from ioi_exec.cli.options import vm_args_value
from ioi_exec.files import read_block, read_genesis
from ioi_exec.files.dump import DumpHead, DumpReader, pair_line
from ioi_exec.vm.loading import VMSpec
from ioi_stress.notation.files import write_block, write_genesis
from ioi_stress.workload import Block

TIGHT = Limits(tx_bytes=200, block_transactions=5, block_bytes=700, key_bytes=20, value_bytes=30)


def check_block_file(data: bytes) -> None:
    """The first byte: whether transfers may be written as such."""
    try:
        block = read_block(BytesIO(data[1:]), "block", TIGHT, transfers=data[:1] > b"\x7f")
    except (InputError, LimitExceeded):
        return
    assert len(block.txs) <= TIGHT.block_transactions and sum(map(len, block.txs)) <= TIGHT.block_bytes
    written = StringIO()
    write_block(written, Block(block.txs, block.header))
    again = read_block(BytesIO(written.getvalue().encode()), "block", TIGHT, transfers=False)
    assert again.txs == block.txs
    assert again.header == (block.header if block.header != BlockHeader(proposer=b"") else again.header)


def block_files() -> Iterator[bytes]:
    a, b = ("ab" * 32, "cd" * 32)
    head = {"header": {"height": 7, "time_ns": "9223372036854775807", "proposer": a, "block_id": "00", "extra": "ff"}}
    vote = {"validator": a, "power": 1, "flag": "nil"}
    evidence = {"kind": "duplicate_vote", "validator": b, "power": 1, "height": 2, "time_ns": 3, "total_power": 4}
    transfer = {"from": a, "to": b, "amount": str(2**128 - 1), "fee": 1, "nonce": 2, "expiry": 3}
    for first in (b"\0", b"\xff"):
        yield first
        yield first + (json.dumps(head) + '\n{"tx": "00ff"}\r\n{"tx": ""}\n\n').encode()
        yield first + (json.dumps(transfer) + "\n").encode() * 2
        yield first + json.dumps({"header": {"votes": [vote, vote], "misbehaviour": [evidence]}}).encode()
        yield first + b'{"tx": "' + b"00" * 201 + b'"}'


def check_genesis_file(data: bytes) -> None:
    try:
        genesis = read_genesis(BytesIO(data[1:]), "genesis", accounts=data[:1] > b"\x7f")
    except InputError:
        return
    written = StringIO()
    write_genesis(written, genesis)
    assert read_genesis(BytesIO(written.getvalue().encode()), "genesis", accounts=False) == genesis


def genesis_files() -> Iterator[bytes]:
    for first in (b"\0", b"\xff"):
        yield first + json.dumps({"accounts": {"ab" * 32: {"balance": "340282366920938463463374607431768211455", "nonce": 1}}}).encode()
        yield first + b'{"state": {"00ff": "aa", "01": ""}}'
        yield first + b'{"state": {"aB": "", "Ab": ""}}'
        yield first + b'{"state": ' + b"[" * 2000


def check_dump(data: bytes) -> None:
    try:
        reader = DumpReader(BytesIO(data), "dump")
        assert DumpReader(BytesIO(reader.head.line().encode()), "dump").head == reader.head
        for key, value in reader.pairs(TIGHT):
            assert 1 <= len(key) <= TIGHT.key_bytes and len(value) <= TIGHT.value_bytes
            ((again, value_again),) = DumpReader(BytesIO(_one(key, value)), "dump").pairs(TIGHT)
            assert (again, value_again) == (key, value)
    except InputError:
        return


def _head(keys: int) -> DumpHead:
    limits = Limits().consensus()
    return DumpHead("iavl", 3, bytes(32), 7, keys, VMSpec("shop:Shop", {"a": [1, 1.5, None]}, "2"), limits)


def _one(key: bytes, value: bytes) -> bytes:
    return f"{_head(1).line()}\n{pair_line(key, value)}\n".encode()


def dumps() -> Iterator[bytes]:
    yield _one(b"key", b"value")
    yield f"{_head(0).line()}\n".encode()
    yield _one(b"key", b"value") + b'{"key": "aa", "value": ""}'


def check_header(data: bytes) -> None:
    try:
        header, transactions_hash = decode_kept(data)
    except StateCorrupt:
        return
    if transactions_hash is None:
        data = b"\2" + data[1:] + bytes(32)
    assert header.encode(transactions_hash or bytes(32)) == data


def headers() -> Iterator[bytes]:
    yield BlockHeader(0).encode(bytes(32))
    yield BlockHeader((1 << 63) - 1, 5, b"p" * 64, b"id", b"extra").encode(b"hash" * 8)
    evidence = Misbehaviour("light_client_attack", b"bob", 1, 2, 3, 4)
    yield BlockHeader(3, 5, votes=[Vote(b"ada", 7), Vote(b"bob", 0, "absent")], misbehaviour=[evidence]).encode(bytes(32))
    yield b"\1" + BlockHeader(3, extra=b"extra").encode(bytes(32))[1:-32]  # without the hash of the transactions


def check_vm_args(data: bytes) -> None:
    try:
        args = vm_args_value(data.decode("utf-8", "surrogateescape"))
    except InputError:
        return
    assert isinstance(args, (dict, list))


BLOCK_FILE = Decoder(
    "block_file", "InputError or LimitExceeded, or a block within the limits that is read the same once written",
    check_block_file, block_files,
)
GENESIS_FILE = Decoder(
    "genesis_file", "InputError, or a state that is read the same once written", check_genesis_file, genesis_files
)
DUMP = Decoder("dump", "InputError, or a head and pairs within the limits that are read the same once written", check_dump, dumps)
HEADER = Decoder("header", "StateCorrupt, or a header that encodes to the same bytes", check_header, headers)
VM_ARGS = Decoder("vm_args", "InputError, or an object or list", check_vm_args, lambda: [b'{"a": [1, 2.5e3]}', b"[1]", b"[" * 2000])
