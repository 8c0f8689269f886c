"""Blocks from a seed in every fork, read from a stand-in for a node whose traces are the specification's own: what is fetched is what the block
was made on, as far as it looks at it, and executing it comes to the same."""

from __future__ import annotations

from typing import Any

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum_node import StandIn
from evm_blocks import World
from traced_blocks import traced

from ioi_exec.ethereum.fetching import fetch
from ioi_exec.ethereum.one_by_one import Pairs, run_one_by_one
from ioi_exec.ethereum.rpc import Node
from ioi_exec.ethereum.running import compared
from ioi_exec.vm.ethereum import genesis
from ioi_exec.vm.ethereum.forks import forks

FORKS = forks() if effort.long else forks()[1::3]  # homestead, ..., and the newest
SEEDS = effort.seeds("IOI_ETHEREUM_SEEDS", sample=1, many=5)
TRACERS: tuple[dict[str, Any], ...] = ({}, {"keeps_empty": True, "knows_authorities": False}, {"knows_authorities": False, "knows_beneficiary": False})

pytestmark = pytest.mark.sampled


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_fetched_is_what_the_block_was_made_on(seed: int) -> None:
    for fork in FORKS:
        for tracer in TRACERS:
            made = World(fork, seed).made()
            with StandIn(made, traced(made, **tracer)) as stand_in:
                for how in ({}, {"check": False}, {"traced": False}):
                    with Node(stand_in.url, pause=0) as node:
                        found = fetch(node, stand_in.number, **how)
                    assert found.equal and (found.compared is None) == (how == {"check": False}), (fork.name, tracer, how, found.compared)
                    if found.compared is None:
                        done = run_one_by_one(found.file.block, found.file.transactions, Pairs(dict(genesis(found.file.prestate))))
                        assert all(one.equal for one in compared(found.file, done.outcomes, done.requests_hash or b"")), (fork.name, tracer)
                    for address, account in found.file.prestate.items():
                        real = made.prestate[address]
                        assert (account.nonce, account.balance, account.code) == (real.nonce, real.balance, real.code), (fork.name, address.hex())
                        assert account.storage.items() <= real.storage.items(), (fork.name, address.hex())
