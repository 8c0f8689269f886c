"""Small contracts and transactions from a seed, in every fork: gas, statuses, logs and the whole state after the block are those of the
specification by itself, one by one and in parallel."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Iterator

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_types.numeric import Uint
from evm_blocks import (
    LOG0,
    STOP,
    World,
    address_of,
    as_file,
    check_judged,
    code,
    encoded,
    executed,
    judge,
    push,
    read_made,
    secret,
    signed,
)

from ioi_exec import VMFault
from ioi_exec.ethereum import VM
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.ethereum import file_from_json, parse
from ioi_exec.vm.ethereum.forks import Fork, fork_named, forks
from ioi_exec.vm.ethereum.keys import Account
from ioi_exec.vm.ethereum.vm import why_invalid

SEEDS = effort.seeds("IOI_ETHEREUM_SEEDS", sample=2, many=10)
WORKERS = (0, 2)

pytestmark = pytest.mark.sampled


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_as_the_specification_by_itself(seed: int, pools: SharedPools) -> None:
    for fork in forks():
        made = World(fork, seed).made()
        judged = judge(made)
        file = read_made(made, judged)
        for workers in WORKERS:
            check_judged(judged, file, executed(file, VM, workers, pools))


@pytest.mark.parametrize("name", ["frontier", "berlin", "osaka"])
def test_fees_beyond_what_their_counter_holds(name: str, pools: SharedPools) -> None:
    """Which is 16 bytes: there is not so much ether, but a made state may say so. Before such a fee, after it, and twice."""
    world = World(fork_named(name), 0)
    made = world.made()
    for key in world.senders:
        made.prestate[address_of(key)] = Account(balance=1 << 200)
    made.transactions = [
        signed(made.fork, key, 0, {"nonce": 0, "gasPrice": price, "gas": 400_000, "to": world.contracts[1], "value": 1, "input": b""})
        for key, price in zip(world.senders, (10**9, 1 << 120, 10**9, 1 << 120, 10**9), strict=True)
    ]
    judged = judge(made)
    file = file_from_json(parse(encoded(as_file(made, judged))))
    for workers in WORKERS:
        check_judged(judged, file, executed(file, VM, workers, pools))


@pytest.mark.parametrize("name", ["bpo2", *(pytest.param(name, marks=pytest.mark.long) for name in ("homestead", "berlin", "shanghai", "cancun", "prague"))])
def test_a_crowded_block(name: str, pools: SharedPools) -> None:
    """As many transactions as real ones have, of every type that the fork has, with withdrawals, deposits and requests in one block."""
    world = World(fork_named(name), 11)
    deposits = name in ("prague", "bpo2")
    if deposits:
        world.pool += [DEPOSITS] * 4
    made = world.made(90)
    if deposits:
        made.prestate[DEPOSITS] = Account(1, 0, deposit_code(made.fork, deposit()))
    judged = judge(made)
    file = read_made(made, judged)
    kinds = {one["type"] for one in made.transactions}
    assert len(kinds) == 1 + sum(hasattr(made.fork.transactions, kind) for kind in KINDS)
    if deposits:
        assert judged.requests_hash != judge(replace(made, prestate={**made.prestate, DEPOSITS: Account(1, 0, b"\0")})).requests_hash
    for workers in WORKERS:
        check_judged(judged, file, executed(file, VM, workers, pools))


def test_a_deposit_that_is_none(pools: SharedPools) -> None:
    """Makes the block invalid, which says why."""
    world = World(fork_named("osaka"), 0)
    made = world.made()
    made.prestate[DEPOSITS] = Account(1, 0, deposit_code(made.fork, deposit()))
    made.transactions = [
        signed(made.fork, world.senders[0], 0, {"nonce": 0, "gasPrice": 10**9, "gas": 200_000, "to": DEPOSITS, "value": 0, "input": b""})
    ]
    judged = judge(made)
    made.prestate[DEPOSITS] = Account(1, 0, deposit_code(made.fork, deposit()[:-1] + b"\1\1"))
    file = file_from_json(parse(encoded(as_file(made, judged))))
    for workers in WORKERS:
        with pytest.raises(VMFault) as raised:
            executed(file, VM, workers, pools)
        assert why_invalid(raised.value)


def test_the_block_of_the_dao(pools: SharedPools) -> None:
    """Moves the ether of its accounts before its first transaction."""
    world = World(fork_named("dao_fork"), 0)
    made = world.made()
    made.parts["number"] = Uint(1_920_000)
    dao = import_module("ethereum.forks.dao_fork.dao")
    robbed = [bytes(address) for address in dao.DAO_ACCOUNTS[:3]]
    for address in robbed:
        made.prestate[address] = Account(balance=5 * 10**18)
    moved = {bytes(address): Account() for address in dao.DAO_ACCOUNTS} | {bytes(dao.DAO_RECOVERY): Account(balance=15 * 10**18)}
    judged = judge(replace(made, prestate={**made.prestate, **moved}))
    file = file_from_json(parse(encoded(as_file(made, judged))))
    for workers in WORKERS:
        check_judged(judged, file, executed(file, VM, workers, pools))


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_beneficiaries_that_are_something_else_too(seed: int, pools: SharedPools) -> None:
    """Whose code a transaction sets, a precompiled contract, one that the block itself calls, one that a transaction or a contract creates."""
    for fork in forks():
        world = World(fork, seed)
        created = [(address_of(world.senders[1]), 0), (world.contracts[0], 1)]
        some = [address_of(secret(20)), bytes(19) + b"\1", bytes(20), b"\xff" * 19 + b"\xfe"]
        some += [bytes(value) for name, value in vars(fork.rules).items() if name.endswith("_ADDRESS")]
        some += [bytes(keccak256(rlp.encode([creator, Uint(nonce)])))[12:] for creator, nonce in created]
        world.coinbase = world.rng.choice(some)
        world.pool += [world.coinbase] * 2
        made = world.made()
        judged = judge(made)
        file = file_from_json(parse(encoded(as_file(made, judged))))
        for workers in WORKERS:
            check_judged(judged, file, executed(file, VM, workers, pools))


DEPOSITS = bytes.fromhex("00000000219ab540356cbb839cbe05303d7705fa")
KINDS = ("AccessListTransaction", "FeeMarketTransaction", "BlobTransaction", "SetCodeTransaction")


def deposit() -> bytes:
    """The data of the deposit contract's log: five byte strings of fixed places."""
    parts = [b"\x11" * 48, b"\x22" * 32, b"\x33" * 8, b"\x44" * 96, b"\x55" * 8]
    places, body = b"", b""
    for part in parts:
        places += (160 + len(body)).to_bytes(32, "big")
        body += len(part).to_bytes(32, "big") + part + bytes(-len(part) % 32)
    return places + body


def deposit_code(fork: Fork, data: bytes) -> bytes:
    """A contract that logs this as the deposit contract does."""
    topic = bytes(import_module(f"ethereum.forks.{fork.name}.requests").DEPOSIT_EVENT_SIGNATURE_HASH)
    size, head = push(len(data).to_bytes(2, "big")), 53
    begun = code(size, push(head), push(0), 0x39, push(topic), size, push(0), LOG0 + 1, STOP)
    assert len(begun) <= head
    return begun.ljust(head, b"\0") + data
