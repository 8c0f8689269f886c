"""What generated worlds of Ethereum are made of: contracts written here, accounts that sign, and the blocks' headers.

    assembler.py            text to code
    token.easm, pool.easm   the contracts
    contracts.py            their code, what stands in their storage, and how they are called
    accounts.py             keys, addresses and signed transactions
    blocks.py               headers
    world.py                all of it together

Needs `ioi-exec[ethereum]`.
"""

import ioi_exec.vm.ethereum  # noqa: F401
