"""Small contracts and transactions from a seed, in every fork: gas, statuses, logs and the whole state after the block are those of the
specification by itself, one by one and in parallel."""

from __future__ import annotations

from typing import Iterator

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import World, address_of, as_file, check_judged, encoded, executed, judge, receipts_of, signed

from ioi_exec.ethereum import VM
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.ethereum import file_from_json, parse
from ioi_exec.vm.ethereum.forks import fork_named, forks
from ioi_exec.vm.ethereum.keys import Account

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
        given = {"receipts": receipts_of(made, judged)} if fork.has_status else {}
        file = file_from_json(parse(encoded(as_file(made, judged, **given))))
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
