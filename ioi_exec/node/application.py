"""The application of a consensus engine: ABCI 2.0 in the engine's terms. It knows no socket; who drives it does."""

from __future__ import annotations

import io
import logging
import threading
from dataclasses import dataclass, replace
from hashlib import sha256
from time import perf_counter, time_ns
from typing import Callable, TypeVar

from ioi_exec._version import __version__
from ioi_exec.block.header import BlockHeader
from ioi_exec.block.proposal import Proposal as Taken
from ioi_exec.block.receipt import Receipt
from ioi_exec.block.result import BlockResult
from ioi_exec.errors import (
    Error,
    InputError,
    LimitExceeded,
    MachineClosed,
    StateError,
    VMError,
    VMMismatch,
)
from ioi_exec.files import read_genesis
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node import queries
from ioi_exec.node.app_hash import app_hash
from ioi_exec.node.consensus import Consensus, changed_params
from ioi_exec.node.counts import Counts
from ioi_exec.node.headers import header_of, header_of_proposal
from ioi_exec.node.joining import ABORT, Joiner
from ioi_exec.node.logs import told
from ioi_exec.node.messages import (
    Answer,
    ApplySnapshotChunk,
    Block,
    ChainBegun,
    ChunkVerdict,
    ConsensusParams,
    Info,
    InitChain,
    LoadSnapshotChunk,
    Moment,
    OfferSnapshot,
    Proposal,
    QueryRequest,
    Snapshot,
)
from ioi_exec.node.pool import Pool
from ioi_exec.node.proposals import TakenOut, size_in_block
from ioi_exec.node.records import Records
from ioi_exec.node.results import CODESPACE, check_result
from ioi_exec.node.retention import ALL_BLOCKS, Retention
from ioi_exec.node.snapshots import Snapshots
from ioi_exec.node.wire import encode
from ioi_exec.state.info import StateInfo
from ioi_exec.vm.loading import Args

log = logging.getLogger("ioi_exec.node")

_Answer = TypeVar("_Answer")

CANDIDATES_MOST = 8  # of one height: a round that fails leaves one behind


class Refused(Error):
    """A block that no honest node accepts: what is wrong with it is wrong everywhere."""

    exit_status = 2


@dataclass(frozen=True)
class Candidate:
    """A block, executed and staged. consensus: what it is set to after it."""

    block: Block
    result: BlockResult
    consensus: Consensus
    app_hash: bytes
    params: ConsensusParams | None


@dataclass(frozen=True)
class Joining:
    """joiner: of the home. open_machine(): its machine, once another state stands in its place."""

    joiner: Joiner
    open_machine: Callable[[], ExecutionMachine]


class Application:
    """One chain: a machine, and what its consensus is set to. May be called from any thread: calls about blocks take turns, and no other
    waits for them."""

    def __init__(
        self, machine: ExecutionMachine, records: Records, *, retention: Retention = ALL_BLOCKS, propose_seconds: float | None = None,
        halt_height: int = 0, at_halt: Callable[[], None] = lambda: None, record: bool = False, simulates: bool = False,
        snapshots: Snapshots | None = None, joining: Joining | None = None,
    ) -> None:
        """propose_seconds: about how long a proposer executes; None: as long as it takes. halt_height: no block above it is executed, and
        at_halt() is called when it is committed; 0: there is none. record: blocks are executed with `record=True` where there are workers.
        simulates: whether a query of /simulate executes a transaction. snapshots: those for nodes that join. joining: how this one may.
        Raises StateError, and InputError where the height to halt at is committed already."""
        self.counts = Counts()
        self._machine = machine
        self._records = records
        self._retention = retention
        self._propose_seconds = propose_seconds
        self._halt_height = halt_height
        self._at_halt = at_halt
        self._simulates = simulates
        self._record = record and machine.workers > 0
        self._snapshots = snapshots
        self._joining = joining
        self._prepared: BlockResult | None = None
        self._taken_out = TakenOut()
        self._pool = Pool(machine, self._taken_out, self.counts)
        self._lock = threading.RLock()  # of blocks; what only reads, and what checks, waits for none
        self._candidates: dict[bytes, Candidate] = {}
        self._decided: Candidate | None = None
        self._edge = threading.Condition()
        self._consensus = self._recorded()
        self._check_halt()

    def info(self) -> Info:
        """Height 0 until the first block is committed: then CometBFT begins the chain, also where it did before."""
        info = self._reading(lambda machine: machine.info)
        consensus = self._records.at(info.height)
        version = consensus.app_version if consensus is not None else 0
        if info.version == 0 or consensus is None:
            return Info(info.vm.name, __version__, version)
        return Info(info.vm.name, __version__, version, info.height, app_hash(info.state_root, consensus.encode()))

    def init_chain(self, request: InitChain) -> ChainBegun:
        """Raises InputError where the chain that begins is not the one that `node init` prepared."""
        with self._lock:
            info = self._machine.info
            if info.version > 0:
                raise StateError(
                    f"the chain begins anew, and the state is at height {info.height}: with CometBFT's data the state has to be removed "
                    "too, or rolled back to version 0 (ioi-exec rollback)"
                )
            if request.chain_id != info.chain_id:
                raise InputError(f"CometBFT's genesis is of the chain {request.chain_id!r}, and this home is of {info.chain_id!r}")
            if (first := request.initial_height or 1) != info.initial_height:
                raise InputError(
                    f"CometBFT's genesis has the initial height {first}, and this home {info.initial_height}: give node init --initial-height"
                )
            self._check_genesis(request.app_state_bytes, info.vm.name == "payments")
            if not request.validators:
                raise InputError("CometBFT's genesis names no validators: a chain needs one at least")
            if not all(validator.public_key is not None and validator.public_key.raw for validator in request.validators):
                raise InputError("CometBFT's genesis names a validator whose key is of no kind that is known: ed25519 or secp256k1")
            if self._joining is not None:
                self._joining.joiner.give_up()
            consensus = Consensus.of(info.chain_id, request.consensus_params, request.validators)
            self._records.put(info.height, consensus)
            self._consensus = consensus
            told(log, "chain begun", chain_id=info.chain_id, initial_height=first, validators=len(request.validators))
            return ChainBegun(consensus.params, (), self._app_hash())

    def check_tx(self, tx: bytes, again: bool = False) -> Receipt:
        """Whether a transaction may wait for a block. again: it was let in before, and a block has been committed since."""
        return self._reading(lambda _: self._pool.check(tx, again))

    def prepare_proposal(self, proposal: Proposal) -> list[bytes]:
        """As `propose`; where they cannot be executed here, none: a proposer that fails would stop its node. Raises VMError, VMMismatch
        where the VM of this height is not to be had: no block can come after the one before it then."""
        try:
            return self.propose(proposal)
        except (MachineClosed, VMError, VMMismatch):
            raise
        except Error as error:
            told(log, "an empty block is proposed: none could be executed here", logging.ERROR, height=proposal.height, error=str(error))
            self.counts.count(self.counts.proposals, "empty")
            return []

    def propose(self, proposal: Proposal) -> list[bytes]:
        """The transactions of a block to propose: in their order, without those that fault or are not includable, as many as gas, bytes
        and time allow. Raises what executing them raises."""
        with self._lock:
            self._prepared = None
            taken = Taken(max_bytes=max(proposal.max_tx_bytes, 0), size=size_in_block, seconds=self._propose_seconds)
            result = self._machine.execute(proposal.txs, header_of_proposal(proposal), propose=taken, record=self._record)
            self.counts.count(self.counts.proposals, "proposed")
            self._taken_out.add(proposal.txs, result.dropped)
            for index, why in result.dropped.items():
                self.counts.count(self.counts.taken_out, why.kind)
                told(log, "taken out", logging.WARNING, tx=sha256(proposal.txs[index]).digest(), kind=why.kind, why=why.text)
            self._prepared = result
            return result.txs

    def simulate(self, proposal: Proposal) -> BlockResult:
        """What a block of all these would come to on the newest state; nothing of it is kept. It takes its turn with blocks. Raises what
        executing it raises."""
        with self._lock:
            return self._machine.execute(proposal.txs, header_of_proposal(proposal))

    def process_proposal(self, block: Block) -> bool:
        """Whether to vote for a block. It is executed, and found again by its hash when it is decided.

        What decides is the same on all honest nodes. Where this one alone is at fault (memory, say), it tries once more, says so, and votes
        against, for it cannot know; another time it may vote otherwise. Raises VMError, VMMismatch as `prepare_proposal`."""
        with self._lock:
            for left in (1, 0):
                try:
                    self._remember(self._executed(block))
                    self.counts.count(self.counts.proposals, "accepted")
                    return True
                except (MachineClosed, VMError, VMMismatch):
                    raise
                except Refused as error:
                    self.counts.count(self.counts.proposals, "rejected")
                    told(log, "proposal rejected", logging.WARNING, height=block.height, hash=block.hash, error=str(error))
                    return False
                except Error as error:
                    told(
                        log, "proposal could not be executed here", logging.ERROR, height=block.height, hash=block.hash,
                        error=str(error), again=bool(left),
                    )
            self.counts.count(self.counts.proposals, "failed")
            return False

    def extend_vote(self) -> bytes:
        return b""

    def verify_vote_extension(self, extension: bytes) -> bool:
        return not extension

    def finalize_block(self, block: Block) -> Candidate:
        """What a decided block comes to; nothing is durable yet. Raises what executing it raises: there is no going on then."""
        with self._lock:
            candidate = self._candidates.get(block.hash)
            if candidate is None or candidate.block != block:
                candidate = self._executed(block)
            self._decided = candidate
            return candidate

    def commit(self) -> int:
        """Make the decided block durable. Returns the lowest height whose block CometBFT is to keep; 0: all."""
        with self._lock:
            candidate = self._decided
            if candidate is None:
                raise InputError("Commit came without a block that was decided before it")
            height, began = candidate.result.height, perf_counter()
            if candidate.consensus is not self._consensus or (self._records.newest() or 0) >= height:
                self._records.put(height, candidate.consensus)
            self._machine.commit(candidate.result)
            commit_seconds = perf_counter() - began
            self._pool.committed()
            self._consensus = candidate.consensus
            self._candidates.clear()
            self._prepared = None
            stats = candidate.result.stats
            self.counts.committed(candidate.result, commit_seconds)
            told(
                log, "committed", height=height, txs=candidate.result.transactions, failed=candidate.result.failed,
                app_hash=candidate.app_hash, execute_s=round(stats.seconds["total"], 4), commit_s=round(commit_seconds, 4),
                mode=stats.mode, executions=stats.executions, aborts=stats.aborts,
            )
            with self._edge:
                self._decided = None
                self._edge.notify_all()
            if self._snapshots is not None and self._snapshots.due(height):
                self._snapshots.take(height, candidate.result.version, candidate.consensus, self._machine.hold)
            if height == self._halt_height:
                told(log, "halted: the block of engine.halt_height is committed", logging.WARNING, height=height)
                self._at_halt()
            return self._retention.height(height, candidate.consensus, self._snapshots.oldest if self._snapshots is not None else None)

    def go_back(self, version: int) -> None:
        """To a version of the state that is kept, as if no later block had been: for a chain whose blocks are decided here. What waits for
        a block is forgotten. Raises VersionMissing."""
        with self._lock:
            self._machine.rollback(version)
            self._begin_anew()

    def _begin_anew(self) -> None:
        """On the state that there is now."""
        self._candidates.clear()
        self._prepared = self._decided = None
        self._consensus = self._recorded()
        self._forget_pending()

    def reload(self, vm: str, vm_args: Args | None) -> None:
        """The next block is under this VM, as `machine.reload` has it. What waits for a block is forgotten."""
        with self._lock:
            self._machine.reload(vm, vm_args=vm_args)
            self._begin_anew()

    def _forget_pending(self) -> None:
        """CheckTx begins anew, with the VM that there is now."""
        self._taken_out = TakenOut()
        self._pool = Pool(self._machine, self._taken_out, self.counts)

    def query(self, request: QueryRequest) -> Answer:
        """What is asked of the state, or of the VM; what cannot be answered has a code and says why."""
        if request.path == queries.SIMULATE:
            answer = self._simulated(request.data)
        else:
            answer = self._reading(lambda machine: queries.answer(machine, self._records, request))
        self.counts.queried(answer.code == 0)
        return answer

    def list_snapshots(self) -> tuple[Snapshot, ...]:
        return self._snapshots.listed() if self._snapshots is not None else ()

    def load_snapshot_chunk(self, request: LoadSnapshotChunk) -> bytes:
        """Empty: there is none."""
        return b"" if self._snapshots is None else self._snapshots.chunk(request.height, request.format, request.chunk)

    def offer_snapshot(self, request: OfferSnapshot) -> int:
        """Of a node that joins: the verdict on a snapshot."""
        with self._lock:
            info = self._machine.info
            if self._joining is None or info.version and self._records.oldest() != info.height:
                told(
                    log, "this node cannot join by a snapshot: its state has blocks; with CometBFT's data the home has to be made anew",
                    logging.ERROR, height=info.height,
                )
                return ABORT
            return self._joining.joiner.offer(request, self._machine.identity, info.tree, info.genesis_root)

    def apply_snapshot_chunk(self, request: ApplySnapshotChunk) -> ChunkVerdict:
        """After the last one the state is the snapshot's, and the chain goes on from there."""
        with self._lock:
            if self._joining is None:
                return ChunkVerdict(ABORT)
            verdict = self._joining.joiner.apply(request.index, request.chunk, request.sender)
            if (joined := self._joining.joiner.joined) is not None:
                self._records.begin(joined.height, joined.consensus)
                self._machine.close()
                self._joining.joiner.put_in_place()
                self._machine = self._joining.open_machine()
                self._begin_anew()
                told(log, "joined", height=joined.height, app_hash=self._app_hash())
            return verdict

    def _reading(self, ask: Callable[[ExecutionMachine], _Answer]) -> _Answer:
        """What is asked of the machine there is: another one takes its place when this node has joined by a snapshot."""
        machine = self._machine
        try:
            return ask(machine)
        except MachineClosed:
            with self._lock:
                if self._machine is machine:
                    raise
                return ask(self._machine)

    def _simulated(self, tx: bytes) -> Answer:
        """The result as FinalizeBlock would have it, in the next block and now."""
        height = self._machine.info.height
        try:
            if not self._simulates:
                raise InputError("this node does not simulate transactions (engine.simulate)")
            result = self.simulate(Proposal(0, (tx,), None, (), height + 1, Moment.of(time_ns())))
        except MachineClosed:
            raise
        except Error as error:
            return Answer(queries.NOT_ANSWERED, str(error), height=height, codespace=CODESPACE)
        return Answer(value=encode(check_result(result.receipts[0])), height=height)

    def wait_for_edge(self, seconds: float) -> bool:
        """Until no block is decided and not committed; at most so long."""
        with self._edge:
            return self._edge.wait_for(lambda: self._decided is None, seconds)

    @property
    def closed(self) -> bool:
        return self._machine.closed

    @property
    def machine_info(self) -> StateInfo:
        return self._reading(lambda machine: machine.info)

    @property
    def snapshots(self) -> Snapshots | None:
        return self._snapshots

    @property
    def pending(self) -> int:
        """How many transactions wait for a block; 0 where the VM checks none."""
        return len(self._pool)

    @property
    def footprint(self) -> dict[str, int]:
        """As the machine's, for monitors."""
        return self._machine.footprint

    @property
    def worker_pids(self) -> tuple[int, ...]:
        return self._machine.worker_pids

    def close(self) -> None:
        """After the call that is going on. Calls to come raise MachineClosed."""
        if self._snapshots is not None:
            self._snapshots.close()
        with self._lock:
            if self._joining is not None:
                self._joining.joiner.close()
            self._machine.close()
            self._records.close()

    def _executed(self, block: Block) -> Candidate:
        """Raises Refused, or what executing it raises."""
        before = self._consensus
        if self._halt_height and block.height > self._halt_height:
            raise MachineClosed(f"this node halts at height {self._halt_height}")
        if before is None:
            raise Refused(f"the block of height {block.height} came before the chain has begun (InitChain)")
        if block.height != (next_one := self._machine.info.height + 1):
            raise Refused(f"the block has height {block.height}, and the next one of this chain is {next_one}")
        try:
            header = header_of(block)
            result = self._as_prepared(block, header) or self._machine.execute(block.txs, header, record=self._record)
        except (VMError, VMMismatch):
            raise
        except (InputError, LimitExceeded) as error:
            raise Refused(str(error)) from error
        try:
            after = before.after(result.updates, block.height)
        except InputError as error:
            raise Refused(str(error)) from error
        return Candidate(block, result, after, app_hash(result.state_root, after.encode()), changed_params(before, after))

    def _as_prepared(self, block: Block, header: BlockHeader) -> BlockResult | None:
        """What this node proposed itself, and executed for that: the same block but for its hash, which no VM sees."""
        prepared = self._prepared
        if prepared is None or prepared.header != replace(header, block_id=b"") or prepared.txs != list(block.txs):
            return None
        return replace(prepared, header=header)

    def _remember(self, candidate: Candidate) -> None:
        while len(self._candidates) >= CANDIDATES_MOST:
            del self._candidates[next(iter(self._candidates))]
        self._candidates[candidate.block.hash] = candidate

    def _app_hash(self) -> bytes:
        assert self._consensus is not None
        return app_hash(self._machine.root, self._consensus.encode())

    def _recorded(self) -> Consensus | None:
        info = self._machine.info
        found = self._records.at(info.height)
        if found is None and info.version > 0:
            raise StateError(
                f"the state is at height {info.height}, and what the consensus was set to there is not recorded: state and consensus.db "
                "belong together; restore both"
            )
        if found is not None and found.chain_id != info.chain_id:
            raise StateError(f"the state is of the chain {info.chain_id!r}, and what is recorded beside it of {found.chain_id!r}")
        return found

    def _check_halt(self) -> None:
        info = self._machine.info
        if info.version and 0 < self._halt_height <= info.height:
            raise InputError(
                f"engine.halt_height is {self._halt_height}, and the state is at height {info.height}: this node has halted. To go on give a "
                "height above that, or 0"
            )

    def _check_genesis(self, app_state: bytes, payments: bool) -> None:
        if app_state.strip() in (b"", b"{}", b"null", b'""'):
            return
        told_by = "the app_state of CometBFT's genesis"
        given = read_genesis(io.BytesIO(app_state), told_by, accounts=payments)
        if given != dict(self._machine.scan()):
            raise InputError(
                f"{told_by} is not the genesis that this home was made from: leave it out, or make the home anew with "
                "node init --genesis and what is in it"
            )
