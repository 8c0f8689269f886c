"""State keys as people read them."""

from __future__ import annotations

from ioi_exec.vm.payments import account_key

_ACCOUNT = account_key(b"\0" * 32)[:-32]
_SHORTEST = 12


def readable(key: bytes, width: int = 32) -> str:
    """Text where all of it is printable, an account of `payments` by its address, everything else in hex; at most `width`
    characters, the middle left out of what is longer."""
    if key.startswith(_ACCOUNT) and len(key) == len(_ACCOUNT) + 32:
        return _ACCOUNT.decode() + _shortened(key[len(_ACCOUNT) :].hex(), max(width - len(_ACCOUNT), _SHORTEST))
    try:
        text = key.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    return _shortened(text if text and text.isprintable() else "0x" + key.hex(), max(width, _SHORTEST))


def _shortened(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    tail = (width - 2) // 3
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"
