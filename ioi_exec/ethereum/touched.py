"""Which accounts a block looks at that its pre-state does not give: where results differ, they are the first suspects."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ContextManager, Iterator

from ioi_exec.block.context import BlockContext
from ioi_exec.block.hook import Hook
from ioi_exec.files.ethereum import EthereumFile
from ioi_exec.vm.ethereum import Ethereum, genesis, header
from ioi_exec.vm.ethereum.keys import ADDRESS_BYTES, account_key
from ioi_exec.vm.revert import Revert


def not_given(file: EthereumFile) -> list[bytes]:
    """Their addresses, in the order they are met. It executes the block once more, one by one, as far as that goes."""
    said = header(file.block)
    at = BlockContext(file.block.number, said.time_ns, said.proposer or b"", said.extra, bytes(32), said.block_id)
    noting, vm = _Noting(dict(genesis(file.prestate))), Ethereum()
    vm.begin_block(noting, at.of_begin(Hook.BEGIN_BLOCK))
    for index, tx in enumerate(file.transactions):
        try:
            vm.execute(tx, noting, at.of_transaction(index))
        except Revert:
            break
    return [address for address in noting.absent if address not in file.prestate]


class _Noting:
    """A state in a dictionary, for one who executes one by one and undoes nothing."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self._pairs = pairs
        self.absent: dict[bytes, None] = {}

    def get(self, key: bytes) -> bytes | None:
        found = self._pairs.get(key)
        if found is None and key[:1] == account_key(b"") and len(key) == 1 + ADDRESS_BYTES:
            self.absent[key[1:]] = None
        return found

    def exists(self, key: bytes) -> bool:
        return self.get(key) is not None

    def put(self, key: bytes, value: bytes) -> None:
        self._pairs[key] = value

    def delete(self, key: bytes) -> None:
        self._pairs.pop(key, None)

    def scan(self, start: bytes | None = None, end: bytes | None = None, *, prefix: bytes | None = None, **_: Any) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, value) for key, value in self._pairs.items() if key.startswith(prefix or b"")))

    def add(self, key: bytes, delta: int, *, width: int, **_: Any) -> bool:
        self._pairs[key] = (int.from_bytes(self._pairs.get(key, b""), "big") + delta).to_bytes(width, "big")
        return True

    def checkpoint(self) -> ContextManager[None]:
        return nullcontext()
