"""/metrics, /healthz and /readyz: what they say, and that hostile bytes cost a connection and nothing else."""

from __future__ import annotations

import http.client
import logging
import random
import re
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator

import pytest
from abci_client import block
from cometbft import until
from node_chains import Chain
from prometheus_client.parser import text_string_to_metric_families

from ioi_exec.node import monitor as monitor_module
from ioi_exec.node import readiness as readiness_module
from ioi_exec.node.messages import Proposal, QueryRequest
from ioi_exec.node.metrics import Metrics
from ioi_exec.node.monitor import CONNECTIONS_MOST, HEAD_BYTES, Monitor
from ioi_exec.node.readiness import Readiness


def families(chain: Chain, **options: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """By name: values by those of the labels."""
    text, kind = Metrics(chain.application, **options).text()
    assert kind.startswith("text/plain")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.fixture
def monitor(chain: Chain) -> Iterator[Monitor]:
    readiness = Readiness(chain.application, lambda: 4, 60)
    made = Monitor(("127.0.0.1", 0), readiness, Metrics(chain.application).text)
    yield made
    made.close()


def port_of(monitor: Monitor) -> int:
    return int(monitor.address.rpartition(":")[2])


def get(monitor: Monitor, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(monitor), timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    read = answer.read().decode()
    connection.close()
    return answer.status, read


def sent(monitor: Monitor, data: bytes) -> bytes:
    """What comes back to these bytes, once no more are coming."""
    with socket.create_connection(("127.0.0.1", port_of(monitor)), timeout=60) as peer:
        came = b""
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            while more := peer.recv(1 << 16):
                came += more
        except OSError:  # it had heard enough
            pass
        return came


def test_metrics_of_a_chain(chain: Chain, tmp_path: Path) -> None:
    application = chain.application
    application.prepare_proposal(Proposal(1000, (b"a=1", b"refused", b"fault"), height=1))
    chain.decide(b"a=1", b"fail")
    assert not application.process_proposal(block(9))
    for tx, again in ((b"b=1", False), (b"bad", False), (b"b=1", True)):
        application.check_tx(tx, again)
    application.query(QueryRequest(b"a", "/store/state/key"))
    application.query(QueryRequest(b"a", "nothing"))
    (tmp_path / "data").write_bytes(b"x" * 10_000)
    found = families(chain, state=tmp_path, connections=lambda: 3)
    assert found["ioi_height"] == found["ioi_version"] == {(): 1} and found["ioi_oldest_version"] == {(): 0}
    assert found["ioi_transactions_total"] == {("done",): 1, ("failed",): 1}
    assert found["ioi_blocks_total"] == {("sequential",): 1, ("solo",): 0, ("parallel",): 0}
    assert found["ioi_check_tx_total"] == {
        ("new", "accepted"): 1, ("new", "refused"): 1, ("again", "accepted"): 1, ("again", "refused"): 0
    }
    assert found["ioi_queries_total"] == {("answered",): 1, ("refused",): 1}
    assert found["ioi_taken_out_transactions_total"] == {("fault",): 1, ("refused",): 1, ("size",): 0}
    assert found["ioi_proposals_total"] == {("proposed",): 1, ("empty",): 0, ("accepted",): 1, ("rejected",): 1, ("failed",): 0}
    assert found["ioi_pending_transactions"] == {(): 1} and found["ioi_abci_connections"] == {(): 3}
    assert found["ioi_executions_total"] == {(): 2} and found["ioi_reexecutions_total"] == {(): 0}
    assert found["ioi_block_timestamp_seconds"] == {(): 1_700_000_001}
    assert found["ioi_state_bytes"][()] >= 8192
    phases = {phase for (phase,) in found["ioi_block_phase_seconds_count"]}
    assert {"prepare", "execute", "stage", "receipts", "commit"} <= phases and "total" not in phases
    assert all(count == 1 for count in found["ioi_block_phase_seconds_count"].values())
    for phase in phases:
        buckets = [value for (_, of), value in found["ioi_block_phase_seconds_bucket"].items() if of == phase]
        buckets = buckets or [value for (of, _), value in found["ioi_block_phase_seconds_bucket"].items() if of == phase]
        assert buckets == sorted(buckets) and buckets[-1] == 1


def test_names_are_as_prometheus_has_them(chain: Chain, tmp_path: Path) -> None:
    chain.decide(b"a=1")
    text = Metrics(chain.application, state=tmp_path, connections=lambda: 4).text()[0].decode()
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"(ioi|process)_[a-z]+(_[a-z]+)*", family.name), family.name
        assert family.documentation
        if family.name.startswith("ioi"):
            assert not family.name.endswith(("_ms", "_total_total", "_count"))
            assert family.type != "counter" or all(sample.name.endswith("_total") for sample in family.samples)


def test_reading_metrics_disturbs_no_block(make: Any) -> None:
    """A machine's calls are for one thread at a time, and the monitor is another one."""
    chain = make().begin()
    metrics, over = Metrics(chain.application), threading.Event()
    failed: list[BaseException] = []

    def read() -> None:
        try:
            while not over.is_set():
                metrics.text()
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(40):
        chain.decide(b"%d=1" % number)
    over.set()
    for reader in readers:
        reader.join()
    assert not failed and chain.machine.info.height == 40


def test_what_is_answered(monitor: Monitor, chain: Chain) -> None:
    assert get(monitor, "/healthz") == (200, "alive\n") == get(monitor, "/healthz?x=1")
    assert get(monitor, "/healthz", "HEAD") == (200, "")
    status, text = get(monitor, "/metrics")
    assert status == 200 and "ioi_height 0.0" in text
    assert get(monitor, "/readyz") == (503, "no block was committed since the daemon began\n")
    assert get(monitor, "/")[0] == get(monitor, "/metrics/")[0] == 404
    assert get(monitor, "/metrics", "POST")[0] == 501


def test_readiness(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    connections, now = [4], 1000.0
    readiness = Readiness(chain.application, lambda: connections[0], 60)
    at_any_age = Readiness(chain.application, lambda: connections[0], 0)
    assert "no block was committed" in readiness.lacking() and not at_any_age.lacking()
    chain.decide()
    newest = chain.application.counts.newest
    assert newest is not None
    monkeypatch.setattr(readiness_module, "monotonic", lambda: newest.committed + now)
    monkeypatch.setattr(readiness_module, "time_ns", lambda: newest.time_ns + age * 1_000_000_000)
    now, age = 59.0, 59
    assert not readiness.lacking()
    now = 61.0
    assert "block, 1, was committed 61 s ago: at most 60 (monitoring.ready_seconds)" in readiness.lacking()
    now, age = 5.0, 61
    assert "block 1 is 61 s old" in readiness.lacking() and not at_any_age.lacking()
    connections[0] = 0
    assert "no CometBFT" in at_any_age.lacking()
    chain.application.close()
    assert readiness.lacking() == "the state is closed"


@pytest.mark.parametrize(
    "data, said",
    [
        (b"x" * (HEAD_BYTES + 1), "no end within 8192 bytes"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000, "no end within 8192 bytes"),
        (b"GET /healthz HTTP/1.1\r\nHost", "ended within its head, 27 bytes"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "ended within its head"),
    ],
)
def test_what_is_no_request(monitor: Monitor, caplog: pytest.LogCaptureFixture, data: bytes, said: str) -> None:
    assert sent(monitor, data) == b""
    assert get(monitor, "/healthz")[0] == 200
    until(lambda: monitor._places._value == CONNECTIONS_MOST)
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said in record.fields["error"]  # type: ignore[attr-defined]


def test_random_requests(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer, or the end of that connection; nothing of them is in an answer as it came."""
    rng, good = random.Random(5), b"GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\n"
    monkeypatch.setattr(logging.getLogger("ioi_exec.node"), "disabled", True)
    for _ in range(200):
        data = bytearray(good)
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(data) - 4)
            data[at : at + rng.randrange(4)] = rng.choice((b"\0", b"<script>", b"\r\n", b"\xff", b" ", b"%00", rng.randbytes(3)))
        came = sent(monitor, bytes(data))
        assert came[:5] in (b"", b"HTTP/", b"alive", b"Bad R", b"Not I", b"there") and b"<script>" not in came
    assert get(monitor, "/healthz")[0] == 200


def test_those_that_say_nothing(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have a place each for a while; one more than there are is closed."""
    monkeypatch.setattr(monitor_module, "HEAD_SECONDS", 600.0)
    silent = [socket.create_connection(("127.0.0.1", port_of(monitor)), timeout=60) for _ in range(CONNECTIONS_MOST)]
    until(lambda: monitor._places._value == 0)  # all have been accepted
    with socket.create_connection(("127.0.0.1", port_of(monitor)), timeout=60) as refused:
        assert refused.recv(1) == b""
    for peer in silent:
        peer.close()
    until(lambda: monitor._places._value > 0)
    assert get(monitor, "/healthz")[0] == 200


def test_one_that_is_slow_is_given_up(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "HEAD_SECONDS", 0.05)
    with socket.create_connection(("127.0.0.1", port_of(monitor)), timeout=60) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\n")
        with suppress(ConnectionResetError):  # it was given up before that was read
            assert peer.recv(1) == b""


def test_at_a_socket_of_a_file(chain: Chain, tmp_path: Path) -> None:
    monitor = Monitor(tmp_path / "s", Readiness(chain.application, lambda: 0, 0), Metrics(chain.application).text)
    assert monitor.address == f"unix://{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(tmp_path / "s"))
        peer.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        peer.settimeout(60)
        assert peer.recv(1 << 16).startswith(b"HTTP/1.0 503 ")
    monitor.close()
    assert not (tmp_path / "s").exists()
