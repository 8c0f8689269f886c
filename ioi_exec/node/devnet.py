"""A chain of several real CometBFT nodes on loopback, each with its `ioi-exec serve`: for a desk, and for tests.

    HOME/devnet.json          what it was made of; written last
    HOME/node0                a home of CometBFT (config, data); node.log and app.log beside them
    HOME/node0/app            a home of ioi-exec, as `node init` makes it

Keys lie in these files unprotected, and every port is loopback's: it is for trying things out.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Callable, Mapping

from ioi_exec.errors import Error, InputError, StateInUse
from ioi_exec.node.children import Bell, Child, Port
from ioi_exec.node.home import begun

VALIDATORS_MOST = 64
COMETBFT = "IOI_COMETBFT"  # of the environment: the program
MADE = "devnet.json"

_GET_IT = (
    "With Go: go install github.com/cometbft/cometbft/cmd/cometbft@v0.38.26, which puts it into $(go env GOPATH)/bin; "
    "then name it by --cometbft, by IOI_COMETBFT, or put it on PATH"
)
_LOOK = 0.05  # seconds between two looks at what has been started
_NODE_ENDS = 10.0  # seconds that a node is given; one whose application was busy may be deaf for good
_APP_ENDS = 30.0  # its own patience with the block at hand is shorter
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Modules are found where they are found here, but not in the working directory: `serve` adds it where the VM is one's own.
_SERVE = "import sys; sys.path[:] = filter(None, sys.path); from ioi_exec.cli import main; sys.exit(main())"


class ChildEnded(Error):
    """A program of a devnet ended that should not have."""


class Ended(Exception):
    """A signal asked for the end while programs were being started."""


def cometbft(given: str | os.PathLike[str] | None = None) -> Path:
    """The program: the one that is given, or that of IOI_COMETBFT, or of PATH. Raises InputError."""
    named = given or os.environ.get(COMETBFT) or "cometbft"
    found = shutil.which(named)
    if found is None:
        raise InputError(f"there is no program {os.fspath(named)}: a devnet needs CometBFT. {_GET_IT}")
    return Path(found).absolute()


class Member:
    """One validator: a node and its application."""

    def __init__(self, number: int, home: Path, binary: Path) -> None:
        self.number = number
        self.home = home
        self.node: Child | None = None
        self.app: Child | None = None
        self._binary = binary
        self.ports = {name: Port() for name in ("rpc", "p2p", "app")}
        self.id = run(binary, "show-node-id", "--home", home).strip()

    @property
    def rpc(self) -> str:
        return f"http://127.0.0.1:{self.ports['rpc'].number}"

    @property
    def peer(self) -> str:
        return f"{self.id}@127.0.0.1:{self.ports['p2p'].number}"

    def start_app(self, *options: str, **environment: str) -> None:
        """options: of `ioi-exec serve`. environment: more of it."""
        self.app = Child(
            [sys.executable, "-c", _SERVE, "serve", str(self.home / "app"), "--json", *options], self.home / "app.log",
            {**environment, "IOI_NODE_ABCI_LISTEN": self._tcp("app")},
        )

    def start_node(self, peers: str, **settings: str) -> None:
        """settings: of CometBFT's, by the names that the environment has for them."""
        self.node = Child(
            [self._binary, "start", "--home", self.home], self.home / "node.log",
            {
                "CMT_PROXY_APP": self._tcp("app"), "CMT_RPC_LADDR": self._tcp("rpc"), "CMT_P2P_LADDR": self._tcp("p2p"),
                "CMT_P2P_PERSISTENT_PEERS": peers, "CMT_P2P_PEX": "false", "CMT_P2P_ALLOW_DUPLICATE_IP": "true",
                "CMT_P2P_ADDR_BOOK_STRICT": "false", **settings,
            },
        )

    def run(self, command: str) -> str:
        """Of its node, which does not run: what a command of CometBFT prints. Raises InputError where it fails."""
        return run(self._binary, command, "--home", self.home)

    def ended(self) -> str | None:
        """Which of its programs is gone, in words, with the last lines of its log; None: none is."""
        # An application's end takes its node along, so it is the one to tell of.
        for name, child in (("application", self.app), ("node", self.node)):
            if child is not None and (status := child.status) is not None:
                how = f"by signal {-status}" if status < 0 else f"with status {status}"
                lines = "\n  ".join(child.last_lines())
                return f"the {name} of validator {self.number} ended {how}. Its log, {child.log}, ends so:\n  {lines}"
        return None

    def kill(self) -> None:
        for child in (self.app, self.node):
            if child is not None:
                child.end()
        self.app = self.node = None

    def _tcp(self, port: str) -> str:
        return f"tcp://127.0.0.1:{self.ports[port].number}"


class Devnet:
    """Made by `make`, or found. Close it, or use `with`: then nothing of it runs. In the main thread alone. Raises StateInUse."""

    def __init__(self, home: Path, binary: Path, settings: Mapping[str, str] | None = None) -> None:
        """settings: of CometBFT's, as `Member.start_node` has them."""
        self.home = home
        self.made = read(home)
        self._settings = dict(settings or {})
        self._bell = Bell()
        with ExitStack() as opened:
            opened.callback(self._bell.close)
            self._held: list[int] = []
            self.members: list[Member] = []
            opened.callback(self._release)
            self._hold()
            for number in range(self.made["validators"]):
                self.members.append(Member(number, home / f"node{number}", binary))
            opened.pop_all()

    def start(self, *options: str) -> None:
        """Everything; what it prints is in the logs. options: of every `ioi-exec serve`. Raises ChildEnded, Ended."""
        for member in self.members:
            member.start_app(*options)
        for member in self.members:
            self.start_node(member)
        for member in self.members:
            self._wait(member.ports["rpc"].answers)

    def start_node(self, member: Member, **settings: str) -> None:
        """Once its application, which has been started, listens. settings: more of CometBFT's. Raises ChildEnded, Ended."""
        self._wait(member.ports["app"].answers)
        member.start_node(",".join(other.peer for other in self.members if other is not member), **{**self._settings, **settings})

    def watch(self) -> None:
        """Until `stop`. Raises ChildEnded."""
        while not self._bell.wait(1.0):
            self._look()

    def stop(self) -> None:
        """May be called from a signal's handler."""
        self._bell.ring()

    def end(self) -> None:
        """Nodes first, then each application when the block at hand is committed. Whatever does not end is killed. Twice is no error."""
        for part, seconds in (("node", _NODE_ENDS), ("app", _APP_ENDS)):
            running = [child for member in self.members if (child := getattr(member, part)) is not None]
            for child in running:
                child.ask_to_end()
            for child in running:
                child.end(seconds)
        for member in self.members:
            member.kill()

    def close(self) -> None:
        for member in self.members:
            member.kill()
        self._release()
        self._bell.close()

    def __enter__(self) -> Devnet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _hold(self) -> None:
        """One at a time runs it. The kernel lets go of it, whatever way this ends."""
        self._held.extend(map(os.open, [self.home / MADE], [os.O_RDONLY | os.O_CLOEXEC]))
        try:
            fcntl.flock(self._held[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUse(f"the devnet in {self.home} runs already: end that, or give another --home") from None

    def _release(self) -> None:
        while self._held:
            os.close(self._held.pop())
        for member in self.members:
            for port in member.ports.values():
                port.close()

    def _wait(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._bell.wait(_LOOK):
                raise Ended
            self._look()

    def _look(self) -> None:
        for member in self.members:
            if (said := member.ended()) is not None:
                raise ChildEnded(said)


def run_devnet(devnet: Devnet, started: Callable[[Devnet], None], *options: str) -> None:
    """Start it, tell of it, watch it, until SIGTERM, SIGINT or SIGHUP; then end it. Raises ChildEnded: then all others have been ended."""

    def end(number: int, frame: FrameType | None) -> None:
        devnet.stop()

    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        try:
            devnet.start(*options)
            started(devnet)
            devnet.watch()
        except Ended:
            pass
        finally:
            devnet.end()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make(home: Path, binary: Path, made: Mapping[str, Any], init: Callable[[Path], object]) -> None:
    """made: chain_id, validators, initial_height, and what else it was made of. init: makes the application's home at a path. Raises
    StateExists where something else is there, InputError, and what `init` raises."""
    if not 1 <= made["validators"] <= VALIDATORS_MOST:
        raise InputError(f"there cannot be {made['validators']} validators: 1 to {VALIDATORS_MOST}")
    with begun(home):
        nodes = [home / f"node{number}" for number in range(made["validators"])]
        try:
            run(binary, "testnet", "--v", str(len(nodes)), "--o", home, "--populate-persistent-peers=false")
            for node in nodes:
                genesis = node / "config" / "genesis.json"
                if not genesis.exists():
                    raise InputError(f"{binary} testnet made no genesis: it is not CometBFT's program. {_GET_IT}")
                said = json.loads(genesis.read_text())
                said.update(chain_id=made["chain_id"], initial_height=str(made["initial_height"]))
                genesis.write_text(json.dumps(said, indent=2))
                init(node / "app")
            beside = home / f"{MADE}.new"
            beside.write_text(json.dumps(made, indent=2) + "\n")
            os.replace(beside, home / MADE)
        except BaseException:
            for node in nodes:
                shutil.rmtree(node, ignore_errors=True)
            raise


def is_made(home: Path) -> bool:
    return (home / MADE).exists()


def read(home: Path) -> dict[str, Any]:
    """What the devnet was made of. Raises InputError."""
    path = home / MADE
    try:
        found = json.loads(path.read_text())
        if isinstance(found, dict) and type(found["validators"]) is int and 1 <= found["validators"] <= VALIDATORS_MOST:
            return found
    except (ValueError, KeyError):
        pass
    raise InputError(f"{path} does not say what a devnet was made of: it is damaged")


def run(binary: Path, *arguments: str | os.PathLike[str]) -> str:
    """What a command of CometBFT prints. Raises InputError where it fails."""
    try:
        done = subprocess.run([binary, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise InputError(f"{binary} cannot be run: {error.strerror}. {_GET_IT}") from None
    if done.returncode != 0:
        raise InputError(f"{binary} {arguments[0]} failed with status {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
