"""A block of Ethereum mainnet with what it stands on, as one JSON object, plain, gzip or xz:

    {"block": as eth_getBlockByNumber gives it, with whole transactions,
     "prestate": {address: {"balance", "nonce", "code", "storage"}}, as geth's prestateTracer and a genesis' alloc have it,
     "block_hashes": {number: hash}, of earlier blocks that contracts ask for,
     "receipts": as eth_getBlockReceipts gives them, and "uncles": their headers; both optional}

What can be checked without executing anything is checked here: that the header hashes to the block's hash, that transactions and
withdrawals make its roots, and that each transaction was sent by whom it says.
"""

from __future__ import annotations

import ioi_exec.vm.ethereum  # noqa: F401

# isort: split
import inspect
from dataclasses import dataclass
from typing import Any, BinaryIO, Mapping, Sequence

from ethereum.crypto.hash import keccak256
from ethereum.exceptions import EthereumException
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import RLPException
from ethereum_types.numeric import U64, Uint

from ioi_exec.arguments import MAX_INT64
from ioi_exec.errors import InputError
from ioi_exec.files.compressed import read_plain
from ioi_exec.files.ethereum_values import account as _account
from ioi_exec.files.ethereum_values import array as _list
from ioi_exec.files.ethereum_values import data as _data
from ioi_exec.files.ethereum_values import minimal as _minimal
from ioi_exec.files.ethereum_values import number as _number
from ioi_exec.files.ethereum_values import objects as _objects
from ioi_exec.files.ethereum_values import word as _word
from ioi_exec.files.strict_json import Malformed, fields, json_object, parse
from ioi_exec.vm.ethereum.block import Block
from ioi_exec.vm.ethereum.forks import CHAIN_ID, Fork, fork_of, forks
from ioi_exec.vm.ethereum.keys import Account
from ioi_exec.vm.ethereum.vm import decoded

FILE_BYTES = 256 << 20
TIMESTAMP_MOST = MAX_INT64 // 10**9

_QUANTITY = None
# Of a header, as the specification calls them: the name in JSON, and how many bytes; None: a number, -1: any.
_HEADER: Mapping[str, tuple[str, int | None]] = {
    "parent_hash": ("parentHash", 32),
    "ommers_hash": ("sha3Uncles", 32),
    "coinbase": ("miner", 20),
    "state_root": ("stateRoot", 32),
    "transactions_root": ("transactionsRoot", 32),
    "receipt_root": ("receiptsRoot", 32),
    "bloom": ("logsBloom", 256),
    "difficulty": ("difficulty", _QUANTITY),
    "number": ("number", _QUANTITY),
    "gas_limit": ("gasLimit", _QUANTITY),
    "gas_used": ("gasUsed", _QUANTITY),
    "timestamp": ("timestamp", _QUANTITY),
    "extra_data": ("extraData", -1),
    "mix_digest": ("mixHash", 32),
    "prev_randao": ("mixHash", 32),
    "nonce": ("nonce", 8),
    "base_fee_per_gas": ("baseFeePerGas", _QUANTITY),
    "withdrawals_root": ("withdrawalsRoot", 32),
    "blob_gas_used": ("blobGasUsed", _QUANTITY),
    "excess_blob_gas": ("excessBlobGas", _QUANTITY),
    "parent_beacon_block_root": ("parentBeaconBlockRoot", 32),
    "requests_hash": ("requestsHash", 32),
}
_EXTRA_DATA_MOST = 32
# Of a transaction, by its type; * is its signature's v or yParity.
_TRANSACTION = (
    "nonce gasPrice gas to value input * r s",
    "chainId nonce gasPrice gas to value input accessList * r s",
    "chainId nonce maxPriorityFeePerGas maxFeePerGas gas to value input accessList * r s",
    "chainId nonce maxPriorityFeePerGas maxFeePerGas gas to value input accessList maxFeePerBlobGas blobVersionedHashes * r s",
    "chainId nonce maxPriorityFeePerGas maxFeePerGas gas to value input accessList authorizationList * r s",
)
_ACCOUNT = ("balance", "nonce", "code", "codeHash", "storage")


@dataclass(frozen=True)
class GivenReceipt:
    """As far as the file says it. logs: address, topics and data of each."""

    succeeded: bool | None
    gas_used: int | None
    logs: tuple[tuple[bytes, tuple[bytes, ...], bytes], ...]


@dataclass(frozen=True)
class EthereumFile:
    """transactions: the bytes that their hashes are of. receipts: None if there are none in it. uncles_missing: the block has uncles
    whose headers were not given, so that their miners get nothing."""

    block: Block
    transactions: tuple[bytes, ...]
    transaction_hashes: tuple[bytes, ...]
    prestate: Mapping[bytes, Account]
    receipts: tuple[GivenReceipt, ...] | None = None
    uncles_missing: bool = False


def read_ethereum(stream: BinaryIO, name: str) -> EthereumFile:
    """name: how messages call the file. Raises InputError."""
    try:
        return file_from_json(parse(read_plain(stream, FILE_BYTES)))
    except Malformed as error:
        raise InputError(f"{name}: {error}") from None


def file_from_json(value: Any) -> EthereumFile:
    """Raises Malformed."""
    names = ("block", "prestate", "block_hashes", "receipts", "uncles")
    fields(json_object(value, "the file"), names, names[:2])
    said = json_object(value["block"], "block")
    fork = _fork(said)
    header = _header(fork, said, "block")
    computed = bytes(keccak256(rlp.encode(header)))
    if computed != (claimed := _data(said.get("hash"), "block: hash", 32)):
        raise Malformed(
            f"block: its header hashes to {computed.hex()}, and its hash is {claimed.hex()}: it was changed, or it is no block of "
            f"mainnet, or one of a fork after {forks()[-1].name}, the newest that the installed specification has"
        )
    raws = _transactions(fork, said)
    if _root(fork, raws) != bytes(header.transactions_root):
        raise Malformed("block: its transactions do not make its transactionsRoot: they were changed, or some are missing")
    withdrawals = _withdrawals(fork, header, said)
    uncles = _uncles(fork, header, value.get("uncles"))
    receipts = _receipts(value["receipts"]) if value.get("receipts") is not None else None
    if receipts is not None and len(receipts) != len(raws):
        raise Malformed(f"receipts: there are {len(receipts)} for {len(raws)} transactions")
    return EthereumFile(
        Block(fork, header, uncles or (), withdrawals, _block_hashes(value.get("block_hashes"))),
        raws,
        tuple(bytes(keccak256(raw)) for raw in raws),
        _prestate(value["prestate"]),
        receipts,
        uncles is None,
    )


def _fork(said: Mapping[str, Any]) -> Fork:
    number, timestamp = _number(said.get("number"), "block: number", 256), _number(said.get("timestamp"), "block: timestamp", 256)
    if not 0 < number <= MAX_INT64 or timestamp > TIMESTAMP_MOST:
        raise Malformed(f"block: there is no block {number} at {timestamp} seconds since 1970")
    fork = fork_of(number, timestamp)
    wanted = {_HEADER[name][0] for name in fork.header_fields}
    for name, _ in _HEADER.values():
        if (said.get(name) is not None) != (name in wanted):
            has = "has no" if name in wanted else "has"
            raise Malformed(f"block: it {has} {name}, and by its number and timestamp it is of {fork.name}: it is not mainnet's")
    return fork


def _header(fork: Fork, said: Mapping[str, Any], what: str) -> Any:
    encoded: list[Any] = []
    for name in fork.header_fields:
        called, size = _HEADER[name]
        of = f"{what}: {called}"
        encoded.append(_minimal(said.get(called), of) if size is None else _data(said.get(called), of, None if size < 0 else size))
    if len(said["extraData"]) > 2 + 2 * _EXTRA_DATA_MOST:
        raise Malformed(f"{what}: extraData has more than {_EXTRA_DATA_MOST} bytes")
    return _typed(fork.blocks.Header, encoded, what)


def typed_header(fork: Fork, known: Mapping[str, bytes | int], what: str) -> Any:
    """A header of the specification's, with nothing where nothing is known. Raises Malformed."""
    parts = []
    for name in fork.header_fields:
        size = _HEADER[name][1]
        value = known.get(name, 0)
        if size is not None and isinstance(value, int):
            value = value.to_bytes(max(size, 0), "big")
        parts.append(value if isinstance(value, bytes) else value.to_bytes((value.bit_length() + 7) // 8, "big"))
    return _typed(fork.blocks.Header, parts, what)


def _typed(cls: Any, encoded: Any, what: str) -> Any:
    try:
        return rlp.deserialize_to(cls, encoded)
    except RLPException as error:
        raise Malformed(f"{what} is none that can be: {error}") from None


def _transactions(fork: Fork, said: Mapping[str, Any]) -> tuple[bytes, ...]:
    raws = []
    for index, transaction in enumerate(_list(said.get("transactions"), "block: transactions")):
        what = f"transaction {index}"
        if isinstance(transaction, str):
            raise Malformed("block: its transactions are hashes alone: ask eth_getBlockByNumber for whole ones, with true")
        transaction = json_object(transaction, what)
        raw = _transaction(transaction, what)
        if bytes(keccak256(raw)) != _data(transaction.get("hash"), f"{what}: hash", 32):
            raise Malformed(f"{what}: it does not have its hash: it was changed")
        if (sender := _sender(fork, raw, what)) != _data(transaction.get("from"), f"{what}: from", 20):
            raise Malformed(f"{what}: {sender.hex()} signed it, and from is {transaction['from']}: it was changed")
        raws.append(raw)
    return tuple(raws)


def _transaction(said: Mapping[str, Any], what: str) -> bytes:
    kind = _number(said.get("type", 0), f"{what}: type", 64)
    if kind >= len(_TRANSACTION):
        raise Malformed(f"{what}: there is no type {kind}")
    if kind and (chain := _number(said.get("chainId"), f"{what}: chainId", 64)) != CHAIN_ID:
        raise Malformed(f"{what}: it is of chain {chain}: what is known are the forks of mainnet, chain {CHAIN_ID}")
    return encoded_transaction(said, kind, what)


def encoded_transaction(said: Mapping[str, Any], kind: int, what: str) -> bytes:
    """kind: its type. Raises Malformed."""
    encoded = [_part(said, name, what) for name in _TRANSACTION[kind].split()]
    return (bytes([kind]) if kind else b"") + bytes(rlp.encode(encoded))


def _part(said: Mapping[str, Any], name: str, what: str) -> Any:
    of = f"{what}: {name}"
    match name:
        case "*":
            return _minimal(said["yParity"] if said.get("v") is None and "yParity" in said else said.get("v"), f"{what}: v")
        case "to":
            return b"" if said.get("to") is None else _data(said["to"], of, 20)
        case "input":
            return _data(said.get("input"), of)
        case "blobVersionedHashes":
            return [_data(one, of, 32) for one in _list(said.get(name), of)]
        case "accessList":
            return [
                [_data(one.get("address"), of, 20), [_data(slot, of, 32) for slot in _list(one.get("storageKeys"), of)]]
                for one in _objects(said.get(name), of)
            ]
        case "authorizationList":
            return [
                [
                    _minimal(one.get("chainId"), of), _data(one.get("address"), of, 20), _minimal(one.get("nonce"), of),
                    _minimal(one.get("yParity", one.get("v")), of), _minimal(one.get("r"), of), _minimal(one.get("s"), of),
                ]
                for one in _objects(said.get(name), of)
            ]
    return _minimal(said.get(name), of)


def _sender(fork: Fork, raw: bytes, what: str) -> bytes:
    try:
        transaction = decoded(fork, raw)
        recover = fork.transactions.recover_sender
        with_chain = "chain_id" in inspect.signature(recover).parameters  # since replay protection
        return bytes(recover(U64(CHAIN_ID), transaction) if with_chain else recover(transaction))
    except (EthereumException, RLPException) as error:
        raise Malformed(f"{what}: it is none of {fork.name}: {type(error).__name__}: {error}") from None


def _withdrawals(fork: Fork, header: Any, said: Mapping[str, Any]) -> tuple[Any, ...]:
    if not hasattr(fork.blocks, "Withdrawal"):
        return ()
    found = []
    for index, one in enumerate(_objects(said.get("withdrawals"), "block: withdrawals")):
        what = f"withdrawal {index}"
        numbers = [_minimal(one.get(name), f"{what}: {name}") for name in ("index", "validatorIndex", "amount")]
        encoded = [*numbers[:2], _data(one.get("address"), f"{what}: address", 20), numbers[2]]
        found.append(_typed(fork.blocks.Withdrawal, encoded, what))
    if _root(fork, [rlp.encode(one) for one in found]) != bytes(header.withdrawals_root):
        raise Malformed("block: its withdrawals do not make its withdrawalsRoot: they were changed, or some are missing")
    return tuple(found)


def _uncles(fork: Fork, header: Any, said: Any) -> tuple[Any, ...] | None:
    """None: there are some, and they are not given."""
    if said is None:
        return () if bytes(keccak256(rlp.encode(()))) == bytes(header.ommers_hash) else None
    found = []
    for index, one in enumerate(_objects(said, "uncles")):
        missing = next((name for name in fork.header_fields if one.get(_HEADER[name][0]) is None), None)
        if missing is not None:
            raise Malformed(f"uncle {index}: {_HEADER[missing][0]} is missing")
        found.append(_header(fork, one, f"uncle {index}"))
    if bytes(keccak256(rlp.encode(tuple(found)))) != bytes(header.ommers_hash):
        raise Malformed("uncles: they are not those that the block's sha3Uncles is of")
    return tuple(found)


def _block_hashes(said: Any) -> dict[int, bytes]:
    given = {} if said is None else json_object(said, "block_hashes")
    return {_number(number, "block_hashes: a number", 63): _word(found, "block_hashes: a hash") for number, found in given.items()}


def _prestate(said: Any) -> dict[bytes, Account]:
    accounts: dict[bytes, Account] = {}
    for written, one in json_object(said, "prestate").items():
        address = _data(written if written[:2] in ("0x", "0X") else f"0x{written}", "prestate: an address", 20)
        what = f"prestate: account {address.hex()}"
        if address in accounts:
            raise Malformed(f"{what} occurs twice")
        fields(json_object(one, what), _ACCOUNT, ())
        accounts[address] = _account(one, what)
    return accounts


def _receipts(said: Any) -> tuple[GivenReceipt, ...]:
    found, before = [], 0
    for index, one in enumerate(_objects(said, "receipts")):
        what = f"receipt {index}"
        gas_used = None
        if one.get("cumulativeGasUsed") is not None:
            total = _number(one["cumulativeGasUsed"], f"{what}: cumulativeGasUsed", 64)
            gas_used, before = total - before, total
        elif one.get("gasUsed") is not None:
            gas_used = _number(one["gasUsed"], f"{what}: gasUsed", 64)
        status = None if one.get("status") is None else _number(one["status"], f"{what}: status", 1) == 1
        logs = tuple(
            (
                _data(log.get("address"), f"{what}: a log's address", 20),
                tuple(_data(topic, f"{what}: a topic", 32) for topic in _list(log.get("topics"), f"{what}: topics")),
                _data(log.get("data"), f"{what}: a log's data"),
            )
            for log in _objects(one.get("logs"), f"{what}: logs")
        )
        found.append(GivenReceipt(status, gas_used, logs))
    return tuple(found)


def _root(fork: Fork, values: Sequence[bytes]) -> bytes:
    """Of the trie of values by their index."""
    trie = fork.trie.Trie(secured=False, default=None)
    for index, value in enumerate(values):
        fork.trie.trie_set(trie, rlp.encode(Uint(index)), value)
    return bytes(fork.trie.root(trie))
