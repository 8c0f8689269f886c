"""What asks a program to end, kept until it can."""

from __future__ import annotations

import signal
from typing import Iterator

import pytest

from ioi_stress.interruption import ending_is_interruption, held

ENDING = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_ends_comes_as_an_interruption_when_what_cleans_up_is_over(number: signal.Signals) -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), ending_is_interruption():
        with held():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done = True
    assert done


def test_what_is_ignored_stays_so() -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *ENDING)}
    try:
        with ending_is_interruption(), held():
            for number in before:
                signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_handler_of_the_programs_own_gets_what_was_held() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with ending_is_interruption(), held():
            signal.raise_signal(signal.SIGTERM)
            assert came == []
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
