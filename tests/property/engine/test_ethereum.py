"""Small contracts and transactions from a seed, in every fork: gas, statuses, logs and the whole state after the block are those of the
specification by itself, one by one and in parallel."""

from __future__ import annotations

from typing import Any, Iterator

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import Judged, Made, World, address_of, as_file, encoded, judge, receipts_of, signed

from ioi_exec import BlockResult, ExecutionMachine
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.ethereum import EthereumFile, file_from_json, parse
from ioi_exec.vm.ethereum import LIMITS, genesis, header
from ioi_exec.vm.ethereum.forks import fork_named, forks
from ioi_exec.vm.ethereum.keys import Account
from ioi_exec.vm.ethereum.receipts import Outcome, totals
from ioi_exec.vm.ethereum.vm import REQUESTS, decoded

SEEDS = effort.seeds("IOI_ETHEREUM_SEEDS", sample=2, many=10)
WORKERS = (0, 2)

pytestmark = pytest.mark.sampled


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


def executed(file: EthereumFile, workers: int, pools: SharedPools) -> BlockResult:
    with ExecutionMachine.create(
        None, "ioi_exec.vm.ethereum:Ethereum", genesis=dict(genesis(file.prestate)), initial_height=file.block.number, workers=workers,
        limits=LIMITS, executors=pools.executors(), pin=False,
    ) as machine:
        return machine.execute(file.transactions, header(file.block))


def state_after(file: EthereumFile, result: BlockResult) -> dict[bytes, bytes]:
    pairs: dict[bytes, Any] = {**dict(genesis(file.prestate)), **dict(result.writes)}
    return {key: value for key, value in pairs.items() if value is not None and key[:1] != b"c"}


def check(made: Made, judged: Judged, file: EthereumFile, result: BlockResult) -> None:
    fork = made.fork
    outcomes = [Outcome.decode(fork, receipt.output) for receipt in result.receipts]
    used = 0
    for index, (receipt, outcome) in enumerate(zip(judged.receipts(fork), outcomes, strict=True)):
        assert outcome.gas_used == int(receipt.cumulative_gas_used) - used, f"transaction {index}"
        assert outcome.logs == receipt.logs, f"transaction {index}"
        assert outcome.succeeded == getattr(receipt, "succeeded", True), f"transaction {index}"
        used = int(receipt.cumulative_gas_used)
    assert state_after(file, result) == {key: value for key, value in genesis(judged.accounts) if key[:1] != b"c"}
    found = totals(fork, [decoded(fork, raw) for raw in file.transactions], outcomes)
    assert found.logs_bloom == bytes(file.block.header.bloom)
    assert found.receipts_root in (None, bytes(file.block.header.receipt_root))
    assert {event.name: event["hash"] for event in result.events} == ({} if judged.requests_hash is None else {REQUESTS: judged.requests_hash})


@pytest.mark.parametrize("seed", SEEDS)
def test_as_the_specification_by_itself(seed: int, pools: SharedPools) -> None:
    for fork in forks():
        made = World(fork, seed).made()
        judged = judge(made)
        given = {"receipts": receipts_of(made, judged)} if fork.has_status else {}
        file = file_from_json(parse(encoded(as_file(made, judged, **given))))
        for workers in WORKERS:
            check(made, judged, file, executed(file, workers, pools))


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
        check(made, judged, file, executed(file, workers, pools))
