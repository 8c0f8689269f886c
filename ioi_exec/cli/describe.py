"""A state and a block as the commands print them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ioi_exec.block.result import BlockResult
from ioi_exec.files.block import decided_object
from ioi_exec.files.gas import gas_object
from ioi_exec.files.strict_json import written
from ioi_exec.state.info import StateInfo
from ioi_exec.vm.upgrades import Upgrade

ERRORS_MOST = 10


def described(info: StateInfo) -> dict[str, Any]:
    header = info.header
    return {
        "version": info.version,
        "oldest_version": info.oldest,
        "height": written(info.height),
        "state_root": info.state_root.hex(),
        "receipts_root": info.receipts_root.hex(),
        "transactions": info.transactions,
        "failed": info.failed,
        "time_ns": written(header.time_ns) if header else None,
        "proposer": header.proposer.hex() if header and header.proposer else None,
        "block_id": header.block_id.hex() if header and header.block_id else None,
        **({} if header is None else decided_object(header)),
        "transactions_hash": info.transactions_hash.hex() if info.transactions_hash else None,
        "vm": info.vm.name,
        "vm_args": info.vm.args,
        "vm_version": info.vm.version,
        "vms": {str(each.height): str(each.vm) for each in info.vms} if len(info.vms) > 1 else None,
        "upgrade": None if info.upgrade is None else upgrade_object(info.upgrade),
        "tree": info.tree,
        "genesis_root": info.genesis_root.hex(),
        "initial_height": written(info.initial_height),
        "chain_id": info.chain_id or None,
        "interpreter": None if info.interpreter is None else str(info.interpreter),
        "vm_code": info.code,
        "limits": {name: written(limit) for name, limit in info.limits.items()},
        "keeps_receipts": info.keeps_receipts,
        "gas": None if info.gas is None else gas_object(info.gas),
    }


def upgrade_object(upgrade: Upgrade) -> dict[str, Any]:
    vm = upgrade.vm
    return {"height": written(upgrade.height), "vm": vm.name, "vm_args": vm.args, "vm_version": vm.version}


def block_line(result: BlockResult, source: str, committed: bool, started: int) -> str:
    """One block in one line for people. started: workers that came up while it was executed, which its time is mostly of."""
    seconds = working_seconds(result)
    rate = f"{result.transactions / seconds:,.0f}/s" if result.transactions else "-"
    if started:
        rate = f"{seconds:.2f} s with starting {started} worker{'' if started == 1 else 's'}"
    failed = f" ({result.failed} failed)" if result.failed else ""
    return (
        f"version {result.version}  height {result.height}  root {result.state_root.hex()}  "
        f"{result.transactions} transactions{failed}  {rate}  {result.stats.mode}"
        + ("" if committed else "  not committed (dry run)")
        + f"  {source}"
    )


def errors_of(result: BlockResult) -> list[tuple[str, int]]:
    """The errors of its receipts with how many have each, the most frequent first; beyond ERRORS_MOST they are one, "others"."""
    if not result.failed:
        return []
    counted = Counter(receipt.error for receipt in result.receipts if not receipt.ok).most_common()
    others = sum(count for _, count in counted[ERRORS_MOST:])
    return counted[:ERRORS_MOST] + ([("others", others)] if others else [])


def why_failed(result: BlockResult) -> list[str]:
    """The same in lines for people."""
    return [f"  {count} failed: {error}" for error, count in errors_of(result)]


def working_seconds(result: BlockResult) -> float:
    """What a block took without making ready for it: processes are started for the first one, and not for those that follow."""
    seconds = result.stats.seconds
    return max(seconds["total"] - seconds.get("prepare", 0.0) - seconds.get("worker", 0.0), 1e-9)


def block_object(result: BlockResult, source: str, committed: bool) -> dict[str, Any]:
    """One block as a JSON object. Hashes are lower-case hex."""
    return {
        "version": result.version,
        "height": written(result.height),
        "state_root": result.state_root.hex(),
        "receipts_root": result.receipts_root.hex(),
        "transactions": result.transactions,
        "failed": result.failed,
        "errors": dict(errors_of(result)),
        "committed": committed,
        "file": source,
        "stats": result.stats.to_json(),
    }
