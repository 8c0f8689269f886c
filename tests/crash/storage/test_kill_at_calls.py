"""kill -9 before, or in the middle of, any call to the system: afterwards the state is one committed version, `check
--deep` finds nothing, and what was begun can be gone on with; the upkeep process and the commands too.

IOI_STORAGE_KILLS sets how many kills, of all trees; failures print the seed."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import effort
import judge
import pytest
import shimmed
from ioi_storage import Store, check
from test_write_replay import Expectation
from until import until

KILLS = effort.amount("IOI_STORAGE_KILLS", sample=10, many=90)
TREES = ["iavl", "jellyfish"]
EACH = max(5, KILLS // len(TREES))

pytestmark = pytest.mark.skipif(shimmed.library() is None, reason="needs a C compiler")


def a_seed() -> int:
    seed = effort.seed(1)
    print(f"seed {seed}")
    return seed


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("operation", ["create", "commit", "settle", "prune", "rollback", "restore"])
def test_one_call_after_another(tmp_path: Path, operation: str, tree: str) -> None:
    arguments = [tmp_path, tree, operation, EACH, a_seed()]
    *wrong, shown = shimmed.run("kill_sweep.py", *arguments, env=shimmed.environment(tmp_path), timeout=10**5).splitlines()
    print(operation, shown)
    assert not wrong, "\n".join(wrong)
    assert json.loads(shown)["kills"] >= EACH


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
def test_in_the_life_of_a_state(tmp_path: Path, tree: str) -> None:
    """The store and the upkeep process, each killed at a call of its own, if it comes so far; an orphan may still write."""
    rng = random.Random(a_seed())
    deaths = 0
    for number in until(lambda: deaths > 0, max(2, EACH // 8)):
        root, source, log = (tmp_path / str(number) / name for name in ("root", "source", "log"))
        root.mkdir(parents=True)
        source.mkdir()
        fault = f"all:{int(math.exp(rng.uniform(2, 6.5)))}:{rng.choice(['kill', 'half-kill'])}"
        command = [sys.executable, shimmed.HERE / "crash_workload.py", root, source, str(rng.randrange(2**32)), tree]
        env = shimmed.environment(root, log, fault)
        done = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True)
        assert done.returncode in (0, -signal.SIGKILL), (fault, done.stderr)
        deaths += done.returncode != 0
        expectation = Expectation()
        for entry in shimmed.read_log(log):
            if entry.kind == "M":
                expectation.apply(json.loads(entry.name))
        expected = json.loads(json.dumps(expectation.allowed))
        problems = judge.judge(root, source, expected, expectation.kept, True)
        assert not problems, (fault, command, problems)
        shutil.rmtree(root.parent, ignore_errors=True)  # an orphan may be about to open it
    print(f"{deaths} deaths")


# ---- the commands ----

ACCOUNTS = {f"{number:064x}": {"balance": 1000 + number, "nonce": 0} for number in range(1, 400)}


def ioi_exec(*arguments: object, cwd: Path, fault: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ioi_exec", *map(str, arguments)]
    env = shimmed.environment(cwd, fault=fault) if fault else dict(os.environ)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done


def contents(path: Path) -> tuple[int, bytes, dict[bytes, bytes], dict[str, Any]]:
    with Store.open(path) as store:
        return store.version, store.root, dict(store.scan()), store.meta


@pytest.fixture(scope="module", params=TREES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with genesis, blocks, a state of six versions and a snapshot of its newest."""
    where = tmp_path_factory.mktemp("made")
    (where / "genesis").write_text(json.dumps({"accounts": ACCOUNTS}))
    senders = list(ACCOUNTS)
    for block in range(6):
        lines = [{"from": a, "to": b, "amount": 1, "fee": 0, "nonce": block} for a, b in zip(senders[:100], senders[block + 1 :])]
        (where / f"block{block}").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ioi_exec("init", "state", "--genesis", "genesis", "--tree", request.param, cwd=where)
    ioi_exec("run", "state", *(f"block{number}" for number in range(5)), "--workers", 0, cwd=where)
    ioi_exec("snapshot", "state", "chunks", cwd=where)
    ioi_exec("dump", "state", "-o", "dump", cwd=where)
    (where / "tree").write_text(request.param)
    return where


COMMANDS = {
    "init": ["init", "new", "--genesis", "genesis"],
    "run": ["run", "state", "block5", "--workers", "0"],
    "prune": ["prune", "state", "--keep", "2", "--yes"],
    "rollback": ["rollback", "state", "2", "--yes"],
    "restore": ["restore", "new", "chunks"],
    "load": ["load", "new", "dump"],
    "upgrade": ["upgrade", "state", "--vm", "payments", "--vm-args", '{"signed": true}', "--height", "6"],
}


@pytest.mark.sampled
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(made: Path, tmp_path: Path, command: str) -> None:
    arguments = [*COMMANDS[command], *(["--tree", (made / "tree").read_text()] if command == "init" else [])]
    if command == "restore":
        arguments += ["--root", contents(made / "state")[1].hex()]
    path = arguments[1]

    def fresh() -> Path:
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        shutil.copytree(made, tmp_path / "work")
        return tmp_path / "work"

    work = fresh()
    before = contents(work / path) if (work / path).exists() else None
    ioi_exec(*arguments, cwd=work)
    after = contents(work / path)
    for work, n, done in killed(arguments, fresh):
        if not (work / path).exists():
            assert before is None and done.returncode != 0
            ioi_exec(*arguments, cwd=work)
        assert contents(work / path) in ((before, after) if done.returncode else (after,)), (n, done)
        assert check(work / path, deep=True).findings == []


CHAIN = """
class One:
    version = 1

    def execute(self, tx, state, ctx):
        state.put(b"one/" + tx, tx)

class Two:
    version = 2

    def migrate(self, state, ctx, from_version):
        for key, value in state.scan(prefix=b"one/"):
            state.delete(key)
            state.put(b"two/" + key[4:], value)

    def begin_block(self, state, ctx):
        state.put(b"begun", b"%d" % ctx.height)

    def execute(self, tx, state, ctx):
        state.put(b"two/" + tx, tx)
"""


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
def test_a_block_that_another_vm_takes_over_with(tmp_path: Path, tree: str) -> None:
    """It is there with all that the new VM moved, or the old one's state is there, and the same command goes on."""
    made = tmp_path / "made"
    made.mkdir()
    (made / "chain.py").write_text(CHAIN)
    (made / "genesis").write_text(json.dumps({"state": {(b"one/%d" % number).hex(): "00" for number in range(40)}}))
    (made / "block").write_text("".join(json.dumps({"tx": (b"tx%d" % number).hex()}) + "\n" for number in range(40)))
    ioi_exec("init", "state", "--genesis", "genesis", "--vm", "chain:One", "--tree", tree, cwd=made)
    ioi_exec("run", "state", "block", "--workers", 0, cwd=made)
    ioi_exec("upgrade", "state", "--vm", "chain:Two", "--height", 2, cwd=made)
    arguments = ["run", "state", "block", "--again", "--workers", "0", "--vm", "chain:Two"]

    def fresh() -> Path:
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        shutil.copytree(made, tmp_path / "work")
        return tmp_path / "work"

    work = fresh()
    before = contents(work / "state")
    ioi_exec(*arguments, cwd=work)
    after = contents(work / "state")
    assert before[2].keys() == {b"one/%d" % number for number in range(40)} | {b"one/tx%d" % number for number in range(40)}
    assert after[2].keys() == {b"two/" + key[4:] for key in before[2]} | {b"begun"}
    for work, n, done in killed(arguments, fresh):
        found = contents(work / "state")
        assert found in ((before, after) if done.returncode else (after,)), (n, done)
        if found == before:
            ioi_exec(*arguments, cwd=work)
            assert contents(work / "state") == after
        assert check(work / "state", deep=True).findings == []


@pytest.mark.sampled
@pytest.mark.parametrize("command", ["snapshot", "dump"])
def test_what_a_command_writes_is_whole_or_not_there(made: Path, command: str) -> None:
    """And what is left beside it does not stand in the way."""
    arguments = [command, made / "state", *([] if command == "snapshot" else ["-o"]), "new"]
    whole = files(made / {"snapshot": "chunks", "dump": "dump"}[command])

    def fresh() -> Path:
        shutil.rmtree(made / "work", ignore_errors=True)
        (made / "work").mkdir()
        return made / "work"

    for work, n, done in killed(arguments, fresh):
        if not (work / "new").exists():
            assert done.returncode != 0
            ioi_exec(*arguments, cwd=work)
        assert files(work / "new") == whole, (n, done)
        if command == "snapshot":
            assert os.listdir(work) == ["new"]
    shutil.rmtree(made / "work")


def killed(
    arguments: Sequence[object], fresh: Callable[[], Path]
) -> Iterator[tuple[Path, int, subprocess.CompletedProcess[str]]]:
    """(where it ran, at which of its calls it was to die, how it ended) of a command that is killed at random, often enough."""
    rng = random.Random(a_seed())
    most, deaths = 60, 0  # calls; it is found out how many there are
    while deaths < max(2, EACH // 8):
        work, n = fresh(), rng.randint(1, most)
        done = ioi_exec(*arguments, cwd=work, fault=f"all:{n}:{rng.choice(['kill', 'half-kill'])}")
        if done.returncode == 0:
            most = n - 1
        else:
            deaths += 1
        yield work, n, done
    print(f"{arguments[0]}: {deaths} deaths, of at most {most} calls")


def files(path: Path) -> dict[str, bytes]:
    """What a directory holds, or a file."""
    return {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else {"": path.read_bytes()}
