"""ioi-exec run, once more: nothing is committed twice unless one asks for it; --resume goes on; --from-stdin streams."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

Cli = Callable[..., Any]
A, B = "aa" * 32, "bb" * 32


def block(nonce: int, height: int | None = None) -> str:
    header = "" if height is None else json.dumps({"header": {"height": height}}) + "\n"
    return header + json.dumps({"from": A, "to": B, "amount": 1, "nonce": nonce}) + "\n"


@pytest.fixture
def state(cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": {A: {"balance": 1000}}}))
    cli("init", "state", "--genesis", "genesis.json")
    for nonce in range(4):
        (tmp_path / f"plain{nonce}").write_text(block(nonce))
        (tmp_path / f"high{nonce}").write_text(block(nonce, 7 + nonce))
    return tmp_path / "state"


def version(cli: Cli) -> int:
    found: int = cli("info", "state", "--json").object["version"]
    return found


def run(cli: Cli, *arguments: Any, **options: Any) -> Any:
    return cli("run", "state", *arguments, "--workers=0", **options)


@pytest.mark.parametrize("kind", ["plain", "high"])
def test_a_command_that_is_run_again_commits_nothing(cli: Cli, state: Path, kind: str) -> None:
    run(cli, f"{kind}0")
    for words in ((), ("--dry-run",)):
        error = run(cli, f"{kind}0", "--json", *words, status=2).error
        assert error["kind"] == "InputError" and "--resume" in error["error"]
        assert ("height 7, and the next one of this state is 8" in error["error"]) == (kind == "high")
    assert version(cli) == 1


def test_again_commits_an_equal_block_once_more(cli: Cli, state: Path) -> None:
    done = run(cli, "plain0", "plain0", "--json", status=2)
    assert len(done.objects) == 1 and "--again" in done.error["error"]
    assert run(cli, "plain0", "--again", "--json").object["failed"] == 1  # its nonce is used up
    assert run(cli, "high1", "--again", status=2).err  # heights are not argued with


@pytest.mark.parametrize("kind", ["plain", "high"])
def test_resume_goes_on_where_it_was_interrupted(cli: Cli, state: Path, kind: str) -> None:
    files = [f"{kind}{nonce}" for nonce in range(4)]
    fresh = run(cli, *files[:2], "--resume", "--json").objects
    assert [line.get("skipped", line.get("version")) for line in fresh] == [0, 1, 2]
    assert "2 blocks skipped" in run(cli, *files[:2], "--resume").out
    assert "1 block skipped" in run(cli, files[1], "--resume").out
    roots = [part for line in fresh[1:] for part in ("--expect-root", line["state_root"])]
    assert run(cli, *files[:2], *roots, "--resume", "--json").object == {"skipped": 2}
    wrong = run(cli, *files[:2], *roots[2:], *roots[:2], "--resume", "--json", status=5).error
    assert "committed as version 1" in wrong["error"]
    rest = run(cli, *files, "--resume", "--json").objects
    assert [line.get("skipped", line.get("version")) for line in rest] == [2, 3, 4] and {line["failed"] for line in rest[1:]} == {0}
    assert version(cli) == 4


def test_resume_where_another_block_was_committed(cli: Cli, state: Path) -> None:
    run(cli, "high0", "high1")
    (state.parent / "other").write_text(block(5, 8))
    assert "other transactions" in run(cli, "other", "--resume", "--json", status=5).error["error"]
    assert "leave out 1" in run(cli, "high3", "--resume", status=2).err


def test_resume_without_heights_where_it_cannot_be_told(cli: Cli, state: Path) -> None:
    files = ("plain0", "plain1", "plain2")
    run(cli, *files)
    assert "where to go on cannot be told" in run(cli, "plain0", "plain3", "--resume", status=2).err
    cli("prune", "state", "--keep", 2, "--yes")
    assert "whether this block was committed cannot be told" in run(cli, *files, "plain3", "--resume", status=2).err
    assert "2 blocks skipped" in run(cli, *files[1:], "plain3", "--resume").out
    assert version(cli) == 4


def test_resume_with_heights_that_were_pruned(cli: Cli, state: Path) -> None:
    files = [f"high{nonce}" for nonce in range(4)]
    run(cli, *files[:3])
    cli("prune", "state", "--keep", 1, "--yes")
    assert run(cli, *files, "--resume", "--json").objects[0] == {"skipped": 3}


def test_a_stream_of_blocks(cli: Cli, state: Path) -> None:
    stream = block(0, 7) + block(1, 8) + '{"header": {}}\n' + block(2) + "\n\n" + block(3) + "\n"
    done = run(cli, "--from-stdin", "--json", stdin=stream).objects
    assert [(line["height"], line["transactions"], line["failed"]) for line in done] == [(7, 1, 0), (8, 1, 0), (9, 1, 0), (10, 1, 0)]
    assert done[2]["file"] == "block 3 of standard input"
    assert run(cli, "--from-stdin", "--resume", "--json", stdin=stream).object == {"skipped": 4}
    assert run(cli, "--from-stdin", stdin="").out == ""
    bad = run(cli, "--from-stdin", "--json", stdin=block(4) + "\n" + block(5) + '{"tx": 5}\n', status=2)
    assert len(bad.objects) == 1 and bad.error["error"].startswith("standard input:4: ")
    assert version(cli) == 5


def test_each_block_of_a_stream_is_executed_as_it_comes(state: Path) -> None:
    """The second is not yet written when the first is committed, so that a stream without end needs no memory for it."""
    command = [sys.executable, "-m", "ioi_exec", "run", "state", "--from-stdin", "--json", "--workers=0"]
    with subprocess.Popen(command, cwd=state.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdin is not None and engine.stdout is not None
        for nonce in range(3):
            engine.stdin.write(block(nonce) + "\n")
            engine.stdin.flush()
            assert json.loads(engine.stdout.readline())["version"] == nonce + 1
        engine.stdin.close()
        assert engine.wait(60) == 0


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "no block to execute"), (["--from-stdin", "plain0"], "takes the place of files"),
        (["--from-stdin", "--expect-root", "00" * 32], "no --expect-root"),
    ],
)
def test_what_does_not_go_together(cli: Cli, state: Path, words: list[str], says: str) -> None:
    assert says in run(cli, *words, "--json", status=2).error["error"]
    assert version(cli) == 0
