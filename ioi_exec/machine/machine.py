"""The machine as programs see it: made or opened, changed as a whole, watched and closed."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Callable, Iterator

import ioi_storage

from ioi_exec import arguments
from ioi_exec.block.preparation import (
    Genesis,
    checked_chain_id,
    checked_genesis,
    checked_initial_height,
    checked_limits,
)
from ioi_exec.errors import (
    InputError,
    MachineBusy,
    ReadOnly,
)
from ioi_exec.execution.executors import Executors, checked_executors
from ioi_exec.gas import GasSchedule
from ioi_exec.limits import Limits
from ioi_exec.machine.blocks import Blocks
from ioi_exec.machine.reading import row_of
from ioi_exec.policy import Policy
from ioi_exec.state.base import storage_errors
from ioi_exec.state.given import remember
from ioi_exec.state.identity import Identity
from ioi_exec.state.opening import (
    Accept,
    StatePath,
    accepted,
    checked_keep,
    checked_policy,
    checked_upgrade,
    checked_workers,
    of_state,
    reopened,
)
from ioi_exec.vm.fingerprint import fingerprint
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import Args, load_vm
from ioi_exec.vm.payments import check_genesis


class ExecutionMachine(Blocks):
    """Executes blocks on a state and commits them, in one thread at a time; others may read it meanwhile. Close it, or use `with`.

    `execute` stages a block: nothing is durable before `commit`. Several blocks may be staged on the same state;
    when one is committed the others can no longer be. Every error is an ioi_exec.Error and leaves the committed
    state as it was; what `on_receipt` and `on_progress` raise passes through unchanged, as do KeyboardInterrupt and what an iterable
    that was handed in raises. A call with too few arguments, or ones that there are not, is Python's own TypeError.
    """

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
            loaded.spec, initial_height, limits.consensus(), Interpreter.here(loaded), loaded.chain_id, receipts, limits.gas, (),
            fingerprint(loaded),
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
        return cls(store, identity, {0: loaded}, limits, workers, pin, executors, policy, Accept(), cross_check, receipts)

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
        accept_vm: bool = False,
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
        the state records these. accept_vm: the same where the VM's code is another one, and its version is not.
        Raises StateMissing, StateInUse, StateCorrupt, VMMismatch, VMError, InputError, ResourceError.
        """
        path = arguments.path("path", path)
        workers, keep, policy = checked_workers(workers), checked_keep(keep), checked_policy(policy)
        executors, limits = checked_executors(executors), checked_limits(Limits() if limits is None else limits)
        flags = {"read_only": read_only, "pin": pin, "accept_interpreter": accept_interpreter, "cross_check": cross_check}
        flags["accept_vm"], accept = accept_vm, Accept(accept_interpreter, accept_vm)
        for name, value in flags.items():
            arguments.flag(name, value)
        if receipts is not None:
            arguments.flag("receipts", receipts)
        with storage_errors():
            store = ioi_storage.Store.open(path, read_only=read_only)
        try:
            identity = Identity.from_meta(store.meta)
            limits = checked_limits(limits.of_state(identity.limits, identity.gas))
            vms = {}
            with storage_errors():
                height = store.latest.height + 1
            if vm is not None:
                loaded = load_vm(vm, vm_args)
                index = identity.index_of(loaded.spec, height)
                vms[index] = of_state(loaded, identity, index)
                identity = accepted(store, identity, index, vms[index], accept)
                remember(path, loaded.spec)
            elif vm_args is not None:
                raise InputError("vm_args was given without vm: the state remembers both, give neither or both")
            store.keep = keep
            machine = cls(
                store, identity, vms, limits, workers, pin, executors, policy, accept, cross_check,
                identity.receipts if receipts is None else receipts,
            )
            if not read_only:
                machine._loaded_vm(height)
            return machine
        except BaseException:
            store.close()
            raise

    def upgrade(self, vm: str | type | object, *, at_height: int, vm_args: Args | None = None, accept_vm: bool = False) -> None:
        """Let another VM take over with the block of this height, which must not be committed yet; durable on return. An upgrade that
        is pending is replaced. That block begins with `migrate(state, ctx, from_version)` of the new VM, if it has it.

        vm, vm_args: as for `create`. accept_vm: also one that has the name, arguments and version of the VM before it. After a rollback to
        below its height an upgrade is pending again. Raises InputError, VMError, ReadOnly, ResourceError."""
        at_height = arguments.integer("upgrade: at_height", at_height, 1, arguments.MAX_INT64)
        arguments.flag("upgrade: accept_vm", accept_vm)
        loaded = load_vm(vm, vm_args)
        with self._changing("upgrade") as store, storage_errors():
            committed = store.latest.height
            identity = checked_upgrade(self._known(), loaded, at_height, committed, accept_vm)
            store.set_meta(identity.to_meta())
            index = len(identity.upgrades)
            self._vms[index] = of_state(loaded, self._known(), index)
            if store.path is not None:
                remember(store.path, loaded.spec)

    def reload(self, vm: str | type | object, *, vm_args: Args | None = None) -> None:
        """Execute from the next block on with this code of the VM: for whoever is writing it. One of the same name, arguments and version takes
        its place, and what the state records of its code and interpreter is this one's; any other upgrades at that block, which begins with its
        `migrate`. Nodes that agree on a chain upgrade at a height instead. Raises VMError, ReadOnly, ResourceError."""
        loaded = load_vm(vm, vm_args)
        with self._changing("reload") as store, self._loading, storage_errors():
            identity, committed = self._known(), store.latest.height
            index = identity.index_at(committed + 1)
            if identity.vms[index].vm.is_same(loaded.spec):
                identity = accepted(store, identity, index, loaded, Accept(interpreter=True, vm=True))
            else:
                identity = checked_upgrade(identity, loaded, committed + 1, committed, True)
                store.set_meta(identity.to_meta())
                index = len(identity.upgrades)
            self._vms[index] = of_state(loaded, self._known(), index)
            self._checks = None

    def cancel_upgrade(self) -> None:
        """Forget the upgrade that is pending; durable on return. Raises InputError if there is none, ReadOnly, ResourceError."""
        with self._changing("cancel_upgrade") as store, storage_errors():
            identity, committed = self._known(), store.latest.height
            if not identity.pending(committed):
                raise InputError(f"cancel_upgrade: no upgrade is pending at height {committed}")
            store.set_meta(identity.upgraded(None, committed).to_meta())

    def hold(self, version: int | None) -> None:
        """No commit prunes this version from now on, nor later ones, whatever `keep` says; None: what was held is no more. For any thread."""
        self._guard.check("hold")
        self._store.held = None if version is None else arguments.integer("hold: the version", version, 0)

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
            store.rollback(row_of(store, version).version)

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
    def policy(self) -> Policy:
        """How workers go about blocks, unless `execute` is told otherwise."""
        return self._policy
