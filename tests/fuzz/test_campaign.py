"""A short campaign of every decoder, where atheris is installed (pip install 'ioi-exec[fuzz]'); it needs what its long one needs."""

from __future__ import annotations

import campaign
import decoders
import instrumented
import pytest

pytest.importorskip("atheris")
pytestmark = pytest.mark.long

SECONDS = 1


@pytest.fixture(scope="module")
def extensions() -> str:
    clang = instrumented.compiler()
    return str(instrumented.built(clang)) if clang else ""


def test_what_is_broken_is_found(extensions: str) -> None:
    (found, *_) = campaign.fuzz("planted", 60, extensions).found
    assert found[0].startswith(b"BUG")
    assert "an error that is not documented" in found[1]


@pytest.mark.parametrize("name", decoders.NAMES)
def test_nothing_is_found(name: str, extensions: str) -> None:
    outcome = campaign.fuzz(name, SECONDS, extensions)
    assert not outcome.found, outcome.found
    assert outcome.executions >= outcome.corpus > 0
