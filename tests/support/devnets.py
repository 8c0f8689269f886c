"""A devnet in a test: validators that are killed, wiped and started again, each asked by its RPC."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

from cometbft import Rpc, check_headers, until

from ioi_exec.node.devnet import Devnet, Member, make

FAST = {"CMT_CONSENSUS_TIMEOUT_COMMIT": "100ms", "CMT_MEMPOOL_RECHECK_TIMEOUT": "10s"}
CHAIN = "four"


def ioi(*arguments: str, status: int = 0) -> Any:
    """What a command prints with --json; or, where another status is expected, its error."""
    done = subprocess.run([sys.executable, "-m", "ioi_exec", *arguments, "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stderr if not done.stdout else done.stdout)


class One(Rpc):
    """A validator of a `Four`."""

    def __init__(self, member: Member) -> None:
        super().__init__(member.rpc)
        self.member = member

    @property
    def log(self) -> str:
        return (self.member.home / "node.log").read_text()

    def said(self) -> list[dict[str, Any]]:
        """By its application."""
        lines = (self.member.home / "app.log").read_text().splitlines()
        return [json.loads(line) if line.startswith("{") else {"message": line} for line in lines]


class Four:
    """In the working directory, where the VM is found too. Not started; close it."""

    def __init__(self, folder: Path, binary: Path, vm: str, state: dict[bytes, bytes], validators: int = 4) -> None:
        self.vm = vm
        self._genesis = {"state": {key.hex(): value.hex() for key, value in state.items()}}
        file = folder / "genesis.json"
        file.write_text(json.dumps(self._genesis))

        def init(path: Path) -> None:
            ioi("node", "init", str(path), "--chain-id", CHAIN, "--vm", vm, "--genesis", str(file), "--keep-receipts")

        self._init = init
        make(folder / "net", binary, {"vm": vm, "chain_id": CHAIN, "validators": validators, "initial_height": 1}, init)
        self.net = Devnet(folder / "net", binary, FAST)
        self.all = [One(member) for member in self.net.members]

    def start(self, one: One, *options: str, settings: dict[str, str] | None = None, **environment: str) -> None:
        """One that is not running. options: of `ioi-exec serve`. settings: more of its node. environment: of its application."""
        one.member.start_app(*options, **{"IOI_NODE_ENGINE_WORKERS": "1", **environment})
        self.net.start_node(one.member, **(settings or {}))

    def wipe(self, one: One) -> None:
        """One that is not running: all that it knows of the chain is lost, but for its keys and the genesis."""
        shutil.rmtree(one.member.home / "app")
        one.member.run("unsafe-reset-all")
        self._init(one.member.home / "app")

    def to_join(self, *peers: One) -> dict[str, str]:
        """Settings of a node that joins by a snapshot, and trusts what these say of the chain's beginning."""
        commit = peers[0].ask("commit", height="2")["signed_header"]["commit"]
        return {
            "CMT_STATESYNC_ENABLE": "true", "CMT_STATESYNC_RPC_SERVERS": ",".join(peer.member.rpc for peer in peers),
            "CMT_STATESYNC_TRUST_HEIGHT": "2", "CMT_STATESYNC_TRUST_HASH": commit["block_id"]["hash"], "CMT_STATESYNC_TRUST_PERIOD": "1h",
            "CMT_STATESYNC_DISCOVERY_TIME": "5s",
        }

    def reach(self, height: int, *ones: One) -> None:
        """Wait until all of them have this block; none of their programs may end meanwhile."""
        for one in ones or self.all:
            until(lambda: self._alive(one) and one.height >= height, lambda: one.log[-4000:])

    def check(self, vm: Any, one: One) -> None:
        """As check_headers."""
        check_headers(one, one.member.home / "app", vm, self._genesis, CHAIN)

    def close(self) -> None:
        self.net.close()

    @staticmethod
    def _alive(one: One) -> bool:
        assert (said := one.member.ended()) is None, said
        return True


Make = Callable[..., Four]
