"""A block executed on its pre-state, and what its header and receipts say beside what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

from ioi_exec.block.result import BlockResult, Stats
from ioi_exec.errors import Diverged, VMFault
from ioi_exec.ethereum import EVMS
from ioi_exec.ethereum.touched import not_given
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.ethereum import EthereumFile, GivenReceipt
from ioi_exec.machine import ExecutionMachine
from ioi_exec.policy import Policy
from ioi_exec.vm.ethereum import LIMITS, genesis, header
from ioi_exec.vm.ethereum.receipts import Outcome, totals
from ioi_exec.vm.ethereum.vm import REQUESTS, decoded, why_invalid


@dataclass(frozen=True)
class Compared:
    """what: a part of the header. said, found: a number, or bytes in hex."""

    what: str
    said: int | str
    found: int | str

    @property
    def equal(self) -> bool:
        return self.said == self.found


@dataclass(frozen=True)
class Ran:
    """state_root: of the engine's tree after the block; the header's is of another tree, over all of Ethereum's accounts. started: workers
    that came up meanwhile, which its seconds then are of too."""

    file: EthereumFile
    outcomes: tuple[Outcome, ...]
    compared: tuple[Compared, ...]
    state_root: bytes
    stats: Stats
    started: int

    @property
    def gas_used(self) -> int:
        return sum(one.gas_used for one in self.outcomes)

    @property
    def seconds(self) -> float:
        return self.stats.seconds["execute"]

    @property
    def equal(self) -> bool:
        return all(one.equal for one in self.compared)

    @property
    def notes(self) -> list[str]:
        """What was not compared, or not known, and why."""
        found = []
        if not self.file.block.fork.has_status:
            found.append("receipts root not compared: before Byzantium receipts hold roots of the state in between")
        if self.file.uncles_missing:
            found.append("the headers of its uncles are not given: nothing was paid for them")
        return found


class Runner:
    """Executes blocks in workers that are shared by them. workers: None: one per core; 0: in this process. evm: one of EVMS. Close it, or
    use `with`."""

    def __init__(self, workers: int | None, *, sequential: bool = False, evm: str = "specification") -> None:
        self._workers = workers
        self._sequential = sequential
        self._vm = EVMS[evm]
        self._pools = SharedPools()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._pools.close()

    def run(self, file: EthereumFile, hints: Sequence[bytes] = ()) -> Ran:
        """hints: keys of the state that the block will likely look at. Raises Diverged where the block is invalid on this pre-state, and what the
        engine raises."""
        with self._machine(file) as machine:
            return _execute(machine, file, self._sequential, Policy.named("default"), hints)

    def timed(self, file: EthereumFile, repeat: int, hints: Sequence[bytes] = ()) -> tuple[list[Ran], list[Ran]]:
        """One by one and with all workers, in turns, so that what else the machine does meets both; and before, once each, unmeasured, for
        workers to start in and to learn the block's code."""
        policy = Policy.named("all-workers")
        with self._machine(file) as machine:
            turns = [[_execute(machine, file, sequential, policy, hints) for sequential in (True, False)] for _ in range(repeat + 1)]
        return [turn[0] for turn in turns[1:]], [turn[1] for turn in turns[1:]]

    def _machine(self, file: EthereumFile) -> ExecutionMachine:
        return ExecutionMachine.create(
            None, self._vm, genesis=dict(genesis(file.prestate)), initial_height=file.block.number, workers=self._workers, limits=LIMITS,
            executors=self._pools.executors(), chain_id=str(file.block.chain_id),
        )


def _execute(machine: ExecutionMachine, file: EthereumFile, sequential: bool, policy: Policy, hints: Sequence[bytes]) -> Ran:
    before = machine.worker_pids
    try:
        result = machine.execute(file.transactions, header(file.block), sequential=sequential, policy=policy, hints=[hints])
    except VMFault as error:
        if (why := why_invalid(error)) is None:
            raise
        raise Diverged(f"block {file.block.number} is invalid on this pre-state: {why}{_suspects(file)}") from None
    return ran(file, result, len({*machine.worker_pids} - {*before}) if result.stats.workers else 0)


def ran(file: EthereumFile, result: BlockResult, started: int = 0) -> Ran:
    """What the file's block came to, of an execution of it on its pre-state."""
    fork = file.block.fork
    outcomes = tuple(Outcome.decode(fork, receipt.output) for receipt in result.receipts)
    requests = {event.name: event["hash"] for event in result.events}.get(REQUESTS)
    found = compared(file, outcomes, requests if isinstance(requests, bytes) else b"")
    return Ran(file, outcomes, found, result.state_root, result.stats, started)


def compared(file: EthereumFile, outcomes: tuple[Outcome, ...], requests_hash: bytes) -> tuple[Compared, ...]:
    """requests_hash: empty if the fork has none."""
    fork, said = file.block.fork, file.block.header
    found = totals(fork, [decoded(fork, raw) for raw in file.transactions], outcomes)
    parts = [
        Compared("gas_used", int(said.gas_used), found.gas_used),
        Compared("logs_bloom", bytes(said.bloom).hex(), found.logs_bloom.hex()),
    ]
    if found.receipts_root is not None:
        parts.append(Compared("receipts_root", bytes(said.receipt_root).hex(), found.receipts_root.hex()))
    if "blob_gas_used" in fork.header_fields:
        parts.append(Compared("blob_gas_used", int(said.blob_gas_used), found.blob_gas_used))
    if "requests_hash" in fork.header_fields:
        parts.append(Compared("requests_hash", bytes(said.requests_hash).hex(), requests_hash.hex()))
    if file.receipts is not None:
        first = _first(file, outcomes)
        parts.append(Compared("receipts", len(outcomes), len(outcomes) if first is None else first[0]))
    return tuple(parts)


def first_different(ran: Ran) -> dict[str, Any] | None:
    """Of the receipts that the file has: the first transaction that came to another, and in what. None if none did, or there are none."""
    if ran.file.receipts is None or (found := _first(ran.file, ran.outcomes)) is None:
        return None
    index, what, said, is_ = found
    return {"transaction": index, "hash": ran.file.transaction_hashes[index].hex(), "what": what, "said": said, "found": is_}


def _first(file: EthereumFile, outcomes: tuple[Outcome, ...]) -> tuple[int, str, Any, Any] | None:
    for index, (said, outcome) in enumerate(zip(file.receipts or (), outcomes)):
        for what, given, found in _parts(said, outcome):
            if given is not None and given != found:
                return index, what, given, found
    return None


def _parts(said: GivenReceipt, outcome: Outcome) -> list[tuple[str, Any, Any]]:
    logs = [(bytes(log.address), tuple(bytes(topic) for topic in log.topics), bytes(log.data)) for log in outcome.logs]
    parts: list[tuple[str, Any, Any]] = [
        ("status", said.succeeded, outcome.succeeded), ("gas_used", said.gas_used, outcome.gas_used), ("logs", len(said.logs), len(logs)),
    ]
    for at, (given, found) in enumerate(zip(said.logs, logs)):
        parts.append((f"log {at}", _shown(given), _shown(found)))
    return parts


def _shown(log: tuple[bytes, tuple[bytes, ...], bytes]) -> str:
    address, topics, data = log
    return f"{address.hex()} [{' '.join(topic.hex() for topic in topics)}] {data.hex()}"


def _suspects(file: EthereumFile) -> str:
    missing = ", ".join(address.hex() for address in not_given(file))
    return f". Touched, and not in the pre-state: {missing}" if missing else ""
