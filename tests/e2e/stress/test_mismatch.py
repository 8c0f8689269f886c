"""A VM that is not deterministic: found, shrunk, written to files, and seen again by the command that is printed."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_stress.notation.policy_text import parse_policy
from ioi_stress.results.result import Result

Cli = Callable[..., Any]

# "second" ends otherwise in a worker if "first" came before it in the block and the key b"switch" is on.
PLANTED = """
import sys

class Pair:
    def __init__(self, on="1"):
        self._on = on.encode()

    def execute(self, tx, state, ctx):
        if tx == b"first":
            state.put(b"armed", b"%d" % ctx.height)
        elif tx == b"second" and state.get(b"armed") == b"%d" % ctx.height and state.get(b"switch") == self._on:
            if open("/proc/self/comm").read() == "ioi-worker\\n":
                state.put(b"spoilt", b"")
        else:
            print("a VM may print")
            state.put(tx, b"%d" % ctx.time_ns)
"""


@pytest.fixture
def recorded(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(PLANTED)
    state = {b"key%d" % i: b"%d" % i for i in range(30)} | {b"switch": b"1"}
    (tmp_path / "genesis.json").write_text(json.dumps({"state": {key.hex(): value.hex() for key, value in state.items()}}))
    lines = [b"tx %d" % i for i in range(50)]
    (tmp_path / "one.jsonl").write_text("".join(json.dumps({"tx": tx.hex()}) + "\n" for tx in [*lines, b"second"]))
    spoilt = [{"header": {"time_ns": 77}}, *({"tx": tx.hex()} for tx in [*lines[:9], b"first", *lines[9:], b"second", b"last"])]
    (tmp_path / "two.jsonl").write_text("".join(json.dumps(line) + "\n" for line in spoilt))


REPLAY = (
    "replay", "one.jsonl", "two.jsonl", "--genesis", "genesis.json", "--vm", "planted:Pair", "--workers", "1", "--no-pin", "--repeat", "2",
)


def test_a_mismatch_is_shrunk_and_replayed(stress: Cli, recorded: None, tmp_path: Path) -> None:
    before = set(os.listdir(tmp_path))
    done = stress(*REPLAY, "--policy", "paper,window=8", "--vm-args", '{"on": "1"}', status=5)
    assert "DIFFERENT: 3 of 6 executions" in done.out and "block 1, repetition 0: the state root is " in done.out
    assert "block 1 shrunk to 2 transactions on 1 key, which differ in 100% of their executions" in done.err
    block_file, genesis_file = sorted(set(os.listdir(tmp_path)) - before - {"__pycache__"})
    written = [json.loads(line) for line in (tmp_path / block_file).read_text().splitlines()]
    assert written == [{"header": {"height": 2, "time_ns": 77}}, {"tx": b"first".hex()}, {"tx": b"second".hex()}]
    assert json.loads((tmp_path / genesis_file).read_text()) == {"state": {b"switch".hex(): b"1".hex()}}

    (command,) = re.findall(r"replay it: (ioi-stress .*)", done.err)
    words = shlex.split(command)
    assert words[:3] == ["ioi-stress", "replay", block_file]
    assert parse_policy(words[words.index("--policy") + 1]).to_json() == {
        **parse_policy("paper,window=8").to_json(), "name": words[words.index("--policy") + 1]
    }
    again = stress(*words[1:], status=5)
    assert "shrunk to 2 transactions on 1 key" in again.err
    assert set(os.listdir(tmp_path)) - {"__pycache__"} == before | {block_file, genesis_file}  # the same names for the same content

    (tmp_path / "planted.py").write_text(PLANTED.replace('open("/proc/self/comm").read() == "ioi-worker\\n"', "False"))
    assert "verified: " in stress(*words[1:]).out


def test_a_mismatch_in_json(stress: Cli, recorded: None, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = stress(*REPLAY, "--json", "--mismatch-dir", "there", "--no-sequential", "--verify", "--save", "saved.json", status=5)
    result = Result.from_json(done.out.splitlines()[-1], "standard output")
    assert not result.ok and not result.interrupted and len(result.verification.mismatches) == 3
    assert sorted(result.verification.files) == sorted(f"there/{name}" for name in os.listdir(tmp_path / "there"))
    assert result.verification.replay.startswith("ioi-stress replay there/mismatch-")
    assert Result.from_json((tmp_path / "saved.json").read_text(), "saved.json") == result
    error = json.loads(done.err.splitlines()[-1])  # what the VM prints comes before
    assert error["exit"] == 5 and error["kind"] == "Diverged" and result.verification.replay in error["error"]
    assert "saw no difference" not in done.err and "\n" not in done.out.strip()


def test_what_is_said_where_nothing_is_compared_or_written(stress: Cli, recorded: None) -> None:
    assert "not verified" in stress(*REPLAY, "--no-verify").out
    assert "there is no directory missing" in stress(*REPLAY, "--mismatch-dir", "missing", status=2).err
    done = stress(*REPLAY, "--mismatch-dir", "/proc", "--quiet", status=5)  # where nobody can write, root included
    assert "could not be written" in done.err and "/proc" in done.err and "DIFFERENT" in done.out


def test_a_block_that_fails_ends_the_run_and_keeps_what_was_measured(stress: Cli, recorded: None, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(PLANTED.replace('state.put(b"spoilt", b"")', 'raise MemoryError("planted")'))
    done = stress(*REPLAY, "--warmup", "0", "--save", "saved.json", status=1)
    result = Result.from_json((tmp_path / "saved.json").read_text(), "saved.json")
    assert result.error.startswith("VMFault: ") and [len(each.blocks) for each in result.repetitions] == [1]
    assert f"it ended with an error: {result.error}" in done.out and "ioi-stress: transaction 51 stopped the block" in done.err
