"""Execution on all cores: one block, tried until it is done, through whatever happens to the workers.

Uncommitted work is disposable, so nothing is repaired: when a worker dies, an assertion fails or nothing moves for too
long, all workers are killed and the block runs again from its beginning in fresh ones. A death counts against the
transaction that was running. Two on the same one, or DEATHS_BEFORE_LAST_RESORT whatever they were at, and the block is left to
what executes one by one, in a process that keeps what is done (one_by_one/executor.py): it comes to an end also where somebody
kills every process after a while, and names a transaction that ends all of its own. A VM in C that two workers died of runs one by
one in a single clean worker; two more there, and the block fails and names the transaction.

A transaction that takes long is not one that hangs: after a stall the block runs one by one too, with ALONE_PATIENCE times the
patience, and only a stall there is its transaction's.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import TypedDict

import ioi_storage
from ioi_shm import ARENA_MAX, BLOCK_DONE, BLOCK_FAULT, BLOCK_FULL, Arena
from ioi_shm.memory import ArenaExhausted, SharedArena
from ioi_storage import Writes

from ioi_exec.block.decided import packed
from ioi_exec.block.hook import Hook
from ioi_exec.block.measured import Measured, RecordRows
from ioi_exec.block.progress import PROGRESS_NS, OnProgress, Progress
from ioi_exec.block.receipt import DONE, Receipt, Receipts
from ioi_exec.block.result import Stats
from ioi_exec.errors import (
    Error,
    MachineBusy,
    ResourceError,
    StaleResult,
    VMError,
    VMFault,
)
from ioi_exec.execution.executor import BaseState, Block, Enough, OnReceipt, Outcome
from ioi_exec.execution.faults import (
    ALONE_PATIENCE,
    WorkerFault,
    hangs,
    hook_failed,
    named,
    transaction_failed,
)
from ioi_exec.execution.workers.control import Complaint
from ioi_exec.execution.workers.pool import Pool
from ioi_exec.execution.workers.starting import START_SECONDS, ProcessLost, not_started
from ioi_exec.execution.workers.templates import Template, Templates
from ioi_exec.limits import Limits
from ioi_exec.policy import Policy
from ioi_exec.state.base import translated_by_name
from ioi_exec.vm.loading import LoadedVM

FREE_DEATHS = 16  # where there is no last resort
DEATHS_BEFORE_LAST_RESORT = 6
DEATHS_BEFORE_SEQUENTIAL = 2
DEATHS_BEFORE_FAILURE = 2
LOOK_NS = PROGRESS_NS  # how often to look whether the workers live, while nothing else wakes this thread, and tell of progress
LEAVING_NS = 500_000_000  # how long workers may take to leave a block that was abandoned
STREAM_NS = 1_000_000  # the same while receipts are handed out as they become final
GUESS_PER_TRANSACTION = 768  # bytes of arena a small transaction takes; a wrong guess costs one run
GUESS_RECORD = 256  # bytes more while it is recorded


@dataclass(frozen=True)
class LastResort:
    """What executes a block where workers do not live long enough. run: its last argument is how many died, by transaction.
    apart: in another process, which a transaction may end."""

    run: Callable[[Block, BaseState, OnReceipt | None, OnProgress | None, Mapping[int | None, int]], Outcome]
    apart: bool


@dataclass
class _Attempts:
    """What went wrong with this block so far."""

    transactions: int
    hook: Hook
    retries: int = 0
    free_deaths: int = 0
    by_tx: Counter[int] = field(default_factory=Counter)
    alone: bool = False  # one by one in a single worker from now on
    alone_by_tx: Counter[int] = field(default_factory=Counter)
    deaths: int = 0
    last_resort: LastResort | None = None
    resigned: bool = False
    """It is time for the last resort."""

    @property
    def by_transaction(self) -> Counter[int | None]:
        """All deaths; those that followed no transaction by None."""
        return Counter({None: self.free_deaths}) + self.by_tx + self.alone_by_tx

    def stall(self, culprits: list[int], patience: float) -> None:
        """Nothing moved for so many seconds, though all workers lived. Raises VMFault, or as `death`."""
        if not culprits:
            return self.death(culprits)
        self.retries += 1
        if self.alone:
            raise hangs(culprits[0], self.transactions, self.hook, patience)
        self.alone = True

    def death(self, culprits: list[int]) -> None:
        """Count a death; decides how to go on. Raises VMFault or ResourceError when it is enough."""
        self.retries += 1
        self.deaths += 1
        self.resigned = self.last_resort is not None and self.deaths > DEATHS_BEFORE_LAST_RESORT
        if not culprits:
            self.free_deaths += 1
            if self.free_deaths > FREE_DEATHS and self.last_resort is None:
                raise ResourceError(
                    f"worker processes died {self.free_deaths} times while no transaction was running, so the block was given "
                    "up: look for what kills them (memory limits, signals)"
                )
            return
        counter = self.alone_by_tx if self.alone else self.by_tx
        counter.update(culprits)
        worst, deaths = counter.most_common(1)[0]
        where = named(worst, self.transactions, self.hook)
        if self.alone and deaths >= DEATHS_BEFORE_FAILURE:
            raise VMFault(
                worst,
                f"{where} ended every worker that executed it ({self.by_tx[worst]} times in parallel, {deaths} times "
                "alone): the VM crashes on it, stops its process, or takes more memory than there is. Nothing was staged",
            )
        if not self.alone and deaths >= DEATHS_BEFORE_SEQUENTIAL:
            if self.last_resort is not None and self.last_resort.apart:
                self.resigned = True
            self.alone = True


class ParallelExecutor:
    """An Executor over a pool of worker processes, its own unless one is given."""

    def __init__(
        self, vm: LoadedVM, limits: Limits, workers: int, pin: bool, templates: Templates, pool: Pool | None = None,
        last_resort: LastResort | None = None,
    ) -> None:
        self._vm = vm
        self._templates = templates
        self._template: Template | None = None
        self._limits = limits
        self._last_resort = last_resort
        self._owns_pool = pool is None
        self._pool = pool if pool is not None else Pool(workers, pin, limits.arena_bytes)
        self._alone: Pool | None = None  # the single clean worker, while it is needed
        self._starts = 0  # of the pool's workers, as last seen
        self._setups: dict[Pool, tuple[str, int]] = {}
        self._keys = 0  # of the last block with transactions: sizes the next one's index
        self._bytes = 0

    @property
    def pool(self) -> Pool:
        return self._pool

    @property
    def worker_pids(self) -> tuple[int, ...]:
        alone = self._alone
        return (*self._pool.pids, *(alone.pids if alone is not None else ()))

    @property
    def arena_bytes(self) -> int:
        alone = self._alone
        return self._pool.arena_bytes + (alone.arena_bytes if alone is not None else 0)

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome:
        """Raises VMFault, VMError, ResourceError, StaleResult, StateCorrupt, MachineBusy, and what `on_receipt` and
        `on_progress` raise."""
        began = perf_counter()
        if not block.txs and not self._vm.has(block.hook):  # nothing to execute: nobody is woken for it
            if on_progress is not None:
                on_progress(Progress(0, 0, 0, 0, 0, 0, (), 0))
            stats = Stats(policy=block.policy.name, seconds={"execute": perf_counter() - began})
            return Outcome([], Receipts(b"", b""), stats, record=RecordRows((b"",) * 5, 0, 0) if block.record else None)
        attempts = _Attempts(len(block.txs), block.hook, last_resort=None if block.record else self._last_resort)
        streamed = _Stream(on_receipt, on_progress)
        if self._pool.in_use:
            raise MachineBusy("the workers are at a block of another machine, which shares them: execute one block after another")
        self._pool.in_use = True
        try:
            while not attempts.resigned:
                pool = self._pool_for(attempts)
                outcome = self._attempt(pool, block, base, streamed, attempts)
                if outcome is not None:
                    outcome.stats.retries = attempts.retries
                    took = outcome.stats.seconds.get("record", 0.0)
                    outcome.stats.seconds["execute"] = perf_counter() - began - took
                    return outcome
            assert self._last_resort is not None
            outcome = self._last_resort.run(block, base, streamed.once(), on_progress, attempts.by_transaction)
            outcome.stats.retries += attempts.retries
            return outcome
        except ArenaExhausted as error:
            raise ResourceError(str(error)) from error
        finally:
            self._pool.in_use = False
            if self._alone is not None:
                self._alone.kill()
                self._setups.pop(self._alone, None)
                self._alone = None
                self._starts = -1  # it may have left a read transaction open

    def close(self) -> None:
        for pool, (_, number) in self._setups.items():
            if pool is not self._pool or not self._owns_pool:
                pool.forget(number)
        self._setups.clear()
        if self._owns_pool:
            self._pool.close()

    def _pool_for(self, attempts: _Attempts) -> Pool:
        if not attempts.alone:
            return self._pool
        if self._alone is None:
            self._alone = Pool(1, False, self._limits.arena_bytes)
        return self._alone

    def _setup(self, pool: Pool, base: BaseState) -> int:
        """The number of this VM and state in the pool; told once, and again when the state is another."""
        spec = base.reader_spec()
        cache = base.cache.handle if base.cache is not None else None
        told = repr((spec, cache))
        known = self._setups.get(pool)
        if known is not None and known[0] == told:
            return known[1]
        if known is not None:
            pool.forget(known[1])
        number = pool.setup(spec, base.inherit_fds(), self._limits, cache)
        self._setups[pool] = told, number
        return number

    def _attempt(
        self, pool: Pool, block: Block, base: BaseState, streamed: _Stream, attempts: _Attempts
    ) -> Outcome | None:
        """Run the block once. None: it must run again, and `attempts` says how."""
        if pool.busy or pool.dead():  # a block that was interrupted, or a death between two: not this block's business
            pool.kill()
        if self._template is None:
            self._template = self._templates.get(self._vm)
        pool.serve(self._template)
        setup = self._setup(pool, base)
        try:
            memory = pool.memory
        except ProcessLost:
            attempts.death([])
            return None
        except OSError as error:
            raise not_started(error) from error
        arena = memory.arena
        if pool is self._pool and pool.starts != self._starts:
            self._starts = pool.starts
            base.forget_dead_readers()
        self._lay_out(memory, pool, block, base, setup)
        pool.complaints()  # of blocks that were finished all the same
        try:
            pool.busy = True
            arena.start()
            patience = self._limits.stall_seconds * (ALONE_PATIENCE if attempts.alone else 1)
            if not self._watch(pool, arena, streamed, patience):
                stalled = not (pool.lost or pool.dead() or pool.stopped())
                culprits = [] if pool.lost else _culprits(pool, arena)
                pool.kill()
                if stalled:
                    attempts.stall(culprits, patience)
                else:
                    attempts.death(culprits)
                return None
        except Enough:
            arena.abandon()
            if arena.wait(LEAVING_NS):
                pool.busy = False
            else:
                pool.kill()
            raise
        except BaseException:  # Ctrl-C, or on_receipt or on_progress raised: the block is not wanted any more
            pool.kill()
            raise
        pool.busy = False
        self._bytes = max(self._bytes, arena.used)
        if arena.state == BLOCK_FULL or (arena.state == BLOCK_DONE and arena.record_lost):
            attempts.retries += 1
            memory.grow_to(self._roomier(memory.reserved))
            return None
        if arena.state == BLOCK_DONE:
            streamed.hand_out(arena)
            streamed.tell(arena)
            cached = base.cache if arena.cached else None
            recorded = perf_counter()
            rows = None
            if block.record:
                rows = RecordRows(arena.record(None) if cached is None else cached.record(arena), arena.workers, arena.transactions)
            recorded = perf_counter() - recorded
            if cached is not None:
                cached.promote(arena)
            outcome = self._outcome(arena, block.policy, attempts)
            cache = 0 if base.cache is None else base.cache.bytes_taken
            outcome.stats.memory = {"arena": memory.reserved, "cache": cache}
            if rows is not None:
                outcome.record = rows
                outcome.stats.seconds["record"] = recorded
            return outcome
        complaints = pool.complaints()
        if any(complaint.error == ioi_storage.NumberTaken.__name__ for complaint in complaints):
            pool.kill()
            attempts.death([])  # other processes have other numbers
            return None
        refused = [complaint.text for complaint in complaints if complaint.kind == "cache"]
        if refused and base.cache is not None:
            base.cache.give_up(refused[0])  # it is for speed alone
            attempts.retries += 1
            return None
        raise self._failure(pool, arena, complaints)

    def _lay_out(self, memory: SharedArena, pool: Pool, block: Block, base: BaseState, setup: int) -> None:
        """Put the block into the arena, with about the room it will need. Raises ArenaExhausted."""
        if block.hints:
            base.fetch(block.hints)
        (overlay, cached), context = base.beneath(), block.context
        guess = GUESS_PER_TRANSACTION + (GUESS_RECORD if block.record else 0)
        likely = max(self._bytes, sum(map(len, block.txs)) + guess * len(block.txs))
        try:
            memory.grow_to(min(likely, self._limits.arena_bytes or likely))
        except ArenaExhausted:
            pass  # it was only a guess
        while True:
            needed = memory.arena.begin(
                txs=block.txs,
                workers=1 if block.one_worker else block.policy.workers_for(len(block.txs), pool.workers),
                spins=pool.spins,
                hook=block.hook if self._vm.has(block.hook) else Hook.NONE,
                keys=max(2 * len(block.txs), self._keys) + len(overlay),
                setup=setup,
                base=base.store_stand.packed(),
                height=context.height,
                time_ns=context.time_ns,
                proposer=context.proposer,
                extra=context.extra,
                parent_root=context.parent_root,
                policy=block.policy.of_core(),
                record=block.record,
                cached=cached,
                decided=packed(context.votes, context.misbehaviour),
            )
            if not needed and memory.arena.overlay(overlay):
                return
            memory.grow_to(max(needed, self._roomier(memory.reserved)))

    def _roomier(self, reserved: int) -> int:
        """Twice the room, or what is left of the limit before it is refused."""
        limit = min(self._limits.arena_bytes or ARENA_MAX, ARENA_MAX)
        return 2 * reserved if reserved >= limit else min(2 * reserved, limit)

    def _watch(self, pool: Pool, arena: Arena, streamed: _Stream, patience: float) -> bool:
        """Sleep until the workers are through. False: one died, or nothing moved for `patience` seconds, or while one was stopped
        for stall_seconds."""
        signs, since, entered = _signs_of_life(arena), monotonic(), pool.up
        look = LOOK_NS if streamed.on_receipt is None else STREAM_NS
        for turn in itertools.count():
            if arena.wait(look):
                pool.up = pool.up or arena.workers == pool.workers
                return True
            streamed.hand_out(arena)
            if turn % (LOOK_NS // look):
                continue
            streamed.tell(arena)
            if pool.dead():
                # The others may wait for it for ever; but the block may also have been over already.
                return arena.wait(0)
            entered = entered or all(arena.slot(i)["in_block"] for i in range(arena.workers))
            now = _signs_of_life(arena)
            if now != signs:
                signs, since = now, monotonic()
                continue
            still = monotonic() - since
            if still > (patience if entered else max(patience, START_SECONDS)):
                return False
            if entered and still > self._limits.stall_seconds and pool.stopped():
                return False
        raise AssertionError("unreachable")

    def _outcome(self, arena: Arena, policy: Policy, attempts: _Attempts) -> Outcome:
        slots = [arena.slot(i) for i in range(arena.workers)]
        solo = sum(slot["solo"] for slot in slots)
        alone = arena.workers < self._pool.workers or 2 * solo > arena.transactions
        stats = Stats(
            mode="sequential" if attempts.alone else "solo" if alone else "parallel",
            policy=policy.name,
            workers=arena.workers,
            **_counted(arena),
            busy_seconds=[slot["busy_ns"] / 1e9 for slot in slots],
        )
        writes = Writes(*arena.seal())
        count = arena.transactions
        if count:
            self._keys = 2 * len(writes)
        end = Receipts(*arena.receipts(count, count + 1))[0] if arena.hook else DONE
        return Outcome(writes, Receipts(*arena.receipts(0, count)), stats, Measured(*arena.per_tx()), end=end)

    def _failure(self, pool: Pool, arena: Arena, complaints: list[Complaint]) -> Error:
        """Why the block was stopped."""
        if arena.state == BLOCK_FAULT:
            index = arena.fault_tx
            text = Receipts(*arena.receipts(index, index + 1))[0].error
            why = text.rstrip().rpartition("\n")[2] or "it gave no reason"
            fault = transaction_failed(index, why) if index < arena.transactions else hook_failed(Hook(arena.hook), index, why)
            fault.__cause__ = WorkerFault(text)
            return fault
        kinds = {complaint.kind: complaint for complaint in complaints}
        if "setup" in kinds:
            return VMError(f"a worker cannot load the VM {self._vm.spec.name}: {kinds['setup'].text}")
        if "storage" in kinds:
            return translated_by_name(kinds["storage"].error, kinds["storage"].text)
        if "stale" in kinds:
            return StaleResult(f"{kinds['stale'].text}: execute the block again")
        pool.kill()
        return ResourceError(f"a worker failed: {kinds['fault'].text if 'fault' in kinds else 'it gave no reason'}")


class _Stream:
    """What the caller hears of a block: receipts in order and each once, however often the block runs, for final ones are the same
    every time; and progress."""

    def __init__(self, on_receipt: OnReceipt | None, on_progress: OnProgress | None) -> None:
        self.on_receipt = on_receipt
        self._on_progress = on_progress
        self._next = 0

    def hand_out(self, arena: Arena) -> None:
        if self.on_receipt is None:
            return
        watermark = arena.watermark
        if watermark <= self._next:
            return
        first = self._next
        for index, receipt in enumerate(Receipts(*arena.receipts(first, watermark)), first):
            self._next = index + 1
            self.on_receipt(index, receipt)

    def once(self) -> OnReceipt | None:
        """For an executor that begins with the first."""
        return None if self.on_receipt is None else self._once

    def _once(self, index: int, receipt: Receipt) -> None:
        if index == self._next:
            self._next += 1
            assert self.on_receipt is not None
            self.on_receipt(index, receipt)

    def tell(self, arena: Arena) -> None:
        if self._on_progress is not None:
            self._on_progress(_looked_at(arena))


class _Counts(TypedDict):
    executions: int
    validations: int
    aborts: int
    suspensions: int


def _counted(arena: Arena) -> _Counts:
    """What the workers of a block did, all together."""
    slots = [arena.slot(i) for i in range(arena.workers)]
    return {
        "executions": sum(slot["executions"] for slot in slots),
        "validations": sum(slot["validations"] for slot in slots),
        "aborts": sum(slot["aborts"] for slot in slots),
        "suspensions": sum(slot["suspensions"] for slot in slots),
    }


def _looked_at(arena: Arena) -> Progress:
    slots = [arena.slot(i) for i in range(arena.workers)]
    return Progress(
        transactions=arena.transactions,
        watermark=arena.watermark,
        **_counted(arena),
        busy=tuple(slot["current_tx"] - 1 if slot["current_tx"] else None for slot in slots),
        arena_bytes=arena.used,
    )


def _signs_of_life(arena: Arena) -> tuple[int, ...]:
    slots = [arena.slot(i) for i in range(arena.workers)]
    return arena.watermark, *(slot["executions"] + slot["in_block"] for slot in slots)


def _culprits(pool: Pool, arena: Arena) -> list[int]:
    """The transactions that dead workers were at; of a stall, the lowest that is running, which the others may wait for."""
    dead = pool.dead()
    running = [(i, arena.slot(i)["current_tx"] - 1) for i in range(arena.workers) if arena.slot(i)["current_tx"]]
    if dead:
        return [tx for i, tx in running if i in dead]
    return [min(tx for _, tx in running)] if running else []
