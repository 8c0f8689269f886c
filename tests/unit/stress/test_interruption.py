"""What asks a program to end: once, and kept until it can."""

from __future__ import annotations

import signal
from typing import Iterator

import pytest

from ioi_exec.cli.interruption import ending_is_interruption
from ioi_stress.interruption import held

ENDING = (signal.SIGTERM, signal.SIGHUP)
EVERY = pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])


@pytest.fixture(autouse=True)
def handlers(hang_up: None) -> Iterator[None]:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


@EVERY
def test_one_that_is_held_comes_when_what_cleans_up_is_over(number: signal.Signals) -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), ending_is_interruption():
        with held():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done = True
    assert done


@EVERY
def test_several_at_once_are_one(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), ending_is_interruption():
        try:
            signal.raise_signal(number)
        finally:
            for _ in range(3):
                signal.raise_signal(number)
                done.append("cleaned up")
    assert len(done) == 3


def test_a_later_one_interrupts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ioi_exec.cli.interruption.monotonic", lambda: now[0])
    with ending_is_interruption():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            now[0] += 1.5


def test_elsewhere_what_ends_is_not_held() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with held():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


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
