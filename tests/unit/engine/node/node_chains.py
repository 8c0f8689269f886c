"""A chain of one application: what decides blocks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from abci_client import CHAIN, block, genesis
from node_vms import Words

from ioi_exec import ExecutionMachine
from ioi_exec.node.application import Application, Candidate
from ioi_exec.node.records import Records


class Chain:
    """An application, and what decides blocks for it."""

    def __init__(self, path: Path | None, **options: Any) -> None:
        settings = {"vm": Words, "chain_id": CHAIN, "genesis": {b"a": b"0"}, **options}
        self.machine = ExecutionMachine.create(path, **{"workers": 0, **settings})
        self.records = Records(None if path is None else path.parent / "consensus.db")
        self.application = Application(self.machine, self.records)

    def begin(self, **changes: Any) -> Chain:
        self.application.init_chain(genesis(**changes))
        return self

    def decide(self, *txs: bytes) -> Candidate:
        """The next block, committed."""
        of_height = block(self.machine.info.height + 1, *txs)
        assert self.application.process_proposal(of_height)
        done = self.application.finalize_block(of_height)
        self.application.commit()
        return done


Make = Callable[..., Chain]
