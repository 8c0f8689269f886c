"""What is read of a machine: its committed versions, proofs and receipts of them, and what the VM says of the newest."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Hashable, Iterator
from weakref import WeakSet

import ioi_storage
from ioi_storage import RangeProof

from ioi_exec import arguments
from ioi_exec.block.header import BlockHeader
from ioi_exec.block.preparation import (
    block_context,
    checked_transactions,
)
from ioi_exec.block.receipt import Receipt
from ioi_exec.block.receipt_proof import ReceiptProof, prove_receipt
from ioi_exec.errors import (
    InputError,
    StaleResult,
    VersionMissing,
    VMError,
    VMMismatch,
)
from ioi_exec.execution import asking
from ioi_exec.guard import Guard
from ioi_exec.limits import Limits
from ioi_exec.machine.pending import Pending
from ioi_exec.state.base import CommittedState, CommittedVersion, storage_errors
from ioi_exec.state.given import vm_given_for
from ioi_exec.state.heights import row_at_height
from ioi_exec.state.identity import Identity
from ioi_exec.state.info import StateInfo
from ioi_exec.state.kept import (
    KeptBlock,
    KeptTransaction,
    kept_block,
    kept_transactions,
)
from ioi_exec.state.opening import Accept, accepted, of_state
from ioi_exec.state.past import PastState, Version
from ioi_exec.state.ranges import key_range, scan_limit
from ioi_exec.vm.loading import LoadedVM
from ioi_exec.vm.upgrades import Upgrade


class Reading:
    """Reads the committed versions, and asks the VM what it knows of the newest: from any thread, whatever another one does meanwhile.
    Each call sees one committed version as a whole. While a sandbox is open all calls are for one thread."""

    def __init__(
        self, store: ioi_storage.Store, identity: Identity, vms: dict[int, LoadedVM], limits: Limits, accept: Accept
    ) -> None:
        self._store = store
        # The store, and on top of it the overlay of each sandbox that is open.
        self._layers: list[ioi_storage.Store | ioi_storage.OverlayStore] = [store]
        self._identity = identity
        self._meta = store.meta  # which that is what it says
        self._vms = vms  # by their index in identity.vms, as far as they were needed
        self._limits = limits
        self._accept = accept
        self._guard = Guard()
        self._pins = _Pins()
        self._loading = threading.RLock()
        self._checking = threading.Lock()
        self._checks: asking.Checks | None = None
        self._pendings: WeakSet[Pending] = WeakSet()

    @property
    def version(self) -> int:
        """Committed blocks since genesis."""
        with self._moment("version") as layer:
            return layer.version

    @property
    def oldest(self) -> int:
        """The oldest version that can still be read."""
        with self._moment("oldest") as layer:
            return layer.oldest

    @property
    def root(self) -> bytes:
        """The state root of the current version, 32 bytes."""
        with self._moment("root") as layer:
            return layer.root

    @property
    def info(self) -> StateInfo:
        """What is remembered about the state and its current version."""
        with self._moment("info") as layer:
            return self._info_of(layer, layer.latest)

    def get(self, key: bytes, version: Version | None = None) -> bytes | None:
        """The committed value, now or at an earlier version; None if absent. Raises VersionMissing."""
        arguments.octets("get: the key", key)
        possible = 0 < len(key) <= ioi_storage.key_limit
        if version is None and not self._layered and self._pins.now is None:
            self._guard.check("get")
            with storage_errors():
                return self._store.get_beside(key) if possible else None
        with self._moment("get") as layer:
            row = None if version is None else row_of(layer, version)
            return layer.get(key, row) if possible else None

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

        version: None is the newest; on Jellyfish, which sorts by the hashes of keys, an earlier one is an InputError. A state on disk is
        read on in the version that it had, and its pages are kept until the scan ends or is let go of (at most 256 at a time:
        ResourceError); one in memory, or in a sandbox, raises StaleResult once it has moved on."""
        start, end, limit = *key_range(start, end, prefix), scan_limit(limit)
        arguments.flag("scan: reverse", reverse)
        with self._moment("scan") as layer:
            row = None if version is None else row_of(layer, version)
            if self._layered or self._pins.now is not None:
                return _scanning(layer.scan(start, end, reverse=reverse, limit=limit, version=row))
        with storage_errors():
            return _scanning(self._store.scan_beside(start, end, reverse=reverse, limit=limit, version=row))

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
        with self._moment("prove") as layer:
            row = None if version is None else row_of(layer, version)
            try:
                yield layer, row
            except ValueError as error:
                raise InputError(f"prove: {error}") from None

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """`with machine.pinned():` all that this thread reads inside is of one moment, whatever is committed, pruned or rolled back
        meanwhile, here or by a live engine beside. Scans begun inside end inside. A state in memory, or in a sandbox, is not pinned."""
        if self._layered:
            with self._guard.reading("pinned"):
                top = self._layers[-1]
            with storage_errors(), top.pinned():
                yield
        elif self._store.path is None or self._pins.now is not None:
            self._guard.check("pinned")
            yield
        else:
            with self._moment("pinned") as layer:
                assert isinstance(layer, ioi_storage.Moment)
                try:
                    self._pins.now = layer
                    yield
                finally:
                    self._pins.now = None
                    layer.end()

    @contextmanager
    def _pinned_at(self, stand: ioi_storage.Stand) -> Iterator[None]:
        """As `pinned`. Raises StaleResult unless it is of this stand."""
        with self.pinned():
            with self._moment("pinned") as layer:
                if layer.stand != stand:
                    raise StaleResult(f"{stand.moved_to(layer.stand)}: execute the block again")
            yield

    @property
    def _layered(self) -> bool:
        return len(self._layers) > 1

    @contextmanager
    def _moment(self, what: str) -> Iterator[ioi_storage.State]:
        """One committed version, the newest or the one that this thread has pinned."""
        with storage_errors():
            if self._layered:
                with self._guard.reading(what):
                    layer = self._layers[-1]
                    with layer.pinned():
                        yield layer
                return
            self._guard.check(what)
            if self._pins.now is not None:
                yield self._pins.now
                return
            with self._store.moment() as moment:
                yield moment

    def at(self, version: int) -> PastState:
        """A read-only view of a committed version. Raises VersionMissing."""
        with self._moment("at") as layer:
            return PastState(self, row_of(layer, version))

    def at_height(self, height: int) -> PastState:
        """A read-only view of the version that the block of this height made. Raises VersionMissing."""
        height = arguments.integer("at_height: the height", height, 0)
        with self._moment("at_height") as layer:
            return PastState(self, row_at_height(layer, height))

    def receipts(self, version: Version | None = None) -> KeptBlock:
        """The transactions and receipts of a version (None: the newest), if it was committed with them. Raises VersionMissing."""
        with self._moment("receipts") as layer:
            return kept_block(layer, layer.latest if version is None else row_of(layer, version))

    def transaction(self, digest: bytes) -> list[KeptTransaction]:
        """The transaction with this SHA-256, once for every time that it is in a kept block with receipts, the oldest first."""
        if len(arguments.octets("transaction: the hash", digest)) != 32:
            raise InputError(f"transaction: the hash has {len(digest)} bytes: give the SHA-256 of a transaction, which has 32")
        with self._moment("transaction") as layer:
            return kept_transactions(layer, digest)

    def prove_receipt(self, version: Version, index: int) -> ReceiptProof:
        """The proof that the receipt of transaction `index` is in the block of a version, for `ioi_exec.verify_receipt` and the
        receipts root. Raises VersionMissing, InputError."""
        index, receipts = arguments.integer("prove_receipt: the index", index, 0), self.receipts(version).receipts
        if index >= len(receipts):
            raise InputError(f"prove_receipt: there is no transaction {arguments.shown(index)}: the block has {len(receipts)}")
        return prove_receipt(receipts, index)

    def info_at(self, version: Version) -> StateInfo:
        """`info` as it was at a version. Raises VersionMissing."""
        with self._moment("info_at") as layer:
            return self._info_of(layer, row_of(layer, version))

    def _info_of(self, layer: ioi_storage.State, row: ioi_storage.VersionRow) -> StateInfo:
        return StateInfo.of(self._store.tree, self._store.genesis_root, self._known(layer), layer.oldest, row)

    def query(self, path: str, data: bytes = b"", *, version: Version | None = None) -> Receipt:
        """What the VM's `query(path, data, state)` says of the newest committed state, in this process: its answer is the receipt's
        output, or why there is none its error. What it writes is gone. With workers=0 it waits for a block that is executed meanwhile, and a
        state in memory is not committed to until it is through.

        version: an earlier one, asked by the VM that made it; on Jellyfish, which sorts by the hashes of keys, it cannot scan then (InputError).
        Raises VMError if the VM has no such method or is not to be had, VersionMissing."""
        arguments.text("query: the path", path)
        arguments.octets("query: the data", data)
        if version is None:
            self._asked_vm("query")  # loaded before anybody has to wait
        with self._moment("query") as layer:
            row = layer.latest if version is None else row_of(layer, version)
            vm = self._asked_vm("query", row.height)
            state = CommittedState((layer,)) if row.version == layer.version else CommittedVersion(layer, row)
            context = block_context(BlockHeader(height=row.height), row.root, self._identity.chain_id)
            return asking.query(vm, self._limits, state, context, path, data)

    def check(self, tx: bytes) -> Receipt:
        """Whether a transaction may wait for a block: what the VM's `check(tx, state, ctx)`, or `ante` if there is none, says of it in this
        process, on the newest committed state and what the transactions before it wrote that were let in since. Nothing of it is kept
        beyond the next commit: check those again that still wait. It takes turns with other checks, and waits as `query` does.
        Raises VMError if the VM has neither."""
        arguments.octets("check: the transaction", tx)
        self._asked_vm("check")
        with self._checking, self._moment("check") as layer:
            self._checks, receipt = self._checked(self._checks, layer, tx)
            return receipt

    def _checked(self, checks: asking.Checks | None, layer: ioi_storage.State, tx: bytes) -> tuple[asking.Checks, Receipt]:
        """What is said of it over those that were let in before, if that was on the same state, else over the state alone."""
        tx = checked_transactions([tx], self._limits)[0]
        if checks is None or checks.stand != self._stand(layer):
            context = block_context(BlockHeader(height=layer.latest.height + 1), layer.root, self._identity.chain_id)
            checks = asking.checks(self._asked_vm("check", layer.latest.height), self._limits, context, self._stand(layer))
        return checks, checks.check(tx, CommittedState((layer,)))

    def _stand(self, layer: ioi_storage.State) -> Hashable:
        return layer.stand, len(self._layers)  # a sandbox that has just been opened begins anew

    def pending(self, most: int = 100_000) -> Pending:
        """Transactions that wait for a block: remembers those that it let in, and checks them again after each commit. most: of them at a
        time. Raises VMError if the VM has neither `check` nor `ante`, InputError."""
        most = arguments.integer("pending: most", most, 1)
        self._asked_vm("check")
        pending = Pending(self, most)
        self._pendings.add(pending)
        return pending

    @property
    def checks(self) -> bool:
        """Whether `check` can be asked: the VM has a method `check`, or `ante`. Raises VMError where the VM is not to be had."""
        vm = self._loaded_vm()
        return vm.check or vm.ante

    def _asked_vm(self, what: str, height: int | None = None) -> LoadedVM:
        self._guard.check(what)
        vm = self._loaded_vm(height)
        if not (vm.query if what == "query" else vm.check or vm.ante):
            wanted = "query(path, data, state)" if what == "query" else "check(tx, state, ctx), nor ante(tx, state, ctx)"
            raise VMError(f"{what}: the VM {vm.spec.name} has no method {wanted}")
        return vm

    @property
    def upkeep(self) -> dict[str, int]:
        """How the state's file stands: file_bytes, free_bytes and reserve_bytes of it, lagging_versions, waiting_rows; as
        `ioi_storage.Store.upkeep` has it."""
        with self._guard.reading("upkeep"), storage_errors():
            return self._store.upkeep()

    @property
    def identity(self) -> Identity:
        """What the state remembers of the engine that made it."""
        self._guard.check("identity")
        return self._known()

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def read_only(self) -> bool:
        self._guard.check("read_only")
        return self._store.read_only

    @property
    def closed(self) -> bool:
        return self._guard.closed

    def _known(self, layer: ioi_storage.State | None = None) -> Identity:
        """What the state says of itself, in this moment if it is one: another process may have recorded an upgrade."""
        meta = layer.meta if isinstance(layer, ioi_storage.Moment) and self._store.read_only else self._store.meta
        with self._loading:
            if meta != self._meta:
                self._meta, self._identity = meta, Identity.from_meta(meta)
                vms = self._identity.vms
                self._vms = {index: vm for index, vm in self._vms.items() if index < len(vms) and vms[index].vm.is_same(vm.spec)}
            return self._identity

    def _loaded_vm(self, height: int | None = None) -> LoadedVM:
        """The VM of the block of this height; None: the one that made the newest version. Raises VMError, VMMismatch."""
        if height is None:
            with self._moment("the VM") as layer:
                self._known(layer)
                height = layer.latest.height
        with self._loading:
            index = self._identity.index_at(height)
            if index not in self._vms:
                loaded = self._given(self._identity.vms[index], index)
                self._identity = accepted(self._store, self._identity, index, loaded, self._accept)
                if not self._store.read_only:
                    self._meta = self._store.meta
                self._vms[index] = loaded
            return self._vms[index]

    def _given(self, upgrade: Upgrade, index: int) -> LoadedVM:
        try:
            given = vm_given_for(self._store.path, upgrade.vm, [each.vm for each in self._identity.vms])
        except (VMError, VMMismatch) as error:
            if index == 0:
                raise
            raise type(error)(
                f"from height {upgrade.height} on the state's VM is {upgrade.vm}, and it is not to be had here: {error}. Nothing was "
                "executed; go on from the same height once it is there"
            ) from error
        return of_state(given, self._identity, index)


class _Pins(threading.local):
    """now: what the thread has pinned."""

    now: ioi_storage.Moment | None = None


def row_of(layer: ioi_storage.State, version: Version) -> ioi_storage.VersionRow:
    """What is recorded of a version. Raises InputTypeError, VersionMissing."""
    number = version.version if isinstance(version, ioi_storage.VersionRow) else version
    if not isinstance(number, int) or isinstance(number, bool):
        number = version = arguments.integer("the version", number, 0)
    if not 0 <= number <= layer.version:
        raise VersionMissing(
            f"there is no version {arguments.shown(number)}: the state has versions {layer.oldest} to {layer.version}"
        )
    return layer.found(version)


def _scanning(items: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    with storage_errors():
        yield from items
