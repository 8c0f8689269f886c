"""Signed payments, in C and in Python: what is good and what fails, verified once, before anything else, whoever executes it."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec import BlockHeader, ExecutionMachine, InputError, Limits, Policy, VMError, VMFault
from ioi_exec.files import read_block, read_genesis
from ioi_exec.kit import public_key
from ioi_exec.vm import signatures
from ioi_exec.vm.payments import (
    SIGNED_BYTES,
    Account,
    account_key,
    check_signed,
    decode_account,
    encode_account,
    encode_transfer,
    payout_entry,
    sign_transfer,
)
from ioi_exec.vm.payments_native import Payments
from ioi_exec.vm.payments_reference import PaymentsReference

pytest.importorskip("nacl")
Make = Callable[..., ExecutionMachine]
SECRETS = [bytes([letter]) * 32 for letter in b"abc"]
ADA, BOB, CY = map(public_key, SECRETS)
VALIDATOR = b"v" * 20
SIGNED = {"signed": True}


def signed(sender: int, recipient: bytes, amount: int, *, chain_id: str = "c", **more: int) -> bytes:
    return sign_transfer(encode_transfer(public_key(SECRETS[sender]), recipient, amount, **more), SECRETS[sender], chain_id)


@pytest.fixture(params=["payments", PaymentsReference], ids=["c", "python"])
def vm(request: pytest.FixtureRequest) -> Any:
    return request.param


GENESIS = dict([(account_key(ADA), encode_account(100)), (account_key(BOB), encode_account(100)), payout_entry(VALIDATOR, CY)])


def test_what_is_good_and_what_is_not(make: Make, vm: Any) -> None:
    good = signed(0, BOB, 10, fee=1, nonce=0)
    txs = [
        good[:-1] + bytes([good[-1] ^ 1]),
        signed(0, BOB, 10, nonce=0, chain_id="d"),
        encode_transfer(ADA, BOB, 10, nonce=0),
        encode_transfer(ADA, BOB, 11, fee=1, nonce=0) + good[104:],
        encode_transfer(BOB, ADA, 10, fee=1, nonce=0) + good[104:],
        good,
        good,
        signed(1, ADA, 1000, nonce=0),
    ]
    machine = make(vm, GENESIS, vm_args=SIGNED, chain_id="c")
    for sequential in (True, False):
        result = machine.execute(txs, sequential=sequential)
        errors = ["signature", "signature", "malformed", "signature", "signature", "", "nonce", "balance"]
        assert [receipt.error for receipt in result.receipts] == errors
        assert all(receipt.code == (1 if receipt.error else 0) for receipt in result.receipts)
    machine.commit(result)
    assert decode_account(machine.get(account_key(BOB))) == Account(110, 0) and len(good) == SIGNED_BYTES


def test_fees_reach_a_proposer_of_another_length(make: Make, vm: Any) -> None:
    machine = make(vm, GENESIS, vm_args=SIGNED, chain_id="c")
    txs = [signed(0, BOB, 10, fee=3, nonce=0), signed(1, ADA, 1, fee=4, nonce=0), signed(1, ADA, 1, fee=9, nonce=0)]

    def held(proposer: bytes | None) -> dict[bytes, Account]:
        with machine.sandbox():
            machine.commit(machine.execute(txs, BlockHeader(proposer=proposer)))
            return {key: decode_account(value) for key, value in machine.scan(prefix=b"acct/")}

    assert held(VALIDATOR)[account_key(CY)] == Account(7, 0)
    assert account_key(CY) not in held(b"w" * 20) and account_key(CY) not in held(None)
    assert held(CY)[account_key(CY)] == Account(7, 0)


def test_random_blocks(make: Make) -> None:
    """In C, however many workers, as in plain Python."""
    for seed in range(3):
        rng, nonces, txs = random.Random(seed), [0, 0, 0], []
        for _ in range(40):
            sender, recipient = rng.randrange(3), rng.choice((ADA, BOB, CY))
            nonce = nonces[sender] + (rng.random() < 0.1)
            tx = bytearray(signed(sender, recipient, rng.randrange(60), fee=rng.randrange(3), nonce=nonce))
            if rng.random() < 0.2:
                tx[rng.randrange(len(tx))] ^= 1 << rng.randrange(8)
            else:
                nonces[sender] += nonce == nonces[sender]
            txs.append(bytes(tx[: rng.choice((168, 168, 168, 168, 104))]))
        machine = make(vm="payments", genesis=GENESIS, vm_args=SIGNED, chain_id="c")
        with ExecutionMachine.create(None, PaymentsReference, genesis=GENESIS, vm_args=SIGNED, chain_id="c", workers=0) as reference:
            want, got = (m.execute(txs, BlockHeader(proposer=VALIDATOR)) for m in (reference, machine))
            assert (got.state_root, got.receipts_root, got.receipts) == (want.state_root, want.receipts_root, want.receipts)
            assert {receipt.error for receipt in got.receipts} >= {"", "signature", "malformed"}


class Noted(Payments):
    """Says in a file what it verifies."""

    def __init__(self, path: str) -> None:
        super().__init__(signed=True)
        self._path = path
        self.verify = self._verify

    def _verify(self, tx: bytes, chain_id: str) -> None:
        out = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(out, b".")
        os.close(out)
        check_signed(tx, chain_id)


def test_verified_once_whoever_executes_it_again(tmp_path: Path) -> None:
    """One sender: what is executed before its turn is executed again. Block after block, until some were."""
    path, again, blocks = tmp_path / "verified", 0, 0
    with ExecutionMachine.create(
        None, Noted, genesis=GENESIS, vm_args=[str(path)], chain_id="c", workers=2, policy=Policy.named("paper")
    ) as machine:
        txs = [signed(0, BOB, 0, nonce=nonce) for nonce in range(60)]
        while not again and blocks < 2000:
            result = machine.execute(txs)
            assert result.failed == 0
            again, blocks = result.stats.executions - len(txs), blocks + 1
    assert again and path.stat().st_size == blocks * len(txs)


class Ill(Payments):
    """Whose library is missing once it is needed."""

    def __init__(self) -> None:
        super().__init__(signed=True)
        self.verify = self._verify

    def _verify(self, tx: bytes, chain_id: str) -> None:
        if tx == b"now":
            raise ImportError("no library")


def test_a_fault_of_the_machine_stops_the_block_and_names_the_transaction(make: Make) -> None:
    machine = make(Ill, GENESIS)
    for sequential in (True, False):
        with pytest.raises(VMFault, match="no library") as caught:
            machine.execute([b"x", b"now", b"y"], sequential=sequential)
        assert caught.value.tx_index == 1
    assert machine.execute([b"x"]).receipts[0].error == "malformed"


def test_without_the_library_no_machine_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nacl.bindings", None)
    signatures.library.cache_clear()
    with pytest.raises(VMError, match=r"pip install 'ioi-exec\[signed\]'"):
        ExecutionMachine.create(None, "payments", vm_args=SIGNED, workers=0)
    ExecutionMachine.create(None, "payments", workers=0).close()


def test_what_vm_args_may_be() -> None:
    with pytest.raises(VMError, match="signed is str"):
        ExecutionMachine.create(None, "payments", vm_args={"signed": "yes"}, workers=0)


def test_remembered(tmp_path: Path) -> None:
    with ExecutionMachine.create(tmp_path / "s", vm_args=SIGNED, genesis=GENESIS, chain_id="c", workers=0):
        pass
    with ExecutionMachine.open(tmp_path / "s", workers=0) as machine:
        assert machine.execute([signed(0, BOB, 1, nonce=0), encode_transfer(ADA, BOB, 1, nonce=0)]).failed == 1


def test_files() -> None:
    signature = signed(0, BOB, 1, nonce=0)[104:]
    line = f'{{"from": "{ADA.hex()}", "to": "{BOB.hex()}", "amount": 1, "nonce": 0, "signature": "{signature.hex()}"}}'
    assert read_block(io.BytesIO(line.encode()), "f", Limits(), transfers=True).txs == [signed(0, BOB, 1, nonce=0)]
    genesis = f'{{"accounts": {{"{ADA.hex()}": {{"balance": 1}}}}, "payouts": {{"{VALIDATOR.hex()}": "{CY.hex()}"}}}}'
    found = read_genesis(io.BytesIO(genesis.encode()), "g", accounts=True)
    assert found == dict([(account_key(ADA), encode_account(1)), payout_entry(VALIDATOR, CY)])
    for wrong in ('{"payouts": {}}', '{"state": {}, "payouts": {}}', '{"accounts": {}, "payouts": {"aa": "bb"}}'):
        with pytest.raises(InputError):
            read_genesis(io.BytesIO(wrong.encode()), "g", accounts=True)
    for proposer, address in ((CY, CY), (b"", CY), (VALIDATOR, b"short")):
        with pytest.raises(InputError):
            payout_entry(proposer, address)
    with pytest.raises(InputError, match="genesis: .* has 5 bytes"):
        ExecutionMachine.create(None, genesis={b"payout/" + VALIDATOR: b"short"}, workers=0)
