"""What the VM of Ethereum makes of blocks that are made for one thing each."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum_types.numeric import Uint
from evm_blocks import (
    ADD,
    ADDRESS,
    BLOCKHASH,
    CALL,
    ETHER,
    GAS,
    SLOAD,
    SSTORE,
    SUB,
    World,
    address_of,
    as_file,
    code,
    encoded,
    judge,
    push,
    secret,
    signed,
)

from ioi_exec import Diverged
from ioi_exec.ethereum.running import Ran, Runner
from ioi_exec.files.ethereum import EthereumFile, file_from_json, parse
from ioi_exec.vm.ethereum import Block
from ioi_exec.vm.ethereum.forks import fork_named, fork_of, forks
from ioi_exec.vm.ethereum.keys import Account

HERE = b"\xaa" * 20
ADA, BOB = secret(0), secret(1)


def block(fork: str, program: bytes, *transactions: dict[str, Any], **header: int) -> EthereumFile:
    """Transactions to a contract with this program, by default one of Ada's."""
    made = World(fork_named(fork), 0).made()
    made.prestate = {HERE: Account(1, 0, program), **{address_of(key): Account(balance=ETHER) for key in (ADA, BOB)}}
    made.withdrawals, made.hashes = [], {}
    made.transactions = [
        signed(made.fork, one.get("key", ADA), 0, {"nonce": 0, "gasPrice": 10**9, "gas": 3_000_000, "to": HERE, "value": 0, "input": b"", **one})
        for one in transactions or ({},)
    ]
    judged = judge(made)
    made.parts.update({name: Uint(value) for name, value in header.items()})
    return file_from_json(parse(encoded(as_file(made, judged))))


def run(file: EthereumFile) -> Ran:
    with Runner(0) as runner:
        return runner.run(file)


def why(file: EthereumFile) -> str:
    with pytest.raises(Diverged) as raised:
        run(file)
    return str(raised.value)


def test_a_thousand_calls_deep() -> None:
    """Before Tangerine Whistle a contract can call itself until the EVM's own limit; Python's must not come before."""
    count = code(push(0), SLOAD, push(1), ADD, push(0), SSTORE)
    call = code(*[push(0)] * 5, ADDRESS, push(30_000), GAS, SUB, CALL, push(1), SSTORE)  # with all gas but 30,000
    ran = run(block("homestead", count + call, {"gas": 58_000_000, "gasPrice": 1}))
    assert ran.equal and ran.gas_used > 1024 * 5000


def test_a_hash_that_is_not_given_is_no_zero() -> None:
    file = block("cancun", code(push(30_000_000 - 2), BLOCKHASH, push(0), SSTORE))
    assert "transaction 0: the hash of block 29999998 is asked for, and not given" in why(file)
    assert run(block("cancun", code(push(30_000_000 - 1), BLOCKHASH, push(0), SSTORE))).equal  # the parent's is in the header


def test_what_cannot_be_included_is_named() -> None:
    """Each has a good header; what is wrong is the state that it is executed on."""
    file = block("london", b"", {}, {"nonce": 1}, {"key": BOB})
    poor = {**file.prestate, address_of(BOB): Account(0, 10**6)}
    assert f"block {file.block.number} is invalid on this pre-state: transaction 2: InsufficientBalanceError" in why(_on(file, poor))
    early = {**file.prestate, address_of(BOB): Account(1, ETHER)}
    assert "transaction 2: NonceMismatchError: nonce too low" in why(_on(file, early))
    coded = {**file.prestate, address_of(BOB): Account(0, ETHER, b"\0")}
    assert "transaction 2: InvalidSenderError" in why(_on(file, coded))


def _on(file: EthereumFile, prestate: dict[bytes, Account]) -> EthereumFile:
    return EthereumFile(file.block, file.transactions, file.transaction_hashes, prestate)


def test_transactions_that_do_not_fit_together() -> None:
    """Each would fit alone."""
    file = block("paris", b"\x5b" * 10, {"gas": 60_000}, {"gas": 60_000, "nonce": 1}, gas_limit=80_000)
    assert "transaction 1: it may use 60000 gas, and the block has 5" in why(file)


def test_the_header_of_a_block_survives() -> None:
    file = block("shanghai", b"")
    assert Block.decode(file.block.encode()) == file.block


def test_forks_are_those_of_mainnet() -> None:
    assert [fork.name for fork in forks()][:3] == ["frontier", "homestead", "dao_fork"]
    for number, timestamp, name in (
        (1, 0, "frontier"), (1_149_999, 0, "frontier"), (1_150_000, 0, "homestead"), (1_920_000, 0, "dao_fork"), (12_964_999, 0, "berlin"),
        (12_965_000, 0, "london"), (15_537_394, 1_663_224_179, "paris"), (17_034_870, 1_681_338_455, "shanghai"), (19_426_587, 1_710_338_135, "cancun"),
    ):
        assert fork_of(number, timestamp).name == name


def test_importing_leaves_the_limit_of_recursion_alone() -> None:
    asked = """
import sys
before = sys.getrecursionlimit()
import ioi_exec.files.ethereum
from ioi_exec.vm.ethereum.forks import forks
assert [fork.rules for fork in forks()]
assert sys.getrecursionlimit() == before, sys.getrecursionlimit()
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
