"""State tests in their JSON, made from a seed: what they expect is what the specification's own tool for such tests comes to."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ethereum.crypto.hash import keccak256
from ethereum_spec_tools.evm_tools.statetest import TestCase, run_test_case
from ethereum_spec_tools.evm_tools.t8n import ForkCache
from evm_blocks import World, address_of

from ioi_exec.vm.ethereum.forks import Fork, fork_named, forks

# As tests call them, where that is not the specification's name.
_CALLED = {"tangerine_whistle": "EIP150", "spurious_dragon": "EIP158", "constantinople": "ConstantinopleFix"}
FORKS = tuple(fork for fork in forks() if fork.name != "dao_fork")
"""Of the fork itself no tests are, and the tool would move the DAO's ether first."""
SAMPLE_SEED = 2
_TestCase = TestCase
_TestCase.__test__ = False  # for pytest


def called(fork: Fork) -> str:
    return _CALLED.get(fork.name, fork.name.title().replace("_", "").replace("Bpo", "BPO"))


class _Env(dict[str, Any]):
    """The tool knows no hash but block 0's, and sets that."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name != "blockHashes" or name not in self:  # it is copied first
            super().__setitem__(name, value)


def made_test(fork: Fork, seed: int) -> dict[str, Any]:
    """A transaction with two data, gas limits and values, over the contracts of a World."""
    world = World(fork, seed)
    made = world.made()
    rng, parts = world.rng, made.parts
    one = rng.choice(made.transactions)
    key = next(key for key in world.senders if "0x" + address_of(key).hex() == one["from"])
    transaction: dict[str, Any] = {
        "data": [one["input"], "0x" + rng.randbytes(36).hex()],
        "gasLimit": [one["gas"], hex(rng.choice([21_000, 30_000, 53_000, 1_000_000]))],
        "value": [one["value"], hex(rng.choice([1, 10**17, 10**30]))],
        "nonce": hex(rng.choice([0, 0, 0, 1])),
        "to": one["to"] or "",
        "secretKey": "0x" + key.secret.hex(),
    }
    kind = int(one["type"], 16)
    if kind < 2:
        transaction["gasPrice"] = one["gasPrice"]
    if kind:
        transaction["accessLists"] = [one["accessList"], []]
    for name in ("maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas", "blobVersionedHashes"):
        if name in one:
            transaction[name] = one[name]
    if kind == 4:
        transaction["authorizationList"] = [{**each, "v": each["yParity"]} for each in one["authorizationList"]]
    number = int(parts["number"])
    env = {
        "currentCoinbase": "0x" + made.parts["coinbase"].hex(), "currentNumber": hex(number), "currentGasLimit": hex(parts["gas_limit"]),
        "currentTimestamp": hex(int(parts["timestamp"])), "currentDifficulty": hex(int(parts["difficulty"])), "currentBaseFee": "0x7",
        "currentRandom": "0x" + "77" * 32, "currentExcessBlobGas": "0x0",
    }
    pre = {
        "0x" + address.hex(): {
            "balance": hex(account.balance), "nonce": hex(account.nonce), "code": "0x" + account.code.hex(),
            "storage": {hex(int.from_bytes(slot, "big")): hex(value) for slot, value in account.storage.items()},
        }
        for address, account in made.prestate.items()
    }
    test = {"env": env, "pre": pre, "transaction": transaction, "post": {called(fork): []}}
    for indexes in ((0, 0, 0), (1, 0, 0), (0, 1, 1)):
        test["post"][called(fork)].append({"indexes": dict(zip(("data", "gas", "value"), indexes))})
    fill(test)
    return test


def fill(test: dict[str, Any]) -> None:
    """What its posts must say, but for their indexes, as the tool says it."""
    number = int(test["env"]["currentNumber"], 16)
    hashes = {hex(earlier): "0x" + keccak256(b"%d" % earlier).hex() for earlier in range(max(0, number - 256), number)}
    logging.getLogger("T8N").disabled = True
    for fork, posts in test["post"].items():
        for index, post in enumerate(posts):
            env = _Env({**test["env"], "blockHashes": hashes})
            transaction = {name: value for name, value in test["transaction"].items() if name != "sender"}
            case = _TestCase("", "", index, fork, post, test["pre"], env, transaction)
            with ForkCache() as cache:
                result = run_test_case(case, cache)
            post |= {"hash": "0x" + result.state_root.hex(), "logs": "0x" + result.logs_hash.hex()}
            if result.rejected:
                post["expectException"] = next(iter(result.rejected.values()))[:200]


def sample() -> dict[str, Any]:
    """The file that the repository carries, tests/e2e/ethereum/state_tests.json: some forks, and one test in two of them."""
    names = ("frontier", "spurious_dragon", "istanbul", "berlin", "london", "cancun", "prague", "osaka")
    tests = {f"made_{name}": made_test(fork_named(name), SAMPLE_SEED) for name in names}
    both = made_test(fork_named("cancun"), SAMPLE_SEED + 1)
    both["post"] = {name: [{"indexes": {"data": 0, "gas": 0, "value": 0}}] for name in ("Shanghai", "Cancun")}
    fill(both)
    return {**tests, "made_in_two_forks": both}


if __name__ == "__main__":
    (Path(__file__).parents[1] / "e2e" / "ethereum" / "state_tests.json").write_text(json.dumps(sample(), indent=1) + "\n")
