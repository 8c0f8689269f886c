"""A chain on a desk under many senders at once, blocks on a clock, and ways back: its blocks are those of executing one after another."""

from __future__ import annotations

import random
import threading
from time import monotonic
from typing import Any

import effort
import pytest
from cometbft import PATIENCE

from ioi_exec import BlockHeader, ExecutionMachine, Revert, StateInUse
from ioi_exec.block.decided import Vote
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.dev_keys import POWER
from ioi_exec.node.producer import Pace, Producer
from ioi_exec.node.sequencer import WAITS_ALREADY

SENDERS, EACH = 4, 15
REFUSED = "not the next one"


class Tally:
    """Transactions are (sender, number), which have to come in order; each adds to what all share."""

    def ante(self, tx: bytes, state: Any, ctx: Any) -> None:
        if (state.get(b"next" + tx[:1]) or b"\0") != tx[1:2]:
            raise Revert(REFUSED)
        state.put(b"next" + tx[:1], bytes([tx[1] + 1]))

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        total = b"%d" % (int(state.get(b"total") or b"0") + tx[0])
        state.put(b"total", total)
        return total


@pytest.mark.parametrize("every_ms", [0, 2])
def test_many_senders_and_ways_back(every_ms: int) -> None:
    rng = random.Random(effort.seed(29) + every_ms)
    failed: list[BaseException] = []
    with DevChain(Tally, workers=0) as chain:
        producer = Producer(chain.sequencer, Pace(every_ms), failed.append)
        producer.start()
        end = monotonic() + PATIENCE
        back, over = chain.snapshot(), threading.Event()

        def number_of(sender: int) -> int:
            while True:
                try:
                    return (chain.get(b"next" + bytes([sender])) or b"\0")[0]
                except StateInUse:  # it goes back
                    continue

        def send(sender: int) -> None:
            while (number := number_of(sender)) < EACH or not over.is_set():
                if number == EACH:
                    continue  # a way back may undo some
                assert chain.submit(bytes([sender, number])).error in ("", WAITS_ALREADY.error, REFUSED)

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(1, SENDERS + 1)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            until = chain.height + rng.randrange(1, 4)
            while chain.height < until and any(number_of(sender) < EACH for sender in range(1, SENDERS + 1)):
                assert monotonic() < end and all(thread.is_alive() for thread in threads)
                chain.simulate(bytes([1, 0]))
            chain.revert(back)
            if rng.random() < 0.5:
                back = chain.snapshot()
        over.set()
        for thread in threads:
            thread.join()
        producer.stop()
        assert not failed and chain.get(b"total") == b"%d" % (EACH * sum(range(1, SENDERS + 1)))
        with ExecutionMachine.create(None, Tally, chain_id="dev", workers=0) as oracle:
            votes: list[Vote] = []
            for height in range(1, chain.height + 1):
                block = chain.block(height)
                header = BlockHeader(height, block.header.time_ns, chain.sequencer.proposer, votes=votes)
                result = oracle.execute(block.txs, header)
                assert (result.state_root, result.receipts_root) == (block.info.state_root, block.info.receipts_root)
                assert block.hash == block.header.hash()
                oracle.commit(result)
                votes = [Vote(chain.sequencer.proposer, POWER, "commit")]
