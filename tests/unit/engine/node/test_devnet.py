"""A devnet without CometBFT: `true` stands for it (tests/cross/test_real_devnet.py has the real one)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ioi_exec import InputError
from ioi_exec.errors import StateInUse
from ioi_exec.node.devnet import MADE, Devnet, make

MADE_OF = {"vm": "payments", "chain_id": "devnet", "validators": 1, "initial_height": 1}


@pytest.fixture
def binary() -> Path:
    found = shutil.which("true")
    assert found is not None
    return Path(found)


def test_one_at_a_time_runs_it(binary: Path, tmp_path: Path) -> None:
    (tmp_path / MADE).write_text(json.dumps(MADE_OF))
    with Devnet(tmp_path, binary):
        with pytest.raises(StateInUse, match="runs already"):
            Devnet(tmp_path, binary)
    Devnet(tmp_path, binary).close()


def test_a_program_that_is_not_cometbft(binary: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is not CometBFT's program"):
        make(tmp_path / "net", binary, MADE_OF, lambda path: None)
    assert not (tmp_path / "net").exists()
