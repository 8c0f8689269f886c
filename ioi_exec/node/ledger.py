"""The blocks of a chain whose state keeps them (`receipts=True`), read back as CometBFT's headers with their transactions."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Sequence

from ioi_exec.block.receipt import Receipts
from ioi_exec.errors import VersionMissing
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.app_hash import app_hash
from ioi_exec.node.block_header import (
    NOTHING,
    BlockId,
    Header,
    PartSetHeader,
    consensus_hash,
    data_hash,
    validators_hash,
)
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.records import Records
from ioi_exec.state.info import StateInfo
from ioi_exec.state.kept import KeptTransaction


@dataclass(frozen=True)
class LedgerBlock:
    """app_hash: after it."""

    header: Header
    hash: bytes
    info: StateInfo
    app_hash: bytes
    txs: list[bytes]
    receipts: Receipts


class Ledger:
    """For any thread. Each answer is of one moment."""

    def __init__(self, machine: ExecutionMachine, records: Records) -> None:
        self._machine = machine
        self._records = records

    @property
    def height(self) -> int:
        """Of the newest block; below the initial height there is none yet."""
        return self._machine.info.height

    @property
    def oldest(self) -> int:
        """Of the oldest block that can be read, whose header says what the version before it was; above `height` where there is none."""
        with self._machine.pinned():
            return self._machine.info_at(self._machine.info.oldest).height + 1

    def block(self, height: int | None = None) -> LedgerBlock:
        """None: the newest. Raises VersionMissing."""
        with self._machine.pinned():
            newest = self._machine.info
            info = newest if height in (None, newest.height) else self._machine.at_height(height or 0).info
            if info.header is None:
                raise VersionMissing(f"there is no block of height {info.height}: the first one has the initial height, {info.initial_height}")
            kept = self._machine.receipts(info.version)
            header = self.header_of(info.height, info.header.time_ns, info.header.proposer or b"", kept.txs)
            return LedgerBlock(header, info.header.block_id, info, self.app_hash(info), kept.txs, kept.receipts)

    def by_hash(self, hash: bytes) -> LedgerBlock | None:
        """None: no block that is kept has it. It looks at them from the newest down."""
        for version in range(self._machine.version, self._machine.info.oldest, -1):
            with suppress(VersionMissing):
                info = self._machine.info_at(version)
                if info.header is not None and info.header.block_id == hash:
                    return self.block(info.height)
        return None

    def transaction(self, hash: bytes) -> KeptTransaction | None:
        """The last time that it is in a block; None: it is in none."""
        found = self._machine.transaction(hash)
        return found[-1] if found else None

    def consensus(self, height: int) -> Consensus:
        """What it is set to after the block of this height. Raises VersionMissing."""
        found = self._records.at(height)
        if found is None:
            raise VersionMissing("the chain has not begun")
        return found

    def app_hash(self, info: StateInfo) -> bytes:
        """After the block that made this version."""
        return app_hash(info.state_root, self.consensus(info.height).encode())

    def validators(self, height: int) -> Consensus:
        """Whose validators sign the block of this height: a change counts from the second block after it on."""
        return self.consensus(max(height - 2, self._machine.info.initial_height - 1))

    def header_of(self, height: int, time_ns: int, proposer: bytes, txs: Sequence[bytes]) -> Header:
        """Of a block that stands on the one before it. There are no signatures, and blocks are not sent in parts."""
        newest = self._machine.info
        first = height <= newest.initial_height
        before = newest if newest.height == height - 1 else self._machine.at_height(height - 1).info
        consensus = self.consensus(height - 1)
        last = b"" if first or before.header is None else before.header.block_id
        return Header(
            app_version=consensus.app_version,
            chain_id=consensus.chain_id,
            height=height,
            time_ns=time_ns,
            last_block_id=BlockId(last, PartSetHeader()),
            last_commit_hash=NOTHING,
            data_hash=data_hash(txs),
            validators_hash=validators_hash(self.validators(height)),
            next_validators_hash=validators_hash(self.validators(height + 1)),
            consensus_hash=consensus_hash(consensus),
            app_hash=self.app_hash(before),
            last_results_hash=NOTHING if first else before.receipts_root,
            evidence_hash=NOTHING,
            proposer=proposer,
        )
