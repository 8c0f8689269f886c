"""What is read of a machine: its committed versions, proofs and receipts of them, and what the VM says of the newest."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import Iterator

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
    VersionMissing,
    VMError,
)
from ioi_exec.execution import asking
from ioi_exec.guard import Guard
from ioi_exec.limits import Limits
from ioi_exec.state.base import CommittedState, storage_errors
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
from ioi_exec.state.opening import (
    accepted,
)
from ioi_exec.state.past import PastState, Version
from ioi_exec.state.ranges import key_range, scan_limit
from ioi_exec.vm.loading import LoadedVM


class Reading:
    """Reads the committed versions, and asks the VM what it knows of the newest."""

    def __init__(
        self, store: ioi_storage.Store, identity: Identity, vm: LoadedVM | None, limits: Limits, accept_interpreter: bool
    ) -> None:
        self._store = store
        # The store, and on top of it the overlay of each sandbox that is open.
        self._layers: list[ioi_storage.Store | ioi_storage.OverlayStore] = [store]
        self._identity = identity
        self._vm = vm
        self._limits = limits
        self._accept_interpreter = accept_interpreter
        self._guard = Guard()
        self._pending: asking.Pending | None = None

    @property
    def version(self) -> int:
        """Committed blocks since genesis."""
        with self._guard.reading("version"), storage_errors():
            return self._layers[-1].version

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

    def get(self, key: bytes, version: Version | None = None) -> bytes | None:
        """The committed value, now or at an earlier version; None if absent. Raises VersionMissing."""
        arguments.octets("get: the key", key)
        with self._guard.reading("get"), storage_errors():
            if version is None:
                return self._layers[-1].get(key) if 0 < len(key) <= ioi_storage.key_limit else None
            with self._layers[-1].pinned():
                row = self._row_of(version)
                return self._layers[-1].get(key, row) if 0 < len(key) <= ioi_storage.key_limit else None

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

    @property
    def checks(self) -> bool:
        """Whether `check` can be asked: the VM has a method `check`, or `ante`. Raises VMError where the VM is not to be had."""
        with self._guard.reading("checks"):
            vm = self._loaded_vm()
            return vm.check or vm.ante

    def _asked_vm(self, what: str) -> LoadedVM:
        vm = self._loaded_vm()
        if not (vm.query if what == "query" else self.checks):
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
    def limits(self) -> Limits:
        return self._limits

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
