"""The smallest block that still shows a difference, by delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
Failure-Inducing Input", 2002), for differences that may come and go: a candidate is executed as often as the whole block's rate
of differing asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log
from time import monotonic
from types import TracebackType
from typing import Callable, Iterator, Sequence, TypeVar

from ioi_exec import Error, ExecutionMachine
from ioi_exec.execution.executors import SharedPools
from ioi_stress.interruption import held
from ioi_stress.running.difference import Mismatch, difference
from ioi_stress.running.state import created

T = TypeVar("T")

SECONDS = 60.0
FIRST_TRIES = 30  # of the whole block, to see how often it differs
TRIES_MOST = 100
MISSED = 0.02  # how likely a candidate that differs as often as the whole block may be taken for one that does not


@dataclass(frozen=True)
class Shrunk:
    """mismatch: with as few transactions and keys as were found. rate: the share of executions that differed when it was last
    tried; 0: none did any more, and it is the whole block. complete: neither time nor Ctrl-C cut it short."""

    mismatch: Mismatch
    rate: float
    complete: bool
    interrupted: bool = False

    @property
    def tries(self) -> int:
        """How many executions will very likely show it."""
        return _tries(self.rate)


def shrink(mismatch: Mismatch, *, seconds: float = SECONDS) -> Shrunk:
    """Leave out transactions, then keys of the state, as long as the rest still differs."""
    until = monotonic() + seconds
    best, rate, complete, interrupted = mismatch, 0.0, False, False
    try:
        with _Laboratory() as laboratory:
            rate = laboratory.rate(best)
            if rate:
                tries = _tries(rate)

                def still(candidate: Mismatch) -> bool:
                    return any(laboratory.executions(candidate, tries))

                def more() -> bool:
                    return monotonic() < until

                whole = best
                for txs in ddmin(whole.block.txs, lambda txs: still(_with_transactions(whole, txs)), more):
                    best = _with_transactions(whole, txs)
                fewer = best
                for keys in ddmin(sorted(fewer.state), lambda keys: still(_with_keys(fewer, keys)), more):
                    best = _with_keys(fewer, keys)
                complete = more()
                rate = laboratory.rate(best) or 1 / FIRST_TRIES
    except KeyboardInterrupt:
        interrupted = True
    return Shrunk(best, rate, complete, interrupted)


def ddmin(items: Sequence[T], differs: Callable[[list[T]], bool], more: Callable[[], bool]) -> Iterator[list[T]]:
    """Ever smaller parts of `items`, in their order, that `differs` holds for; the last one loses it with any one item less.
    more: whether to go on."""
    left = list(items)
    if not left or not more():
        return
    if differs([]):
        yield []
        return
    parts = 2
    while len(left) > 1 and more():
        size = -(-len(left) // parts)
        pieces = [left[at : at + size] for at in range(0, len(left), size)]
        rests = [left[:at] + left[at + size :] for at in range(0, len(left), size)] if len(pieces) > 2 else []
        found = next((part for part in [*pieces, *rests] if more() and differs(part)), None)
        if found is not None:
            parts = 2 if len(found) <= size else max(len(pieces) - 1, 2)
            left = found
            yield left
        elif len(pieces) == len(left):
            return
        else:
            parts = min(2 * len(pieces), len(left))


def _with_transactions(mismatch: Mismatch, txs: list[bytes]) -> Mismatch:
    return replace(mismatch, block=replace(mismatch.block, txs=txs))


def _with_keys(mismatch: Mismatch, keys: list[bytes]) -> Mismatch:
    return replace(mismatch, state={key: mismatch.state[key] for key in keys})


def _tries(rate: float) -> int:
    if rate >= 1:
        return 3  # what always differed may do so less often in a smaller block
    return TRIES_MOST if rate <= 0 else max(3, min(TRIES_MOST, ceil(log(MISSED) / log(1 - rate))))


class _Laboratory:
    """Executes candidates, in memory, on workers that live on from one to the next."""

    def __init__(self) -> None:
        self._pools = SharedPools()
        self._machine: ExecutionMachine | None = None
        self._state: dict[bytes, bytes] | None = None

    def __enter__(self) -> _Laboratory:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with held():
            self._close()
            self._pools.close()

    def rate(self, mismatch: Mismatch) -> float:
        return sum(self.executions(mismatch, FIRST_TRIES)) / FIRST_TRIES

    def executions(self, mismatch: Mismatch, tries: int) -> Iterator[bool]:
        """Of each parallel execution whether it differed from the sequential one. One that fails ends them."""
        txs, header = mismatch.block.txs, mismatch.block.header
        try:
            machine = self._on(mismatch)
            expected = machine.execute(txs, header, sequential=True)
            for _ in range(tries):
                yield difference(machine.execute(txs, header), expected) is not None
        except Error:
            return

    def _on(self, mismatch: Mismatch) -> ExecutionMachine:
        """A machine on the candidate's state; the one before serves when only transactions were left out."""
        if self._machine is None or self._state is not mismatch.state:
            self._close()
            self._machine = created(mismatch.workload, replace(mismatch.plan, state=None), self._pools, mismatch.state)
            self._state = mismatch.state
        return self._machine

    def _close(self) -> None:
        if self._machine is not None:
            self._machine.close()
            self._machine = None
