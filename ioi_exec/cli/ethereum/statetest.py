"""ioi-exec ethereum statetest: state tests of Ethereum's own."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator

from ioi_exec.cli.options import Commands, add_command, print_json, vm_may_print
from ioi_exec.cli.streams import input_file
from ioi_exec.errors import Diverged, InputError
from ioi_exec.ethereum import check_installed

if TYPE_CHECKING:
    from ioi_exec.ethereum.state_tests import Judged
    from ioi_exec.vm.ethereum.forks import Fork

_EPILOG = """A FILE is JSON as GeneralStateTests of ethereum/tests and state tests of execution-spec-tests are, plain, gzip or xz; of a folder, all
*.json below it. Each transaction of each test is executed in each fork that it has a result for, and three things are compared: whether it
is taken or refused (which of the reasons it is, is shown and not compared), the state root after it, of Ethereum's own tree over the whole
state, and the hash of its logs. Tests of forks that the installed specification does not have are counted as skipped.

Exit status: 0 all equal; 5 something differs; 2 a file cannot be used, or there is nothing in it for these forks."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "statetest", "Execute state tests of Ethereum's own and compare.", _EPILOG, needs_state=False,
        example="ioi-exec ethereum statetest state_tests.json --fork Cancun",
    )
    command.add_argument("files", metavar="FILE", nargs="+", help="state tests, or a folder of such; - is standard input")
    command.add_argument("--fork", metavar="NAME", help="those of one fork alone, as tests call it: Berlin, EIP158, Prague (default: all)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    check_installed()
    from ioi_exec.ethereum.state_tests import judge
    from ioi_exec.files.state_tests import SkippedTests, fork_called, read_state_tests
    from ioi_exec.vm.ethereum.forks import forks

    only: Fork | None = None
    if options.fork is not None and (only := fork_called(options.fork)) is None:
        raise InputError(f"--fork: there is no {ascii(options.fork)[:60]} (known: {', '.join(fork.name for fork in forks())})")
    equal = differs = 0
    skipped: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for source in _files(options.files):
        with input_file(source) as (stream, name):
            for test in read_state_tests(stream, name, only):
                if isinstance(test, SkippedTests):
                    (skipped if test.unknown else others)[test.fork] += test.count
                    continue
                with vm_may_print():
                    judged = judge(test)
                equal, differs = equal + judged.equal, differs + (not judged.equal)
                if options.json:
                    print_json(_shown(judged, name))
                elif not judged.equal:
                    _print(judged, name)
    if not equal + differs:
        there = ", ".join(sorted({*skipped, *others})) or "none"
        raise InputError(f"{options.files[0]}: there is no test for {only.name if only else 'a known fork'}: forks of those that there are: {there}")
    if options.json:
        print_json({"tests": equal + differs, "equal": equal, "differ": differs, "skipped": dict(sorted(skipped.items()))})
    else:
        more = "".join(f"; {count} of {fork} skipped" for fork, count in sorted(skipped.items()))
        sys.stdout.write(f"{equal + differs} tests, {equal} equal, {differs} differ{more}\n")
        sys.stdout.flush()
    return Diverged.exit_status if differs else 0


def _files(given: list[str]) -> Iterator[str]:
    for name in given:
        if not os.path.isdir(name):
            yield name
            continue
        found = sorted(Path(name).rglob("*.json"))
        if not found:
            raise InputError(f"{name}: there is no *.json in this folder")
        yield from map(str, found)


def _shown(judged: Judged, name: str) -> dict[str, Any]:
    test = judged.test
    shown = {
        "file": name,
        "test": test.name,
        "fork": test.fork.name,
        "indexes": dict(zip(("data", "gas", "value"), test.indexes)),
        "equal": judged.equal,
        "compared": judged.compared,
        "refused": judged.refused,
        "state_root": judged.root.hex(),
        "logs": judged.logs.hex(),
    }
    if not judged.equal:
        shown["said"] = {"exception": test.exception, "state_root": test.root.hex(), "logs": test.logs.hex()}
    return shown


def _print(judged: Judged, name: str) -> None:
    test = judged.test
    at = "/".join(map(str, test.indexes))
    lines = [f"{name}: {test.name}  {test.fork.name}  data/gas/value {at}  DIFFERS"]
    if not judged.compared["exception"]:
        lines.append(f"  it was {'taken' if judged.refused is None else 'refused: ' + judged.refused}; expected: {test.exception or 'taken'}")
    for what, said, found in (("state root", test.root, judged.root), ("logs", test.logs, judged.logs)):
        if said != found:
            lines.append(f"  {what}: {said.hex()} is said, {found.hex()} was found")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
