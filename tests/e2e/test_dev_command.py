"""ioi-exec dev, as a person has it on a desk: started, asked, ended, killed, started again."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from cometbft import until
from rpc import Asker, stream

from ioi_exec.vm.payments import encode_transfer

Cli = Callable[..., Any]
BAZAAR = """
class Bazaar:
    def execute(self, tx, state, ctx):
        key, _, value = tx.partition(b"=")
        if key == b"die":
            raise MemoryError
        state.put(key, value)


GENESIS = {b"first": b"1"}


def genesis(accounts):
    return {key: b"rich" for key in accounts}
"""


class Running:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        self.said: dict[str, Any] = json.loads(line)
        self.ask = Asker(self.said["url"])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, Any]]]:
        """Its status, and what it said on standard error."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=120)
        return self.process.returncode, [json.loads(line) for line in err.splitlines()]


@contextmanager
def dev(folder: Path, *arguments: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ioi_exec", "dev", "--json", "--listen", "127.0.0.1:0", *([] if "--workers" in arguments else ["--workers", "0"]), *arguments], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def included(ask: Asker, tx: bytes) -> Any:
    """Where a transaction is, once it is in a block: a node waits 10 s for that, and a busy machine may take longer."""
    address = f"/v1/receipts/{ask.post('/v1/txs', {'tx': tx.hex()})['hash']}"
    until(lambda: ask.raw("GET", address)[0] == 200)
    return ask.get(address)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bazaar.py").write_text(BAZAAR)
    return tmp_path


def test_payments_with_the_keys_that_it_prints(folder: Path) -> None:
    with dev(folder) as running:
        keys = [bytes.fromhex(key["public_key"]) for key in running.said["test_keys"]]
        assert len(keys) == 11 and all(len(key["secret"]) == 64 for key in running.said["test_keys"])
        tx = encode_transfer(keys[1], keys[2], 5, fee=1, nonce=0)
        assert included(running.ask, tx)["receipt"]["ok"]
        status, said = running.end(signal.SIGINT)
        assert status == 0 and [line["message"] for line in said] == ["chain begun", "committed", "ending"]


def test_a_home_is_killed_and_goes_on(folder: Path, cli: Cli) -> None:
    made = ("--vm", "bazaar:Bazaar", "--genesis", "bazaar:genesis", "--home", "chain")
    with dev(folder, *made) as running:
        keys = [bytes.fromhex(key["public_key"]) for key in running.said["test_keys"]]
        assert running.ask.get(f"/v1/state/{keys[1].hex()}")["value"] == b"rich".hex()
        last = included(running.ask, b"a=1")
        running.ask.post("/v1/txs", {"tx": b"b=1".hex()})
        second = subprocess.run(
            [sys.executable, "-m", "ioi_exec", "dev", "--json", "--listen", "127.0.0.1:0", *made], cwd=folder, capture_output=True, text=True,
        )
        assert second.returncode == 3, second
        running.end(signal.SIGKILL)
    with dev(folder, *made) as running:
        assert running.ask.get(f"/v1/txs/{last['hash']}")["height"] == last["height"]
        assert included(running.ask, b"c=1")["receipt"]["ok"]
        assert running.end()[0] == 0
    assert cli("get", "chain/state", b"c".hex(), "--json").object["value"] == b"1".hex()
    other = subprocess.run(
        [sys.executable, "-m", "ioi_exec", "dev", "--json", *made, "--seed", "other"], cwd=folder, capture_output=True, text=True,
    )
    assert other.returncode == 2 and "give what it was made with" in json.loads(other.stderr)["error"]


def test_a_transaction_that_faults_is_told_and_the_chain_goes_on(folder: Path) -> None:
    with dev(folder, "--vm", "bazaar:Bazaar", "--genesis", "bazaar:GENESIS", "--block-ms", "10") as running:
        assert "MemoryError" in running.ask.post("/v1/txs", {"tx": b"die".hex(), "wait": "commit"})["error"]
        assert included(running.ask, b"a=1")["receipt"]["ok"]
        assert running.end(signal.SIGHUP)[0] == 0


def test_as_many_blocks_are_kept_as_it_says(folder: Path) -> None:
    with dev(folder, "--on-demand", "--keep", "1") as running:
        running.ask.post("/v1/mine", {"blocks": 3})
        assert [block["height"] for block in running.ask.get("/v1/blocks")["blocks"]] == [3]
        assert running.end()[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("--vm", "nowhere:Bazaar"), 2, "cannot be imported"),
        (("--vm", "bazaar:GENESIS"), 2, "no class"),
        (("--vm", "bazaar:Bazaar", "--genesis", "bazaar:nothing"), 2, "nothing"),
        (("--vm", "bazaar:Bazaar", "--genesis", "bazaar:Bazaar"), 2, "--genesis bazaar:Bazaar"),
        (("--genesis", "none.json"), 2, "none.json"),
        (("--listen", "nowhere"), 2, "HOST:PORT"),
        (("--block-ms", "0"), 2, "--block-ms"),
        (("--chain-id", ""), 2, "--chain-id is empty"),
        (("--block-ms", "5", "--on-demand"), 2, "not allowed with"),
        (("--chain-id", "x" * 51), 2, "chain"),
        (("--accounts", "1001"), 2, "at most 1000"),
    ],
)
def test_what_cannot_be(folder: Path, cli: Cli, arguments: tuple[str, ...], status: int, word: str) -> None:
    failed = cli("dev", *arguments, "--json", status=status)
    assert word in failed.error["error"]


def test_a_port_that_is_taken(folder: Path) -> None:
    with dev(folder) as running:
        place = running.said["url"].removeprefix("http://")
        second = subprocess.run(
            [sys.executable, "-m", "ioi_exec", "dev", "--json", "--listen", place, "--workers", "0"], cwd=folder, capture_output=True, text=True,
        )
        assert second.returncode == 2 and "something listens there already" in second.stderr.splitlines()[-1]


@pytest.mark.long
def test_readme(tmp_path: Path) -> None:
    """Its two commands on its VM, word for word but for the port."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", (Path(__file__).parents[2] / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (vm,) = (code for language, code in blocks if language == "python" and "class Bazaar" in code)
    (commands,) = (code for language, code in blocks if language == "sh" and "ioi-exec dev" in code)
    (tmp_path / "bazaar.py").write_text(vm)
    first, second = commands.splitlines()
    words, asked = shlex.split(first), shlex.split(second)
    assert words[:2] == ["ioi-exec", "dev"] and words[-1] == "&" and asked[0] == "curl"
    with dev(tmp_path, *words[2:-1]) as running:
        result = running.ask.get(asked[1].removeprefix("localhost:26657").replace('"', "%22"))["result"]
        assert result["check_tx"]["code"] == result["tx_result"]["code"] == 0 and result["height"] == "1"


@pytest.mark.long
def test_help_examples(folder: Path) -> None:
    """Word for word, but for the port."""
    text = subprocess.run([sys.executable, "-m", "ioi_exec", "dev", "--help"], capture_output=True, text=True).stdout
    shown = [line.strip() for line in text.partition("\nexample:\n")[2].splitlines() if line.startswith("  ")]
    assert shown and all(line.startswith("ioi-exec dev") for line in shown)
    for example in shown:
        with dev(folder, *shlex.split(example)[2:]) as running:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", running.said["url"]) and running.end()[0] == 0


def test_a_vm_whose_file_is_saved(folder: Path) -> None:
    """On the same state; what cannot be taken is told, and the chain goes on; another version migrates; so it does in workers."""
    file = folder / "bazaar.py"

    def save(text: str) -> None:
        (folder / "new").write_text(text)
        (folder / "new").replace(file)

    def sent(key: bytes) -> bytes:
        assert included(running.ask, key + b"=1")["receipt"]["ok"]
        return bytes.fromhex(running.ask.get(f"/v1/state/{key.hex()}")["value"])

    louder = BAZAAR.replace("put(key, value)", "put(key, value + b'!')")
    with dev(folder, "--vm", "bazaar:Bazaar", "--home", "chain", "--workers", "1") as running, stream(running.ask) as events:
        assert sent(b"a") == b"1" and events.next()[0] == "block"
        save(louder)
        kind, _, told = events.next()
        assert (kind, told) == ("reloaded", {"height": 1, "error": None})
        assert sent(b"b") == b"1!" and running.ask.get("/v1/state/61")["value"] == b"1".hex() and events.next()[0] == "block"
        save(louder + "\nthis is no Python\n")
        kind, _, told = events.next()
        assert kind == "reloaded" and "SyntaxError" in told["error"] and running.ask.get("/v1/status")["not_reloaded"] == told["error"]
        assert sent(b"c") == b"1!" and events.next()[0] == "block"
        save(louder.replace("class Bazaar:", "class Bazaar:\n    version = 2\n\n    def migrate(self, state, ctx, from_version):\n        state.put(b'm', b'1')\n"))
        assert events.next()[2]["error"] is None and running.ask.get("/v1/status")["not_reloaded"] is None
        assert sent(b"d") == b"1!" and running.ask.get("/v1/state/6d")["value"] == b"1".hex()
        assert running.ask.get("/v1/blocks/latest")["vm_version"] == "2" and running.ask.get("/v1/blocks/1")["vm_version"] == ""
        assert running.end()[0] == 0
    with dev(folder, "--vm", "bazaar:Bazaar", "--home", "chain") as running:
        assert sent(b"e") == b"1!"
