"""What goes with the chunks of a snapshot: the record of its version, and of the state's creation.

The root covers the keys and values alone (on IAVL also the versions they were written in). All else here is only said by
whoever made the snapshot: whoever restores it takes the root from somewhere trusted, and looks at the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..disk.rows import Creation, VersionRow
from ..errors import StorageError

MANIFEST_LIMIT = 4 << 20  # bytes
_FORMAT = 1
_MOST = (1 << 63) - 1
_HEADER_LIMIT = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """row: of the version, its `head` empty. chunks, and their size in bytes: for progress."""

    creation: Creation
    row: VersionRow
    chunks: int
    size: int

    @classmethod
    def of(cls, creation: Creation, row: VersionRow, chunks: int, size: int) -> Manifest:
        """row: as it is recorded."""
        return cls(creation, row._replace(head=b"", has_body=False), chunks, size)

    def encode(self) -> bytes:
        fields = {
            "ioi_snapshot": _FORMAT,
            "tree": self.creation.tree,
            "version": self.row.version,
            "root": self.row.root.hex(),
            "keys": self.row.keys,
            "chunks": self.chunks,
            "bytes": self.size,
            "height": self.row.height,
            "header": self.row.header.hex(),
            "receipts_root": self.row.receipts_root.hex(),
            "transactions": self.row.transactions,
            "failed": self.row.failed,
            "writes": self.row.writes,
            "genesis_root": self.creation.genesis_root.hex(),
            "meta": self.creation.meta,
        }
        return json.dumps(fields, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """StorageError says what is wrong with it."""
        if len(data) > MANIFEST_LIMIT:
            raise StorageError(f"the manifest has {len(data)} bytes, at most {MANIFEST_LIMIT} are allowed")
        try:
            fields = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise StorageError(f"the manifest is not JSON: {error}") from None
        if not isinstance(fields, dict) or fields.get("ioi_snapshot") != _FORMAT:
            raise StorageError(f'this is no manifest of a snapshot, or one of another format: "ioi_snapshot" must be {_FORMAT}')

        def typed(name: str, kind: type) -> Any:
            value = fields.get(name)
            if type(value) is not kind:
                raise StorageError(f"the manifest's {name!r} must be there and {kind.__name__}")
            return value

        def number(name: str) -> int:
            value: int = typed(name, int)
            if not 0 <= value <= _MOST:
                raise StorageError(f"the manifest's {name!r} must be from 0 to 2**63 - 1")
            return value

        def hexadecimal(name: str, size: int | None) -> bytes:
            try:
                value = bytes.fromhex(typed(name, str))
            except ValueError:
                raise StorageError(f"the manifest's {name!r} is no hex") from None
            if len(value) > _HEADER_LIMIT or size is not None and len(value) != size:
                raise StorageError(f"the manifest's {name!r} has {len(value)} bytes, which cannot be")
            return value

        row = VersionRow(
            version=number("version"),
            root=hexadecimal("root", 32),
            receipts_root=hexadecimal("receipts_root", 32),
            height=number("height"),
            header=hexadecimal("header", None),
            transactions=number("transactions"),
            failed=number("failed"),
            writes=number("writes"),
            keys=number("keys"),
            head=b"",
        )
        creation = Creation(typed("tree", str), hexadecimal("genesis_root", 32), typed("meta", dict))
        return cls(creation, row, number("chunks"), number("bytes"))
