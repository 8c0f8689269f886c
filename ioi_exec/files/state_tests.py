"""State tests of Ethereum, in the JSON of ethereum/tests (GeneralStateTests) and execution-spec-tests: by name

    {"env": the block that the transaction is in, "pre": the state before, as a pre-state has it,
     "transaction": with several "data", "gasLimit" and "value", and "secretKey" or "sender",
     "post": {fork: [{"indexes": {"data", "gas", "value"}, "hash": the state root after, "logs": the hash of its logs,
                      "txbytes": the transaction signed, "expectException": what refuses it}]}}

of which the last two are optional.
"""

from __future__ import annotations

import ioi_exec.vm.ethereum  # noqa: F401

# isort: split
import re
from dataclasses import dataclass
from typing import Any, BinaryIO, Iterator, Mapping

import coincurve
from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp

from ioi_exec.errors import InputError
from ioi_exec.files.compressed import read_plain
from ioi_exec.files.ethereum import FILE_BYTES, encoded_transaction, typed_header
from ioi_exec.files.ethereum_values import account, array, data, number
from ioi_exec.files.strict_json import Malformed, json_object, parse
from ioi_exec.vm.ethereum.block import RECENT_HASHES, Block
from ioi_exec.vm.ethereum.forks import CHAIN_ID, Fork, forks
from ioi_exec.vm.ethereum.keys import ADDRESS_BYTES, Account

_CALLED = {"eip150": "tangerinewhistle", "eip158": "spuriousdragon", "constantinoplefix": "constantinople", "merge": "paris"}
_UNKNOWN = ("constantinople",)  # with EIP-1283, which mainnet never had: the specification's is what tests call ConstantinopleFix
_BIG = "0x:bigint "


@dataclass(frozen=True)
class StateTest:
    """One transaction of a test in one fork. raw: its bytes; None: nothing can be encoded that would be it, and unsendable says why. root, logs:
    what is expected, 32 bytes each. exception: what must refuse it; None: nothing does."""

    name: str
    fork: Fork
    indexes: tuple[int, int, int]
    block: Block
    prestate: Mapping[bytes, Account]
    raw: bytes | None
    unsendable: str
    root: bytes
    logs: bytes
    exception: str | None


@dataclass(frozen=True)
class SkippedTests:
    """Of a fork that is not known, or that was not asked for."""

    name: str
    fork: str
    count: int
    unknown: bool


def fork_called(name: str) -> Fork | None:
    """As tests call it: ConstantinopleFix, EIP158, BPO1. None: the installed specification has none of that name."""
    plain = re.sub("[^a-z0-9]", "", name.lower())
    if plain in _UNKNOWN:
        return None
    plain = _CALLED.get(plain, plain)
    return next((fork for fork in forks() if fork.name.replace("_", "") == plain), None)


def read_state_tests(stream: BinaryIO, name: str, only: Fork | None = None) -> Iterator[StateTest | SkippedTests]:
    """name: how messages call the file. only: those of this fork. Raises InputError."""
    try:
        tests = json_object(parse(read_plain(stream, FILE_BYTES)), "the file")
        if not tests:
            raise Malformed("there is no test in it")
        for called, test in tests.items():
            try:
                yield from _tests(called, json_object(test, "the test"), only)
            except Malformed as error:
                raise Malformed(f"test {ascii(called)[:200]}: {error}") from None
    except Malformed as error:
        raise InputError(f"{name}: {error}") from None


def _tests(called: str, test: dict[str, Any], only: Fork | None) -> Iterator[StateTest | SkippedTests]:
    env, transaction, post = (json_object(test.get(part), part) for part in ("env", "transaction", "post"))
    prestate = {
        data(address, "pre: an address", ADDRESS_BYTES): account(one, f"pre: account {address}")
        for address, one in json_object(test.get("pre"), "pre").items()
    }
    config = json_object(test.get("config") or {}, "config")
    chain_id = number(config.get("chainid", CHAIN_ID), "config: chainid", 64)
    for fork_name, expected in post.items():
        fork = fork_called(fork_name)
        expected = array(expected, f"post: {fork_name}")
        if fork is None or only not in (None, fork):
            yield SkippedTests(called, fork_name, len(expected), fork is None)
            continue
        block = _block(fork, env, chain_id)
        for index, one in enumerate(expected):
            what = f"post: {fork_name}: {index}"
            one = json_object(one, what)
            said = json_object(one.get("indexes"), f"{what}: indexes")
            at, gas, value = (number(said.get(part), f"{what}: {part}", 31) for part in ("data", "gas", "value"))
            raw, why = None, ""
            if one.get("txbytes") is not None:
                raw = data(one["txbytes"], f"{what}: txbytes")
            else:
                try:
                    raw = _signed(transaction, at, gas, value)
                except _Unsendable as error:
                    why = str(error)
            exception = one.get("expectException")
            yield StateTest(
                called, fork, (at, gas, value), block, prestate, raw, why, data(one.get("hash"), f"{what}: hash", 32),
                data(one.get("logs"), f"{what}: logs", 32), None if exception is None else str(exception),
            )


def _block(fork: Fork, env: dict[str, Any], chain_id: int) -> Block:
    at = number(env.get("currentNumber"), "env: currentNumber", 64)
    hashes = {earlier: bytes(keccak256(b"%d" % earlier)) for earlier in range(max(0, at - RECENT_HASHES), at)}
    if env.get("previousHash") is not None:
        hashes[at - 1] = data(env["previousHash"], "env: previousHash", 32)
    known: dict[str, bytes | int] = {
        "parent_hash": hashes.get(at - 1, bytes(32)),
        "coinbase": data(env.get("currentCoinbase"), "env: currentCoinbase", ADDRESS_BYTES),
        "number": at,
        "gas_limit": number(env.get("currentGasLimit"), "env: currentGasLimit", 256),
        "timestamp": number(env.get("currentTimestamp"), "env: currentTimestamp", 256),
    }
    for part, called, default in (
        ("difficulty", "currentDifficulty", 0), ("base_fee_per_gas", "currentBaseFee", None), ("prev_randao", "currentRandom", 0),
        ("excess_blob_gas", "currentExcessBlobGas", 0),
    ):
        if part in fork.environment:
            known[part] = number(env.get(called, default), f"env: {called}", 256)
    return Block(fork, typed_header(fork, known, "env"), hashes=hashes, chain_id=chain_id)


class _Unsendable(Exception):
    """There are no bytes that are this transaction."""


def _signed(transaction: dict[str, Any], at: int, gas: int, value: int) -> bytes:
    """Without EIP-155's protection if it is of no type, so that it can be in any fork."""
    said: dict[str, Any] = {"chainId": CHAIN_ID, **transaction}
    for part, called, index in (("input", "data", at), ("gas", "gasLimit", gas), ("value", "value", value)):
        said[part] = _chosen(array(transaction.get(called), f"transaction: {called}"), index, called)
    lists = transaction.get("accessLists")
    said["accessList"] = [] if lists is None else _chosen(array(lists, "transaction: accessLists"), at, "accessLists") or []
    said["to"] = None if transaction.get("to") in (None, "", "0x") else transaction["to"]
    kind = 0
    if transaction.get("authorizationList") is not None:
        kind = 4
    elif transaction.get("maxFeePerBlobGas") is not None:
        kind = 3
    elif transaction.get("maxFeePerGas") is not None:
        kind = 2
    elif lists is not None and lists[at] is not None:
        kind = 1
    if transaction.get("secretKey") is None:
        raise Malformed("transaction: there is no secretKey to sign it with, and no txbytes")
    try:
        key = coincurve.PrivateKey(data(transaction["secretKey"], "transaction: secretKey", 32))
    except ValueError:
        raise Malformed("transaction: its secretKey is none") from None
    said = {name: _plain(one, name) for name, one in said.items()}

    def encode(v: int, r: int, s: int) -> bytes:
        return encoded_transaction({**said, "v": v, "r": r, "s": s}, kind, "transaction")

    unsigned = rlp.encode(list(rlp.decode(encode(0, 0, 0)[kind > 0 :]))[:-3])
    signature = key.sign_recoverable(bytes(keccak256(bytes([kind]) * (kind > 0) + unsigned)), hasher=None)
    r, s, parity = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    return encode(parity if kind else 27 + parity, r, s)


def _chosen(listed: list[Any], index: int, called: str) -> Any:
    if index >= len(listed):
        raise Malformed(f"transaction: {called} has {len(listed)} entries, and {index} is asked for")
    return listed[index]


def _plain(said: Any, name: str) -> Any:
    """Numbers that some write as such, for being more than 32 bytes; an empty value."""
    if isinstance(said, str) and said.startswith(_BIG):
        said = said[len(_BIG) :]
    if isinstance(said, str) and name not in ("to", "input", "secretKey", "sender"):
        if said == "0x":
            return 0
        if len(said) > 66:
            raise _Unsendable(f"its {name} has more than 32 bytes")
    return said
