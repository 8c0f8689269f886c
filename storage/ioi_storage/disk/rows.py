"""The rows of a state: nine LMDB tables, their keys and values. Integers are big endian.

    creation  b"creation"                -> magic 12 | format u32 | JSON                               | seal
    versions  version u64                -> height, counts, root, receipts root, tree head, header     | seal
    nodes     version u64 | path         -> the tree's own layout and checks (Jellyfish: core/node.h)
    values    version u64 | key hash 32  -> kind u8 (1 put, 0 delete) | key size u16 | key | value      | seal
    stale     version u64 | piece u32    -> records of rows that this version no longer needs           | seal
    flat      key                        -> latest value, as of mark `flat`                             | seal
    marks     name                       -> u64 (marks.py)                                              | seal
    bodies    version u64 | first u32    -> transactions and outcomes, where they are kept (bodies.py)  | seal
    found     transaction's hash 32 | version u64 | index u32 -> nothing                                | seal

Every table but `flat`, `marks` and `found` is append-only: its keys begin with the version, which LMDB writes about ten times faster than
keys in any other order. A seal is the xxh3-64 of the row's key and value, so that a row under a wrong key is found too.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

from .. import _core
from ..errors import FormatMismatch, corrupt
from ..trees.keys import u64, value_key

FORMAT = 2
MAGIC = b"ioi-storage\0"
CREATION_KEY = b"creation"
TABLES = ("creation", "versions", "nodes", "values", "stale", "flat", "marks", "bodies", "found")
LATER_TABLES = ("bodies", "found")  # that states of releases before them lack

_VALUE_HEAD = struct.Struct(">BH")
_VERSION_HEAD = struct.Struct(">QQQQQ32s32sHI")
_BODY_BIT = 63  # of the number of transactions


seal = _core.seal
"""seal(key, body): the row, `body` and its seal under `key`."""


def unseal(table: str, key: bytes, row: bytes) -> bytes:
    """The body of a sealed row; StateCorrupt if the seal does not fit."""
    body = _core.unseal(key, row)
    if body is None:
        raise corrupt(table, key, "its checksum does not match")
    return body


class VersionRow(NamedTuple):
    """What is recorded of one committed version."""

    version: int
    root: bytes
    receipts_root: bytes
    height: int
    header: bytes
    transactions: int
    failed: int
    writes: int  # of the batch, those that changed nothing included
    keys: int  # in the state
    head: bytes  # the tree's own pointer to its root row
    has_body: bool = False  # it was committed with one (bodies.py); of versions from before this was recorded: not known


def encode_version(row: VersionRow) -> tuple[bytes, bytes]:
    key = u64(row.version)
    body = _VERSION_HEAD.pack(
        row.height,
        row.transactions | row.has_body << _BODY_BIT,
        row.failed,
        row.writes,
        row.keys,
        row.root,
        row.receipts_root,
        len(row.head),
        len(row.header),
    )
    return key, seal(key, body + row.head + row.header)


def decode_version(key: bytes, row: bytes) -> VersionRow:
    body = unseal("versions", key, row)
    if len(key) != 8 or len(body) < _VERSION_HEAD.size:
        raise corrupt("versions", key, "wrong size")
    height, transactions, failed, writes, keys, root, receipts, head_size, header_size = _VERSION_HEAD.unpack_from(body)
    head_end = _VERSION_HEAD.size + head_size
    if len(body) != head_end + header_size:
        raise corrupt("versions", key, "wrong size")
    return VersionRow(
        version=int.from_bytes(key, "big"),
        root=root,
        receipts_root=receipts,
        height=height,
        header=body[head_end:],
        transactions=transactions & ~(1 << _BODY_BIT),
        failed=failed,
        writes=writes,
        keys=keys,
        head=body[_VERSION_HEAD.size : head_end],
        has_body=bool(transactions >> _BODY_BIT),
    )


class Creation(NamedTuple):
    """What is fixed when a state is created."""

    tree: str
    genesis_root: bytes
    meta: dict[str, Any]  # the engine's own


def encode_creation(creation: Creation) -> tuple[bytes, bytes]:
    fields = {"tree": creation.tree, "genesis_root": creation.genesis_root.hex(), "meta": creation.meta}
    text = json.dumps(fields, sort_keys=True, allow_nan=False).encode()
    return CREATION_KEY, seal(CREATION_KEY, MAGIC + struct.pack(">I", FORMAT) + text)


def decode_creation(row: bytes) -> Creation:
    """FormatMismatch if another release wrote it."""
    head = len(MAGIC) + 4
    if row[: len(MAGIC)] != MAGIC:
        raise corrupt("creation", CREATION_KEY, "this is no ioi-exec state")
    (format_version,) = struct.unpack_from(">I", row.ljust(head, b"\0"), len(MAGIC))
    if format_version != FORMAT:
        raise FormatMismatch(
            f"the state has format {format_version}, this release reads format {FORMAT}: use the release that wrote it"
        )
    try:
        fields = json.loads(unseal("creation", CREATION_KEY, row)[head:])
        creation = Creation(fields["tree"], bytes.fromhex(fields["genesis_root"]), fields["meta"])
        if not isinstance(creation.tree, str) or not isinstance(creation.meta, dict) or len(creation.genesis_root) != 32:
            raise TypeError("its fields are not what they must be")
        return creation
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise corrupt("creation", CREATION_KEY, f"it cannot be read ({error})") from None


def put_row(version: int, key_hash: bytes, key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The row of a value that was put."""
    row_key = value_key(version, key_hash)
    return row_key, seal(row_key, _VALUE_HEAD.pack(1, len(key)) + key + value)


def decode_value(row_key: bytes, row: bytes) -> tuple[bytes, bytes | None]:
    """(key, value) of a row of `values`; None is a delete, kept so that `flat` can be rebuilt. `_core.value_rows` writes
    them."""
    body = unseal("values", row_key, row)
    if len(body) < _VALUE_HEAD.size:
        raise corrupt("values", row_key, "wrong size")
    kind, key_size = _VALUE_HEAD.unpack_from(body)
    split = _VALUE_HEAD.size + key_size
    if kind > 1 or (split > len(body) if kind else split != len(body)):
        raise corrupt("values", row_key, "wrong kind or size")
    return body[_VALUE_HEAD.size : split], body[split:] if kind else None
