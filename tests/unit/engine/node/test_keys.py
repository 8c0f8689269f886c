"""Files with a key."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from ioi_exec import InputError
from ioi_exec.node.dev_keys import DevKeys, account
from ioi_exec.node.keys import new_pair, read_key, write_key


def test_a_key_is_for_its_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    pair, file = new_pair(), tmp_path / "key"
    before = os.umask(0)
    try:
        write_key(file, pair)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600 and read_key(file) == pair != new_pair()
    with pytest.raises(InputError, match="no key is written over"):
        write_key(file, new_pair())
    file.chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        read_key(file)
    assert account("test", 3) == DevKeys().accounts[3]


def test_half_a_key_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, file = new_pair(), tmp_path / "key"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space"):
        patched.setattr(os, "fsync", full)
        write_key(file, pair)
    write_key(file, pair)
    assert read_key(file) == pair


@pytest.mark.parametrize("change", [{"type": "rsa"}, {"secret": "00"}, {"public_key": "00" * 32}, {"more": 1}, {"secret": None}])
def test_what_is_no_key(tmp_path: Path, change: dict[str, object]) -> None:
    write_key(tmp_path / "key", new_pair())
    (tmp_path / "key").write_text(json.dumps({**json.loads((tmp_path / "key").read_text()), **change}))
    with pytest.raises(InputError, match="is no key"):
        read_key(tmp_path / "key")
