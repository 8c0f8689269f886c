"""Files with a key of ed25519, as `ioi-exec keys` makes them and transactions are signed with: `{"type", "public_key", "secret"}`, hex."""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path

from ioi_exec.errors import Error, InputError
from ioi_exec.files.strict_json import Malformed, fields, hex_bytes, json_object, parse
from ioi_exec.node.dev_keys import Pair
from ioi_exec.vm.signatures import PUBLIC_BYTES, SECRET_BYTES, public_key

_TYPE = "ed25519"
_FIELDS = ("type", "public_key", "secret")
_FILE_BYTES = 4096


def new_pair() -> Pair:
    """Raises Error where the library of signatures is missing."""
    return pair_of(secrets.token_bytes(SECRET_BYTES))


def pair_of(secret: bytes) -> Pair:
    """secret: 32 bytes. Raises as `new_pair`."""
    try:
        return Pair(secret, public_key(secret))
    except ImportError as error:
        raise Error(str(error)) from None


def write_key(path: Path, pair: Pair) -> None:
    """For this user alone, and never over a file that is there. Raises InputError."""
    text = json.dumps({"type": _TYPE, "public_key": pair.public.hex(), "secret": pair.secret.hex()}) + "\n"
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise InputError(f"{path} is there already, and no key is written over: give another name") from None
    try:
        with open(made, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()  # half a key is in the way of a whole one
        raise


def read_key(path: Path) -> Pair:
    """Raises InputError for a file that others may read, or that holds no such key."""
    with open(path, "rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise InputError(f"{path}: others may read it: chmod 600 {path}")
        text = file.read(_FILE_BYTES)
    try:
        found = json_object(parse(text), "a key")
        fields(found, _FIELDS, _FIELDS)
        if found["type"] != _TYPE:
            raise Malformed(f"type must be {_TYPE!r}")
        pair = pair_of(hex_bytes(found["secret"], "secret", SECRET_BYTES))
        if hex_bytes(found["public_key"], "public_key", PUBLIC_BYTES) != pair.public:
            raise Malformed("its public key is not that of its secret")
        return pair
    except Malformed as error:
        raise InputError(f"{path} is no key: {error}") from None
