"""What `execute` returns: a staged block, nothing of it durable yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from ioi_exec.block.event import Event
from ioi_exec.block.header import BlockHeader
from ioi_exec.block.measured import Measured, RecordRows
from ioi_exec.block.proposal import Dropped
from ioi_exec.block.receipt import DONE, Receipt, Receipts
from ioi_exec.block.updates import EndBlock

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from ioi_storage import Staged, Writes

    from ioi_exec.block.record import Record


@dataclass
class Stats:
    """How a block was executed. Of interest to people only: no result depends on it.

    mode: "sequential": one by one, in the calling process, in a worker of its own (`sequential=True`) or, after deaths, in a clean
    one; "solo": most of it by one worker alone, since it was small or conflicts made that faster; "parallel".
    why: what made the engine choose one by one, or all workers; empty where it had no choice (see `Policy.choose`).
    policy: the name of the policy, which does not bear on mode "sequential".
    workers: worker processes that took part, 0 if it ran in the calling one.
    executions: incarnations executed; equals the number of transactions if none ran twice.
    validations, aborts, suspensions: of Block-STM, in the paper's sense.
    stage_threads: threads that computed the state root.
    retries: times the whole block was run again (a worker died, shared memory ran out).
    seconds: wall time by phase; "propose": executing candidates before it was known which are in the block; "record": taking the record out, after "execute"; "worker": one by one in a worker, what it took to start
    it and to take the block there and back.
    busy_seconds: per worker, the time it spent executing and validating.
    memory: bytes of shared memory that the workers have: "arena", for a block, and "cache", committed values across blocks.
    """

    mode: str = "sequential"
    why: str = ""
    policy: str = "default"
    workers: int = 0
    executions: int = 0
    validations: int = 0
    aborts: int = 0
    suspensions: int = 0
    stage_threads: int = 1
    retries: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    busy_seconds: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "why": self.why,
            "policy": self.policy,
            "workers": self.workers,
            "executions": self.executions,
            "validations": self.validations,
            "aborts": self.aborts,
            "suspensions": self.suspensions,
            "stage_threads": self.stage_threads,
            "retries": self.retries,
            "seconds": {phase: round(seconds, 6) for phase, seconds in self.seconds.items()},
            "busy_seconds": [round(seconds, 6) for seconds in self.busy_seconds],
            "memory": self.memory,
        }


@dataclass(frozen=True, eq=False)
class BlockResult:
    """A block executed and staged on the machine's committed state; `ExecutionMachine.commit` makes it durable.

    version: the version it becomes when committed.
    header: as given, with its height decided.
    state_root, receipts_root: 32 bytes each.
    txs: the transactions.
    included, dropped: of a proposal (`execute(propose=True)`) the positions, in what `execute` was given, of `txs`, ascending; and why others
    were taken out, by position. Those in neither did not fit. Of any other block all, and none.
    writes: the last write of every key, ascending by key; None is a deletion. A sequence of pairs, which are made as they are looked
    at; equal to a list of the same.
    """

    version: int
    header: BlockHeader
    state_root: bytes
    receipts_root: bytes
    receipts: Receipts
    failed: int
    txs: list[bytes] = field(repr=False)
    writes: Writes = field(repr=False)
    stats: Stats = field(repr=False)
    measured: Measured = field(repr=False)
    layer: object = field(repr=False)
    staged: Staged = field(repr=False)
    """The store's part of the result, and the store (or sandbox) it belongs to."""
    recorded: RecordRows | None = field(default=None, repr=False)
    recorded_before: tuple[RecordRows, ...] = field(default=(), repr=False)
    end: Receipt = field(default=DONE, repr=False)
    included: Sequence[int] = field(default=(), repr=False)
    dropped: Mapping[int, Dropped] = field(default_factory=dict, repr=False)
    upgrade: object = field(default=None, repr=False)
    """The last one that the state knew of at its height."""

    @cached_property
    def record(self) -> Record | None:
        """What happened while the block was executed; None unless `execute` was told to record it."""
        if self.recorded is None:
            return None
        from ioi_exec.block.record import (
            Record,  # and with it NumPy, which nothing else here needs
        )

        return Record.of(*self.recorded, tuple(Record.of(*rows) for rows in self.recorded_before))

    @property
    def events(self) -> tuple[Event, ...]:
        """Of the block: what `migrate`, `begin_block` and `end_block` emitted, in this order. Those of transactions are in their receipts."""
        return self.end.events

    @cached_property
    def updates(self) -> EndBlock:
        """What `end_block` returned."""
        return EndBlock.decode(self.end.output) if self.end.output else EndBlock()

    @property
    def height(self) -> int:
        assert self.header.height is not None
        return self.header.height

    @cached_property
    def per_tx(self) -> npt.NDArray[np.void]:
        """How each transaction was executed: an array of dtype `ioi_exec.PER_TX`, by TxIndex. No result depends on it."""
        from ioi_exec.block.per_tx import (
            per_tx,  # numpy is loaded where it is asked for
        )

        return per_tx(self.measured)

    @property
    def transactions(self) -> int:
        return len(self.receipts)
