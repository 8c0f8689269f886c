"""A snapshot of a state that an engine has open."""

from __future__ import annotations

from pathlib import Path

import ioi_storage

from ioi_exec.files.snapshots import MANIFEST, chunk_name
from ioi_exec.state.base import storage_errors

_CHUNK_BYTES = 1 << 16  # so that there are some


def take_snapshot(state: str, folder: Path) -> None:
    """Of the newest version, as `ioi-exec snapshot` writes it. folder: not there yet."""
    folder.mkdir()
    chunks = size = 0
    with storage_errors(), ioi_storage.Store.open(state, read_only=True) as store:
        for chunk in store.snapshot(store.version, chunk_bytes=_CHUNK_BYTES):
            (folder / chunk_name(chunk.number)).write_bytes(chunk.data)
            chunks, size = chunks + 1, size + len(chunk.data)
        (folder / MANIFEST).write_bytes(store.manifest(store.version, chunks, size).encode())
