from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "property" / "storage" / "proofs")]  # tools.peers, what test_ics23.py has

from tools.peers.programs import Unavailable, program  # noqa: E402


def _built(name: str, build: bool = True) -> Path:
    try:
        return program(name, build=build)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def binary() -> Path:
    """CometBFT 0.38, whose first build takes a minute or two; IOI_COMETBFT is another program, or 0.40 or 1.0."""
    given = os.environ.get("IOI_COMETBFT", "")
    return Path(given) if os.sep in given else _built(f"cometbft-{given}" if given else "cometbft")


@pytest.fixture
def another(request: pytest.FixtureRequest) -> Path:
    """CometBFT of the version that is the parameter, where it has been built before, or IOI_COMETBFT_BUILD says to."""
    return _built(f"cometbft-{request.param}", build="IOI_COMETBFT_BUILD" in os.environ)


@pytest.fixture(scope="session")
def real_jmt() -> Path:
    """The program around the Rust crate; its first build takes a minute or two."""
    return _built("jmt")


@pytest.fixture(scope="session")
def real_iavl() -> Path:
    """The program around cosmos/iavl; its first build takes a minute."""
    return _built("iavl")
