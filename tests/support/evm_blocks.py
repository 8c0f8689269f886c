"""Blocks of Ethereum made from a seed, of any fork, and the specification itself as their oracle: its own apply_body over its own state in
dictionaries, with nothing of the engine in it. Import it where `ethereum` is installed (pytest.importorskip)."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass, field
from typing import Any

import coincurve
from ethereum import EVM_RECURSION_LIMIT
from ethereum.crypto.hash import Hash32, keccak256
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes20, Bytes32
from ethereum_types.numeric import U64, U256, Uint

from ioi_exec import BlockResult, ExecutionMachine
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.ethereum import _HEADER, _TRANSACTION, EthereumFile, _root, file_from_json, parse
from ioi_exec.vm.ethereum import LIMITS, genesis, header
from ioi_exec.vm.ethereum.forks import Fork
from ioi_exec.vm.ethereum.keys import Account
from ioi_exec.vm.ethereum.receipts import Outcome, logs_bloom, totals
from ioi_exec.vm.ethereum.vm import REQUESTS, decoded

ETHER = 10**18
PARENT = bytes(keccak256(b"parent"))
BLOBS = 6
"""A block's, at most: as many as Cancun allows, and every later fork allows more."""
# Opcodes.
STOP, ADD, SUB, EQ, ADDRESS, BALANCE, ORIGIN, CALLER = 0x00, 0x01, 0x03, 0x14, 0x30, 0x31, 0x32, 0x33
EXTCODESIZE, EXTCODEHASH, BLOCKHASH, COINBASE, TIMESTAMP, GASLIMIT, SELFBALANCE, BASEFEE = 0x3B, 0x3F, 0x40, 0x41, 0x42, 0x45, 0x47, 0x48
POP, MLOAD, MSTORE, MSTORE8, SLOAD, SSTORE, JUMPI, GAS, JUMPDEST, TLOAD, TSTORE = 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x57, 0x5A, 0x5B, 0x5C, 0x5D
LOG0, CREATE, CALL, CALLCODE, RETURN, DELEGATECALL, CREATE2, STATICCALL, REVERT, INVALID, SELFDESTRUCT = (
    0xA0, 0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xFA, 0xFD, 0xFE, 0xFF
)

_SKIP, _TEST_BYTES = b"\0SKIP", 6


def push(value: int | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([0x5F + len(data)]) + data


def code(*parts: int | bytes) -> bytes:
    """Opcodes as numbers, what is pushed as bytes."""
    return b"".join(bytes([part]) if isinstance(part, int) else part for part in parts)


def secret(number: int) -> coincurve.PrivateKey:
    return coincurve.PrivateKey.from_int(number + 1)


def address_of(key: coincurve.PrivateKey) -> bytes:
    return bytes(keccak256(key.public_key.format(compressed=False)[1:]))[12:]


def _signed(key: coincurve.PrivateKey, message: bytes) -> tuple[int, int, int]:
    signature = key.sign_recoverable(bytes(keccak256(message)), hasher=None)
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]


def minimal(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def signed(fork: Fork, key: coincurve.PrivateKey, kind: int, parts: dict[str, Any]) -> dict[str, Any]:
    """A transaction as JSON has it. parts: by their names there; numbers, bytes, lists, None for creation."""
    names = [name for name in _TRANSACTION[kind].split() if name not in ("*", "r", "s")]
    listed = [minimal(value) if isinstance(value, int) else value or b"" if not isinstance(value, list) else value for value in map(parts.get, names)]
    replay = kind == 0 and "chain_id" in str(fork.transactions.recover_sender.__annotations__)
    r, s, parity = _signed(key, bytes([kind]) * (kind > 0) + bytes(rlp.encode(listed + ([b"\x01", b"", b""] if replay else []))))
    v = parity if kind else parity + (37 if replay else 27)
    raw = bytes([kind]) * (kind > 0) + bytes(rlp.encode([*listed, minimal(v), minimal(r), minimal(s)]))
    shown = {name: _json(name, parts.get(name)) for name in names}
    return {
        **shown, "type": hex(kind), "v": hex(v), "r": hex(r), "s": hex(s), "hash": "0x" + keccak256(raw).hex(),
        "from": "0x" + address_of(key).hex(), "raw": raw,
    }


def authorization(key: coincurve.PrivateKey, chain_id: int, to: bytes, nonce: int) -> list[bytes]:
    r, s, parity = _signed(key, b"\x05" + bytes(rlp.encode([minimal(chain_id), to, minimal(nonce)])))
    return [minimal(chain_id), to, minimal(nonce), minimal(parity), minimal(r), minimal(s)]


def _json(name: str, value: Any) -> Any:
    match name:
        case "accessList":
            return [{"address": "0x" + at.hex(), "storageKeys": ["0x" + slot.hex() for slot in slots]} for at, slots in value]
        case "authorizationList":
            names = ("chainId", "address", "nonce", "yParity", "r", "s")
            return [
                {name: "0x" + part.hex() if name == "address" else hex(int.from_bytes(part, "big")) for name, part in zip(names, one)}
                for one in value
            ]
        case "blobVersionedHashes":
            return ["0x" + one.hex() for one in value]
    return hex(value) if isinstance(value, int) else None if value is None else "0x" + value.hex()


@dataclass
class Made:
    """fork; the block's environment by the specification's names of a header; what it stands on; its transactions as JSON has them."""

    fork: Fork
    parts: dict[str, Any]
    prestate: dict[bytes, Account]
    transactions: list[dict[str, Any]]
    withdrawals: list[tuple[int, int, bytes, int]] = field(default_factory=list)
    hashes: dict[int, bytes] = field(default_factory=dict)

    @property
    def raws(self) -> list[bytes]:
        return [transaction["raw"] for transaction in self.transactions]


def made_of(file: EthereumFile, transactions: list[dict[str, Any]]) -> Made:
    """The same of a file that was read. transactions: as its JSON has them."""
    header = file.block.header
    return Made(
        file.block.fork, {name: getattr(header, name) for name in file.block.fork.header_fields}, dict(file.prestate),
        [{**one, "raw": raw} for one, raw in zip(transactions, file.transactions, strict=True)],
        [(int(one.index), int(one.validator_index), bytes(one.address), int(one.amount)) for one in file.block.withdrawals],
        {**file.block.hashes, file.block.number - 1: bytes(header.parent_hash)},
    )


@dataclass
class Judged:
    """What the specification made of it: its BlockOutput, and the state after. accounts: nonce, balance, code, storage."""

    output: Any
    accounts: dict[bytes, Account]
    requests_hash: bytes | None

    def receipts(self, fork: Fork) -> list[Any]:
        found = []
        for key in self.output.receipt_keys:
            receipt = fork.trie.trie_get(self.output.receipts_trie, key)
            found.append(fork.blocks.decode_receipt(receipt) if isinstance(receipt, bytes) else receipt)
        return found


def judge(made: Made) -> Judged:
    fork = made.fork
    state = fork.state.State()
    for address, account in made.prestate.items():
        fork.state.set_account(state, Bytes20(address), fork.state.Account(Uint(account.nonce), U256(account.balance), account.code))
        for slot, value in account.storage.items():
            fork.state.set_storage(state, Bytes20(address), Bytes32(slot), U256(value))
    number = int(made.parts["number"])
    hashes = {number - 1: PARENT, **made.hashes}
    known = {
        **made.parts, "chain_id": U64(1), "state": state, "block_gas_limit": made.parts["gas_limit"], "time": made.parts["timestamp"],
        "block_hashes": [Hash32(hashes.get(number - back, bytes(32))) for back in range(256, 0, -1)],
    }
    environment = fork.vm.BlockEnvironment(**{name: known[name] for name in fork.environment})
    decode = getattr(fork.transactions, "decode_transaction", None)
    legacy = getattr(fork.transactions, "LegacyTransaction", None) or fork.transactions.Transaction
    transactions = tuple(rlp.decode_to(legacy, raw) if raw[0] >= 0xC0 else raw for raw in made.raws)
    assert decode or all(raw[0] >= 0xC0 for raw in made.raws)
    rest: tuple[Any, ...] = ()
    if hasattr(fork.rules, "pay_rewards"):
        rest = ((),)
    elif hasattr(fork.rules, "process_withdrawals"):
        rest = (tuple(fork.blocks.Withdrawal(U64(i), U64(v), Bytes20(at), U256(gwei)) for i, v, at, gwei in made.withdrawals),)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(EVM_RECURSION_LIMIT)
    try:
        output = fork.rules.apply_body(environment, transactions, *rest)
    finally:
        sys.setrecursionlimit(before)
    accounts = {}
    for address, account in state._main_trie._data.items():
        trie = state._storage_tries.get(address)
        storage = {bytes(slot): int(value) for slot, value in trie._data.items()} if trie else {}
        accounts[bytes(address)] = Account(int(account.nonce), int(account.balance), bytes(account.code), storage)
    requests = bytes(fork.rules.compute_requests_hash(output.requests)) if hasattr(fork.rules, "compute_requests_hash") else None
    return Judged(output, accounts, requests)


def as_file(made: Made, judged: Judged, **also: Any) -> dict[str, Any]:
    """The FILE of `ioi-exec ethereum run`, with the header that the specification gives the block."""
    fork, output = made.fork, judged.output
    withdrawals = [[minimal(i), minimal(v), at, minimal(gwei)] for i, v, at, gwei in made.withdrawals]
    known = {
        "parent_hash": PARENT, "ommers_hash": bytes(keccak256(rlp.encode(()))), "state_root": bytes(32), "extra_data": b"made",
        "transactions_root": _root(fork, made.raws), "receipt_root": bytes(fork.trie.root(output.receipts_trie)),
        "bloom": logs_bloom(output.block_logs), "gas_used": output.block_gas_used, "nonce": bytes(8), "mix_digest": bytes(32),
        "withdrawals_root": _root(fork, [bytes(rlp.encode(one)) for one in withdrawals]),
        "blob_gas_used": getattr(output, "blob_gas_used", 0), "requests_hash": judged.requests_hash, **made.parts,
    }
    parts = [bytes(known[name]) if isinstance(known[name], bytes) else minimal(int(known[name])) for name in fork.header_fields]
    shown: dict[str, Any] = {
        _HEADER[name][0]: "0x" + part.hex() if isinstance(known[name], bytes) else hex(int(known[name]))
        for name, part in zip(fork.header_fields, parts)
    }
    shown["hash"] = "0x" + keccak256(rlp.encode(parts)).hex()
    shown["transactions"] = [{name: value for name, value in one.items() if name != "raw"} for one in made.transactions]
    if "withdrawals_root" in fork.header_fields:
        shown["withdrawals"] = [
            {"index": hex(i), "validatorIndex": hex(v), "address": "0x" + at.hex(), "amount": hex(gwei)} for i, v, at, gwei in made.withdrawals
        ]
    prestate = {
        "0x" + address.hex(): {
            "balance": hex(one.balance), "nonce": one.nonce, "code": "0x" + one.code.hex(),
            "storage": {"0x" + slot.hex(): hex(value) for slot, value in one.storage.items()},
        }
        for address, one in made.prestate.items()
    }
    return {
        "block": shown, "prestate": prestate, "block_hashes": {str(number): "0x" + one.hex() for number, one in made.hashes.items()}, **also,
    }


def receipts_of(made: Made, judged: Judged) -> list[dict[str, Any]]:
    """As eth_getBlockReceipts gives them, of Byzantium and later."""
    return [
        {
            "status": hex(int(one.succeeded)), "cumulativeGasUsed": hex(int(one.cumulative_gas_used)),
            "logs": [
                {"address": "0x" + log.address.hex(), "topics": ["0x" + topic.hex() for topic in log.topics], "data": "0x" + log.data.hex()}
                for log in one.logs
            ],
        }
        for one in judged.receipts(made.fork)
    ]


def encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def executed(file: EthereumFile, vm: str, workers: int, pools: SharedPools) -> BlockResult:
    with ExecutionMachine.create(
        None, vm, genesis=dict(genesis(file.prestate)), initial_height=file.block.number, workers=workers, limits=LIMITS,
        executors=pools.executors(), pin=False,
    ) as machine:
        return machine.execute(file.transactions, header(file.block))


def state_after(file: EthereumFile, result: BlockResult) -> dict[bytes, bytes]:
    """All but code, which is never deleted."""
    pairs: dict[bytes, Any] = {**dict(genesis(file.prestate)), **dict(result.writes)}
    return {key: value for key, value in pairs.items() if value is not None and key[:1] != b"c"}


def check_judged(judged: Judged, file: EthereumFile, result: BlockResult) -> None:
    """Every receipt, the state, and what a header says of them."""
    fork = file.block.fork
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


def read_made(made: Made, judged: Judged) -> EthereumFile:
    """As `ioi-exec ethereum run` reads it, with receipts where they have a status."""
    given = {"receipts": receipts_of(made, judged)} if made.fork.has_status else {}
    return file_from_json(parse(encoded(as_file(made, judged, **given))))


class World:
    """Small contracts that call, create and destroy each other and look at the beneficiary, and transactions that meet in them."""

    def __init__(self, fork: Fork, seed: int) -> None:
        self.fork, self.rng = fork, random.Random(f"{fork.name} {seed}")
        self.senders = [secret(i) for i in range(5)]
        self.contracts = [b"\xc0" + bytes(18) + bytes([i]) for i in range(6)]
        self.blobs = 0
        rng = self.rng
        self.coinbase = rng.choice([address_of(self.senders[0]), self.contracts[0], b"\xbe" * 20, b"\xbe" * 20])
        self.pool = [*self.contracts, *map(address_of, self.senders), self.coinbase, b"\xee" * 20, b"\xef" * 20, bytes(19) + bytes([rng.randrange(1, 5)])]

    def has(self, name: str) -> bool:
        order = {"byzantium": 4370000, "constantinople": 7280000, "istanbul": 9069000, "london": 12965000, "cancun": 1710338135, "prague": 1746612311}
        number = order[name]
        of = self.fork.criteria._internal
        return bool(of >= (int(number > 10**9), number))

    def phrase(self, depth: int = 0) -> bytes:
        """Some instructions that leave the stack as it was."""
        rng = self.rng
        some = push(rng.choice(self.pool))
        slot = push(rng.randrange(4))
        match rng.randrange(18 if self.has("cancun") else 17):
            case 0:
                return code(push(rng.randrange(3)), slot, SSTORE)
            case 1 | 2:
                return code(slot, SLOAD, push(1), ADD, slot, SSTORE)
            case 3:
                return code(some, BALANCE, slot, SSTORE)
            case 4:
                return code(COINBASE, BALANCE, slot, SSTORE)
            case 5:
                return code(push(rng.getrandbits(64)), push(0), MSTORE, push(rng.randrange(9)), push(32), push(0), LOG0 + 1)
            case 6 | 7:
                value = push(rng.choice([0, 0, 1, 1000]))
                return code(push(32), push(0), push(32), push(0), value, some, push(rng.choice([0, 3000, 40000])), CALL, slot, SSTORE)
            case 8:
                if self.has("byzantium") and rng.random() < 0.3:
                    return code(push(0), push(0), push(0), push(0), some, push(20000), STATICCALL, POP)
                return code(push(0), push(0), push(0), push(0), push(0), some, push(30000), CALLCODE, POP)
            case 9:
                if self.fork.order == 0:
                    return code(GAS, POP)
                return code(push(0), push(0), push(0), push(0), some, push(30000), DELEGATECALL, POP)
            case 10 if depth < 2:
                return self.creation(depth)
            case 11:
                return code(some, EXTCODEHASH if self.has("constantinople") else EXTCODESIZE, slot, SSTORE)
            case 12:
                return _SKIP + code(slot, SLOAD, push(1), EQ) + self.phrase(depth + 1)
            case 13:
                return code(push(int(self.number) - rng.choice([0, 1, 2, 300])), BLOCKHASH, slot, SSTORE)
            case 14:
                return code(SELFBALANCE if self.has("istanbul") else GASLIMIT, slot, SSTORE)
            case 15:
                return code(BASEFEE if self.has("london") else TIMESTAMP, slot, SSTORE)
            case 16:
                return code(CALLER, BALANCE, push(5), SSTORE)
            case 17:
                return code(slot, TLOAD, push(1), ADD, slot, TSTORE, slot, TLOAD, push(6), SSTORE)
        return code(GAS, POP)

    def creation(self, depth: int) -> bytes:
        """CREATE of a contract that does something at once and leaves some code."""
        left = self.program(depth + 1, phrases=1)[:30]
        begun = self.program(depth + 1, phrases=1, end=b"")
        made = code(begun, push(left.ljust(32, b"\0")), push(0), MSTORE, push(len(left)), push(0), RETURN)
        stored = b"".join(code(push(made[at : at + 32].ljust(32, b"\0")), push(64 + at), MSTORE) for at in range(0, len(made), 32))
        value = push(self.rng.choice([0, 0, 7]))
        if self.has("constantinople") and self.rng.random() < 0.5:
            return code(stored, push(self.rng.randrange(2)), push(len(made)), push(64), value, CREATE2, push(2), SSTORE)
        return code(stored, push(len(made)), push(64), value, CREATE, push(3), SSTORE)

    def program(self, depth: int = 0, phrases: int | None = None, end: bytes | None = None) -> bytes:
        rng = self.rng
        placed = b""
        for _ in range(rng.randrange(1, 5) if phrases is None else phrases):
            placed = self._place(placed, self.phrase(depth))
        if end is None:
            some = push(rng.choice(self.pool))
            end = rng.choice([
                code(STOP), code(STOP), code(push(32), push(0), RETURN), code(some, SELFDESTRUCT), code(ADDRESS, SELFDESTRUCT),
                code(push(0), push(0), REVERT), code(INVALID),
            ])
        return placed + end

    def _place(self, placed: bytes, phrase: bytes) -> bytes:
        """What is only sometimes done jumps over itself, and where to depends on where it stands."""
        if not phrase.startswith(_SKIP):
            return placed + phrase
        test, body = phrase[len(_SKIP) :][:_TEST_BYTES], phrase[len(_SKIP) + _TEST_BYTES :]
        head = len(placed) + len(test) + 4
        inside = self._place(bytes(head), body)[head:]
        target = head + len(inside)
        return placed + test + code(push(target.to_bytes(2, "big")), JUMPI) + inside + code(JUMPDEST)

    @property
    def number(self) -> int:
        kind, value = self.fork.criteria._internal
        return max(1, value) + 300 if kind == 0 else 30_000_000

    def made(self, transactions: int | None = None) -> Made:
        """transactions: how many; None: a few."""
        rng, fork = self.rng, self.fork
        kind, value = fork.criteria._internal
        parts = {
            "number": Uint(self.number), "timestamp": U256(1_500_000_000 if kind == 0 else value + 12), "coinbase": Bytes20(self.coinbase),
            "gas_limit": Uint(60_000_000), "difficulty": Uint(131072) if "difficulty" in fork.environment else Uint(0),
            "base_fee_per_gas": Uint(7), "prev_randao": Bytes32(b"\x77" * 32), "excess_blob_gas": U64(0),
            "parent_beacon_block_root": Hash32(b"\x47" * 32),
        }
        parts = {name: part for name, part in parts.items() if name in fork.header_fields}
        parts.setdefault("difficulty", Uint(0))
        prestate = {address_of(key): Account(balance=rng.choice([10, 10, 11]) * ETHER) for key in self.senders}
        for address in self.contracts:
            storage = {slot.to_bytes(32, "big"): rng.randrange(1, 3) for slot in range(4) if rng.random() < 0.5}
            prestate[address] = Account(rng.randrange(2), rng.randrange(2000), self.program(), storage)
        for name in ("WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS", "CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS"):
            if hasattr(fork.rules, name):  # one that counts its calls and says how many bytes
                counts = code(push(0), SLOAD, push(1), ADD, push(0), SSTORE, push(0), SLOAD, push(0), RETURN)
                prestate[bytes(getattr(fork.rules, name))] = Account(1, 0, counts, {bytes(32): rng.randrange(1, 40)})
        if hasattr(fork.rules, "BEACON_ROOTS_ADDRESS"):
            keeps = code(push(0), 0x35, push(7), SSTORE)
            prestate[bytes(fork.rules.BEACON_ROOTS_ADDRESS)] = Account(1, 0, keeps)
        nonces = [0] * len(self.senders)
        sent = [self._transaction(nonces) for _ in range(rng.randrange(4, 14) if transactions is None else transactions)]
        withdrawals = []
        if hasattr(fork.rules, "process_withdrawals"):
            withdrawals = [(i, i, rng.choice(self.pool), rng.choice([0, 1, 32 * 10**9])) for i in range(rng.randrange(3))]
        return Made(fork, parts, prestate, sent, withdrawals, {self.number - 2: b"\x22" * 32})

    def _transaction(self, nonces: list[int]) -> dict[str, Any]:
        rng, fork = self.rng, self.fork
        who = rng.randrange(len(nonces))
        to = rng.choice(self.pool + self.contracts * 2)
        data = rng.randbytes(rng.choice([0, 0, 4, 40]))
        base = 7 if self.has("london") else 0
        price = base + rng.choice([0, 1, 10**9])
        parts: dict[str, Any] = {
            "nonce": nonces[who], "gas": rng.choice([60_000, 120_000, 400_000]), "to": to, "value": rng.choice([0, 0, 1, 10**6]), "input": data,
            "gasPrice": price, "chainId": 1, "maxFeePerGas": price + rng.choice([0, 50]), "maxPriorityFeePerGas": price - base,
            "accessList": [[rng.choice(self.pool), [rng.randrange(3).to_bytes(32, "big")]] for _ in range(rng.randrange(2))],
            "maxFeePerBlobGas": 10, "blobVersionedHashes": [b"\x01" + rng.randbytes(31)], "authorizationList": [],
        }
        kinds = [0]
        for name, kind in (("AccessListTransaction", 1), ("FeeMarketTransaction", 2), ("BlobTransaction", 3), ("SetCodeTransaction", 4)):
            if hasattr(fork.transactions, name) and (kind != 3 or self.blobs < BLOBS):
                kinds.append(kind)
        kind = rng.choice(kinds)
        self.blobs += kind == 3
        if kind < 3 and rng.random() < 0.2:
            parts["to"], parts["input"], parts["gas"] = None, self.program(1, phrases=2, end=code(push(1), push(31), RETURN)), 600_000
        if kind == 4:
            parts["gas"] = 400_000
            parts["authorizationList"] = [
                authorization(secret(20 + rng.randrange(3)), rng.choice([0, 1, 5]), rng.choice(self.contracts), rng.randrange(2))
                for _ in range(rng.randrange(1, 3))
            ]
            self.pool.append(address_of(secret(20)))
        nonces[who] += 1
        return signed(fork, self.senders[who], kind, parts)
