"""Files that may be compressed by gzip or xz: told by their first bytes, whatever their names are."""

from __future__ import annotations

import lzma
import zlib
from typing import Any, BinaryIO

from ioi_exec.files.strict_json import Malformed

_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\0"
_XZ_MEMORY = 128 << 20  # of its dictionary: xz -9 takes 65 MiB


def read_plain(stream: BinaryIO, most: int) -> bytes:
    """What the stream holds, at most so many bytes as they are and decompressed. Raises Malformed with the reason alone."""
    data = stream.read(most + 1)
    if len(data) > most:
        raise _too_long(most)
    if data.startswith(_XZ):
        return _decompressed(lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY), data, most, "xz")
    if data.startswith(_GZIP):
        return _decompressed(zlib.decompressobj(wbits=31), data, most, "gzip")
    return data


def _decompressed(decompressor: Any, data: bytes, most: int, kind: str) -> bytes:
    try:
        plain: bytes = decompressor.decompress(data, most + 1)
    except (lzma.LZMAError, zlib.error) as error:
        raise Malformed(f"it cannot be decompressed as {kind}, so it was changed or damaged: {error}") from None
    if len(plain) > most:
        raise _too_long(most)
    if not decompressor.eof:
        raise Malformed(f"it ends in the middle of its {kind} data: it was cut")
    if decompressor.unused_data:
        raise Malformed(f"there is something after its {kind} data: it was changed, or is several files in one")
    return plain


def _too_long(most: int) -> Malformed:
    return Malformed(f"it has more than {most >> 20} MiB")
