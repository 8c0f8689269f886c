"""What checkpoints, and ante, may have to put back is bounded by what a transaction may write, however often it writes it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from ioi_exec import ExecutionMachine, StateView

TIMES, SIZE = 5_000, 4_000


class Rewrites:
    def ante(self, tx: bytes, state: StateView, ctx: Any) -> None:
        self.write(tx, state, TIMES // 10)

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> None:
        self.write(tx, state, TIMES)
        with state.checkpoint():
            self.write(tx, state, TIMES)
        for number in range(TIMES):
            try:
                with state.checkpoint():
                    state.put(b"other", b"%d" % number * (SIZE // 5))
                    if number % 2:
                        raise KeyError(number)
            except KeyError:
                pass
        if tx == b"fail":
            raise KeyError(tx)

    def write(self, tx: bytes, state: StateView, times: int) -> None:
        for number in range(times):
            state.put(b"key", (tx + b"%d" % number) * (SIZE // 9))


@pytest.mark.parametrize("tx", [b"done", b"fail"])
def test_one_by_one(tx: bytes) -> None:
    with ExecutionMachine.create(None, Rewrites, workers=0) as machine:
        tracemalloc.start()
        try:
            result = machine.execute([tx])
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < 100 * SIZE, "all that was ever written are 70 MB"
    assert result.receipts[0].ok == (tx == b"done")
    last = TIMES // 10 - 1 if tx == b"fail" else TIMES - 1
    assert dict(result.writes)[b"key"] == (tx + b"%d" % last) * (SIZE // 9)
