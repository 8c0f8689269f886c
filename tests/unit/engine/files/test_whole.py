"""What is read as a whole has an end."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec import InputError
from ioi_exec.files import whole
from ioi_exec.files.whole import read_whole


def test_up_to_the_limit() -> None:
    assert read_whole(BytesIO(b"12345"), "file", most=5) == b"12345"
    with pytest.raises(InputError, match="file: more than 4 bytes"):
        read_whole(BytesIO(b"12345"), "file", most=4)


def test_a_device_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reader of a whole file, at a smaller limit."""
    import ioi_stress
    from ioi_exec.files import read_genesis
    from ioi_stress.workloads.replay import Replay
    from ioi_stress.workloads.rwset import RWSet

    monkeypatch.setattr(whole, "MOST", 3 << 20)
    monkeypatch.setattr(read_whole, "__defaults__", (3 << 20,))

    def genesis() -> object:
        with open("/dev/zero", "rb") as stream:
            return read_genesis(stream, "/dev/zero", accounts=True)

    calls: list[Callable[[], Any]] = [
        genesis,
        lambda: ioi_stress.report("/dev/zero"),
        lambda: ioi_stress.compare("/dev/zero", "/dev/zero"),
        lambda: RWSet(file="/dev/zero"),
        lambda: Replay(genesis_file="/dev/zero", files=("/dev/zero",)),
    ]
    for call in calls:
        with pytest.raises(InputError, match="/dev/zero: more than"):
            call()


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(3 << 20) + b"end")
    with open(tmp_path / "large", "rb") as stream:
        assert read_whole(stream, "large") == (tmp_path / "large").read_bytes()
