"""What differs between an execution and the sequential one."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_exec import BlockResult
from ioi_stress.plan import Plan
from ioi_stress.workload import Block, Workload

Roots = tuple[str, str]  # of state and receipts, in hex


@dataclass(frozen=True)
class Mismatch:
    """A block whose parallel execution differed from sequential, and all it takes to see that again.

    what: the difference in words. state: what was committed when it was executed. block: with its header's height decided."""

    what: str
    workload: Workload
    plan: Plan
    number: int
    state: dict[bytes, bytes]
    block: Block


def difference(found: BlockResult, expected: BlockResult) -> str | None:
    """What differs between an execution and the sequential one, in words."""
    differ = roots_differ(roots_of(found), roots_of(expected))
    if differ is None and found.receipts != expected.receipts:
        return "the roots are equal, but the receipts are not"
    return differ


def roots_differ(found: Roots, expected: Roots) -> str | None:
    for name, one, other in zip(("state root", "receipts root"), found, expected):
        if one != other:
            return f"the {name} is {one}, sequentially it is {other}"
    return None


def roots_of(result: BlockResult) -> Roots:
    return result.state_root.hex(), result.receipts_root.hex()
