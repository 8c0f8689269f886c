"""ioi-exec dev, killed wherever it is: what it told anybody is committed is there, and the chain of blocks is whole."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import effort
import pytest
from rpc import Asker

pytestmark = pytest.mark.long
KILLS = effort.amount("IOI_DESK_KILLS", sample=1, many=6)
VM = """
class Words:
    def execute(self, tx, state, ctx):
        state.put(tx, b"%d" % ctx.height)
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], Asker]:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "ioi_exec", "dev", "--vm", "words:Words", "--home", "chain", "--listen", "127.0.0.1:0", "--workers", "0", "--json",
            "--block-ms", "1",
        ],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.wait()
    return process, Asker(json.loads(line)["url"])


def test_killed_and_started_again(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(VM)
    rng, told, number = random.Random(effort.seed(23)), dict[bytes, dict[str, Any]](), 0
    for _ in range(KILLS):
        process, ask = start(tmp_path)
        try:
            whole(ask, told)
            enough, killer = threading.Event(), rng.randrange(1, 12)

            def kill(process: subprocess.Popen[str] = process, enough: threading.Event = enough) -> None:
                enough.wait()
                process.send_signal(signal.SIGKILL)

            thread = threading.Thread(target=kill)
            thread.start()
            try:
                while process.poll() is None:
                    tx = b"word%d" % number
                    number += 1
                    told[tx] = ask.post("/v1/txs", {"tx": tx.hex(), "wait": "commit"})
                    killer -= 1
                    if killer <= 0:
                        enough.set()  # and goes on, so that it comes in the middle of something
            except (OSError, ValueError, AssertionError):
                assert enough.is_set(), "it ended by itself"
            finally:
                enough.set()
                thread.join()
        finally:
            process.kill()
            process.communicate()
    process, ask = start(tmp_path)
    try:
        whole(ask, told)
    finally:
        process.kill()
        process.communicate()


def whole(ask: Asker, told: dict[bytes, dict[str, Any]]) -> None:
    for tx, sent in told.items():
        if "receipt" in sent:
            found = ask.get(f"/v1/txs/{sha256(tx).hexdigest()}")
            assert (found["height"], found["receipt"]) == (sent["height"], sent["receipt"])
            assert bytes.fromhex(ask.get(f"/v1/state/{tx.hex()}")["value"]) == b"%d" % sent["height"]
    newest = ask.get("/v1/status")["height"]
    below = ""
    for height in range(max(newest - 20, 1), newest + 1):
        block = ask.call("block", height=str(height))
        assert below in ("", block["block"]["header"]["last_block_id"]["hash"])
        below = block["block_id"]["hash"]
