"""This tree beside a frozen revision of itself, row by row, in turns within one run.

Each row is one figure: a ratio taken within a round, or a time. `old` and `new` are the medians of both sides, `new/old`
the median of the ratios within a round with its interval (95 % from six rounds on), which is what tells an absolute
figure apart from a machine that has become slower. `target` is what the row should be on two cores; * marks rows
that are not there. The revision is built once, into --cache, and kept there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ioi_stress.notation.text import short
from ioi_stress.results.interval import Interval
from tools.bench import core
from tools.bench.against.frozen import TREE, CannotBuild, frozen
from tools.bench.against.rows import ROWS, Row

SIDE = Path(__file__).parent / "side.py"
FROZEN = "fc36625"


class Side:
    """A process of one tree's interpreter."""

    def __init__(self, tree: Path, python: str, program: Path) -> None:
        self._tree = tree
        self._program = program
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            [python, str(SIDE)], cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def prepare(self, row: Row) -> None:
        args = row.args
        if row.measure == "Core":
            if not self._program.exists():
                core.compiled(self._tree, self._program)
            args = {**args, "program": str(self._program)}
        self._ask({"measure": row.measure, "args": args})

    def round(self, turn: int) -> dict[str, Any]:
        return self._ask({"round": turn})

    def done(self) -> None:
        self._ask({})

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the side of {self._tree} ended: what it said is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench against", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", nargs="?", default=FROZEN, help="what to compare with (default %(default)s)")
    parser.add_argument("--rows", nargs="+", metavar="TEXT", help="only rows whose name contains one of these")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--rounds", type=int, help="of each row (default: its own, 3 to 11)")
    parser.add_argument("--new-only", action="store_true", help="without the revision: this tree's figures beside the targets")
    parser.add_argument(
        "--cache", type=Path, default=TREE / "build" / "against", help="where the revision is built (default build/against)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line: each row with all its rounds")
    chosen = parser.parse_args(arguments)
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds: at least 1")
    rows = [row for row in ROWS if not chosen.rows or any(text in row.name for text in chosen.rows)]
    if not rows:
        parser.error(f"no row is called like {' or '.join(chosen.rows)}: --list names them")
    if chosen.list:
        for row in rows:
            print(f"{row.name:34} {row.unit}, {'at least' if row.higher else 'at most'} {row.target:g}")
        return 0
    try:
        trees = {} if chosen.new_only else {"old": frozen(chosen.revision, chosen.cache.resolve())}
    except CannotBuild as reason:
        print(reason, file=sys.stderr)
        return 1
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ioi-bench-")))
        sides = {name: Side(tree, str(tree / ".venv" / "bin" / "python"), folder / name) for name, tree in trees.items()}
        sides["new"] = Side(TREE, sys.executable, folder / "new")
        for side in sides.values():
            stack.callback(side.close)
        if not chosen.json:
            print(f"{'row':34} {'old':>8} {'new':>8} {'target':>8}   {'new/old':24} unit")
        for row in rows:
            report(row, measured(row, sides, chosen.rounds or row.rounds), chosen.json)
    return 0


def measured(row: Row, sides: dict[str, Side], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Of each side every round."""
    for side in sides.values():
        side.prepare(row)
    order = list(sides)
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for turn in range(1, rounds + 1):
        for name in order:
            taken[name].append(sides[name].round(turn))
        order.reverse()
    for side in sides.values():
        side.done()
    return taken


def report(row: Row, taken: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    figures = {name: [one["figure"] for one in rounds] for name, rounds in taken.items()}
    medians = {name: statistics.median(of) for name, of in figures.items()}
    ratio = Interval.of([new / old for new, old in zip(figures["new"], figures["old"])]) if "old" in figures else None
    if as_json:
        said = {"row": row.name, "unit": row.unit, "higher_is_better": row.higher, "target": row.target}
        said |= {"met": row.met(medians["new"]), "medians": medians, "new_over_old": ratio and ratio.to_json(), "rounds": taken}
        print(json.dumps(said), flush=True)
        return
    old = short(medians["old"]) if "old" in medians else "-"
    between = f"{ratio.median:.2f} ({ratio.low:.2f}..{ratio.high:.2f})" if ratio is not None else "-"
    mark = " " if row.met(medians["new"]) else "*"
    print(f"{row.name:34} {old:>8} {short(medians['new']):>8} {row.target:>8g} {mark} {between:24} {row.unit}", flush=True)
