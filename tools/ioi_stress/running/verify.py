"""What a run does about verification: when it is on by itself, what it says, and the files that show a difference again."""

from __future__ import annotations

import hashlib
import os
import shlex
from typing import Any, Mapping

from ioi_exec.cli.streams import output_file
from ioi_exec.policy import Policy
from ioi_stress.notation.files import write_block, write_genesis
from ioi_stress.notation.policy_text import policy_text
from ioi_stress.notation.text import counted
from ioi_stress.results.result import Verification
from ioi_stress.running.shrink import Shrunk
from ioi_stress.workload import Workload, vm_words

SMALL_SECONDS = 30.0
LEAST_US = 20.0  # what a transaction of unknown or no cost takes at least, one by one, with all that goes with it


def on_by_default(workload: Workload, sequential: bool) -> bool:
    """Whether a run is verified that was not told. Where every block is executed one by one anyway, always: comparing costs
    nothing. Else if one sequential execution of all blocks likely takes less than SMALL_SECONDS."""
    if sequential:
        return True
    transactions, cost = _size(workload.parameters)
    return transactions * max(cost, LEAST_US) / 1e6 <= SMALL_SECONDS


def _size(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """(transactions, microseconds of each), as far as the parameters say."""
    block_size, blocks, cost = (parameters.get(name) for name in ("block_size", "blocks", "cost_us"))
    if not isinstance(block_size, int) or not isinstance(blocks, int):
        return 0.0, 0.0  # of files: there already, and so no more than somebody cared to keep
    return float(block_size * blocks), float(cost) if isinstance(cost, (int, float)) else 0.0


def verdict(verification: Verification) -> str:
    """One line."""
    if not verification.wanted:
        return "not verified (--verify compares with sequential execution)"
    compared = counted(verification.compared, "execution")
    if verification.mismatches:
        return f"DIFFERENT: {len(verification.mismatches):,} of {compared} differed from sequential execution"
    if not verification.ok:
        some = f"{verification.compared:,} of {counted(verification.executed, 'execution')}"
        return f"not all verified: {some} of a block were compared with sequential execution, and were equal"
    if not verification.compared:
        return "nothing to verify: no block was executed"
    return f"verified: state roots and receipts of {compared} of a block equal those of sequential execution"


def write_shrunk(shrunk: Shrunk, folder: str) -> tuple[list[str], str]:
    """Two files named after what is in them, each whole or not there, and the command that executes them again; empty if the VM
    has no name to import it by. Raises OSError."""
    mismatch = shrunk.mismatch
    name = hashlib.sha256(repr((sorted(mismatch.state.items()), list(mismatch.block.txs), mismatch.block.header)).encode())
    stem = os.path.join(folder, f"mismatch-{name.hexdigest()[:12]}")
    block_file, genesis_file = f"{stem}.block.jsonl", f"{stem}.genesis.json"
    with output_file(genesis_file) as stream:
        write_genesis(stream, mismatch.state)
    with output_file(block_file) as stream:
        write_block(stream, mismatch.block)
    return [block_file, genesis_file], _command(shrunk, block_file, genesis_file)


def _command(shrunk: Shrunk, block_file: str, genesis_file: str) -> str:
    workload, plan = shrunk.mismatch.workload, shrunk.mismatch.plan
    vm = vm_words(workload)
    if vm is None:
        return ""
    words = ["ioi-stress", "replay", block_file, "--genesis", genesis_file, *vm]
    if plan.workers is not None:
        words += ["--workers", str(plan.workers)]
    if plan.policy != Policy.named("default"):
        words += ["--policy", policy_text(plan.policy)]
    if plan.tree != "jellyfish":
        words += ["--tree", plan.tree]
    words += [] if plan.pin else ["--no-pin"]
    return shlex.join([*words, "--repeat", str(shrunk.tries), "--warmup", "0"])


def found(shrunk: Shrunk) -> str:
    """What became of the block that differed."""
    mismatch = shrunk.mismatch
    size = f"{counted(len(mismatch.block.txs), 'transaction')} on {counted(len(mismatch.state), 'key')}"
    if not shrunk.rate:
        return f"block {mismatch.number} did not differ again, so it was kept whole ({size})"
    cut = "" if shrunk.complete else " (there was no time for more)"
    return f"block {mismatch.number} shrunk to {size}{cut}, which differ in {shrunk.rate:.0%} of their executions"
