"""What generated worlds of Ethereum are made of: the assembler against code written by hand, the contracts against models of what they are for."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum.crypto.hash import keccak256

import ioi_stress
from ioi_exec import ExecutionMachine, InputError
from ioi_exec.vm.ethereum import genesis
from ioi_exec.vm.ethereum.forks import fork_named
from ioi_exec.vm.ethereum.keys import FEES, Account, account_key, storage_key
from ioi_exec.vm.ethereum.receipts import Outcome
from ioi_stress.evm import contracts
from ioi_stress.evm.accounts import address, contract_address, signed
from ioi_stress.evm.assembler import assemble
from ioi_stress.evm.blocks import BASE_FEE, FORK, header_of
from ioi_stress.evm.names import Names
from ioi_stress.evm.world import TOKENS, pool_address, prestate
from ioi_stress.workloads import make

# ---- assembler -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", ""),
        ("1 2 ADD", "6001" "6002" "01"),
        ("0 0xff 256 STOP ; ADD", "5f" "60ff" "610100" "00"),
        ("at = 0x80\n at MLOAD", "6080" "51"),
        (":end JUMP\nend:\n  STOP", "610004" "56" "5b" "00"),
        ("back: :back JUMP", "5b" "610000" "56"),
        ("#transfer(address,uint256)", "63a9059cbb"),  # both as everybody knows them
        ("@Transfer(address,address,uint256)", "7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
        (str((1 << 256) - 1), "7f" + "ff" * 32),
    ],
)
def test_assembled(source: str, code: str) -> None:
    assert assemble(source).hex() == code


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("ADD\nPUSH1", "line 2: 'PUSH1' is no opcode"),
        ("1 later ADD\nlater = 3", "line 1: 'later' is no opcode"),
        ("\n\n:nowhere JUMP", "line 3: nothing is called 'nowhere'"),
        ("a:\na:", "line 2: a is there already"),
        ("a = 1\na:", "line 2: a is there already"),
        ("-1", "line 1: '-1' is no opcode"),
        ("a = b", "line 1: 'a' is no opcode"),
    ],
)
def test_what_is_not_assembled(source: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        assemble(source)


@pytest.mark.parametrize(
    ("name", "digest"),
    [("token", "3f41e392c1e8593e131c7a113b834f16ce0bbee777b889b82438ea5bb960b60c"), ("pool", "f0260672a60ab1d54dde3e3444be196813c400d98a1f02969d556161d8e83b7e")],
)
def test_the_code_is_that_of_every_other_machine(name: str, digest: str) -> None:
    """A change here is one of what results saved before can be compared with: say so in the CHANGELOG."""
    assert sha256(contracts.code(name)).hexdigest() == digest


# ---- contracts -----------------------------------------------------------------------------------------------------

ACCOUNTS, EACH = 4, 10**24
# Calls the contract in its first word with the rest, and keeps whether that succeeded in slot 0, and what it returned from slot 1 on.
ASKER = assemble("""
    32 CALLDATASIZE SUB 32 0 CALLDATACOPY
    0 0 32 CALLDATASIZE SUB 0 0 CALLDATALOAD GAS STATICCALL 0 SSTORE
    RETURNDATASIZE 0 512 RETURNDATACOPY
    512 MLOAD 1 SSTORE 544 MLOAD 2 SSTORE RETURNDATASIZE 3 SSTORE
""")
ASKING = contract_address("asker")
Call = tuple[int, bytes, bytes, int]
"""Who, what, with which data and ether."""


def executed(calls: list[Call], accounts: int = ACCOUNTS) -> tuple[list[Outcome], dict[bytes, bytes]]:
    """What became of each, and the state after."""
    world = {**prestate(accounts, 1, own_pool=False), ASKING: Account(1, 0, ASKER)}
    nonces: defaultdict[int, int] = defaultdict(int)
    txs = []
    for who, to, data, value in calls:
        txs.append(signed(who, nonces[who], to, gas=500_000, value=value, data=data, base_fee=BASE_FEE))
        nonces[who] += 1
    with ExecutionMachine.create(None, "ioi_exec.vm.ethereum:Ethereum", genesis=dict(genesis(world)), workers=0) as machine:
        result = machine.execute(txs, header_of(0, 500_000 * max(1, len(txs))))
        machine.commit(result)
        return [Outcome.decode(fork_named(FORK), receipt.output) for receipt in result.receipts], dict(machine.scan())


def asked(what: bytes, signature: str, *arguments: int | bytes) -> tuple[int, int, int, int]:
    """Whether it succeeded, the first two words it returned, and how many bytes."""
    _, state = executed([(0, ASKING, contracts.word(what) + contracts.calldata(signature, *arguments), 0)])
    one, two, three, four = (int.from_bytes(state.get(storage_key(ASKING, contracts.word(slot)), b""), "big") for slot in range(4))
    return one, two, three, four


def topic(signature: str) -> bytes:
    return bytes(keccak256(signature.encode()))


@pytest.mark.parametrize(
    ("what", "signature", "arguments", "answer"),
    [
        (TOKENS[0], "totalSupply()", (), (1, EACH * (ACCOUNTS + 1), 0, 32)),
        (TOKENS[0], "balanceOf(address)", (address(1),), (1, EACH, 0, 32)),
        (TOKENS[0], "balanceOf(address)", (b"\x01" * 20,), (1, 0, 0, 32)),
        (TOKENS[0], "allowance(address,address)", (address(1), pool_address(0)), (1, (1 << 256) - 1, 0, 32)),
        (TOKENS[0], "allowance(address,address)", (pool_address(0), address(1)), (1, 0, 0, 32)),
        (TOKENS[0], "mint(uint256)", (1,), (0, 0, 0, 0)),
        (pool_address(0), "token0()", (), (1, int.from_bytes(TOKENS[0], "big"), 0, 32)),
        (pool_address(0), "token1()", (), (1, int.from_bytes(TOKENS[1], "big"), 0, 32)),
        (pool_address(0), "getReserves()", (), (1, EACH, EACH, 96)),
        (pool_address(0), "mint(address)", (address(0),), (0, 0, 0, 0)),
    ],
)
def test_what_contracts_answer(what: bytes, signature: str, arguments: tuple[int | bytes, ...], answer: tuple[int, ...]) -> None:
    assert asked(what, signature, *arguments) == answer


class Model:
    """An ERC20 token twice and a pool of both, in the plainest Python. A call says what it logs; None: it fails."""

    def __init__(self) -> None:
        holders = [*map(address, range(ACCOUNTS)), pool_address(0)]
        self.balances = {(token, holder): EACH for token in TOKENS for holder in holders}
        self.allowances = {(token, address(n), pool_address(0)): contracts.EVER for token in TOKENS for n in range(ACCOUNTS)}
        self.reserves = [EACH, EACH]

    def transfer(self, token: bytes, caller: bytes, to: bytes, amount: int) -> list[Any] | None:
        if self.balances.get((token, caller), 0) < amount:
            return None
        self.balances[token, caller] = self.balances.get((token, caller), 0) - amount
        self.balances[token, to] = self.balances.get((token, to), 0) + amount
        topics = (topic("Transfer(address,address,uint256)"), contracts.word(caller), contracts.word(to))
        return [(token, topics, contracts.word(amount))]

    def transfer_from(self, token: bytes, caller: bytes, owner: bytes, to: bytes, amount: int) -> list[Any] | None:
        may = self.allowances.get((token, owner, caller), 0)
        if may < amount or self.balances.get((token, owner), 0) < amount:
            return None
        if may != contracts.EVER:
            self.allowances[token, owner, caller] = may - amount
        return self.transfer(token, owner, to, amount)

    def approve(self, token: bytes, caller: bytes, spender: bytes, amount: int) -> list[Any]:
        self.allowances[token, caller, spender] = amount
        topics = (topic("Approval(address,address,uint256)"), contracts.word(caller), contracts.word(spender))
        return [(token, topics, contracts.word(amount))]

    def swap(self, caller: bytes, token: bytes, amount: int, least: int) -> list[Any] | None:
        pool = pool_address(0)
        if token not in TOKENS or amount >> 112:
            return None
        way = TOKENS.index(token)
        given, got = self.reserves[way], self.reserves[1 - way]
        out = amount * 997 * got // (given * 1000 + amount * 997)
        if not out or out < least or (first := self.transfer_from(token, pool, caller, pool, amount)) is None:
            return None
        second = self.transfer(TOKENS[1 - way], pool, caller, out)
        assert second is not None, "a pool never gives all it has"
        now = [self.balances[one, pool] for one in TOKENS]
        assert now[0] * now[1] >= self.reserves[0] * self.reserves[1], "k became less"
        self.reserves = now
        ins, outs = [0, 0], [0, 0]
        ins[way], outs[1 - way] = amount, out
        sync = (pool, (topic("Sync(uint112,uint112)"),), b"".join(map(contracts.word, now)))
        topics = (topic("Swap(address,uint256,uint256,uint256,uint256,address)"), contracts.word(caller), contracts.word(caller))
        return [*first, *second, sync, (pool, topics, b"".join(map(contracts.word, (*ins, *outs))))]

    def storage(self) -> dict[bytes, int]:
        found = {storage_key(token, contracts.balance_slot(holder)): value for (token, holder), value in self.balances.items()}
        for (token, owner, spender), value in self.allowances.items():
            found[storage_key(token, contracts.allowance_slot(owner, spender))] = value
        for token in TOKENS:
            found[storage_key(token, contracts.word(2))] = EACH * (ACCOUNTS + 1)
        for at, value in enumerate([int.from_bytes(token, "big") for token in TOKENS] + self.reserves):
            found[storage_key(pool_address(0), contracts.word(at))] = value
        return {key: value for key, value in found.items() if value}


def drawn(rng: random.Random, model: Model) -> tuple[Call, Callable[[], list[Any] | None]]:
    """A call, and what the model makes of it."""
    who, value = rng.randrange(ACCOUNTS), int(rng.random() < 0.05)
    caller, other, third = address(who), address(rng.randrange(ACCOUNTS)), rng.choice([address(rng.randrange(ACCOUNTS)), b"\x77" * 20])
    token = rng.choice(TOKENS)
    amount = rng.choice([0, 1, 3, 10**18, EACH // 3, EACH, EACH + 1, contracts.EVER])
    arguments: tuple[int | bytes, ...]
    does: Callable[[], list[Any] | None]
    match rng.randrange(5):
        case 0:
            signature, arguments, does = "transfer(address,uint256)", (third, amount), partial(model.transfer, token, caller, third, amount)
        case 1:
            signature, arguments = "transferFrom(address,address,uint256)", (other, third, amount)
            does = partial(model.transfer_from, token, caller, other, third, amount)
        case 2:
            signature, arguments, does = "approve(address,uint256)", (other, amount), partial(model.approve, token, caller, other, amount)
        case 3:
            given, least = rng.choice([*TOKENS, *TOKENS, *TOKENS, b"\x66" * 20]), rng.choice([0, 0, 1, amount])
            signature, arguments, does = "swap(address,uint256,uint256)", (given, amount, least), partial(model.swap, caller, given, amount, least)
        case _:
            signature, arguments, does = "burn(uint256)", (amount,), lambda: None
    to = pool_address(0) if signature.startswith("swap") else token
    return (who, to, contracts.calldata(signature, *arguments), value), lambda: None if value else does()


@pytest.mark.parametrize("seed", range(2))
def test_contracts_do_what_their_models_do(seed: int) -> None:
    rng, model = random.Random(seed), Model()
    calls, wanted = [], []
    for _ in range(120):
        call, does = drawn(rng, model)
        calls.append(call)
        wanted.append(does())
    outcomes, state = executed(calls)
    for index, (outcome, logs) in enumerate(zip(outcomes, wanted, strict=True)):
        found = [(bytes(log.address), tuple(map(bytes, log.topics)), bytes(log.data)) for log in outcome.logs]
        assert (outcome.succeeded, found) == (logs is not None, logs or []), f"call {index}: {calls[index]}"
    assert {key: int.from_bytes(value, "big") for key, value in state.items() if key[:1] == b"s"} == model.storage()
    succeeded = sum(logs is not None for logs in wanted)
    assert 30 < succeeded < 110, succeeded


# ---- names -------------------------------------------------------------------------------------------------------

HOLDER, TOKEN = bytes(range(0xA0, 0xB4)), bytes(range(0xC0, 0xD4))
UNKNOWN = b"\x9f" * 32


@pytest.mark.parametrize(
    ("key", "name", "short"),
    [
        (account_key(TOKEN), f"account 0x{TOKEN.hex()}", "account 0xc0c1c2c3c4c5c6c7c8..cdcecfd0d1d2d3"),
        (storage_key(TOKEN, contracts.word(7)), f"slot 7 of 0x{TOKEN.hex()}", "slot 7 of 0xc0c1c2..d2d3"),
        (storage_key(TOKEN, contracts.balance_slot(HOLDER)), f"slot 0[0xa0a1a2..b2b3] of 0x{TOKEN.hex()}", "slot 0[0xa0a1a2..b2b3] of 0xc0c1c2..d2d3"),
        (storage_key(TOKEN, UNKNOWN), f"slot 0x9f9f9f..9f9f of 0x{TOKEN.hex()}", "slot 0x9f9f9f..9f9f of 0xc0c1c2..d2d3"),
        (FEES, "fees of the block", "fees of the block"),
        (b"\0own", "0x006f776e", "0x006f776e"),
    ],
)
def test_keys_have_names(key: bytes, name: str, short: str) -> None:
    names = Names([account_key(HOLDER), FEES, key])
    assert names(key) == name and names(key, 44) == short


def test_an_entry_is_known_of_an_account_that_occurs() -> None:
    of_nobody = storage_key(TOKEN, contracts.balance_slot(b"\x01" * 20))
    assert "[" not in Names([account_key(HOLDER), of_nobody])(of_nobody)
    assert Names([account_key(HOLDER)])(storage_key(TOKEN, contracts.balance_slot(HOLDER)), 200) == f"slot 0[0x{HOLDER.hex()}] of 0x{TOKEN.hex()}"


def test_what_is_explained_and_traced_has_them(tmp_path: Path) -> None:
    world = {"world": "pool", "accounts": 4, "block_size": 6, "workers": 2, "pin": False, "repeat": 1}
    found = ioi_stress.explain("evm", **world).to_json(10)
    assert f"slot 2 of 0x{pool_address(0).hex()}" in [each["name"] for each in found["critical_path"]["by_key"]]
    ioi_stress.trace("evm", **world, output=tmp_path / "trace.json")
    assert f"slot 2 of 0x{pool_address(0).hex()}" in (tmp_path / "trace.json").read_text()


# ---- workload ------------------------------------------------------------------------------------------------------

PINS = {
    "transfers": "86aefed629dfc3e7c009f37d0de16e3e1b63ede2d93a29afcc3d4df3bb1dc4c0",
    "token": "9c76359718084565e9af79c4d2d69f4e7ac100869ab0f122bde939c3784d9430",
    "pools": "7cde8ff7c38d26cbfb2f76c11af70a4e31ed844f651564d0eb0ad79a8e45c295",
    "pool": "9dfe074840cac220b6f71ca78da57c00d4cf0473b58fdcd2ca7f58a95c0855fe",
    "mix": "a268efbbd22c21793b69a042e70acfb11a2e7ffed9bfe59d8a60569956344e2e",
}


@pytest.mark.parametrize("world", PINS)
def test_the_bytes_are_those_of_every_other_machine(world: str) -> None:
    """A change here is one of what results saved before can be compared with: say so in the CHANGELOG."""
    workload = make("evm", world=world, accounts=10, block_size=20, blocks=2, seed=3)
    found = sha256()
    for key, value in sorted(workload.genesis().items()):
        found.update(sha256(key).digest() + sha256(value).digest())
    for block in workload.blocks():
        assert block.header is not None
        found.update(sha256(block.header.extra).digest() + b"".join(sha256(tx).digest() for tx in block.txs))
    assert found.hexdigest() == PINS[world]


def test_senders_take_turns_but_in_a_mix() -> None:
    def senders(world: str) -> int:
        (block,) = make("evm", world=world, accounts=30, block_size=30, seed=3).blocks()
        transactions = fork_named(FORK).transactions
        return len({transactions.recover_sender(1, transactions.decode_transaction(tx)) for tx in block.txs})

    assert senders("token") == 30 and 5 < senders("mix") < 30


def test_what_it_does_not_take() -> None:
    with pytest.raises(InputError, match="world is 'swaps': give one of transfers, token, pools, pool, mix"):
        make("evm", world="swaps")
