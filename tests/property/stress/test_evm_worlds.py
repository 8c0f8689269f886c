"""Every generated world of Ethereum: statuses, gas, logs and the whole state after each block are those of the specification by itself, one
by one and in parallel."""

from __future__ import annotations

from typing import Any

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import Judged, Made, judge

from ioi_exec import ExecutionMachine, Receipt
from ioi_exec.execution.executors import SharedPools
from ioi_exec.vm.ethereum import Block as EthereumBlock
from ioi_exec.vm.ethereum import genesis
from ioi_exec.vm.ethereum.receipts import Outcome
from ioi_stress.workload import Block
from ioi_stress.workloads import make, parameters_of
from ioi_stress.workloads.evm import Evm

SEEDS = effort.seeds("IOI_EVM_WORLDS", sample=1, many=4)
WORKERS = (0, 1, 2, 8)
SIZE = effort.amount("IOI_EVM_WORLD_SIZE", sample=8, many=24)
(WORLD,) = (each for each in parameters_of(Evm) if each.name == "world")

pytestmark = pytest.mark.sampled


def as_made(block: Block, prestate: dict[bytes, Any]) -> Made:
    assert block.header is not None
    about = EthereumBlock.decode(block.header.extra)
    parts = {name: getattr(about.header, name) for name in about.fork.header_fields}
    return Made(about.fork, parts, prestate, [{"raw": tx} for tx in block.txs])


def check(made: Made, judged: Judged, receipts: list[Receipt]) -> None:
    used = 0
    for index, (said, receipt) in enumerate(zip(judged.receipts(made.fork), receipts, strict=True)):
        outcome = Outcome.decode(made.fork, receipt.output)
        found = (outcome.succeeded, outcome.gas_used, outcome.logs)
        assert found == (said.succeeded, int(said.cumulative_gas_used) - used, said.logs), f"transaction {index}"
        assert said.succeeded, f"transaction {index}: a world in which everything fails shows nothing"
        used = int(said.cumulative_gas_used)


@pytest.mark.parametrize("world", WORLD.choices or ())
@pytest.mark.parametrize("seed", SEEDS)
def test_as_the_specification_by_itself(world: str, seed: int, ioi_pools: SharedPools) -> None:
    workload = make("evm", world=world, accounts=6, block_size=SIZE, blocks=2, seed=seed)
    judgements, prestate = [], workload.prestate()  # type: ignore[attr-defined]
    for block in workload.blocks():
        made = as_made(block, prestate)
        judged = judge(made)
        judgements.append((block, made, judged))
        prestate = judged.accounts
    for workers in WORKERS:
        with ExecutionMachine.create(
            None, workload.vm, genesis=workload.genesis(), workers=workers, executors=ioi_pools.executors(), pin=False
        ) as machine:
            for block, made, judged in judgements:
                result = machine.execute(block.txs, block.header)
                check(made, judged, list(result.receipts))
                machine.commit(result)
                assert {key: value for key, value in machine.scan() if key[:1] != b"c"} == {
                    key: value for key, value in genesis(judged.accounts) if key[:1] != b"c"
                }
