"""The client on a real CometBFT: what it does on `ioi-exec dev` (tests/unit/engine/node/test_client.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from calendar import timegm
from pathlib import Path
from time import strptime

import pytest
from client_plays import SIGNED_VM, play
from cometbft import Rpc

from ioi_exec.node.block_header import BlockId, Header, PartSetHeader

pytestmark = pytest.mark.long


def test_on_cometbft(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text(SIGNED_VM)
    process = subprocess.Popen(
        [
            sys.executable, "-m", "ioi_exec", "devnet", "--cometbft", str(binary), "--block-ms", "100", "--validators", "1", "--vm", "notes:Notes",
            "--json",
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        (node,) = json.loads(line)["nodes"]
        Rpc(node["rpc"]).reach(1)
        play(node["rpc"])
        for height in (1, 2, 3):
            hash_of_header(Rpc(node["rpc"]), height)
    finally:
        process.terminate()
        process.communicate()


def hash_of_header(node: Rpc, height: int) -> None:
    """Is what the node says: the formula by which `dev` names its blocks."""
    found = node.ask("block", height=str(height))
    header, last = found["block"]["header"], found["block"]["header"]["last_block_id"]
    seconds, _, fraction = header["time"].rstrip("Z").partition(".")

    def octets(name: str) -> bytes:
        return bytes.fromhex(header[name])

    ns = timegm(strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction.ljust(9, "0"))
    made = Header(
        int(header["version"].get("app", 0)), header["chain_id"], height, ns,
        BlockId(bytes.fromhex(last["hash"]), PartSetHeader(last["parts"]["total"], bytes.fromhex(last["parts"]["hash"]))),
        octets("last_commit_hash"), octets("data_hash"), octets("validators_hash"), octets("next_validators_hash"), octets("consensus_hash"),
        octets("app_hash"), octets("last_results_hash"), octets("evidence_hash"), octets("proposer_address"),
    )
    assert made.hash().hex().upper() == found["block_id"]["hash"]
