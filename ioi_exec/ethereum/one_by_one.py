"""A block executed one by one in this process, over a dictionary: for those who want to see each key that it asks for."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Callable, ContextManager, Iterator, Sequence

from ioi_exec.errors import Diverged
from ioi_exec.vm.ethereum.block import Block, UnknownBlockHash
from ioi_exec.vm.ethereum.receipts import Outcome
from ioi_exec.vm.ethereum.vm import NOT_OF_THE_BLOCK, InvalidBlock, begin, end, in_words, transact


class Pairs:
    """A state in a dictionary, for one who undoes nothing. Those who want to see what is read override `missing`."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self.pairs = pairs

    def missing(self, key: bytes) -> bytes | None:
        """The value of a key that the dictionary does not have."""
        return None

    def get(self, key: bytes) -> bytes | None:
        found = self.pairs.get(key)
        return self.missing(key) if found is None else found

    def exists(self, key: bytes) -> bool:
        return self.get(key) is not None

    def put(self, key: bytes, value: bytes) -> None:
        self.pairs[key] = value

    def delete(self, key: bytes) -> None:
        self.pairs.pop(key, None)

    def scan(self, start: bytes | None = None, end: bytes | None = None, *, prefix: bytes | None = None, **_: Any) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, value) for key, value in self.pairs.items() if key.startswith(prefix or b"")))

    def add(self, key: bytes, delta: int, *, width: int, **_: Any) -> bool:
        total = int.from_bytes(self.pairs.get(key, b""), "big") + delta
        if total >> 8 * width:
            return False
        self.put(key, total.to_bytes(width, "big"))
        return True

    def checkpoint(self) -> ContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class Done:
    """block: with the hashes that were asked for. requests_hash: None before Prague."""

    block: Block
    outcomes: tuple[Outcome, ...]
    requests_hash: bytes | None


def run_one_by_one(
    block: Block, raws: Sequence[bytes], state: Pairs, *, hash_of: Callable[[int], bytes] | None = None, on_step: Callable[[int], object] = int
) -> Done:
    """hash_of(number): of a block that a contract asks for and that the block does not have. on_step(index) is called before each step: 0 the
    beginning, 1..n the transactions, n + 1 the end. Raises Diverged where the block is invalid on this state."""
    outcomes: list[Outcome] = []
    try:
        on_step(0)
        begin(block, state)
        for index, raw in enumerate(raws):
            on_step(index + 1)
            while True:
                try:
                    outcomes.append(transact(block, raw, state, index))
                    break
                except UnknownBlockHash as error:
                    if hash_of is None:
                        raise
                    block = replace(block, hashes={**block.hashes, error.number: hash_of(error.number)})
        on_step(len(raws) + 1)
        requests_hash = end(block, state, raws, outcomes)
    except NOT_OF_THE_BLOCK as error:
        raise Diverged(f"block {block.number} is invalid on this pre-state: transaction {len(outcomes)}: {in_words(error)}") from None
    except (UnknownBlockHash, InvalidBlock) as error:
        raise Diverged(f"block {block.number} is invalid on this pre-state: {error}") from None
    return Done(block, tuple(outcomes), requests_hash)
