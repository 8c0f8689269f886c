"""Every command line that a --help shows as an example does what it says, word for word, one after another."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec.cli import main

A, B = "aa" * 32, "bb" * 32
# In an order in which each finds what it needs.
COMMANDS = "init run info get prove verify check diff dump load snapshot restore prune rollback".split()


def help_of(*command: str) -> str:
    with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit):
        main([*command, "--help"])
    return out.getvalue()


def test_examples(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": {A: {"balance": 1000}}}))
    (tmp_path / "block.jsonl").write_text(json.dumps({"from": A, "to": B, "amount": 1, "nonce": 0}) + "\n")
    listed = set(re.findall(r"^    (\w+) ", help_of(), re.MULTILINE))
    assert listed == set(COMMANDS)
    root = ""
    for command in COMMANDS:
        _, _, text = help_of(command).partition("\nexample:\n")
        examples = [line.strip() for line in text.splitlines() if line.startswith("  ")]
        assert examples and all(line.startswith(f"ioi-exec {command} ") for line in examples), text
        for example in examples:
            line = example.replace("ioi-exec", f"{sys.executable} -m ioi_exec", 1)
            done = subprocess.run(line, shell=True, cwd=tmp_path, env={"ROOT": root}, capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, ""), (example, done)
        if command in ("run", "rollback"):
            root = cli("info", "state", "--json").object["state_root"]
    assert cli("get", "state", B, "--account", "--json").object["exists"] is False  # rolled back
    for made in ("loaded", "restored"):
        assert cli("get", made, B, "--account", "--json").object["balance"] == 1
