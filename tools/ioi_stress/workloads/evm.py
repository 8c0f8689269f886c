"""Generated worlds of Ethereum: no mainnet data is needed to see how transactions of an EVM become parallel."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Iterator, Mapping

from ioi_exec.ethereum import EVMS, check_installed
from ioi_stress.workload import Block
from ioi_stress.workloads.base import Seeded
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.ethereum import OnEvm
from ioi_stress.workloads.parameters import NUMBER, TEXT, parameter
from ioi_stress.workloads.popularity import S_MAX, Popularity

_WORLDS = {
    "transfers": "ether from one account to another",
    "token": "transfers of an ERC20 token",
    "pools": "swaps, each account in a pool of its own",
    "pool": "swaps, all in one pool",
    "mix": "all of these, among accounts and pools of which few are popular",
}
_KINDS = {
    "transfers": ("transfer",), "token": ("token",), "pools": ("swap",), "pool": ("swap",),
    "mix": ("transfer",) * 4 + ("token",) * 3 + ("approve",) + ("swap",) * 2,
}
"""Of transactions in each, one as often as another."""
_POOLS = 16  # of a mix


@dataclass(frozen=True, kw_only=True)
class Evm(OnEvm, Seeded):
    """Signed transactions of Ethereum; what contracts there are is written in `ioi_stress.evm`. Needs
    `ioi-exec[ethereum]`."""

    name = "evm"
    summary = "a made world of Ethereum: ether, a token, pools"
    example = "evm --world pool --accounts 100"
    details = """A transfer takes the specification less than a millisecond, a swap some of them. Accounts send in turn, so that no nonce waits for
another while a block has no more transactions than there are accounts; in a mix, account k is met in proportion to 1 / k^s, and so are pools."""

    world: str = parameter(
        "mix", kind=TEXT, metavar="WORLD", choices=tuple(_WORLDS), help="; ".join(f"{name}: {what}" for name, what in _WORLDS.items())
    )
    accounts: int = parameter(1000, least=2, most=100_000, help="accounts that send")
    s: float = parameter(1.0, kind=NUMBER, metavar="S", most=S_MAX, help="exponent of the popularity in a mix; 0 is uniform")
    block_size: int = parameter(100, least=1, most=200_000, help="transactions in a block")
    evm: str = parameter(
        "specification", kind=TEXT, metavar="EVM", choices=tuple(EVMS), help="specification: in Python; revm: in Rust, where tools/revm-vm is installed"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_installed(self.evm)

    def prestate(self) -> dict[bytes, Any]:
        """By address: each `ioi_exec.vm.ethereum.keys.Account` before the first block."""
        found: dict[bytes, Any] = self._made_of().prestate(self.accounts, self._pools, own_pool=self.world == "pools")
        return found

    def genesis(self) -> Mapping[bytes, bytes]:
        from ioi_exec.vm.ethereum import genesis

        return dict(genesis(self.prestate()))

    def blocks(self) -> Iterator[Block]:
        from ioi_stress.evm.blocks import header_of

        nonces = [0] * self.accounts
        gas_limit = self.block_size * max(self._made_of().GAS.values())
        for number in range(self.block_count):
            draws, first = self._draws(self.world, number), number * self.block_size
            yield Block([self._transaction(first + index, nonces, draws) for index in range(self.block_size)], header_of(number, gas_limit))

    def _transaction(self, number: int, nonces: list[int], draws: Draws) -> bytes:
        """number: counted over all blocks."""
        made_of, kinds = self._made_of(), _KINDS[self.world]
        kind = kinds[draws.below(len(kinds))]
        amount, token = 1 + draws.below(made_of.AMOUNT_MAX), draws.below(2)
        if self.world == "mix":
            popularity = Popularity(self.accounts, self.s)
            sender = popularity.draw(draws)
            other, pool = popularity.draw_other(draws, sender), Popularity(self._pools, self.s).draw(draws)
        else:
            sender, other = number % self.accounts, draws.below(self.accounts - 1)
            other, pool = other + (other >= sender), sender if self.world == "pools" else 0
        nonce, nonces[sender] = nonces[sender], nonces[sender] + 1
        made: bytes = made_of.transaction(kind, sender, nonce, other, pool, amount, token)
        return made

    @property
    def _pools(self) -> int:
        return {"pools": self.accounts, "pool": 1, "mix": _POOLS}.get(self.world, 0)

    @staticmethod
    def _made_of() -> ModuleType:
        """Imported when it is needed: without the specification there is none, and a workload of this name all the same."""
        from ioi_stress.evm import world

        return world
