"""`ioi-exec serve` that kills itself (SIGKILL) at a point of a block: IOI_DIES_AT names it, at the first height from IOI_DIES_FROM on."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Callable

from ioi_exec.cli import main
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.application import Application
from ioi_exec.node.records import Records

# The method whose beginning, or end, is the point.
POINTS: dict[str, tuple[type, str, str]] = {
    "before InitChain": (Application, "init_chain", "before"),
    "after InitChain, before its answer": (Application, "init_chain", "after"),
    "in CheckTx": (Application, "check_tx", "before"),
    "before PrepareProposal": (Application, "prepare_proposal", "before"),
    "after PrepareProposal, before its answer": (Application, "prepare_proposal", "after"),
    "before ProcessProposal": (Application, "process_proposal", "before"),
    "after ProcessProposal, before its answer": (Application, "process_proposal", "after"),
    "before FinalizeBlock": (Application, "finalize_block", "before"),
    "after FinalizeBlock, before its answer": (Application, "finalize_block", "after"),
    "between FinalizeBlock and Commit": (Application, "commit", "before"),
    "in Commit, before the record": (Records, "put", "before"),
    "in Commit, after the record": (Records, "put", "after"),
    "in Commit, before the state": (ExecutionMachine, "commit", "before"),
    "in Commit, after the state": (ExecutionMachine, "commit", "after"),
    "after Commit, before its answer": (Application, "commit", "after"),
}


def dying(of: type, method: str, when: str, height: int) -> None:
    committed = 0
    made, commit = ExecutionMachine.__init__, ExecutionMachine.commit

    def opened(machine: ExecutionMachine, *arguments: Any, **options: Any) -> None:
        nonlocal committed
        made(machine, *arguments, **options)
        committed = machine.info.height

    def counted(machine: ExecutionMachine, result: Any) -> int:
        nonlocal committed
        version = commit(machine, result)
        committed = result.height
        return version

    ExecutionMachine.__init__ = opened  # type: ignore[method-assign]
    ExecutionMachine.commit = counted  # type: ignore[method-assign]
    plain: Callable[..., Any] = getattr(of, method)

    def called(*arguments: Any, **options: Any) -> Any:
        in_block = committed + 1
        if when == "before" and in_block >= height:
            os.kill(os.getpid(), signal.SIGKILL)
        done = plain(*arguments, **options)
        if when == "after" and in_block >= height:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(of, method, called)


if __name__ == "__main__":
    if "IOI_DIES_AT" in os.environ:
        dying(*POINTS[os.environ["IOI_DIES_AT"]], int(os.environ["IOI_DIES_FROM"]))
    sys.exit(main())
