"""What is refused as a block of Ethereum, and that what is taken is what it says."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from copy import deepcopy
from typing import Any

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import World, as_file, encoded, judge, receipts_of

from ioi_exec import InputError
from ioi_exec.files.ethereum import read_ethereum
from ioi_exec.vm.ethereum.forks import forks

FOREIGN = {"blockAccessListHash": "0x" + "11" * 32}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """A block of the newest fork, with its receipts."""
    block = World(forks()[-1], 1).made()
    judged = judge(block)
    return as_file(block, judged, receipts=receipts_of(block, judged))


def refused(data: bytes) -> str:
    with pytest.raises(InputError) as raised:
        read_ethereum(io.BytesIO(data), "a")
    assert str(raised.value).startswith("a: ")
    return str(raised.value)


def broken(made: dict[str, Any], how: str) -> Any:
    changed = deepcopy(made)
    block, transaction = changed["block"], changed["block"]["transactions"][0]
    match how:
        case "gas used":
            block["gasUsed"] = hex(int(block["gasUsed"], 16) + 1)
        case "value":
            transaction["value"] = hex(int(transaction["value"], 16) + 1)
        case "sender":
            transaction["from"] = "0x" + "ab" * 20
        case "missing transaction":
            del block["transactions"][-1]
        case "hashes":
            block["transactions"] = [one["hash"] for one in block["transactions"]]
        case "withdrawal":
            block["withdrawals"] = [{"index": "0x9", "validatorIndex": "0x1", "address": "0x" + "11" * 20, "amount": "0x1"}]
        case "fork":
            block["timestamp"] = "0x1"
        case "foreign":
            block.update(FOREIGN)
            block["hash"] = "0x" + "12" * 32
        case "chain":
            transaction.update({"type": "0x2", "chainId": "0xaa36a7"})
        case "storage":
            changed["prestate"][next(iter(changed["prestate"]))]["storage"] = {"0x0": "0x1" + "0" * 64}
        case "account":
            changed["prestate"]["0x12"] = {}
        case "field":
            changed["prestate"][next(iter(changed["prestate"]))]["blance"] = "0x1"
        case "code hash":
            changed["prestate"][next(iter(changed["prestate"]))]["codeHash"] = "0x" + "11" * 32
        case "twice":
            changed["prestate"][next(key for key in changed["prestate"] if key != key.upper()).upper().replace("0X", "0x")] = {}
        case "receipts":
            changed["receipts"].pop()
        case "uncles":
            changed["uncles"] = [changed["block"]]
        case "timestamp":
            block["timestamp"] = "0x" + "f" * 30
        case "no prestate":
            del changed["prestate"]
        case "list":
            return [changed]
    return changed


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("gas used", "its header hashes to"), ("value", "transaction 0: it does not have its hash"), ("sender", "transaction 0: "),
        ("missing transaction", "transactionsRoot"), ("hashes", "whole ones"), ("withdrawal", "withdrawalsRoot"),
        ("fork", "it is not mainnet's"), ("foreign", "the newest that the installed specification has"), ("chain", "chain 11155111"),
        ("storage", "256 bits"), ("account", "20 are wanted"), ("field", "unknown field 'blance'"), ("code hash", "codeHash"),
        ("twice", "occurs twice"), ("receipts", "receipts: there are"), ("uncles", "sha3Uncles"), ("timestamp", "there is no block"),
        ("no prestate", "'prestate' is missing"), ("list", "must be an object"),
    ],
)
def test_a_file_that_is_not_what_it_says(how: str, words: str, made: dict[str, Any]) -> None:
    assert words in refused(encoded(broken(made, how)))


def test_bytes_that_are_no_file(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioi_exec.files.ethereum.FILE_BYTES", 1 << 20)  # a bomb of 256 MiB takes as long as it is large
    whole = encoded(made)
    packed = lzma.compress(whole)
    for data, words in (
        (b"", "not JSON"), (whole[:-9], "not JSON"), (packed[:-40], "it was cut"), (packed[:200] + b"\0" * 9 + packed[209:], "cannot be decompressed"),
        (gzip.compress(whole)[:-4], "it was cut"), (gzip.compress(whole) + b"x", "something after"), (b'{"block":' * 99_999, "nested too deeply"),
        (lzma.compress(bytes(3 << 20), preset=0), "more than 1 MiB"), (gzip.compress(bytes(3 << 20), 1), "more than 1 MiB"),
        (b" " * (2 << 20), "more than 1 MiB"), (b'{"block": ' + b"9" * 9999 + b"}", "too long"),
    ):
        assert words in refused(data)


def test_what_is_taken(made: dict[str, Any]) -> None:
    for data in (encoded(made), gzip.compress(encoded(made)), lzma.compress(encoded(made))):
        file = read_ethereum(io.BytesIO(data), "a")
        assert file.block.fork == forks()[-1] and not file.uncles_missing
        assert [one.hex() for one in file.transaction_hashes] == [one["hash"][2:] for one in made["block"]["transactions"]]
        assert len(file.prestate) == len(made["prestate"]) and len(file.receipts or ()) == len(file.transactions)


def test_the_recursion_limit_of_the_process_is_left_alone() -> None:
    """Deep JSON ended the process where the specification had raised it."""
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(20_000)
        assert "nested too deeply" in refused(b'{"block":' * 99_999)
    finally:
        sys.setrecursionlimit(before)
