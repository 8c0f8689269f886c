"""Ethereum as a VM: the official specification, over the engine's state. Needs `pip install 'ioi-exec[ethereum]'` (Python 3.11).

    specification.py  the specification, which is imported before anything of it
    keys.py       what stands under which key
    state.py      the state as the specification has it, read as it is needed and written at the end of a transaction
    forks.py      the rules, from Frontier to the newest that the package has, and which of them a block is of
    block.py      what a block says of itself: the `extra` of its header
    receipts.py   what a transaction leaves behind, and the receipts, bloom and root that come of it
    limits.py     what the engine's must be
    vm.py         the VM: a block's beginning, its transactions, its end
    alone.py      transactions without a block around them, as state tests have them
    root.py       the root of Ethereum's own tree over a whole state

    machine = ExecutionMachine.create(path, "ioi_exec.vm.ethereum:Ethereum", genesis=dict(genesis(prestate)), limits=LIMITS)
    machine.execute(transactions, header(block))

Nothing of it is imported unless it is asked for.
"""

import ioi_exec.vm.ethereum.specification  # noqa: F401

# isort: split
from ioi_exec.vm.ethereum.block import Block, header
from ioi_exec.vm.ethereum.keys import genesis
from ioi_exec.vm.ethereum.limits import LIMITS
from ioi_exec.vm.ethereum.vm import Ethereum

__all__ = ["LIMITS", "Block", "Ethereum", "genesis", "header"]
