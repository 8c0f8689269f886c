"""What a signal handler raises while a machine's guard is taken or left: the machine is not busy for good."""

from __future__ import annotations

import sys
import threading
from types import FrameType

import pytest

from ioi_exec import MachineBusy
from ioi_exec import guard as module
from ioi_exec.guard import Guard


class Raised(Exception):
    """By a signal handler. It may run before the first line of any function."""


def test_wherever_it_is_raised_the_guard_is_free_again() -> None:
    moment = [0]

    def traced(frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename == module.__file__:
            moment[0] -= 1
            if moment[0] == 0:
                raise Raised

    kept, number = [], 0
    while len(kept) == number:
        number += 1
        moment[0] = number
        guard = Guard()
        former = sys.gettrace()
        sys.settrace(traced)
        try:
            with guard.alone("one"), guard.reading("two"):
                pass
        except Raised as error:
            kept.append(error)  # and with it the frames it came through
        finally:
            sys.settrace(former)
        with guard.alone("three"):
            pass
        threading_too(guard)
    assert len(kept) >= 8


def threading_too(guard: Guard) -> None:
    """Free for another thread as well."""
    done = []

    def use() -> None:
        with guard.alone("four"):
            done.append(True)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done


def test_one_call_at_a_time() -> None:
    guard = Guard()
    with guard.alone("one"):
        with guard.reading("two"), guard.reading("three"):
            pass
        with pytest.raises(MachineBusy, match="two was called from inside another call"), guard.alone("two"):
            pass
        said: list[str] = []

        def use() -> None:
            try:
                with guard.reading("two"):
                    pass
            except MachineBusy as error:
                said.append(str(error))

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert len(said) == 1 and "two was called while another thread uses it" in said[0]
        with pytest.raises(MachineBusy), guard.alone("still held"):
            pass
    threading_too(guard)
