"""ioi-exec init, run, get, info: results, files, and every exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec.cli import main

Cli = Callable[..., Any]
WORKERS = [0, 2]

A, B, P = "aa" * 32, "bb" * 32, "0f" * 32
GENESIS = {"accounts": {A: {"balance": 1000, "nonce": 0}, B: {"balance": str(1 << 100), "nonce": 3}}}


def transfer(nonce: int, amount: int = 1, fee: int = 0, **fields: Any) -> str:
    return json.dumps({"from": A, "to": B, "amount": amount, "fee": fee, "nonce": nonce, **fields})


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


@pytest.fixture(params=WORKERS, ids=lambda count: f"workers={count}")
def workers(request: pytest.FixtureRequest) -> str:
    return f"--workers={request.param}"


@pytest.fixture
def state(cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "genesis.json").write_text(json.dumps(GENESIS))
    cli("init", "state", "--genesis", "genesis.json")
    return tmp_path / "state"


def info(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = cli("info", "state", "--json").object
    return found


def test_from_genesis_to_accounts(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    genesis = info(cli)
    assert (genesis["version"], genesis["height"], genesis["vm"], genesis["tree"]) == (0, 0, "payments", "jellyfish")
    assert genesis["state_root"] == genesis["genesis_root"]
    write(tmp_path / "one", json.dumps({"header": {"height": 9, "proposer": P}}), transfer(0, 10, 2), transfer(5), transfer(1, 20, 3))
    write(tmp_path / "two", transfer(2, 30))
    one, two = cli("run", "state", "one", "two", "--json", workers).objects
    assert (one["version"], one["height"], one["transactions"], one["failed"], one["committed"]) == (1, 9, 3, 1, True)
    assert (two["version"], two["height"], two["transactions"], two["failed"]) == (2, 10, 1, 0)
    for block in (one, two):
        assert all(len(block[root]) == 64 and block[root] == block[root].lower() for root in ("state_root", "receipts_root"))
        assert block["stats"]["executions"] >= block["transactions"] and block["stats"]["seconds"]["total"] > 0
    after = info(cli)
    assert (after["version"], after["state_root"], after["receipts_root"]) == (2, two["state_root"], two["receipts_root"])
    assert cli("get", "state", A, "--account", "--json").object == {"version": 2, "address": A, "exists": True, "balance": 935, "nonce": 3}
    assert cli("get", "state", P, "--account", "--json").object["balance"] == 5
    assert cli("get", "state", B, "--account", "--version", 1, "--json").object["balance"] == str((1 << 100) + 30)
    assert cli("get", "state", "cc" * 32, "--account", "--json").object["exists"] is False
    key = (b"acct/" + bytes.fromhex(A)).hex()
    value = cli("get", "state", key.upper(), "--json").object
    assert value == {"version": 2, "key": key, "value": (935).to_bytes(16, "big").hex() + (3).to_bytes(8, "big").hex()}
    assert cli("get", "state", key, "--version", 0).out == (1000).to_bytes(16, "big").hex() + "0" * 16 + "\n"


def test_for_people(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    write(tmp_path / "one", transfer(0), transfer(7))
    line, why, rest = cli("run", "state", "one", workers).out.split("\n")
    root = info(cli)["state_root"]
    assert (why, rest) == ("  1 failed: nonce", "") and all(part in line for part in ("version 1", "height 1", root, "2 transactions (1 failed)", "one"))
    shown = cli("info", "state").out
    assert all(part in shown for part in (root, "payments", "jellyfish"))
    assert "balance  999" in cli("get", "state", A, "--account").out


def test_a_key_that_is_absent(cli: Cli, state: Path) -> None:
    assert cli("get", "state", "00", "--json", status=1).object["value"] is None
    plain = cli("get", "state", "00", status=1)
    assert plain.out == "" and "no value" in plain.err


def test_standard_input_is_a_block(cli: Cli, state: Path, workers: str) -> None:
    done = cli("run", "state", "-", "--json", workers, stdin=transfer(0) + "\r\n" + '{"tx": "00"}\n').object
    assert (done["version"], done["transactions"], done["failed"]) == (1, 2, 1)
    assert cli("run", "state", "-", "--json", workers, stdin="").object["transactions"] == 0
    assert "twice" in cli("run", "state", "-", "-", workers, status=2).err


def test_options_take_precedence_over_headers(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    write(tmp_path / "one", json.dumps({"header": {"height": 4, "proposer": A, "time_ns": 1, "block_id": "ab"}}), transfer(0, fee=7))
    cli("run", "state", "one", workers, "--proposer", P, "--time-ns", 1 << 60)
    after = info(cli)
    assert (after["proposer"], after["time_ns"], after["height"], after["block_id"]) == (P, str(1 << 60), 4, "ab")
    assert cli("get", "state", P, "--account", "--json").object["balance"] == 7


def test_sequential_and_dry_run(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    before = info(cli)
    write(tmp_path / "one", transfer(0))
    write(tmp_path / "two", transfer(1))
    dry = cli("run", "state", "one", "two", "--json", "--dry-run", workers).objects
    assert [b["version"] for b in dry] == [1, 2] and [b["failed"] for b in dry] == [0, 0] and not dry[0]["committed"]
    assert info(cli) == before
    assert "dry run" in cli("run", "state", "one", "--dry-run", workers).out
    real = cli("run", "state", "one", "two", "--json", "--sequential").objects
    assert [b["state_root"] for b in real] == [b["state_root"] for b in dry]
    assert [b["receipts_root"] for b in real] == [b["receipts_root"] for b in dry]
    assert {b["stats"]["mode"] for b in real} == {"sequential"}


def test_a_policy_changes_no_result(cli: Cli, tmp_path: Path, state: Path) -> None:
    write(tmp_path / "one", transfer(0), transfer(1))
    names = ("default", "paper", "no-estimates")
    blocks = [cli("run", "state", "one", "--json", "--dry-run", "--workers=2", f"--policy={name}").object for name in names]
    assert [block["stats"]["policy"] for block in blocks] == list(names) and len({block["state_root"] for block in blocks}) == 1
    assert "choose from" in cli("run", "state", "one", "--policy=fast", status=2).err
    for alone in ("--sequential", "--workers=0"):
        assert "one by one" in cli("run", "state", "one", "--policy=paper", alone, status=2).err


def test_an_expected_root(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    write(tmp_path / "one", transfer(0))
    write(tmp_path / "two", transfer(1))
    roots = [b["state_root"] for b in cli("run", "state", "one", "two", "--json", "--dry-run", workers).objects]
    wrong = cli("run", "state", "one", "--expect-root", roots[1], "--json", workers, status=5)
    assert wrong.out == "" and wrong.error["kind"] == "Diverged" and roots[0] in wrong.error["error"]
    assert info(cli)["version"] == 0
    assert "expected" in cli("run", "state", "one", "--expect-root", "00" * 32, workers, status=5).err
    cli("run", "state", "one", "two", "--expect-root", roots[1].upper(), workers)
    assert info(cli)["version"] == 2
    cli("run", "state", "-", "-", "--expect-root", "00" * 31, workers, status=2)


def test_expected_roots_for_each_file(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    write(tmp_path / "one", transfer(0))
    write(tmp_path / "two", transfer(1))
    roots = [b["state_root"] for b in cli("run", "state", "one", "two", "--json", "--dry-run", workers).objects]
    each = [argument for root in roots for argument in ("--expect-root", root)]
    assert len(cli("run", "state", "one", "two", *each, "--dry-run", "--json", workers).objects) == 2
    done = cli("run", "state", "one", "two", "--expect-root", roots[0], "--expect-root", roots[0], "--json", workers, status=5)
    assert len(done.objects) == 1 and info(cli)["version"] == 1
    cli("run", "state", "one", "one", "one", "--expect-root", roots[0], "--expect-root", roots[0], workers, status=2)


def test_a_bad_line_refuses_its_file_and_those_before_stay(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    write(tmp_path / "good", transfer(0))
    write(tmp_path / "bad", transfer(1), transfer(2, amount=-1), transfer(3))
    done = cli("run", "state", "good", "bad", "good", "--json", workers, status=2)
    assert len(done.objects) == 1 and done.error == {"error": "bad:2: amount must not be negative", "kind": "InputError", "exit": 2}
    assert info(cli)["version"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("fly",), ("run",), ("run", "state"), ("run", "state", "none"), ("run", "state", "."), ("run", "state", "one", "--workers", "x"),
        ("run", "state", "one", "--workers", "-1"), ("run", "state", "one", "--workers", "1000"), ("run", "state", "one", "--proposer", "xyz"),
        ("run", "state", "one", "--proposer", "00" * 65), ("run", "state", "one", "--time-ns", "-1"), ("run", "state", "one", "--time-ns", str(1 << 63)),
        ("run", "state", "one", "--time-ns", "1.5"), ("run", "state", "one", "--expect-root", "ab"), ("run", "state", "one", "--expect-root", "0x" + "00" * 31),
        ("run", "state", "one", "--fast"), ("run", "nowhere", "one"), ("run", ".", "one"), ("run", "one", "one"), ("get", "state"), ("get", "state", "0"),
        ("get", "state", "zz"), ("get", "state", "00", "--version", "1"), ("get", "state", "00", "--version", "-1"), ("get", "state", "00", "--version", str(1 << 62)),
        ("get", "state", "00", "--account"), ("get", "nowhere", "00"), ("info",), ("info", "nowhere"), ("info", "one"), ("info", "state", "more"),
        ("init", "new"), ("init", "new", "--genesis", "nowhere"), ("init", "new", "--genesis", "one"), ("init", "new", "--genesis", "."),
        ("init", "new", "--genesis", "genesis.json", "--vm", "paymints"), ("init", "new", "--genesis", "genesis.json", "--vm", "no.module:VM"),
        ("init", "new", "--genesis", "genesis.json", "--tree", "willow"), ("init", "new", "--genesis", "genesis.json", "--vm-args", "{"),
        ("init", "new", "--genesis", "genesis.json", "--vm-args", "7"), ("init", "new", "--genesis", "genesis.json", "--vm-args", '{"x": 1}'),
        ("init", "new", "--genesis", "genesis.json", "--initial-height", "0"), ("init", "none/new", "--genesis", "genesis.json"),
        ("init", "one", "--genesis", "genesis.json"), ("init", ".", "--genesis", "genesis.json"), ("init", "one/new", "--genesis", "genesis.json"),
        ("init", "state", "--genesis", "other.json"), ("init", "state", "--genesis", "genesis.json", "--initial-height", "2"),
    ],
    ids=" ".join,
)
def test_wrong_usage_or_input(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, since there are many of them."""

    def run(*given: str) -> tuple[int, str, str]:
        try:
            status = main(given)
        except SystemExit as left:  # argparse's own
            assert isinstance(left.code, int)
            status = left.code
        return status, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "one", transfer(0))
    write(tmp_path / "genesis.json", json.dumps(GENESIS))
    write(tmp_path / "other.json", '{"accounts": {}}')
    assert run("init", "state", "--genesis", "genesis.json")[0] == 0
    before = sorted(p.name for p in tmp_path.iterdir())
    status, out, err = run(*arguments)
    assert (status, out) == (2, "") and err.splitlines()[-1].startswith("ioi-exec: ")
    status, out, err = run(*arguments, "--json")
    assert (status, out) == (2, "") and json.loads(err)["exit"] == 2 and json.loads(err)["error"]
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    status, out, err = run("info", "state", "--json")
    assert json.loads(out)["version"] == 0


def test_init_twice(cli: Cli, tmp_path: Path, state: Path, workers: str) -> None:
    first = info(cli)
    assert cli("init", "state", "--genesis", "genesis.json", "--json").object["state_root"] == first["state_root"]
    cli("run", "state", "-", workers, stdin=transfer(0))
    assert "version 1" in cli("init", "state", "--genesis", "genesis.json", status=2).err
    assert info(cli)["version"] == 1


MY_VM = """
import os, time
from ioi_exec import Revert

class Mine:
    version = 1
    def __init__(self, greeting="hello"):
        self.greeting = greeting
    def execute(self, tx, state, ctx):
        if tx == b"slow":
            open("started", "w").close()
            time.sleep(300)
        if tx == b"full":
            raise OSError(28, "No space left on device")
        if tx == b"memory":
            raise MemoryError
        if tx == b"import":
            import nothing_of_this_name
        if tx == b"bug":
            return 1 // 0
        state.put(tx, self.greeting.encode())
"""


@pytest.fixture
def mine(cli: Cli, tmp_path: Path) -> Callable[..., Any]:
    """A state of a VM in the working directory; call it to run one block of these transactions."""
    (tmp_path / "my_vm.py").write_text(MY_VM)
    (tmp_path / "state.json").write_text('{"state": {"00": "0102"}}')
    cli("init", "state", "--genesis", "state.json", "--vm", "my_vm:Mine", "--vm-args", '{"greeting": "hi"}')

    def run(*txs: bytes, workers: str = "--workers=0", **options: Any) -> Any:
        return cli("run", "state", "-", "--json", workers, stdin="".join('{"tx": "%s"}\n' % tx.hex() for tx in txs), **options)

    return run


def test_a_vm_of_ones_own(cli: Cli, mine: Callable[..., Any], tmp_path: Path, workers: str) -> None:
    assert mine(b"key", b"bug", workers=workers).object["failed"] == 1
    assert cli("get", "state", b"key".hex()).out == b"hi".hex() + "\n"
    assert cli("get", "state", "00").out == "0102\n"
    shown = info(cli)
    assert (shown["vm"], shown["vm_args"], shown["vm_version"]) == ("my_vm:Mine", {"greeting": "hi"}, "1")
    assert "payments" in cli("get", "state", A, "--account", status=2).err
    assert "unknown field" in cli("run", "state", "-", "--workers=0", stdin=transfer(0), status=2).err
    (tmp_path / "my_vm.py").write_text(MY_VM.replace("version = 1", "version = 2"))
    assert mine(b"key", status=2).error["kind"] == "VMMismatch"
    (tmp_path / "my_vm.py").unlink()
    assert mine(b"key", status=2).error["kind"] == "VMError"
    assert info(cli)["version"] == 1


@pytest.mark.parametrize("tx, says", [(b"full", "OSError"), (b"memory", "MemoryError"), (b"import", "nothing_of_this_name")])
def test_faults_of_the_machine(cli: Cli, mine: Callable[..., Any], workers: str, tx: bytes, says: str) -> None:
    error = mine(b"key", tx, workers=workers, status=1).error
    assert error["kind"] == "VMFault" and all(part in error["error"] for part in ("transaction 1", says, "my_vm.py:"))
    assert info(cli)["version"] == 0


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ioi_exec", *arguments]
    return subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_a_state_in_use_and_ctrl_c(cli: Cli, mine: Callable[..., Any], tmp_path: Path, workers: str) -> None:
    mine(b"before")
    engine = start(tmp_path, "run", "state", "-", "--json", workers)
    assert engine.stdin is not None
    engine.stdin.write('{"tx": "aa"}\n{"tx": "%s"}\n' % b"slow".hex())
    engine.stdin.close()
    engine.stdin = None
    wait_for(tmp_path / "started")
    assert mine(b"key", status=3).error["kind"] == "StateInUse"
    assert cli("init", "state", "--genesis", "state.json", "--vm", "my_vm:Mine", "--vm-args", '{"greeting": "hi"}', status=3).out == ""
    assert cli("get", "state", b"before".hex()).out == b"hi".hex() + "\n"  # reading works beside it
    assert info(cli)["version"] == 1
    assert cli("run", "state", "-", "--dry-run", "--json", "--workers=0", stdin='{"tx": "bb"}').object["version"] == 2
    engine.send_signal(signal.SIGINT)
    out, err = engine.communicate(timeout=300)
    assert (engine.returncode, out) == (1, "")
    assert json.loads(err)["kind"] == "Interrupted"
    with pytest.raises(ProcessLookupError):  # nobody of its session is left
        os.killpg(engine.pid, 0)
    assert info(cli)["version"] == 1
    assert mine(b"after").object["version"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_asks_it_to_end_is_as_ctrl_c(cli: Cli, mine: Callable[..., Any], tmp_path: Path, number: signal.Signals, hang_up: None) -> None:
    engine = start(tmp_path, "run", "state", "-", "--json", "--workers=1")
    assert engine.stdin is not None
    engine.stdin.write('{"tx": "%s"}\n' % b"slow".hex())
    engine.stdin.close()
    engine.stdin = None
    wait_for(tmp_path / "started")
    engine.send_signal(number)
    out, err = engine.communicate(timeout=300)
    assert (engine.returncode, out, json.loads(err)["kind"]) == (1, "", "Interrupted")
    with pytest.raises(ProcessLookupError):
        os.killpg(engine.pid, 0)
    assert info(cli)["version"] == 0


def test_a_corrupt_state(cli: Cli, tmp_path: Path, state: Path) -> None:
    data = state / "data.mdb"
    content = bytearray(data.read_bytes())
    at = content.find(b"acct/" + bytes.fromhex(A))
    while at >= 0:  # every row that holds this account
        content[at + 60] ^= 1
        at = content.find(b"acct/" + bytes.fromhex(A), at + 1)
    data.write_bytes(content)
    assert cli("get", "state", A, "--account", "--json", status=6).error["kind"] == "StateCorrupt"
    assert cli("run", "state", "-", "--workers=0", "--json", stdin=transfer(0), status=6).error["kind"] == "StateCorrupt"
    data.write_bytes(b"garbage" * 5000)
    assert cli("info", "state", status=6).err


def test_a_reader_that_goes_away(tmp_path: Path, state: Path) -> None:
    write(tmp_path / "one", transfer(0))
    engine = start(tmp_path, "run", "state", "one", "one", "--workers=0")
    assert engine.stdout is not None and engine.stderr is not None
    engine.stdout.close()
    assert "Traceback" not in engine.stderr.read() and engine.wait(60) == 1


def test_help_and_version(cli: Cli) -> None:
    for command in ((), ("init",), ("run",), ("get",), ("info",)):
        shown = cli(*command, "--help").out
        assert "usage: ioi-exec" in shown
    assert cli("--version").out.startswith("ioi-exec 0.")
    assert "{" not in cli("--help").out.split("options:")[0].split("COMMAND")[0]
