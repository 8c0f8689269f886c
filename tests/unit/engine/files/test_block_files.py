"""Block and genesis files: what they may hold, and the refusal of everything else with file and line."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from ioi_exec import BlockHeader, Error, InputError, LimitExceeded, Limits, Misbehaviour, Vote
from ioi_exec.files import BlockFile, read_block, read_genesis
from ioi_exec.files.strict_json import written
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

A, B = "aa" * 32, "bb" * 32
GOOD = {"from": A, "to": B, "amount": 1, "fee": 2, "nonce": 3, "expiry": 4}
GOOD_TX = encode_transfer(bytes.fromhex(A), bytes.fromhex(B), 1, fee=2, nonce=3, expiry=4)
U64, U128 = (1 << 64) - 1, (1 << 128) - 1


def block(content: bytes | str, *, transfers: bool = True, limits: Limits | None = None) -> BlockFile:
    data = content.encode() if isinstance(content, str) else content
    return read_block(io.BytesIO(data), "file", limits or Limits(), transfers=transfers)


def line(**changes: Any) -> str:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value != "leave out"})


@pytest.mark.parametrize(
    "content, txs",
    [
        ("", []),
        ("\n\r\n \n", []),
        (line(), [GOOD_TX]),
        (line() + "\n" + line() + "\n", [GOOD_TX] * 2),
        (line() + "\r\n" + line() + "\r\n\r\n\n", [GOOD_TX] * 2),
        ("  " + line() + " \t", [GOOD_TX]),
        (line(**{"from": A.upper(), "to": "bB" * 32}), [GOOD_TX]),
        (line(amount="1", fee="2", nonce="3", expiry="4"), [GOOD_TX]),
        (line(fee="leave out", expiry="leave out"), [encode_transfer(bytes.fromhex(A), bytes.fromhex(B), 1, nonce=3)]),
        (
            line(amount=str(U128), fee=U64, nonce=U64, expiry=str(U64)),
            [encode_transfer(bytes.fromhex(A), bytes.fromhex(B), U128, fee=U64, nonce=U64, expiry=U64)],
        ),
        ('{"tx": ""}\n{"tx": "00fF"}', [b"", b"\0\xff"]),
        (line() + '\n{"tx": "%s"}' % GOOD_TX.hex(), [GOOD_TX] * 2),
    ],
)
def test_what_a_block_file_may_hold(content: str, txs: list[bytes]) -> None:
    assert block(content) == BlockFile(None, txs)


@pytest.mark.parametrize(
    "header, expected",
    [
        ({}, BlockHeader()),
        ({"height": None, "proposer": None}, BlockHeader()),
        ({"height": 7, "time_ns": str((1 << 63) - 1), "proposer": "Ab" * 20, "block_id": "01", "extra": "02"},
         BlockHeader(7, (1 << 63) - 1, b"\xab" * 20, b"\1", b"\2")),
        ({"votes": [{"validator": "aB", "power": 5}, {"validator": "cd", "power": "0", "flag": "absent"}],
          "misbehaviour": [{"kind": "duplicate_vote", "validator": "ab", "power": 1, "height": 2, "time_ns": 3, "total_power": 4}]},
         BlockHeader(votes=[Vote(b"\xab", 5), Vote(b"\xcd", 0, "absent")], misbehaviour=[Misbehaviour("duplicate_vote", b"\xab", 1, 2, 3, 4)])),
        ({"votes": [{"validator": "ab" * 64, "power": "9223372036854775807", "flag": "absent"}] * 10_000},
         BlockHeader(votes=[Vote(b"\xab" * 64, 2**63 - 1, "absent")] * 10_000)),
        ({"extra": "00" * 65_536}, BlockHeader(extra=bytes(65_536))),
    ],
)
def test_a_header_line(header: dict[str, Any], expected: BlockHeader) -> None:
    found = block(json.dumps({"header": header}) + "\n" + line())
    assert found.header == expected and found.txs == [GOOD_TX]


RUBBISH: list[tuple[str | bytes, str]] = [
    # no votes
    ('{"header": {"votes": {}}}', "votes must be a list"), ('{"header": {"votes": [5]}}', "votes[0] must be an object"),
    ('{"header": {"votes": [{"validator": "ab"}]}}', "'power' is missing"), ('{"header": {"votes": [{"validator": "", "power": 1}]}}', "validator is empty"),
    ('{"header": {"votes": [{"validator": "ab", "power": 1, "flag": "x"}]}}', "flag must be one of"),
    ('{"header": {"misbehaviour": [{"kind": "theft"}]}}', "'validator' is missing"), ('{"header": {"votes": [' + "{}," * 10_000 + "{}]}}", "at most 10000"),
    # not JSON
    ("x", "not JSON"), ("{", "not JSON"), (line()[:-1], "not JSON"), (line() + " x", "not JSON"), (line() + line(), "not JSON"),
    (line() + ",", "not JSON"), ("{'tx': '00'}", "not JSON"), ('{"tx": "00",}', "not JSON"), (b'{"tx": "\xff"}', "UTF-8"),
    (b"\xef\xbb\xbf" + line().encode(), "byte order mark"), (line().encode("utf-16"), "UTF-8"), (b"\0" * 50, "not JSON"),
    ('{"tx": NaN}', "NaN"), ('{"tx": -Infinity}', "Infinity"), ("[" * 100_000, "deep"), ('{"tx": ' + "9" * 5000 + "}", "too long"),
    ('{"tx": "00"} // comment', "not JSON"), ("/* */", "not JSON"),
    # not a transaction
    ("[]", "a list"), ('"text"', "text"), ("7", "a number"), ("null", "null"), ("true", "true or false"), ("{}", "'from' is missing"),
    ('{"transaction": "00"}', "unknown field"), ('{"tx": "00", "fee": 1}', "unknown field 'fee'"), ('{"Tx": "00"}', "unknown field"),
    (line(memo="hi"), "unknown field 'memo'"), (line(tx="00"), "unknown field"), (line(to="leave out"), "'to' is missing"),
    (line(amount="leave out"), "'amount' is missing"), (line(nonce="leave out"), "'nonce' is missing"),
    ('{"tx": "00", "tx": "01"}', "twice"), (line()[:-1] + ', "fee": 2}', "twice"),
    # not a transaction in hex
    ('{"tx": 0}', "hex"), ('{"tx": null}', "hex"), ('{"tx": ["00"]}', "hex"), ('{"tx": "0"}', "hex"), ('{"tx": "0x00"}', "leave out the 0x"),
    ('{"tx": "zz"}', "hex"), ('{"tx": "00 00"}', "hex"), ('{"tx": " 00"}', "hex"), ('{"tx": "00\\n"}', "hex"), ('{"tx": "\\uff10\\uff10"}', "hex"),
    # addresses
    (line(**{"from": A[:-2]}), "32 bytes"), (line(**{"from": A + "00"}), "32 bytes"), (line(to="0x" + B[2:]), "0x"), (line(to=7), "hex"),
    (line(to=""), "32 bytes"), (line(to="g" * 64), "hex"),
    # numbers
    (line(amount=-1), "negative"), (line(amount="-1"), "decimal"), (line(amount=1.0), "integer"), (line(amount=1e3), "integer"),
    (line(amount=True), "integer"), (line(amount=None), "integer"), (line(amount=[1]), "integer"), (line(amount={}), "integer"),
    (line(amount=""), "decimal"), (line(amount="0x1"), "decimal"), (line(amount="1_000"), "decimal"), (line(amount=" 1"), "decimal"),
    (line(amount="+1"), "decimal"), (line(amount="01"), "decimal"), (line(amount="1.0"), "decimal"), (line(amount="1\n"), "decimal"),
    (line(amount="\u0661"), "decimal"), (line(amount="9" * 1000), "decimal"), (line(amount=U128 + 1), "too large"),
    (line(amount=str(U128 + 1)), "too large"), (line(fee=U64 + 1), "too large"), (line(nonce=U64 + 1), "too large"),
    (line(expiry=U64 + 1), "too large"), (line(fee=-1), "negative"), (line(nonce=False), "integer"), (line(expiry=None), "integer"),
    # headers
    ('{"header": []}', "object"), ('{"header": null}', "object"), ('{"header": {}, "tx": "00"}', "unknown field 'tx'"),
    ('{"header": {"hight": 1}}', "unknown field 'hight'"), ('{"header": {"height": -1}}', "negative"), ('{"header": {"height": 1.5}}', "integer"),
    ('{"header": {"height": %d}}' % (1 << 63), "too large"), ('{"header": {"time_ns": null}}', "integer"),
    ('{"header": {"proposer": "%s"}}' % ("00" * 65), "at most 64"), ('{"header": {"proposer": "0"}}', "hex"),
    ('{"header": {"block_id": "%s"}}' % ("00" * 65), "at most 64"), ('{"header": {"extra": "%s"}}' % ("00" * 65_537), "at most 65536"),
    ('{"header": {"extra": null}}', "hex"), ('{"header": {"height": 1, "height": 1}}', "twice"),
]


def test_deep_json_is_refused_whatever_the_limit_of_recursion() -> None:
    """What a program imports may raise it so far that the process ends."""
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(100_000)
        with pytest.raises(InputError, match="nested too deeply"):
            block(b"[" * 200_000)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("rubbish, says", RUBBISH, ids=[f"{i}-{says}" for i, (_, says) in enumerate(RUBBISH)])
@pytest.mark.parametrize("at", [1, 3])
def test_one_bad_line_refuses_the_file_and_is_named(rubbish: str | bytes, says: str, at: int) -> None:
    data = rubbish.encode() if isinstance(rubbish, str) else rubbish
    with pytest.raises(InputError, match=f"^file:{at}: ") as caught:
        block((line().encode() + b"\n") * (at - 1) + data + b"\n" + line().encode())
    if at == 1 or b'"header"' not in data:  # a header that is not in the first line is refused for that, or sooner
        assert says in str(caught.value)
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


def test_a_header_is_in_the_first_line_only() -> None:
    with pytest.raises(InputError, match="^file:2: a header may only be in the first line"):
        block(line() + '\n{"header": {}}')
    with pytest.raises(InputError, match="^file:2: "):
        block('{"header": {}}\n{"header": {}}')


def test_empty_lines_in_the_middle_are_refused() -> None:
    with pytest.raises(InputError, match="^file:4: line 2 is empty"):
        block(line() + "\n\n \n" + line() + "\n")


def test_other_vms_take_hex_alone() -> None:
    assert block('{"tx": "00"}', transfers=False).txs == [b"\0"]
    with pytest.raises(InputError, match="unknown field 'from'.*known: tx"):
        block(line(), transfers=False)


@pytest.mark.parametrize(
    "content, limits",
    [
        ('{"tx": "000000"}', Limits(tx_bytes=2)), ('{"tx": "0000"}\n' * 3, Limits(block_bytes=5)),
        ('{"tx": "0000"}\n' * 3, Limits(block_transactions=2)), ('{"tx": "' + "0" * 4_000_000, Limits(tx_bytes=2)),
    ],
)
def test_limits_stop_a_file_early(content: str, limits: Limits) -> None:
    with pytest.raises(LimitExceeded, match="^file:[13]: "):
        block(content, limits=limits)


def test_an_endless_line_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None and 0 < size < 10_000_000
            return b"x" * size

    with pytest.raises(LimitExceeded):
        read_block(Endless(), "pipe", Limits(), transfers=True)  # type: ignore[arg-type]


def genesis(value: Any, *, accounts: bool = True) -> dict[bytes, bytes]:
    text = value if isinstance(value, (str, bytes)) else json.dumps(value)
    return read_genesis(io.BytesIO(text.encode() if isinstance(text, str) else text), "gen", accounts=accounts)


def test_what_a_genesis_may_hold() -> None:
    assert genesis({"accounts": {A: {"balance": 5, "nonce": "7"}, B.upper(): {"balance": str(U128)}}}) == {
        account_key(b"\xaa" * 32): encode_account(5, 7),
        account_key(b"\xbb" * 32): encode_account(U128, 0),
    }
    assert genesis({"state": {"00": "", "Ab": "cD"}}, accounts=False) == {b"\0": b"", b"\xab": b"\xcd"}
    assert genesis({"state": {}}) == {} == genesis({"accounts": {}})


@pytest.mark.parametrize(
    "value, says",
    [
        ("", "not JSON"), ("{}", "exactly one"), ("[]", "a list"), ({"acounts": {}}, "unknown field 'acounts'"),
        ({"accounts": {}, "state": {}}, "exactly one"), ({"accounts": []}, "a list"), ({"accounts": None}, "null"),
        ('{"accounts": {}, "accounts": {}}', "twice"), ('{"accounts": {"%s": {"balance": 1}, "%s": {"balance": 1}}}' % (A, A), "twice"),
        ({"accounts": {A: {"balance": 1}, A.upper(): {"balance": 1}}}, "upper and lower case"),
        ({"state": {"aa": "", "aA": ""}}, "upper and lower case"),
        ({"accounts": {A[2:]: {"balance": 1}}}, "32 bytes"), ({"accounts": {"": {"balance": 1}}}, "32 bytes"),
        ({"accounts": {"0x" + A[2:]: {"balance": 1}}}, "0x"), ({"accounts": {A: 5}}, "object"), ({"accounts": {A: {}}}, "'balance' is missing"),
        ({"accounts": {A: {"nonce": 1}}}, "'balance' is missing"), ({"accounts": {A: {"balance": 1, "name": "x"}}}, "unknown field 'name'"),
        ({"accounts": {A: {"balance": -1}}}, "negative"), ({"accounts": {A: {"balance": 0.5}}}, "integer"),
        ({"accounts": {A: {"balance": True}}}, "integer"), ({"accounts": {A: {"balance": U128 + 1}}}, "too large"),
        ({"accounts": {A: {"balance": 1, "nonce": U64 + 1}}}, "too large"), ({"accounts": {A: {"balance": 1, "nonce": None}}}, "integer"),
        ({"state": {"": "00"}}, "empty"), ({"state": {"0": "00"}}, "hex"), ({"state": {"00": "0"}}, "hex"), ({"state": {"00": None}}, "hex"),
        ({"state": {"00": 7}}, "hex"), ('{"state": {}} x', "not JSON"), (b"\xef\xbb\xbf{}", "byte order mark"), (b"\xff", "UTF-8"),
        ('{\n\n"state": }', "line 3"), ('{"accounts": {"%s": {"balance": 1e2}}}' % A, "1e2"), ('{"state": NaN}', "NaN"),
    ],
    ids=str,
)
def test_a_wrong_genesis_is_refused(value: Any, says: str) -> None:
    with pytest.raises(InputError, match="^gen: ") as caught:
        genesis(value)
    assert says in str(caught.value)


def test_accounts_are_for_payments_only() -> None:
    with pytest.raises(InputError, match="unknown field 'accounts'"):
        genesis({"accounts": {}}, accounts=False)


def test_large_numbers_are_written_as_text() -> None:
    assert written(1 << 53) == 1 << 53 and written((1 << 53) + 1) == "9007199254740993"


def test_every_refusal_is_an_engine_error_of_wrong_input() -> None:
    with pytest.raises(Error) as caught:
        block("x")
    assert caught.value.exit_status == 2
