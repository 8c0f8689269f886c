"""A `map` over threads, for `State.stage`.

Why threads, when blocks execute in processes: the tree's code in C needs no interpreter, so threads are on all cores at
once; they share the memory the tree keeps, and what they compute (15 MB for 10,000 writes) is already where it is wanted.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import Condition
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


class Threads:
    """map(function, tasks): the calling thread and `threads` - 1 helpers, which wait for the next call in between.

    A task that fails ends the call as it would end `builtins.map`: its error is raised, that of the first of several.
    When the call returns, or Ctrl-C ends it, no helper is at it any more. For one thread at a time."""

    def __init__(self, threads: int) -> None:
        if threads < 1:
            raise ValueError(f"there is at least one thread, the caller's own, not {threads}")
        self.threads = threads
        self._helpers: ThreadPoolExecutor | None = None
        self._pid = 0

    def __call__(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Sequence[Any]:
        listed = list(tasks)
        helpers = min(self.threads, len(listed)) - 1
        if helpers < 1:
            return [function(task) for task in listed]
        call = _Call(function, listed, helpers + 1)
        try:
            self._ask(call, helpers)
            call.work(0)
        finally:
            call.end()
        return call.results()

    def close(self) -> None:
        """End the helpers. Idempotent; the next call starts others."""
        if self._helpers is not None and self._pid == os.getpid():
            self._helpers.shutdown()
        self._helpers = None

    def _ask(self, call: _Call, helpers: int) -> None:
        if self._helpers is None or self._pid != os.getpid():  # a forked child has no threads
            from concurrent.futures import (
                ThreadPoolExecutor,  # slow to import, and readers in workers never need it
            )

            self._helpers, self._pid = ThreadPoolExecutor(self.threads - 1, "ioi-stage"), os.getpid()
        try:
            for thread in range(1, helpers + 1):
                self._helpers.submit(call.help, thread)
        except RuntimeError:
            pass  # no more threads are to be had, or the interpreter is ending: the caller does it with those there are


class _Call:
    """One call. Each thread has a stretch of tasks that is its own from call to call, so that what they work on stays in its
    core's caches; whoever is through takes tasks from the end of the longest rest."""

    def __init__(self, function: Callable[[Any], Any], tasks: list[Any], threads: int) -> None:
        self._function = function
        self._tasks = tasks
        bounds = [len(tasks) * thread // threads for thread in range(threads + 1)]
        self._stretches = [deque(range(*pair)) for pair in zip(bounds, bounds[1:])]
        self._results: dict[int, Any] = {}
        self._errors: dict[int, BaseException] = {}
        self._changed = Condition()
        self._helping = 0
        self._over = False

    def work(self, thread: int) -> None:
        while (number := self._next(thread)) is not None:
            try:
                self._results[number] = self._function(self._tasks[number])
            except BaseException as error:
                self._errors[number] = error
                if not isinstance(error, Exception):
                    raise

    def _next(self, thread: int) -> int | None:
        with self._changed:
            own = self._stretches[thread]
            while not self._over and (stretch := own or max(self._stretches, key=len)):
                number = stretch.popleft() if stretch is own else stretch.pop()
                if not self._errors or number < min(self._errors):  # one of those may be the error to raise
                    return number
        return None

    def help(self, thread: int) -> None:
        with self._changed:
            if self._over:  # it came too late: the caller has gone on
                return
            self._helping += 1
        try:
            self.work(thread)
        finally:
            with self._changed:
                self._helping -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """Let nobody begin any more, and wait for those who have. Ctrl-C is kept until then."""
        interruption: KeyboardInterrupt | None = None
        while True:
            try:
                with self._changed:
                    self._over = True
                    self._changed.wait_for(lambda: not self._helping)
                break
            except KeyboardInterrupt as error:
                interruption = error
        if interruption is not None:
            raise interruption

    def results(self) -> list[Any]:
        """In the order of the tasks. All before one that failed were done, so the first error is always the same."""
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._results[number] for number in range(len(self._tasks))]
