"""State keys as people read them."""

from __future__ import annotations

from ioi_exec.vm.payments import account_key

_ACCOUNT = account_key(b"\0" * 32)[:-32]
_SHORTEST = 12
WIDTH = 32


def readable(key: bytes, width: int = WIDTH) -> str:
    """`text`, but an account of `payments` by its address, and at most `width` characters: the middle is left out of
    what is longer."""
    if key.startswith(_ACCOUNT) and len(key) == len(_ACCOUNT) + 32:
        return _ACCOUNT.decode() + shortened(key[len(_ACCOUNT) :].hex(), max(width - len(_ACCOUNT), _SHORTEST))
    return shortened(text(key), max(width, _SHORTEST))


def text(key: bytes) -> str:
    """The key itself where all of it is printable, everything else in hex after 0x; no two keys give the same."""
    try:
        found = key.decode("utf-8")
    except UnicodeDecodeError:
        found = ""
    return found if found and found.isprintable() and not found.startswith("0x") else "0x" + key.hex()


def of_text(shown: str) -> bytes:
    """The key of which `text` says this; what no key's text is, such as 0xZZ or 0x61 for an a, stands for its own characters."""
    if shown.startswith("0x"):
        try:
            key = bytes.fromhex(shown[2:])
        except ValueError:
            key = b""
        if key and text(key) == shown:
            return key
    return shown.encode()


def shortened(text: str, width: int) -> str:
    """Without its middle, where it is longer."""
    if len(text) <= width:
        return text
    tail = (width - 2) // 3
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"
