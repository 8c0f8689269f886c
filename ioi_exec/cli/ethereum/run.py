"""ioi-exec ethereum run: blocks of Ethereum mainnet, held against their own headers. Needs no state."""

from __future__ import annotations

import argparse
import sys
from statistics import median
from typing import TYPE_CHECKING, Any, Sequence

from ioi_exec.cli.options import (
    Commands,
    add_command,
    print_json,
    vm_may_print,
    whole_number,
)
from ioi_exec.cli.streams import input_file
from ioi_exec.errors import Diverged, InputError
from ioi_exec.ethereum import EVMS, check_installed

if TYPE_CHECKING:
    from ioi_exec.ethereum.running import Ran, Runner
    from ioi_exec.files.ethereum import EthereumFile

_DIVERGED = Diverged.exit_status
_REPEAT = 3

_EPILOG = """A FILE is one JSON object, plain, gzip or xz: "block" as eth_getBlockByNumber gives it with whole transactions, "prestate" as
geth's prestateTracer or a genesis' alloc has it, "block_hashes" of earlier blocks that contracts ask for, and perhaps "receipts" and "uncles".
An account that is not in the pre-state is empty.

Checked before anything executes: the block's hash, its transactions root, its withdrawals root, who sent each transaction. Compared after:
gas used, logs bloom and receipts root, from Cancun on blob gas, from Prague on the requests' hash. Before Byzantium receipts hold roots of
the state in between, so there it is gas and bloom alone. Exit status: 0 all equal; 5 something differs, or the block is invalid on this
pre-state; 2 the file cannot be used.

The EVM is the official specification in Python (pip install 'ioi-exec[ethereum]'): right before it is fast. With --evm revm it is revm,
hundreds of times as fast, where tools/revm-vm is installed: the same results and roots."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "run", "Execute block files, each on its own pre-state, and compare what comes out with the header.", _EPILOG, needs_state=False,
        example="ioi-exec ethereum run block.json.xz --workers 2 --json",
    )
    command.add_argument("files", metavar="FILE", nargs="+", help="a block with its pre-state; - is standard input")
    command.add_argument(
        "--workers", type=whole_number, metavar="N", help="worker processes (default: one per core; 0: in this process)"
    )
    command.add_argument("--sequential", action="store_true", help="execute one by one")
    command.add_argument(
        "--compare", action="store_true",
        help=f"execute one by one too, {_REPEAT} times each in turns, and say how much faster all workers are; both must come to the same",
    )
    command.add_argument("--evm", choices=EVMS, default="specification", help="what executes the transactions (default: %(default)s)")
    command.add_argument(
        "--access-list", metavar="LIST", help="of the block (`access-list` makes one): what it names is fetched before workers begin; a wrong one is harmless"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.compare and (options.sequential or options.workers == 0):
        raise InputError("--compare executes one by one and with workers: leave out --sequential and --workers 0")
    if options.files.count("-") > 1:
        raise InputError("standard input (-) was given twice: it is one block")
    if options.access_list is not None and len(options.files) > 1:
        raise InputError("--access-list is of one block: give one FILE")
    check_installed(options.evm)
    from ioi_exec.cli.ethereum.access_list import read_access_list
    from ioi_exec.ethereum.running import Runner
    from ioi_exec.files.ethereum import read_ethereum

    status = 0
    hints = () if options.access_list is None else read_access_list(options.access_list).keys()
    with Runner(options.workers, sequential=options.sequential, evm=options.evm) as runner:
        for source in options.files:
            with input_file(source) as (stream, name):
                file = read_ethereum(stream, name)
            with vm_may_print():
                shown = _compared(runner, file, hints) if options.compare else _shown(runner.run(file, hints))
            shown["file"] = name
            status = status or (0 if shown["equal"] else _DIVERGED)
            (print_json if options.json else _print)(shown)
    return status


def _compared(runner: Runner, file: EthereumFile, hints: Sequence[bytes]) -> dict[str, Any]:
    one_by_one, parallel = runner.timed(file, _REPEAT, hints)
    shown, before = _shown(parallel[-1]), median(ran.seconds for ran in one_by_one)
    after = median(ran.seconds for ran in parallel)
    same = all(ran.state_root == parallel[0].state_root and ran.outcomes == parallel[0].outcomes for ran in [*one_by_one, *parallel])
    shown["equal"] = shown["equal"] and same
    shown["one_by_one"] = {"seconds": round(before, 6), "same_result": same}
    return shown | {"seconds": round(after, 6), "gas_per_second": _rate(shown["gas_used"], after), "speedup": round(before / after, 3)}


def _shown(ran: Ran) -> dict[str, Any]:
    from ioi_exec.ethereum.running import first_different
    from ioi_exec.ethereum.touched import not_given

    block, stats = ran.file.block, ran.stats
    shown: dict[str, Any] = {
        "number": block.number,
        "hash": block.hash.hex(),
        "fork": block.fork.name,
        "transactions": len(ran.outcomes),
        "gas_used": ran.gas_used,
        "equal": ran.equal,
        "compared": {one.what: one.equal for one in ran.compared},
        "notes": ran.notes,
        "mode": stats.mode,
        "workers": stats.workers,
        "workers_started": ran.started,
        "executions": stats.executions,
        "aborts": stats.aborts,
        "seconds": round(ran.seconds, 6),
        "gas_per_second": _rate(ran.gas_used, ran.seconds),
        "state_root": ran.state_root.hex(),
    }
    if not ran.equal:
        shown["differs"] = [{"what": one.what, "said": one.said, "found": one.found} for one in ran.compared if not one.equal]
        shown["first_different"] = first_different(ran)
        shown["not_given"] = [address.hex() for address in not_given(ran.file)]
    return shown


def _rate(gas: int, seconds: float) -> int:
    return round(gas / max(seconds, 1e-9))


def _print(shown: dict[str, Any]) -> None:
    """For people."""
    how = f"{shown['mode']}, {shown['executions']} executions" + (f", {shown['aborts']} aborts" if shown["aborts"] else "")
    rate = f"{shown['gas_per_second'] / 1e6:.2f} Mgas/s"
    if shown["workers_started"]:
        rate = f"{shown['seconds']:.2f} s with starting {shown['workers_started']} worker{'' if shown['workers_started'] == 1 else 's'}"
    verdict = "equal" if shown["equal"] else "DIFFERS"
    lines = [
        f"block {shown['number']}  {shown['fork']}  {shown['transactions']} transactions  {shown['gas_used']:,} gas  {rate}  {how}  {verdict}",
        f"  equal: {', '.join(_words(what) for what, equal in shown['compared'].items() if equal) or 'nothing'}",
        *(f"  {note}" for note in shown["notes"]),
        f"  state root {shown['state_root']} (of this engine's tree)",
    ]
    if "one_by_one" in shown:
        lines.append(f"  {shown['speedup']:.2f} times as fast as one by one ({shown['one_by_one']['seconds']:.2f} s)")
        if not shown["one_by_one"]["same_result"]:
            lines.append("  one by one and in parallel it came to different results")
    for one in shown.get("differs", ()):
        lines.append(f"  {_words(one['what'])}: {_cut(one['said'])} is said, {_cut(one['found'])} was found")
    if first := shown.get("first_different"):
        lines.append(
            f"  first different: transaction {first['transaction']} ({first['hash']}), {_words(first['what'])}: "
            f"{_cut(first['said'])} is said, {_cut(first['found'])} was found"
        )
    if missing := shown.get("not_given"):
        lines.append(f"  touched, and not in the pre-state: {' '.join(missing)}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
