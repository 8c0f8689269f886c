"""What is tried until it happens is tried often enough, and not for ever."""

from __future__ import annotations

import pytest
from until import TIMES, until


def test_at_least_so_often_and_on_until_there_is_enough() -> None:
    assert list(until(lambda: True, 3)) == [0, 1, 2]
    tried: list[int] = []
    for number in until(lambda: len(tried) == 7, 3):
        tried.append(number)
    assert tried == list(range(7))


def test_what_never_happens_fails() -> None:
    tried = []
    with pytest.raises(AssertionError, match="has not happened"):
        for number in until(lambda: False, 2):
            tried.append(number)
    assert len(tried) == 2 * TIMES
