"""The socket: answers in order, at Flush; what is not ABCI ends its connection and nothing else; memory has a bound."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest
from abci_client import (
    CHECK_TX,
    COMMIT,
    ECHO,
    FINALIZE,
    FLUSH,
    INFO,
    INIT_CHAIN,
    PREPARE,
    PROCESS,
    QUERY,
    Connection,
    block,
    genesis,
)
from cometbft import until
from node_chains import Chain

from ioi_exec import Error, InputError, Receipt
from ioi_exec.node import server as server_module
from ioi_exec.node.abci import Abci
from ioi_exec.node.messages import (
    Answer,
    ChainBegun,
    CheckTx,
    Chunk,
    Committed,
    Echo,
    Failure,
    Info,
    InfoRequest,
    Nothing,
    Proposal,
    Proposed,
    QueryRequest,
    Snapshots,
    TxResult,
    Verdict,
    VoteExtension,
)
from ioi_exec.node.server import Server
from ioi_exec.node.wire import Malformed, decode, delimited, encode, varint

MOST = 1 << 20


@contextmanager
def serving(chain: Chain, address: Any, failure: type[BaseException] | None = None) -> Iterator[str]:
    """The address, as a client has it. failure: what `serve` ends with."""
    server, ended = Server(Abci(chain.application), address, MOST), []

    def serve() -> None:
        try:
            server.serve()
            ended.append(None)
        except BaseException as error:
            ended.append(type(error))  # type: ignore[arg-type]

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.address
    finally:
        if failure is None:
            server.stop()
        thread.join(60)
        server.close()
    assert ended == [failure]


@pytest.fixture(params=["unix", "tcp", "tcp6"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "unix":
        return tmp_path / "s"
    return ("127.0.0.1" if request.param == "tcp" else "::1"), 0


def test_a_chain(make: Any, address: Any) -> None:
    """Every call, as a node makes them."""
    chain = make()
    with serving(chain, address) as where:
        node = Connection(where)
        assert node.ask(ECHO, Echo("hallo"), Echo) == Echo("hallo")
        assert node.ask(INFO, InfoRequest("0.38.26"), Info).last_block_height == 0
        assert len(node.ask(INIT_CHAIN, genesis(), ChainBegun).app_hash) == 32
        assert node.ask(CHECK_TX, CheckTx(b"b=1"), TxResult).code == 0
        bad = node.ask(CHECK_TX, CheckTx(b"bad"), TxResult)
        assert (bad.code, bad.log, bad.codespace) == (7, "a bad word", "ioi-exec")
        txs = node.ask(PREPARE, Proposal(1000, (b"b=1", b"fail"), height=1), Proposed).txs
        decided = block(1, *txs)
        assert node.ask(PROCESS, decided, Verdict) == Verdict(1)
        assert node.ask(PROCESS, block(9), Verdict) == Verdict(2)
        node.send(FINALIZE, encode(decided))
        node.send(FLUSH)
        response = node.read()
        assert response is not None and response[0] == FINALIZE + 1 and node.read() == (FLUSH + 1, b"")
        assert node.ask(COMMIT, Nothing(), Committed) == Committed(0)
        assert node.ask(INFO, InfoRequest(), Info).last_block_height == 1
        answer = node.ask(QUERY, QueryRequest(b"b", "/store/state/key"), Answer)
        assert (answer.value, answer.height) == (b"1", 1)
        assert node.ask(12, Nothing(), Snapshots) == Snapshots()
        assert node.ask(13, Nothing(), Verdict) == Verdict(2) == node.ask(15, Nothing(), Verdict)
        assert node.ask(14, Nothing(), Chunk) == Chunk()
        assert node.ask(18, Nothing(), VoteExtension) == VoteExtension()
        assert node.ask(19, Nothing(), Verdict) == Verdict(1)
        node.close()


def test_requests_may_be_sent_ahead(chain: Chain, tmp_path: Path) -> None:
    """Answers come in their order, also where one waits that nobody flushed."""
    with serving(chain, tmp_path / "s") as where:
        node = Connection(where)
        sent = b""
        for index in range(3000):
            request = delimited(CHECK_TX, encode(CheckTx(b"%d=1" % index))) if index % 3 else delimited(ECHO, encode(Echo(f"{index}")))
            sent += varint(len(request)) + request
        sending = threading.Thread(target=node.socket.sendall, args=(sent,))
        sending.start()
        for index in range(3000):
            got = node.read()
            assert got == ((CHECK_TX + 1, b"") if index % 3 else (ECHO + 1, encode(Echo(f"{index}"))))
        sending.join()
        for byte in varint(2) + b"\x12\0":  # a Flush, byte by byte
            node.socket.sendall(bytes([byte]))
        assert node.read() == (FLUSH + 1, b"")
        node.close()


def test_a_check_is_read_as_every_message(monkeypatch: pytest.MonkeyPatch, chain: Chain) -> None:
    """Though the forms that nodes write are read on the spot."""
    rng, checked = random.Random(8), []
    monkeypatch.setattr(chain.application, "check_tx", lambda tx, again: checked.append((tx, again)) or Receipt())
    abci = Abci(chain.application)
    for _ in range(2000):
        parts = [encode(CheckTx(rng.randbytes(rng.choice((0, 1, 5, 200))))), encode(CheckTx(type=1)), encode(CheckTx(type=2)), b"\x98\6\5"]
        body = b"".join(rng.sample(parts, rng.randrange(3)))
        body = body[: rng.choice((len(body), len(body), rng.randrange(len(body) + 1)))] + rng.choice((b"", b"", b"\x0a\x7f", b"\x10\1"))
        checked.clear()
        try:
            expected = decode(CheckTx, body)
        except Malformed:
            with pytest.raises(Malformed):
                abci.answer(CHECK_TX, body)
            continue
        assert abci.answer(CHECK_TX, body) == delimited(CHECK_TX + 1, b"")
        assert checked == [(expected.tx, expected.again)]


def test_connections_know_nothing_of_each_other(chain: Chain, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(chain, tmp_path / "s") as where:
        first, second = Connection(where), Connection(where)
        first.send(CHECK_TX)
        first.close()  # in the middle of a conversation
        second.socket.sendall(b"\xff" * 20)
        assert second.read() is None
        third = Connection(where)
        assert third.ask(ECHO, Echo("a"), Echo) == Echo("a")
        third.close()


@pytest.mark.parametrize(
    "sent, said",
    [
        (b"\xff" * 10, "begins with no length"),
        (varint(MOST + 1), "a message of 1048577 bytes was begun"),
        (varint(1 << 62), "was begun"),
        (b"\0", "a message is empty"),
        (varint(2) + b"\x08\1", "holds no request"),
        (varint(3) + b"\x12\5a", "holds no request"),
        (varint(2) + b"\x22\0", "no request 4"),
        (varint(3) + b"\x42\1\x0a", "ends behind"),
        (varint(5) + b"\x0a\3\x0a\1\xff", "not UTF-8"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"x" * 100, "holds no request"),
    ],
)
def test_what_is_not_abci(chain: Chain, tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes, said: str) -> None:
    with serving(chain, tmp_path / "s") as where:
        peer = Connection(where)
        peer.socket.sendall(sent)
        assert peer.read() is None
        peer.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert said in str(caplog.records[0].fields)  # type: ignore[attr-defined]


def test_a_message_that_breaks_off(chain: Chain, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(chain, tmp_path / "s") as where:
        peer = Connection(where)
        peer.socket.sendall(varint(100) + b"abc")
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.read() is None
        peer.close()
    assert "in the middle of a message, 4 bytes" in str(caplog.records[0].fields)  # type: ignore[attr-defined]


def test_random_bytes(chain: Chain, tmp_path: Path) -> None:
    """Whole messages with anything in them: an answer, or the end of that connection."""
    rng, good = random.Random(4), [encode(CheckTx(b"a=1")), encode(QueryRequest(b"a", "value", 1, True)), encode(Proposal(9, (b"x",)))]
    logging.getLogger("ioi_exec.node").setLevel(logging.ERROR)
    with serving(chain, tmp_path / "s") as where:
        for _ in range(300):
            peer, body = Connection(where), rng.choice(good)
            at = rng.randrange(len(body) + 1)
            request = delimited(rng.choice((CHECK_TX, QUERY, PREPARE, INFO, ECHO)), body[:at] + rng.randbytes(rng.randrange(4)) + body[at:])
            peer.socket.sendall(varint(len(request)) + request)
            peer.socket.shutdown(socket.SHUT_WR)
            got = peer.read()
            assert got is None or got[0] != 1
            peer.close()
    logging.getLogger("ioi_exec.node").setLevel(logging.NOTSET)


def test_what_the_application_raises_is_told_and_ends_the_server(make: Any, tmp_path: Path) -> None:
    chain = make()
    with serving(chain, tmp_path / "s", InputError) as where:
        node = Connection(where)
        failed = node.ask(INIT_CHAIN, genesis(chain_id="another"), ChainBegun)
        assert isinstance(failed, Failure) and "CometBFT's genesis is of the chain 'another'" in failed.error
        assert node.read() is None
        node.close()


def test_there_are_so_many_connections(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS_MOST", 2)
    with serving(chain, tmp_path / "s") as where:
        peers = [Connection(where), Connection(where)]
        for peer in peers:
            assert peer.ask(ECHO, Echo("a"), Echo) == Echo("a")
        refused = Connection(where)
        assert refused.read() is None
        for peer in (*peers, refused):
            peer.close()


def test_a_socket_that_was_left_behind_is_taken_over(chain: Chain, tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(os.fspath(tmp_path / "s"))
    left.close()
    with serving(chain, tmp_path / "s") as where:
        peer = Connection(where)
        assert peer.ask(ECHO, Echo("a"), Echo) == Echo("a")
        peer.close()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("kind", ["unix", "tcp", "file", "long"])
def test_an_address_that_is_taken(chain: Chain, tmp_path: Path, kind: str) -> None:
    taken: Any = tmp_path / ("x" * 200 if kind == "long" else "s")
    if kind == "file":
        taken.write_text("mine")
    elif kind != "long":
        other = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        other.bind(os.fspath(taken) if kind == "unix" else ("127.0.0.1", 0))
        other.listen()
        taken = taken if kind == "unix" else other.getsockname()
    with pytest.raises(InputError, match={"long": "path too long", "file": "no socket"}.get(kind, "something listens there already")):
        Server(Abci(chain.application), taken, MOST)
    assert kind != "file" or taken.read_text() == "mine"


def test_its_end_waits_for_the_call_that_is_going_on(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()
    finalize = chain.application.finalize_block

    def slow(of: Any) -> Any:
        begun.set()
        may_end.wait()
        return finalize(of)

    monkeypatch.setattr(chain.application, "finalize_block", slow)
    server = Server(Abci(chain.application), tmp_path / "s", MOST)
    serving_thread = threading.Thread(target=server.serve)
    serving_thread.start()
    node = Connection(server.address)
    request = delimited(FINALIZE, encode(block(1, b"a=1")))
    node.socket.sendall(varint(len(request)) + request + b"\2\x12\0" + b"\2\x5a\0")  # a Flush; a Commit, which comes too late
    begun.wait()
    server.stop()
    serving_thread.join()
    closing = threading.Thread(target=server.close, args=(60,))
    closing.start()
    until(lambda: all(connection._ended for connection in list(server._connections)))
    may_end.set()
    got = node.read()
    assert got is not None and got[0] == FINALIZE + 1
    assert node.read() == (FLUSH + 1, b"")
    assert node.read() is None
    closing.join()
    node.close()


def test_errors_are_known() -> None:
    assert issubclass(InputError, Error) and decode(Failure, encode(Failure("x"))).error == "x"
