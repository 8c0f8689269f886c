"""Threads as a `map`: all take part, results and errors are those of `builtins.map`, and none goes on after the call."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from ioi_storage.trees.threads import Threads

PATIENCE = 60.0  # seconds until a test that hangs has failed


@pytest.fixture(params=[1, 2, 3, 8])
def threads(request):
    threads = Threads(request.param)
    yield threads
    threads.close()


def test_results_come_in_the_order_of_the_tasks(threads) -> None:
    for count in (0, 1, 2, 5, 16, 100):
        assert threads(lambda task: task * task, range(count)) == [task * task for task in range(count)]
    threads.close()
    threads.close()
    assert threads(str, iter([1, 2])) == ["1", "2"]


def test_all_take_part(threads) -> None:
    """Nobody gets past the barrier before all are there."""
    barrier = threading.Barrier(threads.threads)

    def task(_: int) -> int:
        barrier.wait(PATIENCE)
        return threading.get_ident()

    for _ in range(3):
        workers = threads(task, range(threads.threads))
        assert len(set(workers)) == threads.threads and threading.get_ident() in workers


def test_a_thread_keeps_its_tasks_from_call_to_call() -> None:
    threads = Threads(4)

    def call() -> list[int]:
        barrier = threading.Barrier(4)
        mine = threading.local()

        def task(number: int) -> int:
            if not hasattr(mine, "begun"):
                mine.begun = barrier.wait(PATIENCE)
                return number
            return -1

        return [number for number in threads(task, range(16)) if number >= 0]

    assert call() == call() == [0, 4, 8, 12]
    threads.close()


def test_work_left_by_a_slow_thread_is_taken_over() -> None:
    threads = Threads(2)
    others_done = threading.Event()
    left = list(range(1, 16))

    def task(number: int) -> int:
        if number == 0:
            assert others_done.wait(PATIENCE)
        else:
            left.remove(number)
            if not left:
                others_done.set()
        return number

    assert threads(task, range(16)) == list(range(16))
    threads.close()


def test_the_first_error_is_raised_and_ends_the_call(threads) -> None:
    for wrong in ({3}, {3, 11}, {0, 15}, {15}, {7, 8}):
        done = []

        def task(number: int) -> int:
            if number in wrong:
                raise LookupError(number)
            done.append(number)
            return number

        with pytest.raises(LookupError) as caught:
            threads(task, range(16))
        assert caught.value.args == (min(wrong),)
        assert set(range(min(wrong))) <= set(done)
    assert threads(str, [1, 2]) == ["1", "2"]


def test_nothing_runs_after_the_call_when_it_is_interrupted() -> None:
    """Ctrl-C in the caller's own task, while a helper is in the middle of one: it ends that one and begins no other."""
    threads = Threads(2)
    began, go_on = threading.Event(), threading.Event()
    ended = []

    def task(number: int) -> None:
        if threading.current_thread() is threading.main_thread():
            assert began.wait(PATIENCE)
            threading.Timer(0.05, go_on.set).start()
            raise KeyboardInterrupt
        began.set()
        assert go_on.wait(PATIENCE)
        ended.append(number)

    with pytest.raises(KeyboardInterrupt):
        threads(task, range(16))
    assert ended == [8]
    threads.close()


def test_ctrl_c_while_waiting_for_the_last_helper() -> None:
    threads = Threads(2)
    helping = threading.Event()
    ended = []

    def task(number: int) -> None:
        if threading.current_thread() is threading.main_thread():
            assert helping.wait(PATIENCE)
            return
        helping.set()
        time.sleep(0.05)  # the caller is through by now, or is interrupted in its last task
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        ended.append(number)

    with pytest.raises(KeyboardInterrupt):
        threads(task, [0, 1])
    assert ended == [1]
    assert threads(str, [1, 2]) == ["1", "2"]
    threads.close()


def test_a_forked_child_has_threads_of_its_own() -> None:
    threads = Threads(3)
    assert threads(str, range(3)) == ["0", "1", "2"]
    child = os.fork()
    if child == 0:
        barrier = threading.Barrier(3)
        good = len(set(threads(lambda _: (barrier.wait(PATIENCE), threading.get_ident())[1], range(3)))) == 3
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert threads(str, range(3)) == ["0", "1", "2"]
    threads.close()


def test_without_threads_to_be_had_the_caller_works_alone(monkeypatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = Threads(3)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert threads(lambda _: threading.get_ident(), range(9)) == [threading.get_ident()] * 9
    threads.close()


def test_no_threads_are_no_number() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Threads(0)
