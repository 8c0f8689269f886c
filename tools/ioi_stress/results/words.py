"""What is said about a result in sentences, wherever it is shown."""

from __future__ import annotations

from collections import Counter

from ioi_stress.results.interval import CONFIDENCE, Interval
from ioi_stress.results.result import Result


def confidence(interval: Interval) -> str:
    """What its low and high mean."""
    if interval.n == 1:
        return "one repetition says nothing of its noise: --repeat 6 gives intervals"
    if interval.confidence < CONFIDENCE:
        return (
            f"low and high are the least and the greatest of {interval.n}, which hold the true median with "
            f"{interval.confidence:.0%}; --repeat 6 is enough for {CONFIDENCE:.0%}"
        )
    return f"the true median lies between low and high with at least {CONFIDENCE:.0%} ({interval.n} repetitions)"


def engine(result: Result) -> list[str]:
    """What the engine did with the blocks, and what there was to fail."""
    blocks = [block for repetition in result.whole() for block in repetition.blocks]
    if not blocks:
        return []
    modes = Counter(block.mode for block in blocks)
    retries, failed = sum(block.retries for block in blocks), sum(block.failed for block in blocks)
    lines = [f"blocks executed: {', '.join(f'{count:,} {mode}' for mode, count in modes.most_common())}"]
    if failed:
        lines.append(f"failed transactions: {failed:,} of {sum(block.transactions for block in blocks):,}")
    if retries:
        lines.append(f"whole blocks executed again (a worker died or shared memory ran out): {retries:,}")
    return lines
