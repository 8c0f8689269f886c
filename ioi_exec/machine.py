"""ExecutionMachine: a state and a virtual machine; blocks in, roots out."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import perf_counter
from types import TracebackType
from typing import Callable, Iterable, Iterator

import ioi_storage
from ioi_storage import RangeProof, Writes

from ioi_exec import arguments
from ioi_exec.block.header import BlockHeader, hash_of
from ioi_exec.block.preparation import (
    Genesis,
    block_context,
    checked_chain_id,
    checked_genesis,
    checked_hints,
    checked_initial_height,
    checked_limits,
    checked_transactions,
    decided_header,
)
from ioi_exec.block.progress import OnProgress
from ioi_exec.block.receipt import Receipt
from ioi_exec.block.receipt_proof import ReceiptProof, prove_receipt
from ioi_exec.block.result import BlockResult
from ioi_exec.errors import (
    InputError,
    InputTypeError,
    MachineBusy,
    ReadOnly,
    StaleResult,
    VersionMissing,
    VMError,
)
from ioi_exec.execution import asking
from ioi_exec.execution.executor import Block, OnReceipt
from ioi_exec.execution.executors import Executors, checked_executors
from ioi_exec.execution.signals import of_a_handler
from ioi_exec.gas import GasSchedule
from ioi_exec.guard import Guard
from ioi_exec.limits import Limits
from ioi_exec.policy import Policy
from ioi_exec.state.base import CommittedState, memory_errors, storage_errors
from ioi_exec.state.cache import CommittedCache
from ioi_exec.state.given import remember, vm_given_for
from ioi_exec.state.heights import row_at_height
from ioi_exec.state.identity import Identity
from ioi_exec.state.info import StateInfo
from ioi_exec.state.kept import (
    KeptBlock,
    KeptTransaction,
    body_of,
    kept_block,
    kept_transactions,
)
from ioi_exec.state.opening import (
    StatePath,
    accepted,
    checked_keep,
    checked_policy,
    checked_workers,
    reopened,
)
from ioi_exec.state.past import PastState, Version
from ioi_exec.state.ranges import key_range, scan_limit
from ioi_exec.state.staging import Staging
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import Args, LoadedVM, load_vm
from ioi_exec.vm.payments import check_genesis


class ExecutionMachine:
    """Executes blocks on a state and commits them. One thread at a time; close it, or use `with`.

    `execute` stages a block: nothing is durable before `commit`. Several blocks may be staged on the same state;
    when one is committed the others can no longer be. Every error is an ioi_exec.Error and leaves the committed
    state as it was; what `on_receipt` and `on_progress` raise passes through unchanged, as do KeyboardInterrupt and what an iterable
    that was handed in raises. A call with too few arguments, or ones that there are not, is Python's own TypeError.
    """

    def __init__(
        self, store: ioi_storage.Store, identity: Identity, vm: LoadedVM | None, limits: Limits, workers: int, pin: bool,
        executors: Executors, policy: Policy, accept_interpreter: bool = False,
        cross_check: bool = False, receipts: bool = False,
    ) -> None:
        """Use `create` or `open`."""
        self._store = store
        # The store, and on top of it the overlay of each sandbox that is open.
        self._layers: list[ioi_storage.Store | ioi_storage.OverlayStore] = [store]
        self._identity = identity
        self._vm = vm
        self._limits = limits
        self._workers = workers
        self._pin = pin
        self._executors = executors
        self._policy = policy
        self._accept_interpreter = accept_interpreter
        self._cross_check = cross_check
        self._receipts = receipts
        self._staging = Staging(workers)
        self._cache = CommittedCache(limits.cache_bytes)
        self._guard = Guard()
        self._pending: asking.Pending | None = None

    @classmethod
    def create(
        cls,
        path: StatePath | None,
        vm: str | type | object = "payments",
        tree: str = "jellyfish",
        genesis: Genesis | None = None,
        *,
        vm_args: Args | None = None,
        chain_id: str | None = None,
        initial_height: int = 1,
        workers: int | None = None,
        pin: bool = True,
        limits: Limits | None = None,
        executors: Executors | None = None,
        keep: int | None = None,
        policy: Policy | None = None,
        cross_check: bool = False,
        receipts: bool = False,
        gas: GasSchedule | None = None,
    ) -> ExecutionMachine:
        """Create a state, durable at version 0 on return. path None: in memory.

        If there is one already that is at version 0 with the same genesis, VM, chain, tree and initial height, it is opened.
        vm: a name ("payments"), "package.module:Class", a class, or an instance. vm_args: for the class, as JSON has them.
        chain_id: which chain this is, printable text of at most 50 bytes, or None. The state remembers it; `ctx.chain_id` and the second
        argument of `decode` are it, so that transactions can be signed for this chain alone.
        workers: processes; None: one per core this process may use; 0: none, one by one in this process.
        pin: keep each worker on a core of its own, if so many are free of other engines; else, and with False, they run wherever
        this process may. executors: where blocks are executed, to share workers with other machines; default: workers of its own.
        keep: how many of the newest versions stay readable; older ones are pruned beside the blocks to come. None: all of them.
        policy: how workers go about blocks; a matter of speed alone. None: Policy.named("default"). cross_check: execute every transaction of a VM in Python again,
        in processes forked for it (some 10 ms each), and refuse a block whose VM is not deterministic: Diverged.
        receipts: keep the transactions and receipts of every block to come as long as its version, for `receipts` and `transaction`;
        the state remembers it. They are part of no root and no snapshot.
        gas: what transactions cost, and how much they and a block may use; None: nothing is metered. The state remembers it.
        Raises StateExists, StateInUse, VMError, InputError, ResourceError.
        """
        path = None if path is None else arguments.path("path", path)
        arguments.text("tree", tree)
        limits = checked_limits(Limits() if limits is None else limits)
        limits = limits if gas is None else replace(limits, gas=gas)
        keep, executors = checked_keep(keep), checked_executors(executors)
        for name, value in (("pin", pin), ("cross_check", cross_check), ("receipts", receipts)):
            arguments.flag(name, value)
        initial_height = checked_initial_height(initial_height)
        loaded = replace(load_vm(vm, vm_args), chain_id=checked_chain_id(chain_id))
        identity = Identity(
            loaded.spec, initial_height, limits.consensus(), Interpreter.here(loaded), loaded.chain_id, receipts, limits.gas
        )
        workers, policy = checked_workers(workers), checked_policy(policy)
        items = checked_genesis(genesis, limits)
        if loaded.spec.name == "payments":
            check_genesis(items)
        with storage_errors():
            try:
                store = ioi_storage.Store.create(
                    path, tree=tree, meta=identity.to_meta(), genesis=items, height=initial_height - 1
                )
            except ioi_storage.StateExists as error:
                if path is None or not error.is_state:
                    raise
                store = reopened(path, tree, identity, items)
        if store.path is not None:
            remember(store.path, loaded.spec)
        store.keep = keep
        return cls(store, identity, loaded, limits, workers, pin, executors, policy, cross_check=cross_check, receipts=receipts)

    @classmethod
    def open(
        cls,
        path: StatePath,
        *,
        vm: str | type | object | None = None,
        vm_args: Args | None = None,
        read_only: bool = False,
        workers: int | None = None,
        pin: bool = True,
        limits: Limits | None = None,
        executors: Executors | None = None,
        keep: int | None = None,
        policy: Policy | None = None,
        accept_interpreter: bool = False,
        cross_check: bool = False,
        receipts: bool | None = None,
    ) -> ExecutionMachine:
        """Open a state. It says what its tree and VM are, but a VM that is not built in is taken from the operator alone: vm, or
        what this process gave for this path before, or what ioi-exec was given for it (`init`, `--vm`). Reading needs no VM.

        read_only: works beside a live engine; blocks can be executed, each on one committed state, but not committed (outside a
        sandbox).
        limits: those that can decide a receipt are the state's; one that is set here and differs is an InputError. keep, policy,
        cross_check: as for `create`. receipts: whether blocks that are committed here are kept with theirs; None: what the state remembers.
        accept_interpreter: execute though another Python, or other versions of what the VM depends on, executed so far; from then on
        the state records these.
        Raises StateMissing, StateInUse, StateCorrupt, VMMismatch, VMError, InputError, ResourceError.
        """
        path = arguments.path("path", path)
        workers, keep, policy = checked_workers(workers), checked_keep(keep), checked_policy(policy)
        executors, limits = checked_executors(executors), checked_limits(Limits() if limits is None else limits)
        flags = {"read_only": read_only, "pin": pin, "accept_interpreter": accept_interpreter, "cross_check": cross_check}
        for name, value in flags.items():
            arguments.flag(name, value)
        if receipts is not None:
            arguments.flag("receipts", receipts)
        with storage_errors():
            store = ioi_storage.Store.open(path, read_only=read_only)
        try:
            identity = Identity.from_meta(store.meta)
            limits = checked_limits(limits.of_state(identity.limits, identity.gas))
            loaded = None
            if vm is not None:
                loaded = replace(load_vm(vm, vm_args), chain_id=identity.chain_id)
                identity.vm.check_same(loaded.spec)
                remember(path, loaded.spec)
            elif vm_args is not None:
                raise InputError("vm_args was given without vm: the state remembers both, give neither or both")
            elif not read_only:
                loaded = replace(vm_given_for(store.path, identity.vm), chain_id=identity.chain_id)
            if loaded is not None:
                identity = accepted(store, identity, loaded, accept_interpreter)
            store.keep = keep
            return cls(
                store, identity, loaded, limits, workers, pin, executors, policy, accept_interpreter, cross_check,
                identity.receipts if receipts is None else receipts,
            )
        except BaseException:
            store.close()
            raise

    def execute(
        self,
        txs: Iterable[bytes],
        header: BlockHeader | None = None,
        on_receipt: OnReceipt | None = None,
        *,
        sequential: bool = False,
        policy: Policy | None = None,
        record: bool = False,
        on_progress: OnProgress | None = None,
        hints: Iterable[Iterable[bytes]] | None = None,
    ) -> BlockResult:
        """Execute a block on the committed state and stage it.

        header: default BlockHeader(). Heights only rise: the first block's is the initial height or a higher one, each other's one more
        than that of the block before, which is also the default.
        on_receipt(index, receipt): in order, in this thread, exactly once a transaction. It may read the machine.
        sequential: one by one. A VM in Python then executes in a worker process of its own, as it does in parallel; in this process
        only on a machine with workers=0.
        policy: for this block; None: the machine's.
        record: keep what every worker did and when, and what every transaction read and wrote, as `result.record`. It costs
        about 0.1 us a transaction while the block runs, which made native payments in one worker take 1.15 to 1.3 times as
        long and is lost in the noise for a VM in Python of 10 us or more; 0.1 to 1 us a transaction afterwards, to take it
        out; and some 150 bytes of shared memory. `python -m tools.bench record` measures it. Off, some 20 instructions.
        InputError where there are no workers.
        hints: for each transaction the keys that it will likely touch (a block access list), which are fetched together before workers begin.
        A matter of speed alone: those that are wrong cost a read, and none is needed.
        on_progress(progress): about every 50 ms in this thread, and once at the end. What it raises stops the block.
        Raises InputTypeError, InputError or LimitExceeded before anything executes; VMFault; ResourceError.
        """
        for name, callback in (("on_receipt", on_receipt), ("on_progress", on_progress)):
            arguments.function(f"execute: {name}", callback)
        for name, value in (("sequential", sequential), ("record", record)):
            arguments.flag(f"execute: {name}", value)
        with memory_errors(of_a_handler), self._guard.alone("execute"), ExitStack() as view:
            began = perf_counter()
            store = self._layers[-1]
            with storage_errors():
                view.enter_context(store.pinned())  # what is read here is of one moment, whoever writes beside
                stand, committed = store.stand, store.latest.height
            if record and (sequential or self._workers == 0):
                raise InputError(
                    "record: only what worker processes do can be recorded: execute without sequential, on a machine with "
                    "workers=1 or more"
                )
            listed = checked_transactions(txs, self._limits)
            header = decided_header(header, committed, first=stand.version == 0)
            context = block_context(header, stand.root, self._identity.chain_id)
            block = Block(listed, context, checked_policy(policy, self._policy), record, checked_hints(hints))
            vm = self._loaded_vm()
            executor = self._executors.get(
                vm, self._limits, self._workers, self._pin, sequential=sequential, cross_check=self._cross_check
            )
            prepared = perf_counter()
            outcome = executor.run(block, CommittedState(self._layers, self._cache), on_receipt, on_progress)
            executed = perf_counter()
            if self._limits.gas is not None and self._limits.gas.block_limit is not None:
                self._limits.gas.check_block(receipt.gas_used for receipt in outcome.receipts)
            with storage_errors():
                writes = Writes.of(outcome.writes)
                staged, threads = self._staging.stage(store, writes, sequential)
            if staged.parent != stand:
                raise StaleResult(f"{stand.moved_to(staged.parent)} while the block was executed: execute it again")
            staged_at = perf_counter()
            receipts_root = outcome.receipts.root()
            ended = perf_counter()
            seconds = {"prepare": prepared - began, **outcome.stats.seconds}
            seconds.update(stage=staged_at - executed, receipts=ended - staged_at, total=ended - began)
            outcome.stats.seconds = seconds
            outcome.stats.stage_threads = threads
            return BlockResult(
                staged.version, header, staged.root, receipts_root, outcome.receipts, outcome.receipts.failed,
                listed, writes, outcome.stats, outcome.measured, store, staged, outcome.record, outcome.end,
            )

    def commit(self, result: BlockResult) -> int:
        """Make a staged block durable and return its version. Raises StaleResult, ReadOnly, ResourceError."""
        if not isinstance(result, BlockResult):
            raise InputTypeError(f"commit takes what execute returned, not {type(result).__name__}")
        with memory_errors(), self._guard.alone("commit"):
            store = self._layers[-1]
            if result.layer is not store:
                raise StaleResult("the result was staged by another machine or in another sandbox: execute the block here")
            if store is self._store and self._store.read_only:
                raise ReadOnly("the machine was opened read-only: open it without read_only to commit, or use a sandbox")
            with storage_errors():
                version = store.commit(
                    result.staged,
                    receipts_root=result.receipts_root,
                    height=result.height,
                    header=result.header.encode(hash_of(result.txs)),
                    transactions=result.transactions,
                    failed=result.failed,
                    body=body_of(result.txs, result.receipts) if self._receipts else None,
                )
                if store is self._store:
                    self._cache.committed(result.staged.parent, store.stand, result.staged.changes)
                return version

    def get(self, key: bytes, version: Version | None = None) -> bytes | None:
        """The committed value, now or at an earlier version; None if absent. Raises VersionMissing."""
        arguments.octets("get: the key", key)
        with self._guard.reading("get"), storage_errors():
            if version is None:
                return self._layers[-1].get(key) if 0 < len(key) <= ioi_storage.key_limit else None
            with self._layers[-1].pinned():
                row = self._row_of(version)
                return self._layers[-1].get(key, row) if 0 < len(key) <= ioi_storage.key_limit else None

    def query(self, path: str, data: bytes = b"") -> Receipt:
        """What the VM's `query(path, data, state)` says of the newest committed state, in this process: its answer is the receipt's
        output, or why there is none its error. What it writes is gone. Raises VMError if the VM has no such method."""
        arguments.text("query: the path", path)
        arguments.octets("query: the data", data)
        with self._guard.reading("query"), self.pinned():
            vm = self._asked_vm("query")
            return asking.query(vm, self._limits, CommittedState(self._layers), path, data)

    def check(self, tx: bytes) -> Receipt:
        """Whether a transaction may wait for a block: what the VM's `check(tx, state, ctx)`, or `ante` if there is none, says of it in this
        process, on the newest committed state and what the transactions before it wrote that were let in since. Nothing of it is kept
        beyond the next commit. Raises VMError if the VM has neither."""
        arguments.octets("check: the transaction", tx)
        with self._guard.alone("check"), self.pinned():
            vm = self._asked_vm("check")
            stand = self._layers[-1].stand
            pending = self._pending
            if pending is None or pending.stand != (stand, len(self._layers)):
                header = BlockHeader(height=self._layers[-1].latest.height + 1)
                context = block_context(header, stand.root, self._identity.chain_id)
                base = CommittedState(tuple(self._layers))
                pending = self._pending = asking.Pending(vm, self._limits, base, context, (stand, len(self._layers)))
            return pending.check(checked_transactions([tx], self._limits)[0])

    def _asked_vm(self, what: str) -> LoadedVM:
        vm = self._loaded_vm()
        if not (vm.query if what == "query" else vm.check or vm.ante):
            wanted = "query(path, data, state)" if what == "query" else "check(tx, state, ctx), nor ante(tx, state, ctx)"
            raise VMError(f"{what}: the VM {vm.spec.name} has no method {wanted}")
        return vm

    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        version: Version | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """The committed (key, value) pairs in key order, `end` exclusive; the same rules as in a VM.

        version: None is the newest; on Jellyfish, which sorts by the hashes of keys, an earlier one is an InputError."""
        start, end, limit = *key_range(start, end, prefix), scan_limit(limit)
        arguments.flag("scan: reverse", reverse)
        with self._guard.reading("scan"), self.pinned():
            row = None if version is None else self._row_of(version)
            items = self._layers[-1].scan(start, end, reverse=reverse, limit=limit, version=row)
        return _scanning(items)

    def prove(self, *keys: bytes, version: Version | None = None) -> bytes:
        """The proof of what every one of `keys` is in a version (None: the newest), its value or absent.

        `ioi_storage.verify` verifies it against the state root, without a state. Raises VersionMissing, InputError."""
        for key in keys:
            arguments.octets("prove: the key", key)
        if not keys:
            raise InputError("prove: give at least one key")
        with self._proving(version) as (layer, row):
            return layer.prove(keys, row)

    def prove_ics23(self, key: bytes, version: Version | None = None) -> bytes:
        """The same of one key as an ICS23 CommitmentProof, for `ioi_storage.verify_ics23` and every ics23 library, with
        `ioi_storage.ics23.spec(tree)`. InputError also where ics23 cannot prove it: an empty value, or next to one."""
        arguments.octets("prove_ics23: the key", key)
        with self._proving(version) as (layer, row):
            return layer.prove_ics23(key, row)

    def prove_range(
        self, start: bytes | None = None, end: bytes | None = None, *, version: Version | None = None, limit: int | None = None
    ) -> RangeProof:
        """All pairs from `start` to `end` (exclusive; None: no bound), and the proof that there are no others.

        The order is the tree's: on IAVL that of keys; on Jellyfish that of key hashes, which start and end then are
        (32 bytes). limit: at most so many pairs; `end` of the result says where it stopped."""
        for name, bound in (("start", start), ("end", end)):
            if bound is not None:
                arguments.octets(f"prove_range: {name}", bound)
        if limit is not None:
            limit = arguments.integer("prove_range: limit", limit, 1, give="an integer, 1 or more, or None")
        with self._proving(version) as (layer, row):
            return layer.prove_range(start, end, version=row, limit=limit)

    @contextmanager
    def _proving(self, version: Version | None) -> Iterator[tuple[ioi_storage.State, ioi_storage.VersionRow | None]]:
        with self._guard.reading("prove"), self.pinned():
            row = None if version is None else self._row_of(version)
            try:
                yield self._layers[-1], row
            except ValueError as error:
                raise InputError(f"prove: {error}") from None

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """`with machine.pinned():` all that is read inside is of one moment, whatever a live engine beside commits, prunes or
        rolls back meanwhile. Only a machine that was opened read-only needs it. Scans begun inside end inside."""
        with self._guard.reading("pinned"):
            layer = self._layers[-1]
        with storage_errors(), layer.pinned():
            yield

    def at(self, version: int) -> PastState:
        """A read-only view of a committed version. Raises VersionMissing."""
        with self._guard.reading("at"), self.pinned():
            return PastState(self, self._row_of(version))

    def at_height(self, height: int) -> PastState:
        """A read-only view of the version that the block of this height made. Raises VersionMissing."""
        height = arguments.integer("at_height: the height", height, 0)
        with self._guard.reading("at_height"), self.pinned():
            return PastState(self, row_at_height(self._layers[-1], height))

    def receipts(self, version: Version | None = None) -> KeptBlock:
        """The transactions and receipts of a version (None: the newest), if it was committed with them. Raises VersionMissing."""
        with self._guard.reading("receipts"), self.pinned():
            return kept_block(self._layers[-1], self._layers[-1].latest if version is None else self._row_of(version))

    def transaction(self, digest: bytes) -> list[KeptTransaction]:
        """The transaction with this SHA-256, once for every time that it is in a kept block with receipts, the oldest first."""
        if len(arguments.octets("transaction: the hash", digest)) != 32:
            raise InputError(f"transaction: the hash has {len(digest)} bytes: give the SHA-256 of a transaction, which has 32")
        with self._guard.reading("transaction"), self.pinned():
            return kept_transactions(self._layers[-1], digest)

    def prove_receipt(self, version: Version, index: int) -> ReceiptProof:
        """The proof that the receipt of transaction `index` is in the block of a version, for `ioi_exec.verify_receipt` and the
        receipts root. Raises VersionMissing, InputError."""
        index, receipts = arguments.integer("prove_receipt: the index", index, 0), self.receipts(version).receipts
        if index >= len(receipts):
            raise InputError(f"prove_receipt: there is no transaction {arguments.shown(index)}: the block has {len(receipts)}")
        return prove_receipt(receipts, index)

    def info_at(self, version: Version) -> StateInfo:
        """`info` as it was at a version. Raises VersionMissing."""
        with self._guard.reading("info_at"), self.pinned():
            return self._info_of(self._row_of(version))

    def _info_of(self, row: ioi_storage.VersionRow) -> StateInfo:
        return StateInfo.of(self._store.tree, self._store.genesis_root, self._identity, self._layers[-1].oldest, row)

    def _row_of(self, version: Version) -> ioi_storage.VersionRow:
        """What is recorded of a version, in the view that is pinned. Raises InputTypeError, VersionMissing."""
        layer = self._layers[-1]
        number = version.version if isinstance(version, ioi_storage.VersionRow) else version
        if not isinstance(number, int) or isinstance(number, bool):
            number = version = arguments.integer("the version", number, 0)
        if not 0 <= number <= layer.version:
            raise VersionMissing(
                f"there is no version {arguments.shown(number)}: the state has versions {layer.oldest} to {layer.version}"
            )
        return layer.found(version)

    def prune(self, keep: int, progress: Callable[[int], None] | None = None) -> int:
        """Keep the newest `keep` versions, delete what only older ones needed, and return how many rows went.

        progress(rows deleted so far) may raise to stop: what is left goes with the next prune. The newest version, and
        every kept one, stays exactly as it is. Raises InputError, ReadOnly, ResourceError."""
        keep = arguments.integer("prune: keep", keep, 1)
        arguments.function("prune: progress", progress)
        with self._changing("prune") as store, storage_errors():
            return store.prune(keep, progress)

    def rollback(self, version: int) -> None:
        """Go back to a kept version, as if the later ones had never been. Staged results no longer fit.

        Not undone by an interruption: the next `open` finishes it. Raises VersionMissing, ReadOnly, ResourceError."""
        if not isinstance(version, int) or isinstance(version, bool):
            version = arguments.integer("rollback: the version", version, 0)
        with self._changing("rollback") as store, storage_errors():
            store.rollback(self._row_of(version).version)

    @contextmanager
    def _changing(self, what: str) -> Iterator[ioi_storage.Store]:
        """The store, for what changes more than a commit does."""
        with self._guard.alone(what):
            if len(self._layers) > 1:
                raise MachineBusy(f"{what} was called in a sandbox: leave it first")
            if self._store.read_only:
                raise ReadOnly(f"the machine was opened read-only: open it without read_only to {what}")
            yield self._store

    @contextmanager
    def sandbox(self) -> Iterator[ExecutionMachine]:
        """`with machine.sandbox():` what is staged and committed inside vanishes on leaving. They may be nested."""
        with self._guard.alone("sandbox"), storage_errors():
            overlay = self._layers[-1].overlay()
            self._layers.append(overlay)
        try:
            yield self
        finally:
            if overlay in self._layers:  # else the machine was closed inside
                if self._layers[-1] is not overlay:
                    raise MachineBusy("sandboxes end in the reverse order of their beginning")
                with self._guard.alone("leaving a sandbox"), storage_errors():
                    self._layers.pop().close()

    def close(self) -> None:
        """End the workers and close the state. Twice is no error. Staged results are dropped."""
        if self._guard.closed:
            return
        with self._guard.alone("close"):
            self._guard.closed = True
            with ExitStack() as ending:  # each step also where one before it fails; from the last to the first
                ending.enter_context(storage_errors())
                ending.callback(self._layers.clear)
                for layer in self._layers:
                    ending.callback(layer.close)
                ending.callback(self._cache.close)
                ending.callback(self._executors.release)
                ending.callback(self._staging.close)

    def __enter__(self) -> ExecutionMachine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def version(self) -> int:
        """Committed blocks since genesis."""
        with self._guard.reading("version"), storage_errors():
            return self._layers[-1].version

    @property
    def upkeep(self) -> dict[str, int]:
        """How the state's file stands: file_bytes, free_bytes and reserve_bytes of it, lagging_versions, waiting_rows; as
        `ioi_storage.Store.upkeep` has it."""
        with self._guard.reading("upkeep"), storage_errors():
            return self._store.upkeep()

    @property
    def oldest(self) -> int:
        """The oldest version that can still be read."""
        with self._guard.reading("oldest"), storage_errors():
            return self._layers[-1].oldest

    @property
    def root(self) -> bytes:
        """The state root of the current version, 32 bytes."""
        with self._guard.reading("root"), storage_errors():
            return self._layers[-1].root

    @property
    def info(self) -> StateInfo:
        """What is remembered about the state and its current version."""
        with self._guard.reading("info"), self.pinned():
            return self._info_of(self._layers[-1].latest)

    @property
    def workers(self) -> int:
        """Worker processes; 0: blocks are executed one by one in this process."""
        return self._workers

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The worker processes there are now: none before the first block needs them, others after one has died.

        For monitors, which may ask from any thread while a block executes; a moment later it may be out of date."""
        return self._executors.worker_pids

    @property
    def footprint(self) -> dict[str, int]:
        """Bytes of memory that the engine takes now. "processes": this one and the workers, what they share counted once, the map of
        the state's file included. Of that in shared memory, at most as `Limits` says: "arena", for a block, and "cache", committed
        values across blocks; "arena_most" (what is free, where there is no limit) and "cache_most".

        For monitors, as `worker_pids` is; it costs a millisecond a process."""
        from ioi_shm.memory import free_memory

        from ioi_exec.footprint import memory_bytes

        arena, most = self._executors.arena_bytes, self._limits.arena_bytes
        return {
            "processes": memory_bytes((None, *self.worker_pids)),
            "arena": arena,
            "arena_most": max(arena, arena + free_memory()) if most is None else most,
            "cache": self._cache.bytes_taken,
            "cache_most": self._limits.cache_bytes,
        }

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def policy(self) -> Policy:
        """How workers go about blocks, unless `execute` is told otherwise."""
        return self._policy

    @property
    def read_only(self) -> bool:
        with self._guard.reading("read_only"):
            return self._store.read_only

    @property
    def closed(self) -> bool:
        return self._guard.closed

    def _loaded_vm(self) -> LoadedVM:
        if self._vm is None:
            loaded = replace(vm_given_for(self._store.path, self._identity.vm), chain_id=self._identity.chain_id)
            self._identity = accepted(self._store, self._identity, loaded, self._accept_interpreter)
            self._vm = loaded
        return self._vm


def _scanning(items: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    with storage_errors():
        yield from items
