"""A world: accounts, two tokens and pools of both, and the transactions in it."""

from __future__ import annotations

from ioi_exec.vm.ethereum.keys import Account
from ioi_stress.evm import contracts
from ioi_stress.evm.accounts import address, contract_address, signed
from ioi_stress.evm.blocks import BASE_FEE

GAS = {"transfer": 21_000, "token": 100_000, "approve": 100_000, "swap": 400_000}
"""What a transaction of each kind may use."""
AMOUNT_MAX = 10**18
_EACH = 10**24  # of ether in wei, and of both tokens

TOKENS = contract_address("token 0"), contract_address("token 1")


def pool_address(number: int) -> bytes:
    return contract_address(f"pool {number}")


def prestate(accounts: int, pools: int, *, own_pool: bool) -> dict[bytes, Account]:
    """By address. Every account has ether and both tokens, every pool both tokens. own_pool: the n-th account lets the n-th pool have
    its tokens, otherwise each lets all."""
    senders, pooled = [address(number) for number in range(accounts)], [pool_address(number) for number in range(pools)]
    spends = list(zip(senders, pooled)) if own_pool else [(sender, pool) for sender in senders for pool in pooled]
    found = {sender: Account(balance=_EACH) for sender in senders}
    found.update({token: contracts.token([*senders, *pooled], _EACH, spends) for token in TOKENS})
    found.update({pool: contracts.pool(TOKENS, _EACH) for pool in pooled})
    return found


def transaction(kind: str, sender: int, nonce: int, other: int, pool: int, amount: int, token: int) -> bytes:
    """kind: of GAS. sender, other: accounts by number. token: which of both it is about."""
    data, value = b"", 0
    match kind:
        case "transfer":
            to, value = address(other), amount
        case "token":
            to, data = TOKENS[token], contracts.calldata("transfer(address,uint256)", address(other), amount)
        case "approve":
            to, data = TOKENS[token], contracts.calldata("approve(address,uint256)", address(other), amount)
        case _:
            to, data = pool_address(pool), contracts.calldata("swap(address,uint256,uint256)", TOKENS[token], amount, 1)
    return signed(sender, nonce, to, gas=GAS[kind], value=value, data=data, base_fee=BASE_FEE)
