"""Which accounts a block looks at that its pre-state does not give: where results differ, they are the first suspects."""

from __future__ import annotations

from ioi_exec.errors import Diverged
from ioi_exec.ethereum.one_by_one import Pairs, run_one_by_one
from ioi_exec.files.ethereum import EthereumFile
from ioi_exec.vm.ethereum import genesis
from ioi_exec.vm.ethereum.keys import address_of


def not_given(file: EthereumFile) -> list[bytes]:
    """Their addresses, in the order they are met. It executes the block once more, one by one, as far as that goes."""
    noting = _Noting(dict(genesis(file.prestate)))
    try:
        run_one_by_one(file.block, file.transactions, noting)
    except Diverged:
        pass
    return [address for address in noting.absent if address not in file.prestate]


class _Noting(Pairs):
    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        super().__init__(pairs)
        self.absent: dict[bytes, None] = {}

    def missing(self, key: bytes) -> bytes | None:
        if (address := address_of(key)) is not None:
            self.absent[address] = None
        return None
