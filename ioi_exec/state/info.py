"""What a state says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ioi_exec.block.header import BlockHeader, decode_kept
from ioi_exec.gas import GasSchedule
from ioi_exec.state.identity import Identity
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import VMSpec
from ioi_exec.vm.upgrades import Upgrade

if TYPE_CHECKING:
    from ioi_storage import VersionRow


@dataclass(frozen=True)
class StateInfo:
    """keeps_receipts: whether blocks are kept with their transactions and receipts, unless `open(receipts=...)` says otherwise. limits: those that can decide a receipt. chain_id: "" if none. gas: what transactions cost, None: nothing. interpreter: what blocks were executed under, None if that does not matter or was not
    recorded. code: the fingerprint of its VM's code, None as that. oldest: the oldest version kept. header: of the last block, None at version 0.
    transactions_hash: of that block's transactions, 32 bytes; None at version 0, and of blocks from before it was recorded.
    vm: the one that made the version. vms: all that the state has had or will have, each with the height it takes over at.
    Roots have 32 bytes. What follows `version` is of that version."""

    tree: str
    vm: VMSpec
    vms: tuple[Upgrade, ...]
    initial_height: int
    limits: dict[str, int]
    interpreter: Interpreter | None
    code: str | None
    chain_id: str
    gas: GasSchedule | None
    keeps_receipts: bool
    genesis_root: bytes
    oldest: int
    version: int
    height: int
    header: BlockHeader | None
    transactions_hash: bytes | None
    state_root: bytes
    receipts_root: bytes
    transactions: int
    failed: int

    @property
    def upgrade(self) -> Upgrade | None:
        """The next one after this version, None if none is pending."""
        return next((each for each in self.vms[1:] if each.height > self.height), None)

    @classmethod
    def of(cls, tree: str, genesis_root: bytes, identity: Identity, oldest: int, row: VersionRow) -> StateInfo:
        header, transactions_hash = decode_kept(row.header) if row.version else (None, None)
        maker = identity.vms[identity.index_at(row.height)]
        return cls(
            tree,
            maker.vm,
            identity.vms,
            identity.initial_height,
            identity.limits,
            maker.interpreter,
            maker.code,
            identity.chain_id,
            identity.gas,
            identity.receipts,
            genesis_root,
            oldest,
            row.version,
            row.height,
            header,
            transactions_hash,
            row.root,
            row.receipts_root,
            row.transactions,
            row.failed,
        )
