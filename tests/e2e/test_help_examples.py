"""Every command line that a --help shows as an example does what it says, word for word, one after another."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from hashlib import sha256
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Callable

import pytest

import ioi_exec.cli
import ioi_stress.cli
from ioi_stress.workloads import WORKLOADS

MAINNET = Path(__file__).parent / "ethereum" / "930196.json.xz"
A, B = "aa" * 32, "bb" * 32
# In an order in which each finds what it needs. A new command joins by being listed.
COMMANDS = "init run info get receipts prove verify check diff dump load export snapshot restore prune rollback upgrade".split()
GO_ON = "serve dev devnet".split()  # until they are told to end: test_node_commands.py, test_dev_command.py, test_real_devnet.py
TX_COMMANDS = "find send simulate wait".split()
KEYS_COMMANDS = "new show".split()
NODE_COMMANDS = "init show-config".split()
ETHEREUM_COMMANDS = "run access-list statetest".split()
STRESS_COMMANDS = "workloads run replay rwset sweep plot compare report trace explain simulate chaos soak".split()
STRESS_FILES = {
    "trace.jsonl": '{"reads": ["a"], "writes": ["b"]}\n{"reads": ["b"], "writes": ["a"], "cost_ns": 1000}\n',
    "my_workloads.py": """
from ioi_stress import Block, FixedWorkload
from ioi_stress.workloads import make

def auction(bidders, seed):
    made = make("uniform", accounts=bidders, seed=seed, block_size=10, vm="python")
    return FixedWorkload("auction", made.vm, made.genesis(), list(made.blocks()), made.parameters)
""",
}


def help_of(main: Callable[[list[str]], int], *command: str) -> str:
    with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit):
        main([*command, "--help"])
    return out.getvalue()


def listed(main: Callable[[list[str]], int], *group: str) -> set[str]:
    """The commands that the program's own --help names, or that of a group of commands."""
    return set(re.findall(r"^    (\S+)", help_of(main, *group), re.MULTILINE))


def examples(main: Callable[[list[str]], int], program: str, *command: str) -> list[str]:
    _, _, text = help_of(main, *command).partition("\nexample:\n")
    found = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    assert found and all(line.startswith(f"{program} {' '.join(command)} ".replace("  ", " ").rstrip()) for line in found), text
    return found


def run_word_for_word(example: str, program: str, folder: Path, **env: str) -> None:
    module = program.replace("-", "_")
    line = example.replace(program, f"{sys.executable} -m {module}", 1)
    done = subprocess.run(line, shell=True, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), (example, done)


@pytest.fixture
def block_files(tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": {A: {"balance": 1000}}}))
    (tmp_path / "block.jsonl").write_text(json.dumps({"from": A, "to": B, "amount": 1, "nonce": 0}) + "\n")


def test_examples(cli: Callable[..., Any], tmp_path: Path, block_files: None) -> None:
    assert listed(ioi_exec.cli.main) == {*COMMANDS, "tx", "keys", "node", "ethereum", *GO_ON}
    root = ""
    tx = bytes.fromhex(A + B) + (1).to_bytes(16, "big") + bytes(24)
    for command in COMMANDS:
        for example in examples(ioi_exec.cli.main, "ioi-exec", command):
            run_word_for_word(example, "ioi-exec", tmp_path, ROOT=root, TX=sha256(tx).hexdigest())
        if command == "receipts":
            for example in examples(ioi_exec.cli.main, "ioi-exec", "tx", "find"):
                run_word_for_word(example, "ioi-exec", tmp_path, TX=sha256(tx).hexdigest())
        if command in ("run", "rollback"):
            root = cli("info", "state", "--json").object["state_root"]
    assert cli("get", "state", B, "--account", "--json").object["exists"] is False  # rolled back
    for made in ("loaded", "restored"):
        assert cli("get", made, B, "--account", "--json").object["balance"] == 1


def test_examples_of_keys_and_of_what_is_sent(tmp_path: Path) -> None:
    """Those that a node answers, in test_tx_commands.py."""
    assert listed(ioi_exec.cli.main, "keys") == set(KEYS_COMMANDS) and listed(ioi_exec.cli.main, "tx") == set(TX_COMMANDS)
    for command in KEYS_COMMANDS:
        for example in examples(ioi_exec.cli.main, "ioi-exec", "keys", command):
            run_word_for_word(example, "ioi-exec", tmp_path)


def test_node_examples(tmp_path: Path, block_files: None) -> None:
    assert listed(ioi_exec.cli.main, "node") == {*NODE_COMMANDS, "compare"}  # which needs another node: test_comparing.py, test_real_devnet.py
    for command in NODE_COMMANDS:
        for example in examples(ioi_exec.cli.main, "ioi-exec", "node", command):
            run_word_for_word(example, "ioi-exec", tmp_path)


def test_ethereum_examples(tmp_path: Path) -> None:
    assert listed(ioi_exec.cli.main, "ethereum") == {*ETHEREUM_COMMANDS, "fetch"}  # which needs a node: test_ethereum_fetch_command.py
    shutil.copy(MAINNET, tmp_path / "block.json.xz")
    shutil.copy(MAINNET.parent / "state_tests.json", tmp_path)
    for command in ETHEREUM_COMMANDS:
        shown = examples(ioi_exec.cli.main, "ioi-exec", "ethereum", command)
        if find_spec("ethereum") is not None:  # the extra, which Python 3.10 cannot have
            for example in shown:
                run_word_for_word(example, "ioi-exec", tmp_path)


@pytest.fixture
def stress_files(tmp_path: Path, block_files: None) -> None:
    for name, text in STRESS_FILES.items():
        (tmp_path / name).write_text(text)
    shutil.copy(MAINNET, tmp_path / "block.json.xz")


@pytest.mark.long
def test_stress_examples(tmp_path: Path, stress_files: None) -> None:
    assert listed(ioi_stress.cli.main) == set(STRESS_COMMANDS)
    for command in STRESS_COMMANDS:
        if command == "compare":
            for name in ("before.json", "after.json"):
                shutil.copy(tmp_path / "chain.json", tmp_path / name)  # which an example of run wrote
        for example in examples(ioi_stress.cli.main, "ioi-stress", command):
            run_word_for_word(example, "ioi-stress", tmp_path)


@pytest.mark.parametrize("workload", [name for name in WORKLOADS if name not in ("ethereum", "evm") or find_spec("ethereum") is not None])
def test_workload_examples(
    workload: str, tmp_path: Path, stress_files: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Word for word but for sizes, which take long: what stands last counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the program puts the working directory into it
    main = ioi_stress.cli.main
    (example,) = examples(main, "ioi-stress", "run", workload)
    smaller = "--block-size 20 --blocks 1" if "--blocks" in help_of(main, "run", workload) else ""
    words = shlex.split(f"{example} {smaller} --workers 1 --repeat 1 --warmup 0")[1:]
    assert main(words) == 0, capsys.readouterr()
    out, err = capsys.readouterr()
    assert "verified: " in out and err == ""
