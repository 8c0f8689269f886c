"""Benchmarks, each a command of its own:

  python -m tools.bench engine    payments, a VM in Python, empty blocks: 1 and 2 workers against one by one
  python -m tools.bench core      payments through the C core alone (compiles tools/bench/core.c with $CC, default gcc)
  python -m tools.bench record    recording on against off
  python -m tools.bench storage   genesis, stage, commit, reads, proofs at 10,000 to 1,000,000 keys or more; SHA-256
  python -m tools.bench stage     stage in several threads against one
  python -m tools.bench against   this tree against a frozen revision of itself, row by row, with targets (builds the revision)
  python -m tools.bench ethereum  blocks of Ethereum, made and real, on workers against one by one
  python -m tools.bench node      CheckTx, and transactions under a CometBFT beside an application that does nothing
  python -m tools.bench revm      the native EVM against revm alone: generated worlds and block files (pip install ./tools/revm-vm)
  python -m tools.bench peers     stage and commit beside the real trees, jmt and cosmos/iavl (builds them with cargo and Go)

Variants alternate within a round, and figures are medians over rounds, so that what else the machine does hits all
alike. Ratios are taken within a round before their median. Add --json for one JSON object a line, --help for the rest.
"""

from __future__ import annotations

import sys
from typing import Callable

from tools.bench import core, engine, ethereum, node, peers, record, revm, stage, storage
from tools.bench.against import command as against

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "engine": engine.main,
    "core": core.main,
    "record": record.main,
    "storage": storage.main,
    "stage": stage.main,
    "against": against.main,
    "ethereum": ethereum.main,
    "peers": peers.main,
    "node": node.main,
    "revm": revm.main,
}


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    print(__doc__.strip(), file=sys.stdout if arguments and arguments[0] in ("-h", "--help") else sys.stderr)
    return 0 if arguments and arguments[0] in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
