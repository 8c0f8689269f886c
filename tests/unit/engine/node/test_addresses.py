"""Addresses to listen at, as settings have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ioi_exec import InputError
from ioi_exec.node.addresses import address_of, listening_at


def test_addresses(tmp_path: Path) -> None:
    assert address_of("unix://a/b.sock", tmp_path, "x") == tmp_path / "a" / "b.sock"
    assert address_of("unix:///run/x", tmp_path, "x") == Path("/run/x")
    assert address_of("tcp://127.0.0.1:26658", tmp_path, "x") == ("127.0.0.1", 26658)
    assert address_of("tcp://[::1]:5", tmp_path, "x") == ("::1", 5)
    for wrong in ("", "tcp://", "tcp://:5", "tcp://host", "tcp://host:x", "tcp://host:70000", "http://a:5", "unix://", "/tmp/x", "unix://a\0b"):
        with pytest.raises(InputError, match="abci.listen is .*: give unix://PATH or tcp://HOST:PORT"):
            address_of(wrong, tmp_path, "abci.listen")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70, "..", "1.2.3.4.5"])
def test_hosts_that_there_are_not(host: str) -> None:
    with pytest.raises(InputError, match="x: tcp://.* cannot be listened at: "):
        listening_at((host, 0), "x", 1)
