"""A node's home and its daemon, as an operator has them; a test stands for CometBFT (test_cometbft.py has the real one)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from abci_client import (
    COMMIT,
    FINALIZE,
    FLUSH,
    INFO,
    INIT_CHAIN,
    PREPARE,
    PROCESS,
    Connection,
    block,
    genesis,
)

from ioi_exec.node.messages import ChainBegun, Committed, Failure, Info, InfoRequest, Nothing, Proposal, Proposed
from ioi_exec.node.wire import encode

ACCOUNT = "aa" * 32
Cli = Callable[..., Any]
LATER = """
class Later:
    def migrate(self, state, ctx, from_version):
        state.put(b"from", b"from " + from_version.encode())

    def execute(self, tx, state, ctx):
        state.put(tx, state.get(b"from"))
"""


@pytest.fixture
def home(cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": {ACCOUNT: {"balance": 1000}}}))
    missing = cli("node", "init", "home", "--chain-id", "test-chain", "--vm", "payments", "--genesis", "none.json", "--json", status=2)
    assert "none.json" in missing.error["error"] and not (tmp_path / "home").exists()
    made = cli("node", "init", "home", "--chain-id", "test-chain", "--vm", "payments", "--genesis", "genesis.json", "--json").object
    assert (made["home"], made["keys"], made["chain_id"], made["version"]) == ("home", 1, "test-chain", 0)
    return tmp_path / "home"


class Served:
    """A daemon that listens."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any], folder: Path) -> None:
        self.process = process
        self.said = said
        self._folder = folder

    def connect(self) -> Connection:
        kind, _, where = self.said["proxy_app"].partition("://")
        return Connection(f"unix://{self._folder / where}" if kind == "unix" else self.said["proxy_app"])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, Any]]]:
        """Its status, and what it said on standard error."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, list[dict[str, Any]]]:
        _, err = self.process.communicate(timeout=120)
        return self.process.returncode, [json.loads(line) for line in err.splitlines()]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ioi_exec", *arguments]


@contextmanager
def serve(folder: Path, **environment: str) -> Iterator[Served]:
    process = subprocess.Popen(
        command("serve", "home", "--json"), cwd=folder, env={**os.environ, "IOI_NODE_ENGINE_WORKERS": "0", **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        yield Served(process, json.loads(line), folder)
    finally:
        process.kill()
        process.communicate()


def commit(node: Connection, height: int, *txs: bytes) -> None:
    node.send(FINALIZE, encode(block(height, *txs)))
    node.send(FLUSH)
    response = node.read()
    assert response is not None and response[0] == FINALIZE + 1 and node.read() == (FLUSH + 1, b"")
    assert node.ask(COMMIT, Nothing(), Committed) == Committed(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_served_and_ended(home: Path, cli: Cli, number: int) -> None:
    with serve(home.parent) as served:
        assert served.said.pop("vm").startswith("payments")
        assert served.said == {"proxy_app": "unix://home/abci.sock", "chain_id": "test-chain", "height": 0}
        node = served.connect()
        assert node.ask(INFO, InfoRequest(), Info).last_block_height == 0
        node.ask(INIT_CHAIN, genesis(), ChainBegun)
        commit(node, 1)
        commit(node, 2)
        status, said = served.end(number)
        assert status == 0 and [line["message"] for line in said] == ["chain begun", "committed", "committed", "ending"]
        assert said[1]["height"] == 1 and len(said[1]["app_hash"]) == 64
        assert node.read() is None
        node.close()
    assert not (home / "abci.sock").exists()
    assert cli("info", "home/state", "--json").object["height"] == 2


def test_it_ends_at_the_edge_of_a_block(home: Path, cli: Cli) -> None:
    """A block that is decided is still committed."""
    with serve(home.parent) as served:
        node = served.connect()
        node.ask(INIT_CHAIN, genesis(), ChainBegun)
        node.send(FINALIZE, encode(block(1)))
        assert (node.read() or (0,))[0] == FINALIZE + 1
        served.process.send_signal(signal.SIGTERM)
        assert node.ask(COMMIT, Nothing(), Committed) == Committed(0)
        assert node.read() is None
        assert served.ended()[0] == 0
        node.close()
    assert cli("info", "home/state", "--json").object["height"] == 1


def test_killed_it_goes_on_where_it_was(home: Path) -> None:
    infos = []
    for kill in range(3):
        with serve(home.parent) as served:
            node = served.connect()
            info = node.ask(INFO, InfoRequest(), Info)
            infos.append(info)
            assert info.last_block_height == kill
            if kill == 0:
                node.ask(INIT_CHAIN, genesis(), ChainBegun)
            commit(node, kill + 1)
            node.send(FINALIZE, encode(block(kill + 2)))
            assert node.read() is not None
            assert served.end(signal.SIGKILL)[0] == -signal.SIGKILL
            node.close()
    assert infos[1].last_block_app_hash and (home / "abci.sock").exists()  # which the next one takes over


def test_what_it_cannot_go_on_with_ends_it(home: Path) -> None:
    with serve(home.parent) as served:
        node = served.connect()
        failed = node.ask(INIT_CHAIN, genesis(chain_id="another"), ChainBegun)
        assert isinstance(failed, Failure) and "another" in failed.error
        status, said = served.ended()
        assert status == 2 and said[-1]["kind"] == "InputError" and "'another'" in said[-1]["error"]
        node.close()


def test_another_vm_takes_over(home: Path, cli: Cli) -> None:
    """One of one's own after one that is built in, found in the working directory; and what a daemon with the old settings says."""
    (home.parent / "later_vm.py").write_text(LATER)
    cli("upgrade", "home/state", "--vm", "later_vm:Later", "--height", 2)
    with serve(home.parent) as served:
        node = served.connect()
        node.ask(INIT_CHAIN, genesis(), ChainBegun)
        commit(node, 1)
        commit(node, 2, b"a")
        assert served.end()[0] == 0
        node.close()
    assert cli("get", "home/state", b"a".hex(), "--json").object["value"] == b"from 1".hex()
    config = home / "config.toml"
    old = subprocess.run(command("serve", "home"), cwd=home.parent, capture_output=True, text=True, timeout=120)
    assert old.returncode == 2 and "later_vm:Later" in old.stderr and "chain.vm" in old.stderr and str(config.relative_to(home.parent)) in old.stderr
    config.write_text(config.read_text().replace('vm = "payments"', 'vm = "later_vm:Later"'))
    with serve(home.parent) as served:
        node = served.connect()
        assert node.ask(INFO, InfoRequest(), Info).last_block_height == 2
        commit(node, 3, b"b")
        assert served.end()[0] == 0
        node.close()


@pytest.mark.parametrize("asked", [PREPARE, PROCESS])
def test_without_the_vm_of_a_height_it_ends(home: Path, cli: Cli, asked: int) -> None:
    """A validator that voted against, or proposed nothing, would do so for ever if it is the only one."""
    module = home.parent / "later_vm.py"
    module.write_text(LATER)
    cli("upgrade", "home/state", "--vm", "later_vm:Later", "--height", 2)
    module.unlink()
    with serve(home.parent) as served:
        node = served.connect()
        node.ask(INIT_CHAIN, genesis(), ChainBegun)
        commit(node, 1)
        failed = node.ask(asked, Proposal(1 << 20, (b"a",), height=2) if asked == PREPARE else block(2, b"a"), Proposed)
        assert isinstance(failed, Failure) and "from height 2 on the state's VM is later_vm:Later" in failed.error
        status, said = served.ended()
        assert status == 2 and said[-1]["kind"] == "VMError" and "go on from the same height once it is there" in said[-1]["error"]
        node.close()
    assert cli("info", "home/state", "--json").object["height"] == 1


def test_a_second_daemon(home: Path) -> None:
    with serve(home.parent) as served:
        second = subprocess.run(command("serve", "home", "--json"), cwd=home.parent, capture_output=True, text=True, timeout=120)
        assert second.returncode == 3 and json.loads(second.stderr)["kind"] == "StateInUse" and second.stdout == ""
        assert served.end()[0] == 0


def test_a_port_that_is_taken(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("serve", "home"), cwd=home.parent, env={**os.environ, "IOI_NODE_ABCI_LISTEN": f"tcp://127.0.0.1:{port}"},
            capture_output=True, text=True, timeout=120,
        )
    assert done.returncode == 2 and "something listens there already" in done.stderr


def test_it_halts_at_a_height(home: Path, cli: Cli) -> None:
    """Once that block is committed and the node has its answer; it goes on where the setting is raised."""
    with serve(home.parent, IOI_NODE_ENGINE_HALT_HEIGHT="2") as served:
        node = served.connect()
        node.ask(INIT_CHAIN, genesis(), ChainBegun)
        commit(node, 1)
        commit(node, 2)
        assert node.read() is None
        status, said = served.ended()
        assert status == 0 and [line["message"] for line in said][-2:] == ["halted: the block of engine.halt_height is committed", "ending"]
        node.close()
    again = subprocess.run(
        command("serve", "home", "--json"), cwd=home.parent, env={**os.environ, "IOI_NODE_ENGINE_HALT_HEIGHT": "2"}, capture_output=True,
        text=True, timeout=120,
    )
    assert again.returncode == 2 and "this node has halted" in json.loads(again.stderr)["error"]
    with serve(home.parent, IOI_NODE_ENGINE_HALT_HEIGHT="4") as served:
        node = served.connect()
        commit(node, 3)
        assert served.end()[0] == 0
        node.close()


def test_monitoring(home: Path) -> None:
    """Metrics and health beside blocks, until the end; a log of JSON lines, each an event with its fields."""
    with serve(home.parent, IOI_NODE_MONITORING_LISTEN="tcp://127.0.0.1:0", IOI_NODE_LOG_FORMAT="json") as served:
        where = served.said["monitoring"].removeprefix("tcp://")
        assert where.startswith("127.0.0.1:")

        def get(path: str) -> tuple[int, str]:
            connection = http.client.HTTPConnection(where, timeout=60)
            connection.request("GET", path)
            answer = connection.getresponse()
            read = answer.read().decode()
            connection.close()
            return answer.status, read

        assert get("/healthz")[0] == 200 and get("/readyz") == (503, "no CometBFT is connected\n")
        node = served.connect()
        node.ask(INIT_CHAIN, genesis(), ChainBegun)
        commit(node, 1)
        status, metrics = get("/metrics")
        assert status == 200 and "ioi_height 1.0" in metrics and "ioi_abci_connections 1.0" in metrics
        assert "block 1 is " in get("/readyz")[1]  # of a time long ago, as one that is played again
        status, said = served.end()
        assert status == 0 and all({"time", "level", "message"} <= line.keys() for line in said)
        node.close()


def test_metrics_without_their_library(home: Path) -> None:
    hidden = "import sys; sys.modules['prometheus_client'] = None; from ioi_exec.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", "home", "--json"], cwd=home.parent, capture_output=True, text=True, timeout=120,
        env={**os.environ, "IOI_NODE_MONITORING_LISTEN": "tcp://127.0.0.1:0", "IOI_NODE_ENGINE_WORKERS": "0"},
    )
    assert done.returncode == 2 and "pip install 'ioi-exec[node]'" in json.loads(done.stderr)["error"]
    assert not (home / "abci.sock").exists()


def test_settings(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("node", "show-config", "home").out == (home / "config.toml").read_text()
    shown = cli("node", "show-config", "home", "--json").object
    assert shown["chain"] == {"id": "test-chain", "vm": "payments", "vm_args": ""}
    with serve(home.parent, IOI_NODE_ABCI_LISTEN="tcp://127.0.0.1:0") as served:
        assert served.said["proxy_app"].startswith("tcp://127.0.0.1:")
        node = served.connect()
        assert node.ask(INFO, InfoRequest(), Info).last_block_height == 0
        node.close()
    (home / "config.toml").write_text((home / "config.toml").read_text().replace('id = "test-chain"', 'id = "other"'))
    done = subprocess.run(command("serve", "home"), cwd=home.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "'other'" in done.stderr and "'test-chain'" in done.stderr
    monkeypatch.setenv("IOI_NODE_ABCI_LISTEN", "/tmp/x")
    for refused in (("node", "show-config", "home"), ("serve", "home")):
        assert "IOI_NODE_ABCI_LISTEN is '/tmp/x'" in cli(*refused, "--json", status=2).error["error"]


def test_errors(home: Path, cli: Cli) -> None:
    assert cli("node", "init", "home", "--chain-id", "x", "--vm", "payments", "--json", status=2).error["kind"] == "StateExists"
    assert cli("serve", "nowhere", "--json", status=2).error["kind"] == "StateMissing"
    assert cli("node", "show-config", "nowhere", "--json", status=2).error["kind"] == "StateMissing"
    assert cli("node", "init", "new", "--chain-id", "x", "--vm", "no.such:VM", "--json", status=2).error["kind"] == "VMError"
    assert "--chain-id is empty" in cli("node", "init", "new", "--chain-id", "", "--vm", "payments", "--json", status=2).error["error"]
    assert cli("node", "init", "new", "--chain-id", "x" * 51, "--vm", "payments", "--json", status=2).error["kind"] == "InputError"


def test_a_devnet_that_cannot_be_made(cli: Cli, tmp_path: Path) -> None:
    program = ("--cometbft", "true", "--json")  # it does nothing, well
    assert "go install" in cli("devnet", "--vm", "payments", "--cometbft", "no-such-program", "--json", status=2).error["error"]
    assert "--vm is missing" in cli("devnet", *program, "--home", "new", status=2).error["error"]
    assert "0 validators" in cli("devnet", *program, "--vm", "payments", "--home", "new", "--validators", 0, status=2).error["error"]
    assert not (tmp_path / "new").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    assert cli("devnet", *program, "--vm", "payments", "--home", "taken", status=2).error["kind"] == "StateExists"
    (tmp_path / "taken" / "devnet.json").write_text("{}")
    assert "damaged" in cli("devnet", *program, "--home", "taken", status=2).error["error"]
    failed = cli("devnet", "--vm", "payments", "--cometbft", "false", "--home", "new", "--json", status=2).error["error"]
    assert "false testnet failed with status 1" in failed
    assert not (tmp_path / "new").exists()
