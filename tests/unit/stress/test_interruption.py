"""Ctrl-C and SIGTERM: once, and not while they are held."""

from __future__ import annotations

import signal

import pytest

from ioi_stress.interruption import held, interruptible

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture(autouse=True)
def restored() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored


@BOTH
def test_several_at_once_are_one(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            signal.raise_signal(number)
        finally:
            for _ in range(3):
                signal.raise_signal(number)
                done.append("cleaned up")
    assert len(done) == 3 and signal.getsignal(number) is before


@BOTH
def test_one_that_is_held_comes_afterwards(number: signal.Signals) -> None:
    done = []
    with interruptible(), pytest.raises(KeyboardInterrupt):
        with held():
            signal.raise_signal(number)
            done.append("inside")
    assert done == ["inside"]


def test_elsewhere_sigterm_is_not_held() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with held():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
