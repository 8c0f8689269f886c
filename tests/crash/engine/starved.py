"""starved.py CASE, preloaded with starving.c: one block over and over, in which each allocation fails once, until none is left. It says how often."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from ioi_exec import ExecutionMachine, ResourceError, VMFault
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

KEYS = 512  # a table of a record grows behind so many


class Everything:
    """Reads, writes, undoes and scans: the first transaction all keys there are."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        if ctx.tx_index == 0:
            for number in range(KEYS):
                state.put(b"k%03d" % number, tx)
            return b""
        state.get(b"g" + tx)
        with state.checkpoint():
            state.put(b"k" + tx, tx * 100)
        return b"%d" % len(list(state.scan(prefix=b"k", reverse=True)))


def address(number: int) -> bytes:
    return b"%032d" % number


def main(case: str) -> None:
    starve = ctypes.CDLL(None).starve
    vm, workers, *record = case.split()
    options: dict[str, Any] = {"vm": Everything, "genesis": {b"g%d" % number: b"value" for number in range(9)}}
    txs = [b"%d" % number for number in range(4)]
    if vm == "payments":
        options = {"vm": vm, "genesis": {account_key(address(number)): encode_account(10) for number in range(300)}}
        txs = [encode_transfer(address(number), address(900 - number), 1, nonce=0) for number in range(600)]
    with ExecutionMachine.create(None, workers=int(workers), pin=False, **options) as machine:
        before, expected, failures = machine.root, machine.execute(txs, record=bool(record)), 0
        while True:
            failed = None
            starve(failures)
            try:
                result = machine.execute(txs, record=bool(record))
            except (ResourceError, VMFault) as error:
                failed = error
            came = starve(-1)
            assert (machine.version, machine.root) == (0, before), f"allocation {failures}: something was committed"
            if failed is None:  # there are some that a block does without
                assert (result.state_root, result.receipts) == (expected.state_root, expected.receipts), f"allocation {failures}"
            if not came:
                break
            failures += 1
        machine.commit(result)
    print("failures", failures)


if __name__ == "__main__":
    main(sys.argv[1])
