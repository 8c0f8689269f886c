from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "property" / "storage" / "proofs")]  # tools.peers, what test_ics23.py has

from tools.peers.programs import Unavailable, program  # noqa: E402


def _built(name: str) -> Path:
    try:
        return program(name)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def binary() -> Path:
    """CometBFT: IOI_COMETBFT, or the pinned one, whose first build takes a minute or two."""
    return Path(os.environ["IOI_COMETBFT"]) if "IOI_COMETBFT" in os.environ else _built("cometbft")


@pytest.fixture(scope="session")
def real_jmt() -> Path:
    """The program around the Rust crate; its first build takes a minute or two."""
    return _built("jmt")


@pytest.fixture(scope="session")
def real_iavl() -> Path:
    """The program around cosmos/iavl; its first build takes a minute."""
    return _built("iavl")
