"""A block read from a node: what counts of its traces, and nodes that answer with something else."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum_node import Refused, StandIn
from evm_blocks import SLOAD, SSTORE, World, address_of, code, push, signed
from traced_blocks import Traced, traced

from ioi_exec import Error, InputError
from ioi_exec.ethereum.fetching import Fetched, fetch
from ioi_exec.ethereum.merging import Known
from ioi_exec.ethereum.rpc import Node, NodeError
from ioi_exec.vm.ethereum.forks import fork_named, forks
from ioi_exec.vm.ethereum.keys import Account

A, B = b"\xaa" * 20, b"\xbb" * 20
SLOT = bytes(31) + b"\x05"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    made = World(forks()[-1], 1).made()
    with StandIn(made, traced(made)) as node:
        yield node


def fetched(stand_in: StandIn, **how: Any) -> Fetched:
    with Node(stand_in.url, pause=0) as node:
        return fetch(node, how.pop("wanted", stand_in.number), **how)


def failing(stand_in: StandIn, **how: Any) -> str:
    with pytest.raises(Error) as raised:
        fetched(stand_in, **how)
    return str(raised.value)


def said(address: bytes, storage: dict[bytes, int] | None = None, **account: Any) -> dict[str, Any]:
    slots = {"0x" + slot.hex(): "0x" + value.to_bytes(32, "big").hex() for slot, value in (storage or {}).items()}
    return {"0x" + address.hex(): {**account, **({"storage": slots} if slots else {})}}


def merged(*transactions: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], doubted: Any = None, never: Any = ()) -> Known:
    known = Known()
    diffs = [{"pre": pre, "post": post} for _, pre, post in transactions]
    known.merge([before for before, _, _ in transactions], diffs, doubted or [()] * len(transactions), never)
    return known


def test_the_first_mention_counts() -> None:
    known = merged(
        (said(A, {SLOT: 1}, balance="0x5", nonce=1), {}, said(A, {SLOT: 2}, balance="0x4")),
        (said(A, {SLOT: 2, bytes(32): 7}, balance="0x4", nonce=1), {}, {}),
    )
    assert known.prestate() == {A: Account(1, 5, b"", {SLOT: 1, bytes(32): 7})}


def test_what_the_block_created_is_no_prestate() -> None:
    """Its code, its balance and its slots: a later transaction mentions them as the earlier one left them."""
    known = merged(
        (said(A, balance="0x5"), {}, {**said(B, {SLOT: 9}, code="0x00", nonce=1)}),
        (said(B, {SLOT: 9, bytes(32): 0}, balance="0x0", code="0x00", nonce=1), {}, {}),
    )
    assert known.prestate() == {A: Account(0, 5), B: Account()}
    assert known.slot(B, SLOT) == 0 and known.slot(A, SLOT) is None


def test_a_slot_that_only_diff_mode_mentions() -> None:
    """It was 0 where it is in post alone, and what pre says where it is there."""
    other = bytes(31) + b"\x06"
    known = merged(
        (said(A, balance="0x5"), said(A, {other: 3}, balance="0x5"), said(A, {SLOT: 9})),
        (said(A, {SLOT: 9, other: 0}, balance="0x5"), {}, {}),
    )
    assert (known.slot(A, SLOT), known.slot(A, other)) == (0, 3)


def test_who_may_have_changed_unseen_is_not_believed() -> None:
    """The authority of a set-code transaction that the tracer does not look up, and what the block's beginning changes."""
    transactions = ((said(A, balance="0x5"), {}, {}), (said(B, {SLOT: 1}, balance="0x1", nonce=1, code="0xef01"), {}, {}))
    known = merged(*transactions, doubted=[(B,), ()])
    assert known.accounts.keys() == {A} and known.slot(B, SLOT) is None
    assert merged(*transactions, never=(B,)).accounts.keys() == {A}
    assert merged(*transactions).accounts.keys() == {A, B}


def test_a_slot_that_is_written_before_it_is_read(stand_in: StandIn) -> None:
    """By one transaction and read by the next, with a value before the block: a pre-state of the last mention would have another."""
    world = World(fork_named("cancun"), 3)
    made = world.made()
    writer, reader = world.contracts[:2]
    made.prestate[writer] = Account(1, 0, code(push(9), push(1), SSTORE), {(1).to_bytes(32, "big"): 4})
    made.prestate[reader] = Account(1, 0, code(push(1), SLOAD, push(2), SSTORE), {(1).to_bytes(32, "big"): 6})
    parts = {"gasPrice": 10**9, "gas": 100_000, "value": 0, "input": b""}
    made.transactions = [
        signed(made.fork, key, 0, {**parts, "nonce": 0, "to": to})
        for key, to in zip(world.senders, (writer, writer, reader, reader), strict=False)
    ]
    with StandIn(made, traced(made)) as node:
        found = fetched(node)
    assert found.equal and found.file.prestate[writer].storage == {(1).to_bytes(32, "big"): 4}
    assert found.file.prestate[address_of(world.senders[1])] == made.prestate[address_of(world.senders[1])]


def test_an_account_that_is_there_and_empty() -> None:
    """Before EIP-161 that costs other gas than none: the proof says which it is."""
    world = World(fork_named("homestead"), 1)
    made = world.made()
    there, absent = b"\x71" * 20, b"\x72" * 20
    made.prestate[there] = Account()
    caller = world.contracts[0]
    calls = b"".join(code(push(0), push(0), push(0), push(0), push(1), push(to), push(30_000), 0xF1, 0x50) for to in (there, absent))
    made.prestate[caller] = Account(1, 10, calls)
    made.transactions = [
        signed(made.fork, world.senders[0], 0, {"nonce": 0, "gasPrice": 1, "gas": 200_000, "value": 0, "input": b"", "to": caller})
    ]
    for tracer in ({}, {"keeps_empty": True}):
        with StandIn(made, traced(made, **tracer)) as node:
            found = fetched(node)
        assert found.equal and found.file.prestate[there] == Account() and absent not in found.file.prestate


def test_an_older_node_and_one_that_takes_no_batches(stand_in: StandIn) -> None:
    whole = fetched(stand_in)
    stand_in.batches = False
    del stand_in.answers["eth_getBlockReceipts"]
    again = fetched(stand_in)
    assert again.value == whole.value and "eth_getTransactionReceipt" in stand_in.asked
    assert fetched(stand_in, wanted=None).value == whole.value


def test_the_hashes_of_blocks_before(stand_in: StandIn) -> None:
    """Those that the block asks for; unchecked all that it may ask for."""
    assert fetched(stand_in).file.block.hashes.keys() <= stand_in.made.hashes.keys()
    found = fetched(stand_in, check=False).value["block_hashes"]
    assert len(found) == 255 and found[str(stand_in.number - 2)] == "0x" + "22" * 32


def refuse(code: int, message: str) -> Callable[[list[Any]], Any]:
    def answer(_: list[Any]) -> Any:
        raise Refused(code, message)

    return answer


@pytest.mark.parametrize("method", ["debug_traceBlockByNumber", "eth_getBlockByNumber"])
def test_a_method_that_is_not_offered(stand_in: StandIn, method: str) -> None:
    del stand_in.answers[method]
    error = failing(stand_in)
    assert method in error and "--http.api" in error and ("--untraced" in error) == method.startswith("debug")


@pytest.mark.parametrize("words", ["missing trie node 00ff (path )", "historical state is not available in path scheme yet", "state 0x1 is pruned"])
def test_a_node_that_forgot(stand_in: StandIn, words: str) -> None:
    stand_in.answers["eth_getBalance"] = refuse(-32000, words)
    assert "(an archive)" in failing(stand_in)


def test_another_chain_and_blocks_that_are_not(stand_in: StandIn) -> None:
    assert "no block" in failing(stand_in, wanted=stand_in.number + 5)
    assert "the first is 1" in failing(stand_in, wanted=0)
    with pytest.raises(InputError, match="leave out"):
        fetched(stand_in, check=False, traced=False)
    stand_in.answers["eth_chainId"] = lambda _: "0xaa36a7"
    assert "chain 11155111" in failing(stand_in)


def change(stand_in: StandIn, method: str, do: Callable[[Any], Any]) -> None:
    original = stand_in.answers[method]
    stand_in.answers[method] = lambda params: do(original(params))


@pytest.mark.parametrize(
    ("method", "do", "said"),
    [
        ("debug_traceBlockByNumber", lambda found: found[:-1], "traces"),
        ("debug_traceBlockByNumber", lambda found: [{**one, "txHash": "0x" + "11" * 32} for one in found], "reorganised"),
        ("debug_traceBlockByNumber", lambda found: [{"txHash": one["txHash"], "error": "execution timeout"} for one in found], "execution timeout"),
        ("debug_traceBlockByNumber", lambda found: [{**one, "result": 7} for one in found], "must be an object"),
        ("debug_traceBlockByNumber", lambda found: {"a": 1}, "a list is wanted"),
        ("eth_getBlockByNumber", lambda found: {**found, "gasUsed": "0x1"}, "hashes to"),
        ("eth_getBlockByNumber", lambda found: [], "must be an object"),
        ("eth_getBlockReceipts", lambda found: found[1:], "receipts: there are"),
        ("eth_getBalance", lambda found: "0x" + "f" * 65, "too large"),
        ("eth_getCode", lambda found: 5, "bytes as 0x"),
        ("eth_chainId", lambda found: None, "missing"),
    ],
)
def test_answers_that_cannot_be(stand_in: StandIn, method: str, do: Callable[[Any], Any], said: str) -> None:
    change(stand_in, method, do)
    assert said in failing(stand_in)


def test_a_trace_that_lies_is_found_by_executing() -> None:
    made = World(forks()[-1], 1).made()
    whole = traced(made)
    sender = made.transactions[0]["from"]
    lying = Traced(whole.judged, [dict(one) for one in whole.traces], whole.diffs)
    lying.traces[0][sender] = {**lying.traces[0][sender], "nonce": 7}
    with StandIn(made, lying) as node:
        assert "NonceMismatchError" in failing(node)
        assert fetched(node, traced=False).equal


def test_many_requests_are_not_a_failure(stand_in: StandIn) -> None:
    """A node that says so now and then is asked again; one that always does is given up."""
    answers = {429: (429, {"Retry-After": "0"}, b"slow down"), 503: (503, {}, b"")}
    stand_in.raw = lambda request, body, path: answers[429 if request % 4 else 503] if request % 2 else None
    assert fetched(stand_in).equal
    stand_in.raw = lambda request, body, path: answers[503]
    with pytest.raises(NodeError, match="it was asked 6 times"):
        fetched(stand_in)
