"""A local sequencer: it decides the blocks of an application by itself, in the place of a consensus of many. It knows no socket, and no
rule of blocks: those are the application's."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from time import time_ns
from typing import Callable, Protocol, Sequence

from ioi_exec.block.event import Event
from ioi_exec.block.receipt import Receipt
from ioi_exec.block.result import BlockResult
from ioi_exec.errors import Error, InputError, MachineClosed, ResourceError, StateCorrupt, VersionMissing
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.application import Application
from ioi_exec.node.block_header import address
from ioi_exec.node.dev_keys import POWER, DevKeys
from ioi_exec.node.ledger import Ledger
from ioi_exec.node.logs import told
from ioi_exec.node.mempool import Mempool
from ioi_exec.node.messages import (
    Block,
    BlockParams,
    ConsensusParams,
    EvidenceParams,
    ExtendedLastCommit,
    ExtendedVote,
    InitChain,
    LastCommit,
    Moment,
    Proposal,
    PublicKey,
    Validator,
    ValidatorParams,
    ValidatorPower,
    Vote,
)
from ioi_exec.state.info import StateInfo
from ioi_exec.vm.loading import Args

log = logging.getLogger("ioi_exec.node")

HOUR = 3600
PARAMS = ConsensusParams(
    BlockParams(max_bytes=4 << 20, max_gas=-1), EvidenceParams(100_000, Moment(48 * HOUR), 1 << 20), ValidatorParams(("ed25519",))
)
"""Those of CometBFT's `init`."""
EVENTS_KEPT = 1000  # blocks whose own events are remembered: no state keeps them
WAITS_ALREADY = Receipt(1, error="it waits for a block already")
_FOR_IT, _ABSENT = 2, 1

# What a chain cannot go on after.
FATAL = (MachineClosed, ResourceError, StateCorrupt)


class Recorder(Protocol):
    """Watches blocks as they were executed, in the thread that made them: `result.record` is there where there are workers."""

    def record(self, height: int, result: BlockResult) -> None: ...

    def reverted(self, height: int) -> None: ...


@dataclass(frozen=True)
class Happened:
    """kind: "block", "reverted" to this height; "waits", "dropped": a transaction, "reloaded": the VM, after the block of this height. error: why the
    VM was not."""

    kind: str
    height: int
    error: str = ""


class Sequencer:
    """One chain, of which this validator decides every block. For any thread; blocks take turns."""

    def __init__(
        self, machine: ExecutionMachine, application: Application, ledger: Ledger, keys: DevKeys, *, clock: Callable[[], int] = time_ns,
        recorder: Recorder | None = None,
    ) -> None:
        """clock: nanoseconds since 1970. The application must be over this machine, which keeps receipts. Begins the chain where it has not begun."""
        self.machine = machine
        self.application = application
        self.ledger = ledger
        self.mempool = Mempool()
        self._key = PublicKey(ed25519=keys.validator.public)
        self.proposer = address(self._key)
        self._clock = clock
        self._recorder = recorder
        self._making = threading.RLock()
        self._turns = 0  # odd while the state goes back
        self._stopped = False
        self._listeners: list[Callable[[Happened], None]] = []
        self._events: dict[int, tuple[Event, ...]] = {}
        info = machine.info
        self._newest = info.height
        if info.version == 0:
            validators = (ValidatorPower(self._key, POWER),)
            application.init_chain(InitChain(Moment(), info.chain_id, PARAMS, validators, b"", info.initial_height))

    def listen(self, listener: Callable[[Happened], None]) -> None:
        """It is told what happens from now on, in the thread where it does, and raises nothing."""
        self._listeners.append(listener)

    def submit(self, tx: bytes) -> Receipt:
        """What CheckTx says of it; one that is let in waits for a block from then on. Raises LimitExceeded where too many wait."""
        if self.mempool.get(sha256(tx).digest()) is not None:
            return WAITS_ALREADY
        before = self._turns
        receipt = self.application.check_tx(tx)
        if not receipt.ok and (before % 2 or self._turns != before):  # of a state that was going back: ask the one it went to
            with self._making:
                receipt = self.application.check_tx(tx)
        if receipt.ok:
            if not self.mempool.add(tx):
                return WAITS_ALREADY
            self.tell(Happened("waits", self._newest))  # the state may be going back
        return receipt

    def mine(self, *, empty: bool = True) -> int | None:
        """Make a block of what waits; returns its height. empty: also of nothing; else None where nothing can be in it.

        What cannot be in a block no longer waits. Raises what executing it raises: then all that would have been in it no longer waits.
        Raises MachineClosed after `stop`."""
        with self._making:
            if self._stopped:
                raise MachineClosed("the chain ends: no block is made any more")
            waiting, height, now = self.mempool.listed(), self.machine.info.height + 1, self._time()
            if not waiting and not empty:
                return None
            try:
                txs = self.application.propose(self._proposal(waiting, height, now))
                self._look_at_those_left_out(waiting, txs)
                if not txs and not empty:
                    return None
                header = self.ledger.header_of(height, now, self.proposer, txs)
                block = Block(
                    tuple(txs), LastCommit(0, tuple(Vote(validator, flag) for validator, flag in self._votes(height))), (), header.hash(), height,
                    Moment.of(now), header.next_validators_hash, self.proposer,
                )
                done = self.application.finalize_block(block)
                self.application.commit()
                self._newest = height
            except FATAL:
                raise
            except Error as error:
                for tx in waiting:
                    self._drop(tx, f"no block could be made with it: {error}")
                raise
            self.mempool.remove(txs)
            self._remember(height, done.result.events)
            for tx in self.mempool.listed():
                self._check_again(tx)
            if self._recorder is not None:
                self._recorder.record(height, done.result)
            self.tell(Happened("block", height))
            return height

    def stop(self) -> None:
        """The block at hand is the last one, however many somebody asked for. It waits for none."""
        self._stopped = True

    def simulate(self, txs: Sequence[bytes]) -> BlockResult:
        """What a block of these would come to on the newest state; nothing of it is kept."""
        with self._making:
            return self.application.simulate(self._proposal(txs, self.machine.info.height + 1, self._time()))

    def snapshot(self) -> str:
        """The name of the newest block: its height and hash."""
        info = self.machine.info
        return f"{info.height}-{info.header.block_id.hex() if info.header is not None else ''}"

    def revert(self, snapshot: str) -> int:
        """Go back to the block that `snapshot` named, as if none had been after it; returns its height. What waits is dropped. Raises InputError."""
        with self._making:
            info = self._named(snapshot)
            if info is None:
                raise InputError(f"there is no block {snapshot[:90]!r} to go back to: give what snapshot said, of a block that was not undone")
            self._turns += 1
            try:
                self.application.go_back(info.version)
            finally:
                self._turns += 1
            self._newest = info.height
            self.mempool.clear()
            self._events = {height: events for height, events in self._events.items() if height <= info.height}
            if self._recorder is not None:
                self._recorder.reverted(info.height)
            told(log, "reverted", height=info.height)
            self.tell(Happened("reverted", info.height))
            return info.height

    def names(self, snapshot: str) -> bool:
        """Whether there is the block that a snapshot names."""
        return self._named(snapshot) is not None

    def _named(self, snapshot: str) -> StateInfo | None:
        text, _, name = snapshot.partition("-")
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            return None
        with suppress(VersionMissing):
            found = self.machine.at_height(int(text)).info
            return found if name == (found.header.block_id.hex() if found.header is not None else "") else None
        return None

    def reload(self, vm: str, vm_args: Args | None) -> None:
        """The next block is under this VM, which was imported anew. What waits is checked again. Raises as `Application.reload`."""
        with self._making:
            self.application.reload(vm, vm_args)
            for tx in self.mempool.listed():
                receipt = self.application.check_tx(tx)
                if not receipt.ok:
                    self._drop(tx, receipt.error)
            self.tell_reloaded("")

    def tell_reloaded(self, error: str) -> None:
        """error: why the VM was not, "" if it was."""
        self.tell(Happened("reloaded", self._newest, error))

    def events(self, height: int) -> tuple[Event, ...]:
        """What the hooks of the block emitted, of the newest thousand blocks that were made since the process began; of others none."""
        return self._events.get(height, ())

    def tell(self, happened: Happened) -> None:
        for listener in list(self._listeners):
            listener(happened)

    def _proposal(self, txs: Sequence[bytes], height: int, now: int) -> Proposal:
        votes = tuple(ExtendedVote(validator, b"", b"", flag) for validator, flag in self._votes(height))
        params = self.ledger.consensus(height - 1).params
        most = params.block.max_bytes if params is not None and params.block is not None else -1
        most = most if most >= 0 else 100 << 20
        return Proposal(
            most, tuple(txs), ExtendedLastCommit(0, votes), (), height, Moment.of(now), b"", self.proposer
        )

    def _votes(self, height: int) -> list[tuple[Validator, int]]:
        """For the block before: of this validator one for it; the others, which the VM may have made, are absent."""
        if height <= self.machine.info.initial_height:
            return []
        found = self.ledger.validators(height - 1).validators
        return [
            (Validator(address(each.public_key), each.power), _FOR_IT if each.public_key == self._key else _ABSENT) for each in found
        ]

    def _time(self) -> int:
        """Of the next block: time rises with every block."""
        header = self.machine.info.header
        return max(self._clock(), 0 if header is None else header.time_ns + 1)

    def _look_at_those_left_out(self, waiting: Sequence[bytes], txs: Sequence[bytes]) -> None:
        taken = set(txs)
        for tx in waiting:
            if tx not in taken:
                self._check_again(tx)

    def _check_again(self, tx: bytes) -> None:
        receipt = self.application.check_tx(tx, again=True)
        if not receipt.ok:
            self._drop(tx, receipt.error)

    def _drop(self, tx: bytes, why: str) -> None:
        told(log, "no longer waits", logging.WARNING, tx=sha256(tx).digest(), why=why)
        self.mempool.drop(tx, why)
        self.tell(Happened("dropped", self._newest))

    def _remember(self, height: int, events: tuple[Event, ...]) -> None:
        self._events[height] = events
        while len(self._events) > EVENTS_KEPT:
            del self._events[next(iter(self._events))]
