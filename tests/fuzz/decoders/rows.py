"""Rows as they come out of LMDB, sealed by whoever wrote them: their seal is put right, so that what is inside is looked at."""

from __future__ import annotations

import os
import struct
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from decoder import Decoder
from ioi_storage import FormatMismatch, StateCorrupt, Store, _core
from ioi_storage.disk import bodies, rows, stale
from ioi_storage.disk.truncation import refuse_if_truncated
from ioi_storage.trees.keys import u64, value_key
from ioi_storage.trees.seam import Inner, Leaf, TreeHead, tree_named
from states import MEMORY, STATE, TREES, known

_SEAL = 8
_POINTERS = {"jellyfish": u64(1), "iavl": u64(1) + bytes(4)}


# ---- records: creation, versions, values, stale ----


def check_records(data: bytes) -> None:
    """First byte: which table, and whether the seal is put right."""
    if not data:
        return
    which, sealed, body = (data[0] & 3) + (data[0] & 8) // 8 * 4, data[0] & 4, data[1:]
    key = (rows.CREATION_KEY, u64(3), u64(3) + bytes(32), u64(3) + bytes(4), u64(3) + bytes(4))[min(which, 4)]
    row = body if sealed else rows.seal(key, body)
    try:
        if which == 0:
            creation = rows.decode_creation(row)
            assert rows.decode_creation(rows.encode_creation(creation)[1]) == creation
        elif which == 1:
            assert rows.encode_version(rows.decode_version(key, row)) == (key, row)
        elif which == 2:
            found, value = rows.decode_value(key, row)
            if value is not None:
                assert rows.put_row(3, bytes(32), found, value) == (key, row)
        elif which >= 4:
            part = bodies.decode(key, row)
            ends = array("Q", accumulate(map(len, part.outcomes))).tobytes()
            again = bodies.rows_of(3, bodies.Body(part.txs, b"".join(part.outcomes), ends))
            assert again == [(key, row)] or len(row) > bodies.PART
        else:
            for table, named in stale.records(key, row):
                assert table in rows.TABLES and len(named) >= 8
    except (StateCorrupt, FormatMismatch):
        return


def records() -> Iterator[bytes]:
    made, _ = known("iavl")
    creation = rows.Creation("iavl", bytes(32), {"vm": {"name": "x"}})
    yield b"\0" + rows.encode_creation(creation)[1][:-_SEAL]
    yield b"\4" + rows.encode_creation(creation)[1]
    for version in range(made.version + 1):
        yield b"\1" + rows.encode_version(made.version_row(version))[1][:-_SEAL]
    yield b"\2" + rows.put_row(3, bytes(32), b"key", b"value")[1][:-_SEAL]
    yield b"\2" + b"\0\0\3key"
    for txs in ([], [b"", b"one", b"two"]):
        ends = array("Q", accumulate(map(len, txs))).tobytes()
        yield b"\10" + bodies.rows_of(3, bodies.Body(txs, b"".join(txs), ends))[0][1][:-_SEAL]
    yield b"\3" + b"\0" + u64(2) + b"\2\1\2" + b"\1" + u64(1) + b"\x20" + bytes(32)


# ---- nodes ----


def check_jellyfish_row(data: bytes) -> None:
    row = _core.seal(b"", data)
    try:
        slots = _core.node_slots(row)
    except ValueError:
        return
    assert _core.node_row(slots) == row, "its slots make another row"
    ranges, root = _core.node_ranges(row), _core.node_hash(row)
    assert ranges[32:64] == root
    _walked("jellyfish", row, root)
    _stage_on("jellyfish", row, root)


def check_iavl_row(data: bytes) -> None:
    row = _core.seal(b"", data)
    try:
        root = _core.IavlRow(row).node(0)[0]
    except ValueError:
        return
    _walked("iavl", row, root)
    _stage_on("iavl", row, root)


def _walked(name: str, row: bytes, root: bytes) -> None:
    """All that a reader does with a tree whose top is this row, and whose other rows are it too: StateCorrupt at most."""
    tree, head = tree_named(name), TreeHead(root, _POINTERS[name])
    read = _always(row)
    waiting = [tree.top(read, head)]
    for _ in range(200):
        if not waiting:
            break
        node = waiting.pop()
        if isinstance(node, Inner):
            try:
                middle = tree.middle(read, node)
                waiting += tree.split(read, node)
                assert isinstance(middle, bytes)
            except StateCorrupt:
                continue
        elif isinstance(node, Leaf):
            assert len(node.hash) == len(node.value_hash) == 32
            assert len(value_key(node.version, node.key_hash)) == 40
    for key in (b"", b"key/1", bytes(32)):
        try:
            leaf = tree.find(read, head, tree.place(key))
            assert leaf is None or leaf.place == tree.place(key)
        except StateCorrupt:
            pass
    if tree.unfold is not None:
        try:
            places = sorted(map(tree.place, STATE))
            for _ in tree.unfold(read, Inner(root, b"", head.pointer, None), places, 0, len(places)):
                pass
        except StateCorrupt:
            pass


def _stage_on(name: str, row: bytes, root: bytes) -> None:
    """A batch applied to a tree whose rows are all this one."""
    batch = _core.Writes.of([(b"key/1", b"changed"), (b"key/3", None), (b"n", b"")])
    entries = _core.hash_batch(batch, 511, 0, len(batch))
    tree = tree_named(name)
    for pointer in (_POINTERS[name], b"short"):
        try:
            tree.stage(_always(row), TreeHead(root, pointer), batch, entries, 3, map, None)
        except StateCorrupt:
            pass


def _always(row: bytes):  # type: ignore[no-untyped-def]
    def read(keys: Sequence[bytes]) -> list[bytes]:
        return [row for _ in keys]

    return read


def _node_rows(tree: str) -> Iterator[bytes]:
    made, _ = known(tree)
    seen: list[bytes] = []

    def read(keys: Sequence[bytes]) -> Sequence[bytes]:
        found = made._nodes(keys)
        seen.extend(found)
        return found

    for version in range(made.version + 1):
        head = made.version_row(version)
        waiting = [made._tree.top(read, TreeHead(head.root, head.head))]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Inner):
                waiting += made._tree.split(read, node)
    for row in dict.fromkeys(seen):
        yield row[:-_SEAL]


# ---- the file itself ----


def check_data_file(data: bytes) -> None:
    """What is read of data.mdb before LMDB maps it. Pages of 512 bytes, so that several fit."""
    with tempfile.NamedTemporaryFile(dir=MEMORY) as file:
        Path(file.name).write_bytes(data)
        try:
            refuse_if_truncated(file.name)
        except (StateCorrupt, FormatMismatch):
            pass



def data_files() -> Iterator[bytes]:
    def meta(number: int, transaction: int, last: int, root: int, magic: int = 0xBEEFC0DE) -> bytes:
        tree = struct.pack("<IHHQQQQQ", 512, 0, 1, 0, 1, 0, 1, 2**64 - 1)
        main = struct.pack("<IHHQQQQQ", 0, 0, 1, 0, 1, 0, 1, root)
        head = struct.pack("<QHHHH", number, 0, 8, 0, 0)
        return (head + struct.pack("<IIQQ", magic, 1, 0, 1 << 20) + tree + main + struct.pack("<QQ", last, transaction)).ljust(512, b"\0")

    def page(number: int, flags: int, *nodes: bytes) -> bytes:
        offsets, at = [], 512
        body = b""
        for node in nodes:
            at -= len(node)
            offsets.append(at)
            body = node + body
        head = struct.pack("<QHHHH", number, 0, flags, 16 + 2 * len(nodes), at)
        head += struct.pack(f"<{len(nodes)}H", *offsets)
        return head + bytes(at - len(head)) + body

    def leaf(flags: int, data: bytes) -> bytes:
        return struct.pack("<HHHH", len(data), 0, flags, 2) + b"k1" + data

    subtree = struct.pack("<IHHQQQQQ", 0, 0, 1, 0, 1, 0, 1, 3)
    pages = meta(0, 1, 9, 2) + meta(1, 2, 9, 2)
    yield pages + page(2, 2, leaf(2, subtree)) + page(3, 2, leaf(1, struct.pack("<Q", 4))) + page(4, 4).ljust(512, b"\0")
    yield pages + page(2, 1, struct.pack("<HHHH", 3, 0, 0, 1) + b"k") + page(3, 2, leaf(0, b"value"))
    yield pages + page(2, 1, struct.pack("<HHHH", 2, 0, 0, 1) + b"k")
    with tempfile.TemporaryDirectory() as folder:
        with Store.create(os.path.join(folder, "state"), tree=TREES[0], meta={}, genesis=STATE.items()):
            pass
        yield (Path(folder) / "state" / "data.mdb").read_bytes()[:8192].rstrip(b"\0")


RECORDS = Decoder(
    "records", "StateCorrupt or FormatMismatch, or what encodes to the same row", check_records, records
)
JELLYFISH_ROW = Decoder(
    "jellyfish_row", "no row, or slots that make the same row; walking, finding and writing on it end in StateCorrupt at most",
    check_jellyfish_row, lambda: _node_rows("jellyfish"),
)
IAVL_ROW = Decoder(
    "iavl_row", "no row, or one that walking, finding, proving and writing on end in StateCorrupt at most",
    check_iavl_row, lambda: _node_rows("iavl"),
)
DATA_FILE = Decoder("data_file", "StateCorrupt or FormatMismatch, or no page is missing", check_data_file, data_files, most=8192)
