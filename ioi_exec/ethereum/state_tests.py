"""State tests executed by the VM through the machine."""

from __future__ import annotations

from dataclasses import dataclass

from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp

from ioi_exec.block.header import BlockHeader
from ioi_exec.errors import VMFault
from ioi_exec.files.state_tests import StateTest
from ioi_exec.machine import ExecutionMachine
from ioi_exec.vm.ethereum import LIMITS, genesis
from ioi_exec.vm.ethereum.receipts import Outcome
from ioi_exec.vm.ethereum.root import ethereum_state_root
from ioi_exec.vm.ethereum.vm import why_invalid

_VM = "ioi_exec.vm.ethereum.alone:TransactionsAlone"


@dataclass(frozen=True)
class Judged:
    """refused: why the transaction was not taken; None: it was."""

    test: StateTest
    refused: str | None
    root: bytes
    logs: bytes

    @property
    def compared(self) -> dict[str, bool]:
        return {
            "exception": (self.refused is None) == (self.test.exception is None),
            "state_root": self.root == self.test.root,
            "logs": self.logs == self.test.logs,
        }

    @property
    def equal(self) -> bool:
        return all(self.compared.values())


def judge(test: StateTest) -> Judged:
    """Raises what the engine raises."""
    before = dict(genesis(test.prestate))
    pairs, outcome, refused = before, None, test.unsendable
    if test.raw is not None:
        with ExecutionMachine.create(None, _VM, genesis=before, workers=0, limits=LIMITS, chain_id=str(test.block.chain_id)) as machine:
            try:
                result = machine.execute([test.raw], BlockHeader(height=1, proposer=bytes(test.block.header.coinbase), extra=test.block.encode()))
            except VMFault as error:
                why = why_invalid(error)
                if why is None:
                    raise
                refused = why
            else:
                (receipt,) = result.receipts
                if receipt.ok:
                    outcome = Outcome.decode(test.fork, receipt.output)
                else:
                    refused = receipt.error
                changed = {**before, **dict(result.writes)}
                pairs = {key: value for key, value in changed.items() if value is not None}
    logs = bytes(keccak256(rlp.encode(outcome.logs if outcome is not None else ())))
    return Judged(test, None if outcome is not None else refused, ethereum_state_root(test.fork, pairs), logs)
