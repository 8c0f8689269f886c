"""Which of the blocks that are handed in were committed already: `ioi-exec run --resume`.

A block whose header has a height is known by that, and its transactions must be those of the version; one without is known by the hash
of its transactions. What is handed in is taken to begin anywhere in the history, to follow it from there on, and to go beyond it.
"""

from __future__ import annotations

from ioi_exec.block.header import hash_of
from ioi_exec.errors import Diverged, InputError, VersionMissing
from ioi_exec.files import BlockFile
from ioi_exec.machine import ExecutionMachine


class Resuming:
    """skipped: how many blocks were found committed so far. over: the next one is executed, and all after it."""

    def __init__(self, machine: ExecutionMachine) -> None:
        self._machine = machine
        self._next: set[int] | None = None  # the versions that the next block may have become; None: nothing is known yet
        self.skipped = 0
        self.over = False

    def version_of(self, block: BlockFile, source: str) -> int | None:
        """The version that the block became, None if it is to be executed. A version that was pruned is known by its height alone.

        Raises Diverged where another block has its height, InputError where it cannot be told."""
        if self.over:
            return None
        height = block.header.height if block.header is not None else None
        found = self._by_hash(block, source) if height is None else self._by_height(block, height, source)
        if found:
            self._next = {version + 1 for version in found}
            self.skipped += 1
            return max(found)
        self.over = True
        return None

    def _by_height(self, block: BlockFile, height: int, source: str) -> set[int]:
        info = self._machine.info
        if height > info.height or info.version == 0:
            return set()
        try:
            there = self._machine.at_height(height).info
        except VersionMissing:
            return {info.version - (info.height - height)}  # pruned
        if there.transactions_hash not in (None, hash_of(block.txs)):
            raise Diverged(
                f"{source}: its height is {height}, and the block that was committed at that height (version {there.version}) has other "
                "transactions: this is another chain's, or another state's"
            )
        return {there.version}

    def _by_hash(self, block: BlockFile, source: str) -> set[int]:
        machine, newest, oldest = self._machine, self._machine.version, max(1, self._machine.oldest)
        digest = hash_of(block.txs)
        candidates = range(oldest, newest + 1) if self._next is None else [version for version in self._next if version <= newest]
        found = {version for version in candidates if machine.info_at(version).transactions_hash == digest}
        if found:
            return found
        if self._next is None and oldest > 1:
            raise InputError(
                f"{source}: whether this block was committed cannot be told, for it has no height and versions before {oldest} are not "
                "kept: give headers with heights, or without --resume the blocks that are left"
            )
        if self._next is not None and newest + 1 not in self._next:
            raise InputError(
                f"{source}: where to go on cannot be told, for the blocks before it, which have no heights, were committed, and other "
                "blocks than this one after them: give headers with heights, or without --resume the blocks that are left"
            )
        return set()
