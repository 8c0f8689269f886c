"""Parameters of CometBFT's RPC, as its two ways of being asked write them: in the URI (`tx=0x01`, `tx="text"`, `height=5`), and in JSON, where
bytes are base64 or hex, as each parameter has it, and numbers text."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Callable, Mapping

from ioi_exec.arguments import MAX_INT64, shown
from ioi_exec.errors import InputError

Read = Callable[[Any], Any]
Kind = tuple[Read, Read, Any]
"""How it is read from the URI and from JSON, and what it is where it is left out."""


def given(kinds: Mapping[str, Kind], params: Any) -> list[Any]:
    """From JSON: an object by name, whose other fields count for nothing, or a list in order. Raises InputError."""
    if params is None:
        params = {}
    if isinstance(params, list):
        if len(params) > len(kinds):
            raise InputError(f"{len(params)} parameters were given: there are {len(kinds)}, {', '.join(kinds)}")
        params = dict(zip(kinds, params))
    if not isinstance(params, dict):
        raise InputError("params must be an object or a list")
    return [_read(name, kind[1], params.get(name), kind[2]) for name, kind in kinds.items()]


def given_in_uri(kinds: Mapping[str, Kind], query: Mapping[str, str]) -> list[Any]:
    """Raises InputError."""
    return [_read(name, kind[0], query.get(name) or None, kind[2]) for name, kind in kinds.items()]


def _read(name: str, read: Read, value: Any, default: Any) -> Any:
    if value is None:
        return default
    try:
        return read(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: {error}") from None


def _uri_bytes(value: str) -> bytes:
    if value[:2] in ("0x", "0X"):
        return _hex(value[2:])
    if len(value) > 1 and value[0] == value[-1] == '"':
        return _quoted(value).encode("utf-8", "surrogateescape")
    raise ValueError('give 0x and hex, or "text"')


def _uri_text(value: str) -> str:
    return _quoted(value) if value[0] == '"' else value


def _quoted(value: str) -> str:
    found = json.loads(value, strict=False)
    if not isinstance(found, str):
        raise ValueError(f"{shown(value)} is no text")
    return found


def _number(value: Any) -> int:
    if isinstance(value, str):
        text = value.strip('"')
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise ValueError(f"{shown(value)} is no whole number")
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INT64:
        raise ValueError(f"{shown(value)} is no whole number from 0 on")
    return value


def _flag(value: Any) -> bool:
    if value in (True, "true", "1"):
        return True
    if value in (False, "false", "0"):
        return False
    raise ValueError(f"{shown(value)} is neither true nor false")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no text")
    return value


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is not base64: {error}") from None


def _hex(value: Any) -> bytes:
    try:
        return bytes.fromhex(_text(value))
    except ValueError:
        raise ValueError(f"{shown(value)} is no hex: an even number of the digits 0-9 a-f") from None


BYTES: Kind = (_uri_bytes, _base64, b"")
HEX: Kind = (_uri_bytes, _hex, b"")
NUMBER: Kind = (_number, _number, 0)
FLAG: Kind = (_flag, _flag, False)
TEXT: Kind = (_uri_text, _text, "")
