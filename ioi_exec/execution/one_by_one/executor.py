"""Execution one by one in a worker process: the oracle for a VM in Python on a machine with workers.

Not in the calling process, which has other settings, other modules and another history than the workers have. What executes is the
sequential executor, over a map of its own. One that hangs fails the block at once: it has had ALONE_PATIENCE.

After a death it is once more in a fresh process, then the block fails and names the transaction. Where processes end whatever they are
at, somebody kills them. So after the first death each tells what it has done, as soon as it has done something and then about every
30 ms, and the next one goes on from there: a block comes to its end if processes live long enough for one transaction.
"""

from __future__ import annotations

import mmap
import os
import select
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic, perf_counter, sleep
from typing import Any

import ioi_storage
from ioi_shm.memory import memory_file

from ioi_exec.block.measured import Measured
from ioi_exec.block.progress import PROGRESS_NS, AloneProgress, OnProgress
from ioi_exec.block.receipt import Receipts
from ioi_exec.block.result import Stats
from ioi_exec.errors import Error, ResourceError, StaleResult, VMFault
from ioi_exec.execution.executor import BaseState, Block, OnReceipt, Outcome
from ioi_exec.execution.faults import ALONE_PATIENCE, WorkerFault, hangs, named
from ioi_exec.execution.one_by_one.messages import Faulted, Finished, Kept, Streamed, Task
from ioi_exec.execution.workers.control import Complaint, Forget, Setup, channel_pair, receive, send
from ioi_exec.execution.workers.starting import CHANNEL_SECONDS, Process, ProcessLost, in_starter, not_started
from ioi_exec.execution.workers.templates import Template, Templates
from ioi_exec.limits import Limits
from ioi_exec.state.base import translated_by_name
from ioi_exec.vm.loading import LoadedVM

FREE_DEATHS = 16  # without a transaction done between them,
GIVE_UP_SECONDS = 30.0  # and in so much time, end the block
DEATHS_BEFORE_FAILURE = 2  # at one transaction, if there are no others
MOST_DEATHS_ELSEWHERE = 8  # each of which lets a transaction end two processes more: somebody kills them, whatever they are at
PAUSE = 0.01  # seconds, times the deaths in a row, before the next process is started,
LONGEST_PAUSE = 0.1


class SequentialWorkerExecutor:
    """An Executor over one worker process, which lives across blocks."""

    arena_bytes = 0

    def __init__(self, vm: LoadedVM, limits: Limits, templates: Templates, hash_seed: int = 0) -> None:
        self._vm = vm
        self._limits = limits
        self._templates = templates
        self._hash_seed = hash_seed
        self._template: Template | None = None
        self._process: _Process | None = None
        self._told: tuple[str, int] | None = None  # the state the process knows, and its number
        self._numbers = 0

    @property
    def worker_pids(self) -> tuple[int, ...]:
        process = self._process
        return () if process is None else (process.pid,)

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None,
        died: Mapping[int | None, int] = {},
    ) -> Outcome:
        """died: how many processes have at this block already, by transaction. Raises VMFault, VMError, ResourceError, StaleResult, StateCorrupt, and what `on_receipt` and `on_progress` raise."""
        if not block.txs and not self._vm.has(block.hook):
            AloneProgress(on_progress, 0).end()
            return Outcome([], Receipts(b"", b""), Stats(policy=block.policy.name, seconds={"execute": 0.0}))
        caller = _Caller(block, on_receipt, on_progress)
        deaths = _Deaths(block, died)
        kept = _Kept()
        while True:
            hung = False
            try:
                outcome = self._attempt(block, base, caller, kept, deaths)
            except ProcessLost:
                culprit = None
            except OSError as error:
                self._end()
                raise not_started(error) from error
            except BaseException:  # Ctrl-C, or a callback raised: the block is not wanted any more
                self._end()
                raise
            else:
                if outcome is not None:
                    outcome.stats.retries = deaths.total
                    return outcome
                assert self._process is not None
                culprit = self._process.at() if not self._lost() else None
                hung = culprit is not None and self._process.hangs and not self._process.stopped()
            self._end()
            base.forget_dead_readers()
            if hung:
                assert culprit is not None
                raise hangs(culprit, len(block.txs), block.hook, ALONE_PATIENCE * self._limits.stall_seconds)
            deaths.add(culprit)

    def close(self) -> None:
        self._end()

    def _attempt(self, block: Block, base: BaseState, caller: _Caller, kept: _Kept, deaths: _Deaths) -> Outcome | None:
        """None: the process ended or hangs, or is of no use."""
        began = perf_counter()
        caller.again()
        process = self._ready(base)
        assert self._told is not None
        task = Task(
            self._told[1], base.store_stand, {**base.overlay_writes(), **kept.writes}, list(block.txs), block.context,
            caller.on_receipt is not None, keep=deaths.any, done=kept.done, hook=block.hook,
        )
        before = dict(kept.writes)
        process.begin(task)
        while (message := process.next(caller, self._limits.stall_seconds)) is not None:
            if isinstance(message, Streamed):
                caller.hand_out(Receipts(message.blob, message.ends))
            elif isinstance(message, Kept):
                kept.writes, kept.done = {**before, **dict(message.writes)}, (message.blob, message.ends)
                deaths.progress()
            elif isinstance(message, Finished):
                caller.progress.end()
                stats = Stats(
                    policy=block.policy.name, workers=1, executions=len(block.txs), busy_seconds=message.busy_seconds,
                    seconds={**message.seconds, "worker": perf_counter() - began - sum(message.seconds.values())},
                )
                receipts = Receipts(message.blob, message.ends)
                writes = sorted({**before, **dict(message.writes)}.items()) if before else message.writes
                return Outcome(writes, receipts, stats, Measured(alone=message.each_ns), end=message.end)
            elif isinstance(message, Complaint) and message.error == ioi_storage.NumberTaken.__name__:
                return None  # another process has another number
            else:
                raise self._failure(message)
        return None

    def _ready(self, base: BaseState) -> _Process:
        """The process, which knows the state. Raises VMError, ProcessLost, OSError."""
        if self._template is None:
            self._template = self._templates.get(self._vm, self._hash_seed)
        if self._process is not None and self._process.ended():
            self._end()
        template = self._template
        if self._process is None:
            template.prepare()
            in_starter(lambda: self._start(template))
            assert self._process is not None
            template.wait_for(self._process.channel)
        spec = base.reader_spec()
        if self._told is None or self._told[0] != repr(spec):
            if self._told is not None:
                self._process.tell(Forget(self._told[1]), [])
            self._numbers += 1
            self._told = None
            self._process.tell(Setup(self._numbers, spec, self._limits), base.inherit_fds())
            self._told = repr(spec), self._numbers
        return self._process

    def _start(self, template: Template) -> None:
        self._process = _Process(template)

    def _failure(self, message: Faulted | Complaint) -> Error:
        if isinstance(message, Faulted):
            fault = VMFault(message.tx_index, message.text)
            fault.__cause__ = WorkerFault(message.cause) if message.cause else None
            return fault
        if message.kind == "storage":
            return translated_by_name(message.error, message.text)
        return StaleResult(f"{message.text}: execute the block again")

    def _lost(self) -> bool:
        return self._template is not None and self._template.lost

    def _end(self) -> None:
        process, self._process, self._told = self._process, None, None
        if process is not None:
            process.close()


class _Process:
    """The engine's end of it. Made in the starter's thread."""

    def __init__(self, template: Template) -> None:
        self._pid_here = os.getpid()
        self.hangs = False  # it was given up, rather than found dead
        ours, theirs = channel_pair()
        beat_fd = memory_file("ioi-beat", "a worker says what it is at: allow it, or use workers=0")
        try:
            with theirs:
                os.ftruncate(beat_fd, mmap.PAGESIZE)
                self._page = mmap.mmap(beat_fd, mmap.PAGESIZE)
                self._process: Process = template.fork("sequential", (), [beat_fd, theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(beat_fd)
        ours.settimeout(CHANNEL_SECONDS)
        self.channel = ours
        self._waiting = select.poll()
        self._waiting.register(ours, select.POLLIN)
        self._beat = memoryview(self._page).cast("Q")

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> bool:
        return self._pid_here != os.getpid() or self._process.ended()

    def stopped(self) -> bool:
        return self._process.stopped()

    def tell(self, message: object, fds: list[int]) -> None:
        """Raises ProcessLost."""
        try:
            send(self.channel, message, fds)
        except OSError as error:
            raise ProcessLost("the worker takes no messages") from error

    def begin(self, task: Task) -> None:
        self._beat[0] = 0
        self.tell(task, [])

    def at(self) -> int | None:
        """The transaction it is at, or was at when it ended."""
        return int(self._beat[0]) - 1 if self._beat[0] else None

    def next(self, caller: _Caller, stall_seconds: float) -> Any:
        """What it says next; None if it ended, has been at one transaction for too long, or was stopped for so many seconds."""
        seen, since = self._beat[0], monotonic()
        while True:
            caller.progress.at(max(0, int(self._beat[0]) - 1))
            if self._waiting.poll(PROGRESS_NS // 1_000_000):
                break
            if self._beat[0] != seen:
                seen, since = self._beat[0], monotonic()
            elif self._process.ended():  # and something that it started keeps its end of the channel open
                if not self._waiting.poll(0):
                    return None
            elif monotonic() - since > max(stall_seconds, CHANNEL_SECONDS if not seen else 0.0) and (
                self.stopped() or monotonic() - since > ALONE_PATIENCE * stall_seconds
            ):
                self.hangs = True
                return None
        try:
            return receive(self.channel)[0]
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        """End it. Idempotent."""
        self.channel.close()
        if self._pid_here == os.getpid():
            self._process.close()
        else:
            self._process.forget()
        self._beat.release()
        self._page.close()


class _Caller:
    """What the caller hears of a block: receipts in order and each once, however often the block runs; and progress."""

    def __init__(self, block: Block, on_receipt: OnReceipt | None, on_progress: OnProgress | None) -> None:
        self.on_receipt = on_receipt
        self.progress = AloneProgress(on_progress, len(block.txs))
        self._next = 0  # receipt to hand out
        self._seen = 0  # of the present attempt

    def hand_out(self, receipts: Receipts) -> None:
        assert self.on_receipt is not None
        for receipt in receipts:
            if self._seen == self._next:
                self._next += 1
                self._seen += 1
                self.on_receipt(self._next - 1, receipt)
            else:
                self._seen += 1

    def again(self) -> None:
        """The block runs again from its beginning."""
        self._seen = 0


@dataclass
class _Kept:
    """What is done of a block, whatever becomes of the process that did it. done: receipts of the first transactions, packed."""

    writes: dict[bytes, bytes | None] = field(default_factory=dict)
    done: tuple[bytes, bytes] = b"", b""


class _Deaths:
    """Of the processes that were at one block; and when that is enough."""

    def __init__(self, block: Block, before: Mapping[int | None, int]) -> None:
        self._block = block
        self._before = before
        self._at: Counter[int] = Counter()
        self.total = 0
        self._in_a_row = 0  # at no transaction, and none was done between
        self._since = monotonic()

    @property
    def any(self) -> bool:
        return self.total > 0 or bool(self._before)

    def progress(self) -> None:
        """A transaction is done for good."""
        self._in_a_row, self._since = 0, monotonic()

    def add(self, culprit: int | None) -> None:
        """A process ended; culprit: the transaction it was at. Waits before the next one. Raises VMFault or ResourceError when it is
        enough."""
        self.total += 1
        if culprit is not None:
            return self._blame(culprit)
        self._in_a_row += 1
        seconds = monotonic() - self._since
        if self._in_a_row > FREE_DEATHS and seconds > GIVE_UP_SECONDS:
            raise ResourceError(
                f"worker processes died {self._in_a_row} times in {seconds:.0f} s while no transaction was running, so the block "
                "was given up: look for what kills them (memory limits, signals)"
            )
        sleep(min(PAUSE * self._in_a_row, LONGEST_PAUSE))

    def _blame(self, culprit: int) -> None:
        self._at[culprit] += 1
        deaths = self._at[culprit]
        elsewhere = self.total - deaths + sum(self._before.values()) - self._before.get(culprit, 0)
        if deaths < DEATHS_BEFORE_FAILURE + 2 * min(elsewhere, MOST_DEATHS_ELSEWHERE):
            return
        where = named(culprit, len(self._block.txs), self._block.hook)
        others = f"; {elsewhere} ended elsewhere, so look also for what kills them" if elsewhere else ""
        raise VMFault(
            culprit,
            f"{where} ended every worker that executed it ({deaths} times, one by one): the VM crashes on it, stops its "
            f"process, or takes more memory than there is{others}. Nothing was staged",
        )
