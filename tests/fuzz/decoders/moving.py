"""What comes with a snapshot: its manifest and its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from decoder import Decoder
from ioi_storage import Manifest, StorageError, Store
from ioi_storage.moving.chunks import Malformed, Part, Stub, read_chunk
from ioi_storage.trees.seam import tree_named
from states import STATES, store


def check_manifest(data: bytes) -> None:
    try:
        manifest = Manifest.decode(data)
    except StorageError:
        return
    assert Manifest.decode(manifest.encode()) == manifest, "what it encodes is another manifest"
    for number in (manifest.chunks, manifest.size, manifest.row.version, manifest.row.height, manifest.row.keys):
        assert 0 <= number < 1 << 63
    assert len(manifest.row.root) == len(manifest.row.receipts_root) == len(manifest.creation.genesis_root) == 32


def manifests() -> Iterator[bytes]:
    for tree, state in STATES:
        with store(tree, state) as made:
            manifest = _snapshot(made)[0]
        yield manifest.encode()
    yield replace(manifest, chunks=(1 << 63) - 1).encode()


def check_chunk(data: bytes) -> None:
    """The first byte: the tree, and whether it is the top."""
    if not data:
        return
    tree, top = tree_named(("jellyfish", "iavl")[data[0] & 1]), bool(data[0] & 2)
    parts: list[Part] = []
    try:
        root = read_chunk(tree, data[1:], 3, top=top, each=parts.append)
    except Malformed:
        return
    naive = _Naive(data[2:], tree.name)
    assert (naive.root(), naive.data) == (root, b""), "a plain reading of it has another root"
    for part in parts:
        assert isinstance(part, Stub) == top or isinstance(part, bytes)


def chunks() -> Iterator[bytes]:
    for tree, state in STATES:
        with store(tree, state) as made:
            for number, chunk in enumerate(_snapshot(made)[1]):
                yield bytes([(tree == "iavl") | 2 * (number == 0)]) + chunk


def _snapshot(made: Store) -> tuple[Manifest, list[bytes]]:
    """Its manifest, and its chunks by their numbers."""
    found = {chunk.number: chunk.data for chunk in made.snapshot(chunk_bytes=300)}
    return made.manifest(made.version, len(found), sum(map(len, found.values()))), [found[number] for number in sorted(found)]


class _Naive:
    """What is a chunk, by its description alone: recursive, of a chunk that was accepted."""

    def __init__(self, data: bytes, tree: str) -> None:
        self.data = data
        self._iavl = tree == "iavl"

    def root(self) -> bytes:
        kind, self.data = self.data[0], self.data[1:]
        if kind == 0:
            return sha256(b"").digest() if self._iavl else b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
        if kind == 1:
            return self._take(32)
        meta = b"".join(self._varint()[1] for _ in range(3 * self._iavl))
        if kind == 2:
            left = self.root()
            right = self.root()
            joined = b"\x20" + left + b"\x20" + right if self._iavl else b"JMT::IntrnalNode" + left + right
            return sha256(meta + joined).digest()
        size, written = self._varint()
        key = self._take(size)
        value = sha256(self._take(self._varint()[0])).digest()
        if self._iavl:
            return sha256(meta + written + key + b"\x20" + value).digest()
        return sha256(b"JMT::LeafNode" + sha256(key).digest() + value).digest()

    def _take(self, size: int) -> bytes:
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def _varint(self) -> tuple[int, bytes]:
        size = next(at for at, byte in enumerate(self.data) if byte < 128) + 1
        written = self._take(size)
        return sum((byte & 127) << 7 * at for at, byte in enumerate(written)), written


MANIFEST = Decoder(
    "manifest", "StorageError, or numbers and hashes within bounds that encode to the same manifest", check_manifest, manifests
)
CHUNK = Decoder("chunk", "Malformed, or the root that a plain recursive reader computes, to the last byte", check_chunk, chunks)
